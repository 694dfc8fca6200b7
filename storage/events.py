"""A conversation's history: every change is an event with the next number of its conversation.

Numbers are given out under the lock of the conversation's row, taken in id order, so two writers never deadlock here
and a reader who has number n has seen everything up to n.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.conversation import EventType
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind
from storage.database import Transaction
from storage.live.contract import Notice
from storage.tables import conversations, events


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it: an agent or a customer by id, or the system."""

    kind: AuthorKind
    id: str | None = None


SYSTEM = Actor(kind=AuthorKind.SYSTEM)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    conversation_id: str
    type: EventType
    at: datetime
    actor: Actor = SYSTEM
    message_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as it stands; also what goes over the live bus, so its encoding is part of the API."""

    conversation_id: str
    seq: int
    type: EventType
    at: datetime
    actor_kind: AuthorKind
    actor_id: str | None
    message_id: str | None
    data: Mapping[str, Any]


_BUMP = (
    update(conversations)
    .where(conversations.c.id == bindparam("row"))
    .values(last_seq=conversations.c.last_seq + bindparam("by"))
)


async def lock_conversations(tx: Transaction, ids: Iterable[str]) -> dict[str, int]:
    """Lock these conversations until the commit and return the last number of each."""
    query = (
        select(conversations.c.id, conversations.c.last_seq)
        .where(conversations.c.id.in_(sorted(set(ids))))
        .order_by(conversations.c.id)
        .with_for_update(key_share=True)
    )
    return {row.id: row.last_seq for row in await tx.conn.execute(query)}


async def append_events(tx: Transaction, new: Sequence[NewEvent]) -> list[StoredEvent]:
    """Number and store the events, in their order, and announce them; their conversations must exist."""
    if not new:
        return []
    last = await lock_conversations(tx, (event.conversation_id for event in new))
    counts = Counter(event.conversation_id for event in new)
    await tx.conn.execute(_BUMP, [{"row": id_, "by": count} for id_, count in counts.items()])
    stored = number_events(new, last)
    await store_events(tx, stored)
    return stored


def number_events(new: Sequence[NewEvent], last: dict[str, int]) -> list[StoredEvent]:
    """Give each event the next number of its conversation; `last` is moved on in place.

    The caller holds the locks and writes `last_seq` itself.
    """
    stored = []
    for event in new:
        last[event.conversation_id] += 1
        stored.append(
            StoredEvent(
                conversation_id=event.conversation_id,
                seq=last[event.conversation_id],
                type=event.type,
                at=event.at,
                actor_kind=event.actor.kind,
                actor_id=event.actor.id,
                message_id=event.message_id,
                data=event.data,
            )
        )
    return stored


async def store_events(tx: Transaction, stored: Sequence[StoredEvent]) -> None:
    """Insert numbered events and announce them."""
    await tx.conn.execute(
        insert(events),
        [
            {
                "id": new_id(),
                "conversation_id": event.conversation_id,
                "seq": event.seq,
                "type": event.type,
                "actor_kind": event.actor_kind,
                "actor_id": event.actor_id,
                "message_id": event.message_id,
                "data": dict(event.data),
                "at": event.at,
            }
            for event in stored
        ],
    )
    for event in stored:
        body = msgspec.json.encode({"event": event})
        tx.notices.append(Notice(topic=f"conversation:{event.conversation_id}", body=body))
    for id_, seq in {event.conversation_id: event.seq for event in stored}.items():
        tx.notices.append(Notice(topic="inbox", body=msgspec.json.encode({"conversation": id_, "seq": seq})))


def _event(row: Row[Any]) -> StoredEvent:
    return StoredEvent(
        conversation_id=row.conversation_id,
        seq=row.seq,
        type=EventType(row.type),
        at=row.at,
        actor_kind=AuthorKind(row.actor_kind),
        actor_id=row.actor_id,
        message_id=row.message_id,
        data=row.data,
    )


async def list_events(conn: AsyncConnection, conversation_id: str, *, after_seq: int, limit: int) -> list[StoredEvent]:
    """Return the events whose number is over `after_seq`, in the order of their numbers."""
    query = (
        select(events)
        .where(events.c.conversation_id == conversation_id, events.c.seq > after_seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [_event(row) for row in await conn.execute(query)]


async def list_events_before(
    conn: AsyncConnection, conversation_id: str, *, before_seq: int, limit: int
) -> list[StoredEvent]:
    """Return the last events whose number is under `before_seq`, in the order of their numbers."""
    query = (
        select(events)
        .where(events.c.conversation_id == conversation_id, events.c.seq < before_seq)
        .order_by(events.c.seq.desc())
        .limit(limit)
    )
    return [_event(row) for row in (await conn.execute(query)).all()[::-1]]


async def load_last_seqs(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, int]:
    """Return the last number of each of these conversations that exists."""
    query = select(conversations.c.id, conversations.c.last_seq).where(conversations.c.id.in_(list(ids)))
    return {row.id: row.last_seq for row in await conn.execute(query)}
