"""Agents and their sessions, as they are kept."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.agent import Agent, Role
from gateway.domain.errors import Conflict, NotFound
from gateway.domain.ids import new_id
from storage.agents import (
    find_agent,
    insert_agent,
    list_agents,
    load_agent,
    lock_credentials,
    save_attempts,
    save_disabled,
    save_password,
)
from storage.database import Database
from storage.sessions import (
    delete_expired_sessions,
    end_session,
    end_sessions,
    extend_session,
    find_session,
    insert_session,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def add(database: Database, email: str = "ana@shop.example") -> Agent:
    agent = Agent(id=new_id(), email=email, name="Ana", role=Role.SUPERVISOR, languages=("en", "pt-BR"), created_at=NOW)
    await database.write(lambda tx: insert_agent(tx, agent, "hash"))
    return agent


async def begin(database: Database, agent: Agent, token_hash: str, *, expires_at: datetime = NOW + HOUR) -> None:
    await database.write(
        lambda tx: insert_session(tx, token_hash=token_hash, agent_id=agent.id, now=NOW, expires_at=expires_at)
    )


async def is_open(database: Database, token_hash: str, at: datetime = NOW) -> bool:
    async with database.read() as conn:
        return await find_session(conn, token_hash, at) is not None


async def test_an_agent_comes_back_as_it_went_in(database: Database) -> None:
    agent, other = await add(database), await add(database, "zoe@shop.example")
    async with database.read() as conn:
        assert await load_agent(conn, agent.id) == agent
        assert await find_agent(conn, agent.email) == agent
        assert await find_agent(conn, "nobody@shop.example") is None
        assert await list_agents(conn) == [agent, other]
        with pytest.raises(NotFound):
            await load_agent(conn, new_id())


async def test_an_address_belongs_to_one_agent(database: Database) -> None:
    await add(database)
    with pytest.raises(Conflict):
        await add(database)


async def test_what_a_log_in_hangs_on_is_kept(database: Database) -> None:
    agent = await add(database)
    await database.write(lambda tx: save_attempts(tx, agent.id, failed_logins=6, locked_until=NOW + HOUR))
    await database.write(lambda tx: save_password(tx, agent.id, "new hash"))
    known = await database.write(lambda tx: lock_credentials(tx, agent.email))
    assert known is not None
    assert (known.failed_logins, known.locked_until, known.password_hash) == (6, NOW + HOUR, "new hash")
    assert await database.write(lambda tx: lock_credentials(tx, "nobody@shop.example")) is None


async def test_a_session_stands_until_it_expires_or_is_put_off(database: Database) -> None:
    agent = await add(database)
    await begin(database, agent, "a" * 64)
    assert await is_open(database, "a" * 64, NOW + HOUR - timedelta(seconds=1))
    assert not await is_open(database, "a" * 64, NOW + HOUR)
    assert not await is_open(database, "b" * 64)
    await database.write(lambda tx: extend_session(tx, "a" * 64, NOW + 2 * HOUR))
    assert await is_open(database, "a" * 64, NOW + HOUR)


async def test_a_disabled_agents_session_is_none(database: Database) -> None:
    agent = await add(database)
    await begin(database, agent, "a" * 64)
    await database.write(lambda tx: save_disabled(tx, agent.id, NOW))
    assert not await is_open(database, "a" * 64)


async def test_ending_sessions_leaves_the_one_to_keep_and_everybody_elses(database: Database) -> None:
    agent, other = await add(database), await add(database, "zoe@shop.example")
    for whose, token in ((agent, "a"), (agent, "b"), (agent, "c"), (other, "d")):
        await begin(database, whose, token * 64)
    await database.write(lambda tx: end_session(tx, "c" * 64))
    assert [await is_open(database, token * 64) for token in "abcd"] == [True, True, False, True]
    await database.write(lambda tx: end_sessions(tx, agent.id, keep="a" * 64))
    assert [await is_open(database, token * 64) for token in "abcd"] == [True, False, False, True]


async def test_expired_sessions_are_deleted(database: Database) -> None:
    agent = await add(database)
    await begin(database, agent, "a" * 64)
    await begin(database, agent, "b" * 64, expires_at=NOW + 2 * HOUR)
    await database.write(lambda tx: delete_expired_sessions(tx, NOW + HOUR))
    assert [await is_open(database, token * 64) for token in "ab"] == [False, True]
