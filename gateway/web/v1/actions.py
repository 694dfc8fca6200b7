"""What agents do with a conversation, apart from answering it."""

from datetime import datetime
from typing import Annotated

import msgspec

from gateway.domain.errors import NotFound
from gateway.services import conversations as service
from gateway.web.paging import Id
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.v1.views import ConversationView, Reason, conversation_view
from storage.conversations import load_conversation
from storage.database import Transaction
from storage.drafts import Draft, find_draft
from storage.events import StoredEvent

_Queue = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Topic = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9._-]*$", max_length=64)]


class NoteBody(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=5000)]
    mentions: Annotated[list[Id], msgspec.Meta(max_length=20)] = []


class AssignBody(msgspec.Struct, forbid_unknown_fields=True):
    """`agent_id` null: nobody."""

    agent_id: Id | None
    reason: Reason | None = None


class TransferBody(msgspec.Struct, forbid_unknown_fields=True):
    queue: _Queue
    reason: Reason | None = None


class TopicBody(msgspec.Struct, forbid_unknown_fields=True):
    """`topic` null: none that we know of."""

    topic: _Topic | None
    reason: Reason | None = None


class SnoozeBody(msgspec.Struct, forbid_unknown_fields=True):
    until: Annotated[datetime, msgspec.Meta(tz=True)]
    reason: Reason | None = None


class ReasonBody(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason | None = None


class DraftBody(msgspec.Struct, forbid_unknown_fields=True):
    """An empty text is no draft."""

    text: Annotated[str, msgspec.Meta(max_length=100_000)]


class DraftView(msgspec.Struct):
    text: str
    updated_at: datetime | None


async def add_note(call: Call[NoteBody, None], tx: Transaction) -> StoredEvent:
    return await service.add_note(
        tx,
        conversation_id=call.id,
        actor=call.principal.actor,
        text=call.body.text,
        mentions=call.body.mentions,
        now=call.now,
    )


async def assign(call: Call[AssignBody, None], tx: Transaction) -> ConversationView:
    await service.assign(
        tx,
        conversation_id=call.id,
        agent_id=call.body.agent_id,
        actor=call.principal.actor,
        reason=call.body.reason,
        now=call.now,
    )
    return await _answer(call.id, tx)


async def transfer(call: Call[TransferBody, None], tx: Transaction) -> ConversationView:
    await service.transfer(
        tx,
        conversation_id=call.id,
        queue=call.body.queue,
        queues=call.context.queues,
        actor=call.principal.actor,
        reason=call.body.reason,
        now=call.now,
    )
    return await _answer(call.id, tx)


async def set_topic(call: Call[TopicBody, None], tx: Transaction) -> ConversationView:
    await service.set_topic(
        tx,
        conversation_id=call.id,
        topic=call.body.topic,
        actor=call.principal.actor,
        reason=call.body.reason,
        now=call.now,
    )
    return await _answer(call.id, tx)


async def resolve(call: Call[ReasonBody, None], tx: Transaction) -> ConversationView:
    await service.resolve(
        tx, conversation_id=call.id, actor=call.principal.actor, reason=call.body.reason, now=call.now
    )
    return await _answer(call.id, tx)


async def snooze(call: Call[SnoozeBody, None], tx: Transaction) -> ConversationView:
    await service.snooze(
        tx,
        conversation_id=call.id,
        until=call.body.until,
        actor=call.principal.actor,
        reason=call.body.reason,
        now=call.now,
    )
    return await _answer(call.id, tx)


async def reopen(call: Call[ReasonBody, None], tx: Transaction) -> ConversationView:
    await service.reopen(tx, conversation_id=call.id, actor=call.principal.actor, reason=call.body.reason, now=call.now)
    return await _answer(call.id, tx)


async def _answer(conversation_id: str, tx: Transaction) -> ConversationView:
    return conversation_view(await load_conversation(tx.conn, conversation_id))


async def take_next(call: Call[None, None], tx: Transaction) -> ConversationView:
    queue = call.path["queue"]
    if queue not in call.context.queues:
        raise NotFound("There is no such queue.")
    conversation_id = await service.take_next(tx, queue=queue, agent_id=call.principal.id, now=call.now)
    if conversation_id is None:
        raise NotFound("Nothing waits in this queue.")
    return await _answer(conversation_id, tx)


async def get_draft(call: Call[None, None]) -> DraftView:
    async with call.context.db.read() as conn:
        await load_conversation(conn, call.id)
        draft = await find_draft(conn, call.id, call.principal.id)
    return DraftView(text="", updated_at=None) if draft is None else _draft_view(draft)


def _draft_view(draft: Draft) -> DraftView:
    return DraftView(text=draft.text, updated_at=draft.updated_at)


async def put_draft(call: Call[DraftBody, None], tx: Transaction) -> DraftView:
    draft = await service.keep_draft(
        tx, conversation_id=call.id, agent_id=call.principal.id, text=call.body.text, now=call.now
    )
    return _draft_view(draft)


_PATH = "/v1/conversations/{id}"
ROUTES = (
    Route(
        "POST",
        f"{_PATH}/notes",
        Action.CONVERSATION_NOTE,
        add_note,
        body=NoteBody,
        response=StoredEvent,
        status=201,
        summary="Add a note that only agents see",
    ),
    Route(
        "POST",
        f"{_PATH}/assign",
        Action.CONVERSATION_ASSIGN,
        assign,
        body=AssignBody,
        response=ConversationView,
        summary="Make it an agent's work, or nobody's",
    ),
    Route(
        "POST",
        f"{_PATH}/transfer",
        Action.CONVERSATION_TRANSFER,
        transfer,
        body=TransferBody,
        response=ConversationView,
        summary="Move it to another queue",
    ),
    Route(
        "POST",
        f"{_PATH}/topic",
        Action.CONVERSATION_SET_TOPIC,
        set_topic,
        body=TopicBody,
        response=ConversationView,
        summary="Correct what it is about",
    ),
    Route(
        "POST",
        f"{_PATH}/resolve",
        Action.CONVERSATION_RESOLVE,
        resolve,
        body=ReasonBody,
        response=ConversationView,
        summary="End it",
    ),
    Route(
        "POST",
        f"{_PATH}/snooze",
        Action.CONVERSATION_SNOOZE,
        snooze,
        body=SnoozeBody,
        response=ConversationView,
        summary="Put it out of sight until a time, or until the customer writes",
    ),
    Route(
        "POST",
        f"{_PATH}/reopen",
        Action.CONVERSATION_REOPEN,
        reopen,
        body=ReasonBody,
        response=ConversationView,
        summary="Go on with it",
    ),
    Route(
        "POST",
        "/v1/queues/{queue}/next",
        Action.CONVERSATION_TAKE,
        take_next,
        response=ConversationView,
        summary="Take the conversation that has waited longest in a queue and is nobody's",
    ),
    Route(
        "GET",
        f"{_PATH}/draft",
        Action.CONVERSATION_DRAFT,
        get_draft,
        response=DraftView,
        summary="Read what one has typed and not sent",
    ),
    Route(
        "PUT",
        f"{_PATH}/draft",
        Action.CONVERSATION_DRAFT,
        put_draft,
        body=DraftBody,
        response=DraftView,
        summary="Keep what one has typed and not sent",
    ),
)
