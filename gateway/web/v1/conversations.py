"""Conversations are listed and read."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec

from gateway.domain.contact import ChannelName
from gateway.domain.conversation import ConversationStatus
from gateway.domain.errors import NotFound
from gateway.domain.ids import parse_id
from gateway.web.paging import Page, PageQuery, Seq, TimeCursor, cut_page, decode_cursor, encode_cursor
from gateway.web.permissions import Action
from gateway.web.problem import malformed
from gateway.web.routes import Call, Route
from gateway.web.v1.views import ConversationView, MessageView, conversation_view, links_of, message_view
from storage.conversations import (
    ConversationFilter,
    Position,
    list_conversations,
    load_conversation,
    search_conversations,
)
from storage.events import StoredEvent, list_events, list_events_before
from storage.timeline import list_messages, list_messages_before

T = TypeVar("T")

MAX_FOUND = 50

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ConversationQuery(PageQuery):
    """`assignee` is an agent's id, `me` or `none`; with `q` the newest matches come, at most 50, on one page."""

    status: ConversationStatus | None = None
    queue: _Name | None = None
    assignee: _Name | None = None
    language: _Name | None = None
    topic: _Name | None = None
    channel: ChannelName | None = None
    q: Annotated[str, msgspec.Meta(max_length=500)] | None = None


class SeqCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    seq: Seq


class SeqQuery(PageQuery):
    """`after_seq` is the last number that the caller has; `after`, where given, goes on from a page.

    With `before_seq` the last ones before that number come instead, still in order; `next` then leads further back.
    """

    after_seq: Seq = 0
    before_seq: Seq | None = None


async def get_conversations(call: Call[None, ConversationQuery]) -> Page[ConversationView]:
    query = call.query
    wanted = _filter(call)
    async with call.context.db.read() as conn:
        if query.q is not None:
            found = await search_conversations(conn, query.q, wanted, limit=min(query.limit, MAX_FOUND))
            return Page(items=[conversation_view(conversation) for conversation in found])
        cursor = decode_cursor(query.after, TimeCursor)
        after = None if cursor is None else Position(last_message_at=cursor.at, id=cursor.id)
        rows = await list_conversations(conn, wanted, after=after, limit=query.limit + 1)
    return cut_page(
        [conversation_view(row) for row in rows],
        query.limit,
        lambda last: encode_cursor(TimeCursor(last.last_message_at, last.id)),
    )


def _filter(call: Call[None, ConversationQuery]) -> ConversationFilter:
    query = call.query
    return ConversationFilter(
        status=query.status,
        queue=query.queue,
        assignee_id=_assignee_id(call),
        is_unassigned=query.assignee == "none",
        language=query.language,
        topic=query.topic,
        channel=query.channel,
    )


def _assignee_id(call: Call[None, ConversationQuery]) -> str | None:
    assignee = call.query.assignee
    if assignee is None or assignee == "none":
        return None
    if assignee == "me":
        if call.principal.agent_id is None:
            raise malformed("A program is nobody's assignee: `me` means an agent.", path="$.assignee")
        return call.principal.agent_id
    try:
        return parse_id(assignee)
    except NotFound:
        raise malformed("Give the id of an agent, `me` or `none`.", path="$.assignee") from None


async def get_conversation(call: Call[None, None]) -> ConversationView:
    async with call.context.db.read() as conn:
        return conversation_view(await load_conversation(conn, call.id))


def _after_seq(query: SeqQuery) -> int:
    cursor = decode_cursor(query.after, SeqCursor)
    return query.after_seq if cursor is None else cursor.seq


def _before_seq(query: SeqQuery) -> int | None:
    if query.before_seq is None:
        return None
    cursor = decode_cursor(query.after, SeqCursor)
    return query.before_seq if cursor is None else cursor.seq


def _cut_before(items: list[T], limit: int, seq_of: Callable[[T], int]) -> Page[T]:
    """Return a page of what came before: the surplus one, which says that more do, stands in front."""
    if len(items) <= limit:
        return Page(items=items)
    return Page(items=items[1:], next=encode_cursor(SeqCursor(seq_of(items[1]))))


async def get_messages(call: Call[None, SeqQuery]) -> Page[MessageView]:
    query = call.query
    before_seq, limit = _before_seq(query), query.limit + 1
    async with call.context.db.read() as conn:
        await load_conversation(conn, call.id)
        if before_seq is None:
            rows = await list_messages(conn, call.id, after_seq=_after_seq(query), limit=limit)
        else:
            rows = await list_messages_before(conn, call.id, before_seq=before_seq, limit=limit)
    links = links_of(call.context)
    views = [message_view(row, links, call.now) for row in rows]
    if before_seq is not None:
        return _cut_before(views, query.limit, lambda view: view.seq)
    return cut_page(
        views,
        query.limit,
        lambda last: encode_cursor(SeqCursor(last.seq)),
    )


async def get_events(call: Call[None, SeqQuery]) -> Page[StoredEvent]:
    query = call.query
    before_seq, limit = _before_seq(query), query.limit + 1
    async with call.context.db.read() as conn:
        await load_conversation(conn, call.id)
        if before_seq is None:
            rows = await list_events(conn, call.id, after_seq=_after_seq(query), limit=limit)
        else:
            rows = await list_events_before(conn, call.id, before_seq=before_seq, limit=limit)
    if before_seq is not None:
        return _cut_before(rows, query.limit, lambda event: event.seq)
    return cut_page(rows, query.limit, lambda last: encode_cursor(SeqCursor(last.seq)))


ROUTES = (
    Route(
        "GET",
        "/v1/conversations",
        Action.CONVERSATION_READ,
        get_conversations,
        query=ConversationQuery,
        response=Page[ConversationView],
        summary="List conversations, the newest last message first, or search them",
    ),
    Route(
        "GET",
        "/v1/conversations/{id}",
        Action.CONVERSATION_READ,
        get_conversation,
        response=ConversationView,
        summary="Read one conversation",
    ),
    Route(
        "GET",
        "/v1/conversations/{id}/messages",
        Action.CONVERSATION_READ,
        get_messages,
        query=SeqQuery,
        response=Page[MessageView],
        summary="List a conversation's messages, in the order of their numbers",
    ),
    Route(
        "GET",
        "/v1/conversations/{id}/events",
        Action.CONVERSATION_READ,
        get_events,
        query=SeqQuery,
        response=Page[StoredEvent],
        summary="List everything that happened in a conversation, with the reasons",
    ),
)
