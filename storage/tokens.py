"""API tokens, by the hash of their secret."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.agent import ApiToken, Scope
from gateway.domain.errors import NotFound
from storage.database import Transaction
from storage.tables import api_tokens


def _from_row(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id, name=row.name, scope=Scope(row.scope), created_at=row.created_at, revoked_at=row.revoked_at
    )


async def insert_token(tx: Transaction, token: ApiToken, token_hash: str) -> None:
    values = {
        "id": token.id,
        "name": token.name,
        "scope": token.scope.value,
        "token_hash": token_hash,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    }
    await tx.conn.execute(insert(api_tokens).values(values))


async def find_token(conn: AsyncConnection, token_hash: str) -> ApiToken | None:
    """Return the token with this hash, unless it was revoked."""
    query = select(api_tokens).where(api_tokens.c.token_hash == token_hash, api_tokens.c.revoked_at.is_(None))
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _from_row(row)


async def list_tokens(conn: AsyncConnection, *, after: str | None = None, limit: int) -> list[ApiToken]:
    """Return tokens, revoked ones too, oldest first, from behind the id `after`."""
    query = select(api_tokens).order_by(api_tokens.c.id).limit(limit)
    if after is not None:
        query = query.where(api_tokens.c.id > after)
    return [_from_row(row) for row in await conn.execute(query)]


async def find_tokens_by_name(conn: AsyncConnection, name: str) -> list[ApiToken]:
    """Return the tokens of this name that are not revoked."""
    query = select(api_tokens).where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
    return [_from_row(row) for row in await conn.execute(query.order_by(api_tokens.c.id))]


async def revoke_token(tx: Transaction, token_id: str, now: datetime) -> ApiToken:
    """Revoke the token for good; one that is revoked already stays as it is.

    Raises:
        NotFound: there is no such token.
    """
    query = update(api_tokens).where(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
    await tx.conn.execute(query.values(revoked_at=now))
    row = (await tx.conn.execute(select(api_tokens).where(api_tokens.c.id == token_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such token.")
    return _from_row(row)
