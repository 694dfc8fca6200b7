"""Idempotency keys: what a write answered, so that the same request again gets the same answer and acts no more.

A key is claimed in the transaction of the write it guards. Of two that come at once the unique key lets one through;
the other waits for its commit and finds the answer. (IETF draft-ietf-httpapi-idempotency-key-header-07.)
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Transaction
from storage.sets import delete_oldest
from storage.tables import idempotency_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    principal: str
    key: str
    fingerprint: str  # SHA-256 of method, path and body, hex


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """What the first request with this key got; no `status`: it has not finished, or never will."""

    fingerprint: str
    status: int | None
    response: bytes | None
    created_at: datetime


async def claim_key(tx: Transaction, request: KeyedRequest, now: datetime) -> StoredAnswer | None:
    """Claim the key for this request; return the claim that stands in the way, if one does."""
    insert = postgresql.insert if tx.is_postgresql else sqlite.insert
    claim = (
        insert(idempotency_keys)
        .values(principal=request.principal, key=request.key, fingerprint=request.fingerprint, created_at=now)
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.key)
    )
    if (await tx.conn.execute(claim)).one_or_none() is not None:
        return None
    row = (await tx.conn.execute(select(idempotency_keys).where(_is(request)))).one_or_none()
    if row is None:  # given up between the two statements; whoever asks again will get it
        return StoredAnswer(fingerprint=request.fingerprint, status=None, response=None, created_at=now)
    return StoredAnswer(
        fingerprint=row.fingerprint, status=row.status, response=row.response, created_at=row.created_at
    )


async def renew_claim(tx: Transaction, request: KeyedRequest, *, stale: datetime, now: datetime) -> bool:
    """Take over the unfinished claim made at `stale`; False if another did so first."""
    query = (
        update(idempotency_keys)
        .where(_is(request), idempotency_keys.c.status.is_(None), idempotency_keys.c.created_at == stale)
        .values(created_at=now)
    )
    return (await tx.conn.execute(query)).rowcount == 1


async def save_answer(tx: Transaction, request: KeyedRequest, *, status: int, response: bytes | None) -> None:
    query = update(idempotency_keys).where(_is(request)).values(status=status, response=response)
    await tx.conn.execute(query)


async def release_key(tx: Transaction, request: KeyedRequest) -> None:
    """Give up a claim whose request failed, so that it can be tried again."""
    await tx.conn.execute(delete(idempotency_keys).where(_is(request), idempotency_keys.c.status.is_(None)))


async def delete_keys_before(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Forget answers, the oldest first; return how many."""
    return await delete_oldest(tx.conn, idempotency_keys.c.created_at, before=before, limit=limit)


def _is(request: KeyedRequest) -> ColumnElement[bool]:
    return and_(idempotency_keys.c.principal == request.principal, idempotency_keys.c.key == request.key)
