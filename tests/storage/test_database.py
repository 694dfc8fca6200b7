"""How a database is written: again after a deadlock, never half, and its absence told apart from a mistake."""

import asyncio
import gc
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from gateway.domain.errors import Unavailable
from storage.database import Database, Transaction, open_database
from storage.live.contract import LiveBus, Notice
from storage.live.memory import MemoryBus
from storage.tables import suppressions
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

ROW = {"kind": "phone", "reason": "x", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}


async def add(tx: Transaction, *values: str) -> None:
    await tx.conn.execute(insert(suppressions), [{**ROW, "value": value} for value in values])


async def values(database: Database) -> list[str]:
    async with database.read() as conn:
        return list((await conn.execute(select(suppressions.c.value).order_by(suppressions.c.value))).scalars())


async def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        await add(tx, "a")
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await database.write(work)
    assert await values(database) == []


async def test_a_broken_key_is_the_callers_mistake_and_no_outage(database: Database) -> None:
    await database.write(lambda tx: add(tx, "a"))
    with pytest.raises(IntegrityError):
        await database.write(lambda tx: add(tx, "a"))


async def test_notices_go_out_after_the_commit_and_only_then(database: Database, bus: LiveBus) -> None:
    with bus.subscribe("t") as heard:

        async def fail(tx: Transaction) -> None:
            tx.notices.append(Notice(topic="t", body=b"never"))
            raise ValueError("on purpose")

        async def work(tx: Transaction) -> None:
            tx.notices.append(Notice(topic="t", body=b"once"))
            await add(tx, "a")

        with pytest.raises(ValueError, match="on purpose"):
            await database.write(fail)
        await database.write(work)
        notice = await heard.next()
        assert notice is not None
        assert notice.body == b"once"


async def test_concurrent_writers_do_not_lose_updates(database: Database) -> None:
    await database.write(lambda tx: add(tx, "0"))

    async def count_up(tx: Transaction) -> None:
        row = (await tx.conn.execute(select(suppressions.c.value).with_for_update())).scalar_one()
        await tx.conn.execute(update(suppressions).values(value=str(int(row) + 1)))

    await asyncio.gather(*(database.write(count_up) for _ in range(25)))
    assert await values(database) == ["25"]


async def test_a_deadlock_is_tried_again_and_both_writes_count(postgresql_url: str) -> None:
    database = open_database(postgresql_url, MemoryBus())
    await database.write(lambda tx: add(tx, "a", "b"))
    tries = 0
    met = asyncio.Barrier(2)

    async def lock_in_order(tx: Transaction, first: str, second: str) -> None:
        nonlocal tries
        tries += 1
        await tx.conn.execute(update(suppressions).where(suppressions.c.value == first).values(reason=first))
        if tries <= 2:
            await met.wait()
        await tx.conn.execute(update(suppressions).where(suppressions.c.value == second).values(reason=first))

    try:
        await asyncio.gather(
            database.write(lambda tx: lock_in_order(tx, "a", "b")),
            database.write(lambda tx: lock_in_order(tx, "b", "a")),
        )
    finally:
        await database.close()
    assert tries == 3


async def test_sqlite_is_durable_and_checks_its_references(sqlite_url: str) -> None:
    database = open_database(sqlite_url, MemoryBus())

    async def look(tx: Transaction) -> list[object]:
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        return [(await tx.conn.execute(text(f"PRAGMA {pragma}"))).scalar() for pragma in pragmas]

    assert await database.write(look) == ["wal", 2, 1]  # 2: FULL
    await database.close()


async def test_a_reader_can_not_write_on_sqlite(sqlite_url: str) -> None:
    database = open_database(sqlite_url, MemoryBus())
    async with database.read() as conn:
        with pytest.raises(Exception, match="readonly"):
            await conn.execute(insert(suppressions), [{**ROW, "value": "a"}])
    await database.close()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = open_database(f"postgresql+asyncpg://u@127.0.0.1:{free_port()}/x", MemoryBus())
    with pytest.raises(Unavailable):
        await database.write(lambda tx: add(tx, "a"))
    with pytest.raises(Unavailable):
        async with database.read() as conn:
            await conn.execute(select(suppressions))
    await database.close()


async def test_a_server_that_has_become_read_only_is_unavailable(
    postgresql_server: PostgresServer, postgresql_url: str
) -> None:
    name = postgresql_url.rpartition("/")[2]
    postgresql_server.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    database = open_database(postgresql_url, MemoryBus())
    with pytest.raises(Unavailable):
        await database.write(lambda tx: add(tx, "a"))
    await database.close()


async def test_a_file_that_another_program_holds_is_unavailable(sqlite_url: str) -> None:
    path = Path(sqlite_url.partition("///")[2])
    database = open_database(sqlite_url + "?timeout=0.1", MemoryBus())
    await database.write(lambda tx: tx.conn.execute(text("PRAGMA busy_timeout=100")))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await database.write(lambda tx: add(tx, "a"))
    other.execute("ROLLBACK")
    other.close()
    await database.write(lambda tx: add(tx, "a"))
    assert await values(database) == ["a"]
    await database.close()


async def test_a_write_that_is_cut_short_leaves_the_database_usable(database: Database) -> None:
    async def stall(tx: Transaction) -> None:
        await add(tx, "a")
        await asyncio.Event().wait()

    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await database.write(stall)
    await database.write(lambda tx: add(tx, "b"))
    assert await values(database) == ["b"]


async def test_a_read_in_a_write_that_is_cut_short_leaves_no_lock(sqlite_url: str) -> None:
    """The driver's statement would stay half read, and hold the lock until the garbage collector comes by."""
    database = open_database(sqlite_url, MemoryBus())
    slow = text(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1000000) SELECT max(x) FROM c"
    )

    async def work(tx: Transaction) -> None:
        await add(tx, "a")
        await tx.conn.execute(slow)

    gc.disable()
    try:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await database.write(work)
            await database.write(lambda tx: add(tx, "b"))
            await database.write(lambda tx: tx.conn.execute(delete(suppressions)))
    finally:
        gc.enable()
    await database.close()


async def test_a_key_that_is_broken_every_time_is_a_mistake_and_no_race(postgresql_url: str) -> None:
    database = open_database(postgresql_url, MemoryBus())
    await database.write(lambda tx: add(tx, "a"))
    with pytest.raises(IntegrityError):
        await database.write(lambda tx: add(tx, "a"), is_racing=True)
    await database.close()
