"""API tokens, as they are kept."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.agent import ApiToken, Scope
from gateway.domain.errors import NotFound
from gateway.domain.ids import new_id
from storage.database import Database
from storage.tokens import find_token, find_tokens_by_name, insert_token, list_tokens, revoke_token

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


async def add(database: Database, token_hash: str, name: str = "shop") -> ApiToken:
    token = ApiToken(id=new_id(), name=name, scope=Scope.EVENTS, created_at=NOW)
    await database.write(lambda tx: insert_token(tx, token, token_hash))
    return token


async def test_a_token_is_found_by_its_hash_until_it_is_revoked(database: Database) -> None:
    token = await add(database, "a" * 64)
    async with database.read() as conn:
        assert await find_token(conn, "a" * 64) == token
        assert await find_token(conn, "b" * 64) is None
    await database.write(lambda tx: revoke_token(tx, token.id, NOW))
    async with database.read() as conn:
        assert await find_token(conn, "a" * 64) is None
        assert await find_tokens_by_name(conn, "shop") == []


async def test_a_token_is_revoked_once(database: Database) -> None:
    token = await add(database, "a" * 64)
    first = await database.write(lambda tx: revoke_token(tx, token.id, NOW))
    again = await database.write(lambda tx: revoke_token(tx, token.id, NOW + timedelta(days=1)))
    assert first == again
    assert first.revoked_at == NOW
    with pytest.raises(NotFound):
        await database.write(lambda tx: revoke_token(tx, new_id(), NOW))


async def test_tokens_are_listed_oldest_first_from_behind_a_given_one(database: Database) -> None:
    made = [await add(database, str(n) * 64) for n in range(4)]
    async with database.read() as conn:
        assert await list_tokens(conn, limit=3) == made[:3]
        assert await list_tokens(conn, after=made[1].id, limit=3) == made[2:]
        assert await find_tokens_by_name(conn, "shop") == made
