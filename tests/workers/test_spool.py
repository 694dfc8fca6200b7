"""The spool keeps what it said it kept, whatever the process and the disk do."""

import asyncio
import fcntl
import os
import resource
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import msgspec
import pytest

from gateway.domain.message import RawInbound, Source
from gateway.workers.spool import Spool
from gateway.workers.spool_file import read_records, size_of

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def item(number: int, size: int = 10, **meta: str) -> RawInbound:
    return RawInbound(
        source=Source.TWILIO_MESSAGE,
        received_at=datetime(2026, 11, 20, 9, 0, number % 60, tzinfo=UTC),
        body=str(number).encode().ljust(size),
        meta={"query": f"n={number}"} | meta,
    )


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[[], Spool]]:
    """Open spools in the test's folder; they are closed behind it."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Spool(tmp_path)))


async def take_all(spool: Spool) -> list[RawInbound]:
    taken = []
    while not spool.is_empty:
        items, offset = await spool.read(7)
        taken += items
        await spool.advance(offset)
    return taken


async def test_what_was_appended_is_read_in_order_and_then_gone(
    tmp_path: Path, open_spool: Callable[[], Spool]
) -> None:
    spool = open_spool()
    items = [item(n) for n in range(40)]
    for raw in items:
        await spool.append(raw)
    assert await take_all(spool) == items
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == 0


async def test_concurrent_appends_keep_their_order(tmp_path: Path, open_spool: Callable[[], Spool]) -> None:
    spool = open_spool()
    items = [item(n) for n in range(100)]
    await asyncio.gather(*(spool.append(raw) for raw in items))
    assert await take_all(spool) == items


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with closing(Spool(folder)) as spool:
        await spool.append(item(1))
        (path,) = folder.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_items_that_come_while_it_is_read_wait_their_turn(
    tmp_path: Path, open_spool: Callable[[], Spool]
) -> None:
    spool = open_spool()
    await spool.append(item(1))
    items, offset = await spool.read(10)
    await spool.append(item(2))
    await spool.advance(offset)
    assert not spool.is_empty
    assert items + await take_all(spool) == [item(1), item(2)]


def records_in(path: Path) -> list[RawInbound]:
    with path.open("rb", buffering=0) as file:
        return [raw for raw, _ in read_records(file, 0, size_of(file))]


_WRITE_AND_DIE = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.workers.test_spool import item
from gateway.workers.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]))
    for number in range(10):
        await spool.append(item(number))
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def write_and_die(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, str(folder)], check=False, timeout=30)


async def test_the_spool_of_a_killed_process_is_adopted_before_anything_new(
    tmp_path: Path, open_spool: Callable[[], Spool]
) -> None:
    write_and_die(tmp_path)
    spool = open_spool()
    await spool.append(item(99))
    assert await take_all(spool) == [*(item(n) for n in range(10)), item(99)]
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_torn_record_costs_only_itself_and_its_bytes_stay(
    tmp_path: Path, open_spool: Callable[[], Spool]
) -> None:
    write_and_die(tmp_path)
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 3)
    assert await take_all(open_spool()) == [item(n) for n in range(9)]
    assert [p.suffix for p in tmp_path.iterdir()].count(".torn") == 1


async def test_the_spool_of_a_living_process_is_left_alone(tmp_path: Path, open_spool: Callable[[], Spool]) -> None:
    first = open_spool()
    await first.append(item(1))
    assert open_spool().is_empty
    assert await take_all(first) == [item(1)]


async def test_a_full_disk_refuses_and_leaves_no_half_record(tmp_path: Path, open_spool: Callable[[], Spool]) -> None:
    spool = open_spool()
    await spool.append(item(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            await spool.append(item(2, size=50_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await spool.append(item(3))
    (path,) = tmp_path.iterdir()
    assert records_in(path) == [item(1), item(3)]
    assert await take_all(spool) == [item(1), item(3)]


async def test_zeros_where_a_power_cut_came_between_growth_and_bytes_stop_no_start(
    tmp_path: Path, open_spool: Callable[[], Spool]
) -> None:
    write_and_die(tmp_path)
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size + 4096)
    assert await take_all(open_spool()) == [item(n) for n in range(10)]
    assert [p.suffix for p in tmp_path.iterdir()].count(".torn") == 1


@pytest.mark.parametrize("packed", [b"\xc1", msgspec.msgpack.encode(["no_source", NOW, b"", {}])])
async def test_what_is_no_item_of_ours_stops_no_start(
    tmp_path: Path, open_spool: Callable[[], Spool], packed: bytes
) -> None:
    write_and_die(tmp_path)
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(len(packed).to_bytes(4, "big") + zlib.crc32(packed).to_bytes(4, "big") + packed)
    assert await take_all(open_spool()) == [item(n) for n in range(10)]


async def test_an_item_that_cannot_be_written_down_is_its_callers_alone(open_spool: Callable[[], Spool]) -> None:
    spool = open_spool()
    unwritable, good = item(1, query="\udcff"), item(2)
    results = await asyncio.gather(spool.append(unwritable), spool.append(good), return_exceptions=True)
    assert isinstance(results[0], ValueError)
    assert results[1] is None
    assert await take_all(spool) == [good]


async def test_who_hangs_up_while_it_is_written_leaves_one_record_and_nothing_pending(
    open_spool: Callable[[], Spool],
) -> None:
    spool = open_spool()
    async with asyncio.TaskGroup() as tasks:
        writing = [tasks.create_task(spool.append(item(n))) for n in range(3)]
        await asyncio.sleep(0)  # all three have asked
        writing[0].cancel()
        writing[1].cancel()
    await spool.append(item(3))
    assert await take_all(spool) == [item(n) for n in range(4)]


async def test_a_new_spool_and_an_adoption_are_forced_into_the_folder(
    tmp_path: Path, open_spool: Callable[[], Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_and_die(tmp_path)
    (orphan,) = tmp_path.iterdir()
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, orphan.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    open_spool()
    kinds = [("folder" if name == tmp_path.name else "file", is_there) for name, is_there in synced]
    assert kinds == [("folder", True), ("file", True), ("folder", False)]


async def test_nobody_adopts_a_spool_that_is_being_made(
    tmp_path: Path, open_spool: Callable[[], Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def lock_late(file: FileIO, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        open_spool()  # another process starts between our opening and our locking
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    mine = open_spool()
    await mine.append(item(1))
    assert len(list(tmp_path.glob("*.spool"))) == 2


async def test_two_that_start_together_adopt_an_orphan_once(
    tmp_path: Path, open_spool: Callable[[], Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_and_die(tmp_path)
    (orphan,) = tmp_path.iterdir()
    flock, others = fcntl.flock, list[Spool]()

    def lock_late(file: FileIO, how: int) -> None:
        if Path(f"/proc/self/fd/{file.fileno()}").readlink() == orphan:
            monkeypatch.setattr(fcntl, "flock", flock)
            others.append(open_spool())  # it adopts the orphan that we have opened and not yet locked
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    mine = open_spool()
    assert mine.is_empty
    assert await take_all(others[0]) == [item(n) for n in range(10)]


async def test_an_orphan_that_goes_while_it_is_looked_for_is_passed_over(
    tmp_path: Path, open_spool: Callable[[], Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_and_die(tmp_path)
    found = list(tmp_path.glob("*.spool"))
    found[0].unlink()
    monkeypatch.setattr(Path, "glob", lambda *_: found)
    assert open_spool().is_empty
    assert not found[0].exists()


async def test_what_is_refused_is_laid_aside_for_its_owner_alone(
    tmp_path: Path, open_spool: Callable[[], Spool]
) -> None:
    spool = open_spool()
    await spool.refuse(item(1))
    await spool.refuse(item(2))
    (path,) = tmp_path.glob("*.refused")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert records_in(path) == [item(1), item(2)]
    assert spool.is_empty


async def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.close()
    with pytest.raises(OSError, match="closed"):
        await spool.append(item(1))
