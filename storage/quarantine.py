"""What came in and could not be handled: kept with its bytes and the error, until somebody replays it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.ids import new_id
from gateway.domain.message import RawInbound, Source
from storage.database import Transaction
from storage.sets import delete_oldest
from storage.tables import quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    id: str
    raw: RawInbound
    error: str
    created_at: datetime
    replayed_at: datetime | None


async def insert_quarantined(tx: Transaction, raw: RawInbound, error: str, now: datetime) -> str:
    id_ = new_id()
    await tx.conn.execute(
        insert(quarantine).values(
            id=id_,
            source=raw.source,
            received_at=raw.received_at,
            body=raw.body,
            meta=dict(raw.meta),
            error=error,
            created_at=now,
        )
    )
    return id_


async def list_quarantined(
    conn: AsyncConnection, *, after: str | None, limit: int, is_replayed: bool = False
) -> Sequence[Quarantined]:
    """Return the oldest `limit` entries behind the id `after`, waiting ones unless asked otherwise."""
    query = select(quarantine).order_by(quarantine.c.id).limit(limit)
    if not is_replayed:
        query = query.where(quarantine.c.replayed_at.is_(None))
    if after is not None:
        query = query.where(quarantine.c.id > after)
    return [
        Quarantined(
            id=row.id,
            raw=RawInbound(source=Source(row.source), received_at=row.received_at, body=row.body, meta=row.meta),
            error=row.error,
            created_at=row.created_at,
            replayed_at=row.replayed_at,
        )
        for row in await conn.execute(query)
    ]


async def load_quarantined(conn: AsyncConnection, id_: str) -> Quarantined | None:
    row = (await conn.execute(select(quarantine).where(quarantine.c.id == id_))).first()
    if row is None:
        return None
    raw = RawInbound(source=Source(row.source), received_at=row.received_at, body=row.body, meta=row.meta)
    return Quarantined(id=row.id, raw=raw, error=row.error, created_at=row.created_at, replayed_at=row.replayed_at)


async def mark_replayed(tx: Transaction, id_: str, now: datetime) -> None:
    await tx.conn.execute(update(quarantine).where(quarantine.c.id == id_).values(replayed_at=now))


async def delete_replayed_before(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Forget entries that were replayed, with their bytes, the oldest first; return how many. What waits stays."""
    return await delete_oldest(tx.conn, quarantine.c.replayed_at, before=before, limit=limit)
