"""What waits to be sent: claimed by lease, in order for each conversation and channel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.contact import ChannelName
from gateway.domain.ids import new_id
from storage.database import Transaction
from storage.live.contract import Notice
from storage.sets import insert_or_ignore, member_of
from storage.tables import outbox

OUTBOX_TOPIC = "outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    message_id: str
    conversation_id: str
    channel: ChannelName
    order_at: datetime  # its place among the messages of its conversation and channel
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    message_id: str
    conversation_id: str
    channel: ChannelName
    lease_id: str  # whoever holds another one has lost the message to a later claim
    attempts: int  # failed ones so far
    waits: int  # how often the provider asked to come back later


async def enqueue(tx: Transaction, waiting: Sequence[Waiting]) -> None:
    """Put messages into the outbox; one that stands there already is left as it is."""
    rows = [
        {
            "message_id": item.message_id,
            "conversation_id": item.conversation_id,
            "channel": item.channel,
            "order_at": item.order_at,
            "due_at": item.due_at,
            "attempts": 0,
            "waits": 0,
        }
        for item in waiting
    ]
    statement = insert_or_ignore(tx.conn, outbox) if len(rows) == 1 else insert(outbox)
    await tx.conn.execute(statement, rows)
    announce(tx)


def announce(tx: Transaction) -> None:
    """Wake the delivery workers once this is committed."""
    tx.notices.append(Notice(topic=OUTBOX_TOPIC, body=msgspec.json.encode({})))


def _can_go(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on a row that is due, held by nobody, and the first of its conversation and channel."""
    earlier = outbox.alias("earlier")
    is_not_first = exists().where(
        and_(
            earlier.c.conversation_id == outbox.c.conversation_id,
            earlier.c.channel == outbox.c.channel,
            tuple_(earlier.c.order_at, earlier.c.message_id) < tuple_(outbox.c.order_at, outbox.c.message_id),
        )
    )
    is_free = or_(outbox.c.lease_until.is_(None), outbox.c.lease_until < now)
    return outbox.c.due_at <= now, is_free, ~is_not_first


async def claim(tx: Transaction, *, now: datetime, lease_s: float, limit: int) -> list[Claimed]:
    """Lease up to `limit` due messages, each the first of its conversation and channel."""
    due = (
        select(outbox)
        .where(*_can_go(now), outbox.c.channel.in_(list(ChannelName)))
        .order_by(outbox.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=outbox)
    )
    rows = (await tx.conn.execute(due)).all()
    if not rows:
        return []
    lease_id = new_id()
    await tx.conn.execute(
        update(outbox)
        .where(member_of(tx.conn, outbox.c.message_id, [row.message_id for row in rows]))
        .values(lease_id=lease_id, lease_until=now + timedelta(seconds=lease_s))
    )
    return [
        Claimed(
            message_id=row.message_id,
            conversation_id=row.conversation_id,
            channel=ChannelName(row.channel),
            lease_id=lease_id,
            attempts=row.attempts,
            waits=row.waits,
        )
        for row in rows
    ]


async def lock_leases(tx: Transaction, leases: Mapping[str, str]) -> set[str]:
    """Lock the rows of leases (message to lease id); return the messages whose lease still holds."""
    return {
        row.message_id
        for row in await tx.conn.execute(
            select(outbox.c.message_id, outbox.c.lease_id)
            .where(member_of(tx.conn, outbox.c.message_id, leases))
            .order_by(outbox.c.message_id)
            .with_for_update()
        )
        if row.lease_id == leases[row.message_id]
    }


async def extend_leases(tx: Transaction, leases: Mapping[str, str], *, until: datetime) -> set[str]:
    """Renew leases (message to lease id) and lock their rows; return the messages whose lease still holds."""
    held = await lock_leases(tx, leases)
    await tx.conn.execute(update(outbox).where(member_of(tx.conn, outbox.c.message_id, held)).values(lease_until=until))
    return held


async def remove(tx: Transaction, message_ids: Iterable[str]) -> None:
    await tx.conn.execute(delete(outbox).where(member_of(tx.conn, outbox.c.message_id, message_ids)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    message_id: str
    lease_id: str
    due_at: datetime
    is_counted: bool  # a 429 was never processed, so it is no attempt


_RETRY = (
    update(outbox)
    .where(outbox.c.message_id == bindparam("row"), outbox.c.lease_id == bindparam("held"))
    .values(
        lease_id=None,
        lease_until=None,
        due_at=bindparam("next_due"),
        attempts=outbox.c.attempts + bindparam("failed"),
        waits=outbox.c.waits + bindparam("waited"),
    )
)


async def postpone(tx: Transaction, retries: Sequence[Retry]) -> None:
    """Give messages back, to be claimed again when due; one that another lease holds is left alone."""
    rows = [
        {
            "row": retry.message_id,
            "held": retry.lease_id,
            "next_due": retry.due_at,
            "failed": int(retry.is_counted),
            "waited": int(not retry.is_counted),
        }
        for retry in retries
    ]
    await tx.conn.execute(_RETRY, rows)


async def withdraw(tx: Transaction, message_id: str, now: datetime) -> bool:
    """Take a message back before anybody has claimed it; False when it is too late."""
    query = (
        delete(outbox)
        .where(
            outbox.c.message_id == message_id,
            or_(outbox.c.lease_until.is_(None), outbox.c.lease_until < now),
        )
        .returning(outbox.c.message_id)
    )
    return (await tx.conn.execute(query)).first() is not None


async def release_leases(tx: Transaction) -> None:
    """Free what a killed process held; only where this process is known to be alone."""
    await tx.conn.execute(
        update(outbox).where(outbox.c.lease_until.is_not(None)).values(lease_id=None, lease_until=None)
    )


async def next_due_at(conn: AsyncConnection) -> datetime | None:
    """Return when the next unclaimed message falls due; None when nothing waits."""
    query = select(outbox.c.due_at).where(outbox.c.lease_until.is_(None)).order_by(outbox.c.due_at).limit(1)
    return (await conn.execute(query)).scalar_one_or_none()


async def oldest_due_at(conn: AsyncConnection, now: datetime) -> datetime | None:
    """Return since when a message has been due that could go and that nobody has taken up."""
    query = select(outbox.c.due_at).where(*_can_go(now)).order_by(outbox.c.due_at).limit(1)
    return (await conn.execute(query)).scalar_one_or_none()
