"""Conversations as agents see them: lists by range scans of an index, one with what it needs, and its changes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, literal, select, tuple_, union_all, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.contact import ChannelName
from gateway.domain.conversation import ConversationStatus
from gateway.domain.errors import Conflict, NotFound
from storage.database import Transaction
from storage.jobs import JobKind
from storage.search import find_conversations
from storage.sets import member_of
from storage.tables import Id, UtcDateTime, agents, contacts, conversations, jobs

_C = conversations.c


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSummary:
    id: str
    name: str | None
    language: str | None  # BCP 47


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSummary:
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    id: str
    status: ConversationStatus
    contact: ContactSummary
    assignee: AgentSummary | None
    queue: str
    topic: str | None
    language: str | None  # BCP 47
    channel: ChannelName  # the one the customer last used
    subject: str | None
    preview: str | None
    last_seq: int
    created_at: datetime
    last_message_at: datetime
    waiting_since: datetime | None  # the first customer message that has no answer yet
    due_at: datetime | None
    snoozed_until: datetime | None
    resolved_at: datetime | None
    previous_id: str | None
    joined_into_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """What a list is narrowed to; status, queue and assignee are served by indexes, the rest narrows those."""

    status: ConversationStatus | None = None
    queue: str | None = None
    assignee_id: str | None = None
    is_unassigned: bool = False
    language: str | None = None
    topic: str | None = None
    channel: ChannelName | None = None
    contact_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a list: right behind the conversation with these."""

    last_message_at: datetime
    id: str


_SELECT = (
    select(
        conversations,
        contacts.c.name.label("contact_name"),
        contacts.c.language.label("contact_language"),
        agents.c.name.label("assignee_name"),
    )
    .select_from(conversations)
    # Outer joins, so that no planner starts from these and loses the order of the index.
    .outerjoin(contacts, contacts.c.id == _C.contact_id)
    .outerjoin(agents, agents.c.id == _C.assignee_id)
)
_NEWEST_FIRST = (_C.last_message_at.desc(), _C.id.desc())


def _conversation(row: Row[Any]) -> Conversation:
    assignee = None if row.assignee_id is None else AgentSummary(id=row.assignee_id, name=row.assignee_name)
    return Conversation(
        id=row.id,
        status=ConversationStatus(row.status),
        contact=ContactSummary(id=row.contact_id, name=row.contact_name, language=row.contact_language),
        assignee=assignee,
        queue=row.queue,
        topic=row.topic,
        language=row.language,
        channel=ChannelName(row.channel),
        subject=row.subject,
        preview=row.preview,
        last_seq=row.last_seq,
        created_at=row.created_at,
        last_message_at=row.last_message_at,
        waiting_since=row.waiting_since,
        due_at=row.due_at,
        snoozed_until=row.snoozed_until,
        resolved_at=row.resolved_at,
        previous_id=row.previous_id,
        joined_into_id=row.joined_into_id,
    )


def _conditions(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    pairs = (
        (_C.status, wanted.status),
        (_C.queue, wanted.queue),
        (_C.assignee_id, wanted.assignee_id),
        (_C.language, wanted.language),
        (_C.topic, wanted.topic),
        (_C.channel, wanted.channel),
        (_C.contact_id, wanted.contact_id),
    )
    conditions = [column == value for column, value in pairs if value is not None]
    return [*conditions, _C.assignee_id.is_(None)] if wanted.is_unassigned else conditions


def page_query(wanted: ConversationFilter, *, after: Position | None, limit: int) -> Select[Any]:
    """Return the query of one page; a test holds it to the indexes."""
    conditions = _conditions(wanted)
    if after is not None:
        place = tuple_(
            literal(after.last_message_at, UtcDateTime(timezone=True)), literal(after.id, Id), types=[UtcDateTime, Id]
        )
        conditions.append(tuple_(_C.last_message_at, _C.id) < place)
    if wanted.status is None and (wanted.queue or wanted.assignee_id or wanted.is_unassigned):
        # The indexes begin with the status: a page of each, merged, instead of a walk through all conversations.
        parts = [
            select(
                select(_C.id).where(_C.status == status, *conditions).order_by(*_NEWEST_FIRST).limit(limit).subquery()
            )
            for status in ConversationStatus
        ]
        conditions = [_C.id.in_(select(union_all(*parts).subquery().c.id))]
    return _SELECT.where(*conditions).order_by(*_NEWEST_FIRST).limit(limit)


async def list_conversations(
    conn: AsyncConnection, wanted: ConversationFilter, *, after: Position | None, limit: int
) -> list[Conversation]:
    """Return one page, the newest last message first."""
    return [_conversation(row) for row in await conn.execute(page_query(wanted, after=after, limit=limit))]


async def search_conversations(
    conn: AsyncConnection, text: str, wanted: ConversationFilter, *, limit: int
) -> list[Conversation]:
    """Return the conversations in which something says `text`, the newest match first."""
    ids = await find_conversations(conn, text, filters=_conditions(wanted), limit=limit)
    found = {row.id: _conversation(row) for row in await conn.execute(_SELECT.where(member_of(conn, _C.id, ids)))}
    return [found[id_] for id_ in ids if id_ in found]


async def load_conversation(conn: AsyncConnection, conversation_id: str) -> Conversation:
    """Raises:
    NotFound: there is no such conversation.
    """
    row = (await conn.execute(_SELECT.where(_C.id == conversation_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such conversation.")
    return _conversation(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedConversation:
    """What a change is decided on; it holds until the commit."""

    id: str
    contact_id: str
    status: ConversationStatus
    queue: str
    assignee_id: str | None
    topic: str | None
    waiting_since: datetime | None
    snoozed_until: datetime | None
    joined_into_id: str | None


def _locked(row: Row[Any]) -> LockedConversation:
    return LockedConversation(
        id=row.id,
        contact_id=row.contact_id,
        status=ConversationStatus(row.status),
        queue=row.queue,
        assignee_id=row.assignee_id,
        topic=row.topic,
        waiting_since=row.waiting_since,
        snoozed_until=row.snoozed_until,
        joined_into_id=row.joined_into_id,
    )


async def lock_conversation(tx: Transaction, conversation_id: str) -> LockedConversation:
    """Raises:
    NotFound: there is no such conversation.
    """
    query = select(conversations).where(_C.id == conversation_id).with_for_update(key_share=True)
    row = (await tx.conn.execute(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such conversation.")
    return _locked(row)


async def lock_next_waiting(tx: Transaction, queue: str) -> LockedConversation | None:
    """Return and lock the conversation that has waited longest in `queue` and is nobody's; others pass it over."""
    query = (
        select(conversations)
        .where(
            _C.queue == queue,
            _C.status == ConversationStatus.OPEN,
            _C.assignee_id.is_(None),
            _C.waiting_since.is_not(None),
        )
        .order_by(_C.waiting_since, _C.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await tx.conn.execute(query)).one_or_none()
    return None if row is None else _locked(row)


async def find_unresolved(tx: Transaction, contact_id: str) -> str | None:
    """Return the contact's conversation that is not resolved."""
    query = select(_C.id).where(_C.contact_id == contact_id, _C.status != ConversationStatus.RESOLVED)
    return (await tx.conn.execute(query)).scalar_one_or_none()


async def _save(tx: Transaction, conversation_id: str, **values: object) -> None:
    await tx.conn.execute(update(conversations).where(_C.id == conversation_id).values(values))


async def save_assignee(tx: Transaction, conversation_id: str, agent_id: str | None) -> None:
    await _save(tx, conversation_id, assignee_id=agent_id)


async def save_queue(tx: Transaction, conversation_id: str, queue: str) -> None:
    """Move it; whoever had it there has it no longer."""
    await _save(tx, conversation_id, queue=queue, assignee_id=None)


async def save_topic(tx: Transaction, conversation_id: str, topic: str | None) -> None:
    await _save(tx, conversation_id, topic=topic)


async def save_resolved(tx: Transaction, conversation_id: str, now: datetime) -> None:
    await _save(
        tx,
        conversation_id,
        status=ConversationStatus.RESOLVED,
        resolved_at=now,
        waiting_since=None,
        due_at=None,
        snoozed_until=None,
    )


async def save_snoozed(tx: Transaction, conversation_id: str, until: datetime) -> None:
    await _save(tx, conversation_id, status=ConversationStatus.SNOOZED, snoozed_until=until)


async def save_open(tx: Transaction, conversation_id: str) -> None:
    """Open it, from whatever state.

    Raises:
        Conflict: the contact got another conversation at the same moment.
    """
    try:
        await _save(tx, conversation_id, status=ConversationStatus.OPEN, snoozed_until=None, resolved_at=None)
    except IntegrityError:
        raise Conflict("The contact has another conversation that is not resolved.") from None


async def delete_wake(tx: Transaction, conversation_id: str) -> None:
    """Drop the job that would end a snooze."""
    await tx.conn.execute(delete(jobs).where(jobs.c.kind == JobKind.WAKE, jobs.c.subject_id == conversation_id))
