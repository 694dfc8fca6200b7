"""What has had its time goes, in small batches and by index; what waits stays; and what is wrong is told."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Table, event, func, select
from structlog.testing import capture_logs

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage, RawInbound, Source
from gateway.services.receive import ReceiptState, receive_messages
from gateway.workers import housekeeping
from gateway.workers.housekeeping import Housekeeping
from storage import idempotency, inbound, outbox, quarantine
from storage.blobs import open_blobs
from storage.database import Database, Transaction, open_database
from storage.live.memory import MemoryBus
from storage.migrate import migrate
from storage.tables import idempotency_keys, inbound_keys, messages
from tests.support.factories import make_conversation, make_message
from tests.support.parts import PartMissing, give_up
from tests.support.postgres import running_postgres

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class House:
    """Housekeeping over a database, a folder and a clock of the test's own."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.time = NOW
        self.metrics = CollectorRegistry()
        self.keeping = Housekeeping(
            db=database,
            blobs=open_blobs("memory:"),
            spool_folder=folder,
            metrics=self.metrics,
            now=lambda: self.time,
        )

    def shown(self, name: str) -> float | None:
        return self.metrics.get_sample_value(name)


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path)


async def count(database: Database, table: Table) -> int:
    async with database.read() as conn:
        found: int = (await conn.execute(select(func.count()).select_from(table))).scalar_one()
        return found


async def receive(database: Database, key: str, at: datetime) -> ReceiptState:
    message = InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key=key,
        received_at=at,
        sender=Address(kind=AddressKind.PHONE, value="+447700900123"),
        text="Hello",
    )
    (receipt,) = await database.write(lambda tx: receive_messages(tx, [message], at))
    return receipt.state


async def test_a_dedupe_key_goes_after_30_days_and_its_message_stays(house: House, database: Database) -> None:
    await receive(database, "old", NOW - 31 * DAY)
    await receive(database, "young", NOW - 29 * DAY)
    await house.keeping.clear_up()
    async with database.read() as conn:
        assert list((await conn.execute(select(inbound_keys.c.key))).scalars()) == ["young"]
    assert await count(database, messages) == 2
    assert await receive(database, "young", NOW) is ReceiptState.DUPLICATE


async def test_more_than_a_batch_goes_in_many_small_ones(
    house: House, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_BATCH_ROWS", 10)
    writes = 0
    write = database.write

    async def counted(work: Callable[[Transaction], Awaitable[Any]], **options: bool) -> Any:
        nonlocal writes
        writes += 1
        return await write(work, **options)

    await write(lambda tx: inbound.insert_keys(tx, {f"key {n}": new_id() for n in range(95)}, NOW - 31 * DAY))
    monkeypatch.setattr(database, "write", counted)
    await house.keeping.clear_up()
    assert await count(database, inbound_keys) == 0
    assert writes >= 10


@pytest.mark.parametrize("delete", [inbound.delete_keys_before, idempotency.delete_keys_before])
async def test_a_batch_takes_the_oldest(database: Database, delete: Callable[..., Awaitable[int]]) -> None:
    for age in (3, 1, 5, 2, 4):
        request = idempotency.KeyedRequest(principal="p", key=f"key {age}", fingerprint="f" * 64)

        async def insert(tx: Transaction, request=request, at=NOW - age * DAY) -> None:  # type: ignore[no-untyped-def]
            await inbound.insert_keys(tx, {request.key: new_id()}, at)
            await idempotency.claim_key(tx, request, at)

        await database.write(insert)
    table = inbound_keys if delete is inbound.delete_keys_before else idempotency_keys
    assert await database.write(lambda tx: delete(tx, before=NOW, limit=3)) == 3
    async with database.read() as conn:
        assert set((await conn.execute(select(table.c.key))).scalars()) == {"key 1", "key 2"}
    assert await database.write(lambda tx: delete(tx, before=NOW - 1.5 * DAY, limit=3)) == 1


async def test_of_the_quarantine_only_what_was_replayed_goes_and_that_after_90_days(
    house: House, database: Database
) -> None:
    raw = RawInbound(source=Source.EMAIL, received_at=NOW, body=b"?")
    ids = [
        await database.write(lambda tx: quarantine.insert_quarantined(tx, raw, "no", NOW - 400 * DAY)) for _ in range(3)
    ]
    await database.write(lambda tx: quarantine.mark_replayed(tx, ids[0], NOW - 91 * DAY))
    await database.write(lambda tx: quarantine.mark_replayed(tx, ids[1], NOW - 89 * DAY))
    await house.keeping.clear_up()
    async with database.read() as conn:
        left = await quarantine.list_quarantined(conn, after=None, limit=10, is_replayed=True)
    assert [entry.id for entry in left] == ids[1:]


async def test_a_kept_answer_goes_after_a_day(house: House, database: Database) -> None:
    for key, age in (("old", 25), ("young", 23)):
        request = idempotency.KeyedRequest(principal="p", key=key, fingerprint="f" * 64)
        at = NOW - timedelta(hours=age)
        await database.write(lambda tx, request=request, at=at: idempotency.claim_key(tx, request, at))  # type: ignore[misc]
    await house.keeping.clear_up()
    async with database.read() as conn:
        assert list((await conn.execute(select(idempotency_keys.c.key))).scalars()) == ["young"]


@pytest.mark.parametrize(
    ("delete", "index"),
    [
        (inbound.delete_keys_before, "ix_inbound_keys_at"),
        (idempotency.delete_keys_before, "ix_idempotency_keys_created_at"),
        (quarantine.delete_replayed_before, "ix_quarantine_replayed_at_done"),
    ],
)
async def test_what_is_old_is_found_by_an_index(
    database: Database, delete: Callable[..., Awaitable[int]], index: str
) -> None:
    said: list[tuple[str, Any]] = []

    def listen(_conn: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        said.append((statement, parameters))

    async def explain(tx: Transaction) -> str:
        event.listen(tx.conn.sync_connection, "before_cursor_execute", listen)
        await delete(tx, before=NOW, limit=10)
        event.remove(tx.conn.sync_connection, "before_cursor_execute", listen)
        [(statement, parameters)] = said
        if tx.is_postgresql:  # empty tables are read whole and sorted, unless that is dear
            await tx.conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
            await tx.conn.exec_driver_sql("SET LOCAL enable_sort = off")
        words = "EXPLAIN " if tx.is_postgresql else "EXPLAIN QUERY PLAN "
        plan = await tx.conn.exec_driver_sql(words + statement, parameters)
        return "\n".join(str(row) for row in plan)

    plan = await database.write(explain)
    assert index in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


async def test_spool_files_that_were_laid_aside_are_told_until_somebody_takes_them(
    house: House, tmp_path: Path
) -> None:
    for name in ("1.torn", "2.refused", "3.spool"):
        (tmp_path / name).write_bytes(b"?")
    with capture_logs() as lines:
        await house.keeping.clear_up()
    told = [line for line in lines if line["event"] == "spool.laid_aside"]
    assert [(line["file"], line["log_level"]) for line in told] == [("1.torn", "error"), ("2.refused", "error")]
    assert house.shown("gateway_spool_files_laid_aside") == 2
    (tmp_path / "1.torn").unlink()
    await house.keeping.clear_up()
    assert house.shown("gateway_spool_files_laid_aside") == 1


async def enqueue(database: Database, due_at: datetime) -> str:
    """Return a message, in a conversation of its own, that waits in the outbox."""
    conversation_id = await make_conversation(database)
    waiting = outbox.Waiting(
        message_id=await make_message(database, conversation_id),
        conversation_id=conversation_id,
        channel=ChannelName.SMS,
        order_at=NOW,
        due_at=due_at,
    )
    await database.write(lambda tx: outbox.enqueue(tx, [waiting]))
    return waiting.message_id


async def test_the_oldest_unsent_message_has_its_age_in_the_metrics(house: House, database: Database) -> None:
    async def look() -> float | None:
        await house.keeping.look_at_outbox()
        return house.shown("gateway_outbox_oldest_seconds")

    assert await look() == 0
    ages_s = (40, 90, -3600)
    ids = [await enqueue(database, NOW - timedelta(seconds=age_s)) for age_s in ages_s]
    assert await look() == 90
    house.time += timedelta(seconds=5)  # the age grows between two looks
    assert house.shown("gateway_outbox_oldest_seconds") == 95
    await database.write(lambda tx: outbox.remove(tx, [ids[1]]))
    assert await look() == 45
    await database.write(lambda tx: outbox.remove(tx, [ids[0]]))
    assert await look() == 0


async def test_while_the_database_is_away_the_oldest_message_goes_on_ageing(tmp_path: Path) -> None:
    try:
        with running_postgres() as server:
            url = server.create_database("ageing")
            await migrate(url)
            database = open_database(url, MemoryBus())
            house = House(database, tmp_path)
            await enqueue(database, NOW)
            await house.keeping.look_at_outbox()
            server.stop()
            house.time += timedelta(seconds=70)
            await house.keeping.look_at_outbox()
            assert house.shown("gateway_outbox_oldest_seconds") == 70
            await database.close()
    except PartMissing as missing:
        give_up(missing)
