"""Everything handed to the intake is safe before it is acknowledged, and nothing holds up its neighbours."""

import asyncio
import errno
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.errors import ParseFailure, Unavailable
from gateway.domain.message import InboundMessage, RawInbound, Source
from gateway.services.intake import Arrival, Recorder, Refused
from gateway.services.journey import DoubtPolicy
from gateway.services.receive import Receipt, ReceiptState
from gateway.workers.intake import Intake, IntakeSteps
from gateway.workers.spool import Spool
from gateway.workers.spool_file import read_records, size_of
from storage.blobs import open_blobs
from storage.database import Database
from storage.quarantine import list_quarantined
from storage.tables import messages

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
NO_DOUBT = DoubtPolicy(lookup_channels=frozenset(), callback_wait=timedelta(0))


def item(number: int, *, body: bytes | None = None, **meta: str) -> RawInbound:
    return RawInbound(
        source=Source.TWILIO_MESSAGE,
        received_at=START + timedelta(milliseconds=number),
        body=body or str(number).encode(),
        meta=meta,
    )


def parse(raw: RawInbound) -> Arrival:
    if raw.body.startswith(b"unreadable"):
        raise ParseFailure("There is nothing to read here.")
    text = raw.body.decode()
    if text.startswith("stray"):
        return DeliveryReport(
            channel=ChannelName.SMS, status=MessageStatus.SENT, received_at=raw.received_at, external_id=text
        )
    return InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key=f"test:{text[:40]}",
        received_at=raw.received_at,
        sender=Address(kind=AddressKind.PHONE, value="+447700900123"),
        # SQLite has no text this long, PostgreSQL none with this character: the database itself refuses the item.
        text="\x00" * 3 + "x" if text.startswith("poison") else text,
    )


@dataclass
class Rig:
    """An intake over a real database whose door can be shut."""

    database: Database
    intake: Intake
    spool: Spool
    is_away: bool = False
    is_quarantine_broken: bool = False
    hangs: str | None = None  # the step that does not come back
    refuses: str | None = None  # the step for which the database can't be reached
    way_out: asyncio.Event = field(default_factory=asyncio.Event)
    batches: list[int] = field(default_factory=list)

    async def texts(self) -> list[str]:
        async with self.database.read() as conn:
            return list((await conn.execute(select(messages.c.text).order_by(messages.c.seq))).scalars())


@asynccontextmanager
async def running(
    database: Database, folder: Path, *, is_away: bool = False, answer_s: float = 9.0
) -> AsyncIterator[Rig]:
    recorder = Recorder(db=database, blobs=open_blobs("memory:"), doubt=NO_DOUBT, now=lambda: datetime.now(UTC))

    async def pass_through(step: str) -> None:
        if rig.hangs == step:
            await rig.way_out.wait()
        if rig.refuses == step or (rig.is_away and step != "store_files"):
            raise Unavailable("The database can't be reached.")

    async def store_files(arrival: Arrival) -> Arrival:
        await pass_through("store_files")
        return await recorder.store_files(arrival)

    async def record(arrivals: Sequence[Arrival]) -> list[Receipt | Refused]:
        rig.batches.append(len(arrivals))
        await pass_through("record")
        if any(isinstance(a, InboundMessage) and a.text.startswith("\x00") for a in arrivals):
            raise ValueError("a text that no database takes")
        return await recorder.record(arrivals)

    async def quarantine(raw: RawInbound, error: str) -> Receipt:
        await pass_through("quarantine")
        if rig.is_quarantine_broken:
            raise ValueError("an item that no database takes")
        return await recorder.quarantine(raw, error)

    spool = Spool(folder / "spool")
    steps = IntakeSteps(parse=parse, store_files=store_files, record=record, quarantine=quarantine)
    rig = Rig(database=database, intake=Intake(steps, spool, answer_s=answer_s), spool=spool, is_away=is_away)
    with closing(spool):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(rig.intake.run())
            yield rig
            task.cancel()


async def until_empty(spool: Spool) -> None:
    async with asyncio.timeout(20):
        while not spool.is_empty:
            await asyncio.sleep(0.01)


async def test_what_waits_together_is_committed_together(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        receipts = await asyncio.gather(*(rig.intake.submit(item(n)) for n in range(200)))
        assert {receipt.state for receipt in receipts} == {ReceiptState.ACCEPTED}
        assert await rig.texts() == [str(n) for n in range(200)]
        assert len(rig.batches) < 20


async def test_a_poisoned_item_costs_its_neighbours_nothing(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        items = [item(n) for n in range(20)]
        items[7] = item(7, body=b"poison")
        receipts = await asyncio.gather(*(rig.intake.submit(raw) for raw in items))
        states = [receipt.state for receipt in receipts]
        assert states.pop(7) is ReceiptState.QUARANTINED
        assert set(states) == {ReceiptState.ACCEPTED}
        assert await rig.texts() == [str(n) for n in range(20) if n != 7]
        async with database.read() as conn:
            (entry,) = await list_quarantined(conn, after=None, limit=10)
        assert (entry.raw, entry.error) == (items[7], "ValueError")


async def test_a_report_of_nothing_of_ours_goes_to_quarantine_and_the_rest_is_recorded_at_once(
    database: Database, tmp_path: Path
) -> None:
    items = [item(n, body=b"stray %d" % n if n % 10 == 7 else None) for n in range(128)]
    strays = [raw for raw in items if raw.body.startswith(b"stray")]
    async with running(database, tmp_path) as rig:
        receipts = await asyncio.gather(*(rig.intake.submit(raw) for raw in items))
        states = [receipt.state for receipt in receipts]
        assert [raw for raw, state in zip(items, states, strict=True) if state is ReceiptState.QUARANTINED] == strays
        assert sum(rig.batches) == 128  # nothing was recorded twice for their sake
    async with running(database, tmp_path, is_away=True) as rig:
        await asyncio.gather(*(rig.intake.submit(raw) for raw in items))
        rig.batches.clear()
        rig.is_away = False
        await until_empty(rig.spool)
        assert sum(rig.batches) == 128
        async with database.read() as conn:
            entries = await list_quarantined(conn, after=None, limit=100)
    assert sorted(entry.raw.body for entry in entries) == sorted(raw.body for raw in strays + strays)
    assert {entry.error for entry in entries} == {"The report speaks of no message of ours."}


async def test_what_cannot_be_read_goes_to_quarantine_with_its_bytes(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        raw = item(1, body=b"unreadable \xff\x00")
        receipt = await rig.intake.submit(raw)
        assert receipt.state is ReceiptState.QUARANTINED
        async with database.read() as conn:
            (entry,) = await list_quarantined(conn, after=None, limit=10)
        assert entry.raw == raw
        assert "nothing to read" in entry.error


async def test_while_the_database_is_away_all_is_spooled_and_comes_back_in_order(
    database: Database, tmp_path: Path
) -> None:
    async with running(database, tmp_path, is_away=True) as rig:
        for n in range(30):
            receipt = await rig.intake.submit(item(n))
            assert receipt.state is ReceiptState.SPOOLED
        assert await rig.texts() == []
        rig.is_away = False
        for n in range(30, 60):
            await rig.intake.submit(item(n))
        await until_empty(rig.spool)
        assert (await rig.intake.submit(item(60))).state is ReceiptState.ACCEPTED
        assert await rig.texts() == [str(n) for n in range(61)]


async def test_a_poisoned_item_in_the_spool_does_not_hold_up_the_rest(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, is_away=True) as rig:
        for n, body in enumerate([b"a", b"poison", b"unreadable", b"b"]):
            await rig.intake.submit(item(n, body=body))
        rig.is_away = False
        await until_empty(rig.spool)
        assert await rig.texts() == ["a", "b"]
        async with database.read() as conn:
            assert len(await list_quarantined(conn, after=None, limit=10)) == 2


async def test_a_spool_replayed_twice_stores_once(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        await rig.intake.submit(item(1))
    async with running(database, tmp_path, is_away=True) as rig:
        for n in (1, 2):
            await rig.intake.submit(item(n))
        rig.is_away = False
        await until_empty(rig.spool)
        assert await rig.texts() == ["1", "2"]


async def test_a_large_item_is_parsed_off_the_loop(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        text = "y" * 100_000
        await rig.intake.submit(item(1, body=text.encode()))
        assert await rig.texts() == [text]


async def test_after_draining_what_comes_is_left_to_the_next_process(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        await rig.intake.submit(item(1))
        await rig.intake.drain()
        assert (await rig.intake.submit(item(2))).state is ReceiptState.SPOOLED


async def test_finding_a_poisoned_item_halves_the_batch(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        items = [item(n, body=b"poison" if n == 77 else None) for n in range(128)]
        await asyncio.gather(*(rig.intake.submit(raw) for raw in items))
        assert len(rig.batches) < 25  # 2 log2 128, and whatever came in by itself
    async with running(database, tmp_path, is_away=True) as rig:
        await asyncio.gather(*(rig.intake.submit(raw) for raw in items))
        rig.batches.clear()
        rig.is_away = False
        await until_empty(rig.spool)
        assert len(rig.batches) < 25


async def test_no_envelope_is_too_hostile_for_the_quarantine(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        raw = item(1, body=b"unreadable", **{"mail_from": "a\x00b\ud800", "x\x00": ""})
        assert (await rig.intake.submit(raw)).state is ReceiptState.QUARANTINED
        async with database.read() as conn:
            (entry,) = await list_quarantined(conn, after=None, limit=10)
        assert entry.raw.meta == {"mail_from": "ab\N{REPLACEMENT CHARACTER}", "x": ""}


async def test_what_even_the_quarantine_refuses_is_laid_aside_and_holds_nobody_up(
    database: Database, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as rig:
        rig.is_quarantine_broken = True
        bad = item(1, body=b"unreadable")
        assert (await rig.intake.submit(bad)).state is ReceiptState.SPOOLED
        await rig.intake.submit(item(2))
        await until_empty(rig.spool)
        assert (await rig.intake.submit(item(3))).state is ReceiptState.ACCEPTED
        assert await rig.texts() == ["2", "3"]
        (path,) = (tmp_path / "spool").glob("*.refused")
        with path.open("rb", buffering=0) as file:
            assert [raw for raw, _ in read_records(file, 0, size_of(file))] == [bad]


@pytest.mark.parametrize("step", ["store_files", "record", "quarantine"])
async def test_a_step_that_hangs_is_not_waited_for(database: Database, tmp_path: Path, step: str) -> None:
    async with running(database, tmp_path, answer_s=0.2) as rig:
        rig.hangs = step
        body = b"unreadable" if step == "quarantine" else b"1"
        async with asyncio.timeout(20):
            assert (await rig.intake.submit(item(1, body=body))).state is ReceiptState.SPOOLED


async def test_an_item_that_waited_for_a_slow_batch_has_less_time_itself(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, answer_s=3.0) as rig, asyncio.TaskGroup() as tasks:
        rig.hangs = "record"
        first = tasks.create_task(rig.intake.submit(item(1)))
        while not rig.batches:
            await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        second = tasks.create_task(rig.intake.submit(item(2)))
        await asyncio.wait([second], timeout=2.0)
        rig.way_out.set()
        rig.way_out = asyncio.Event()  # the first comes through, unless the machine is too slow; the second hangs
        assert (await first).state in {ReceiptState.ACCEPTED, ReceiptState.SPOOLED}
        assert (await second).state is ReceiptState.SPOOLED
        assert asyncio.get_running_loop().time() - began < 4.7  # and not 2.0 + 3.0


async def test_a_full_disk_while_the_database_is_away_costs_only_that_item(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_raw: RawInbound) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with running(database, tmp_path) as rig:
        rig.refuses = "quarantine"
        with monkeypatch.context() as patch:
            patch.setattr(rig.spool, "append", refuse)
            with pytest.raises(OSError, match="No space"):
                await rig.intake.submit(item(1, body=b"poison"))
        assert (await rig.intake.submit(item(2))).state is ReceiptState.ACCEPTED


async def test_an_item_that_cannot_be_written_down_is_its_senders_alone(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, answer_s=0.3) as rig:
        rig.hangs = "record"
        bad, good = await asyncio.gather(
            rig.intake.submit(item(1, query="\udcff")), rig.intake.submit(item(2)), return_exceptions=True
        )
        assert isinstance(bad, ValueError)
        assert isinstance(good, Receipt)
        rig.hangs = None
        assert (await rig.intake.submit(item(3))).state in {ReceiptState.ACCEPTED, ReceiptState.SPOOLED}


@pytest.mark.parametrize("method", ["read", "advance"])
async def test_a_disk_that_fails_for_a_moment_does_not_end_the_replay(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with running(database, tmp_path, is_away=True) as rig:
        has_failed = asyncio.Event()

        async def fail(_: int) -> None:
            patch.undo()
            has_failed.set()
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(rig.spool, method, fail)
            await rig.intake.submit(item(1))
            rig.is_away = False
            async with asyncio.timeout(20):
                await has_failed.wait()
        await until_empty(rig.spool)
        assert await rig.texts() == ["1"]


async def test_what_a_drain_has_no_time_for_is_spooled_and_its_senders_are_told(
    database: Database, tmp_path: Path
) -> None:
    async with running(database, tmp_path) as rig:
        rig.hangs = "record"
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(rig.intake.submit(item(n))) for n in range(300)]
            while not rig.batches:
                await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await rig.intake.drain()
            async with asyncio.timeout(20):
                await rig.intake.spool_rest()
        assert {task.result().state for task in sending} == {ReceiptState.SPOOLED}
    async with running(database, tmp_path) as rig:
        await until_empty(rig.spool)
        assert await rig.texts() == [str(n) for n in range(300)]
