"""What falls due is done once, tried again after a failure, and given up in plain sight."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from gateway.domain.errors import ParseFailure, Unavailable
from gateway.domain.ids import new_id
from gateway.services.reconcile import Again
from gateway.workers.jobs import MAX_ATTEMPTS, Handler, JobsWorker
from storage.database import Database
from storage.jobs import Job, JobKind, NewJob, add_jobs, claim_jobs, finish_job, park_job
from storage.live.contract import LiveBus
from storage.tables import jobs

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def worker(database: Database, bus: LiveBus, clock: Clock, handler: Handler) -> JobsWorker:
    return JobsWorker(db=database, bus=bus, handlers={JobKind.WAKE: handler}, now=clock)


async def add(database: Database, *subjects: str, due_at: datetime = START) -> None:
    new = [NewJob(kind=JobKind.WAKE, subject_id=subject, due_at=due_at) for subject in subjects]
    await database.write(lambda tx: add_jobs(tx, new, START))


async def left(database: Database) -> list[tuple[int, bool]]:
    """Return attempts and whether it was given up, for each job that stands."""
    async with database.read() as conn:
        return [(row.attempts, row.parked_at is not None) for row in await conn.execute(select(jobs))]


async def test_a_due_job_is_done_once_by_two_workers(database: Database, bus: LiveBus, clock: Clock) -> None:
    done: list[str] = []

    async def handle(job: Job, _now: datetime) -> None:
        done.append(job.subject_id)

    subjects = [new_id() for _ in range(10)]
    await add(database, *subjects)
    await asyncio.gather(*(worker(database, bus, clock, handle).run_due() for _ in range(2)))
    assert sorted(done) == sorted(subjects)
    assert await left(database) == []


async def test_a_job_of_the_future_waits(database: Database, bus: LiveBus, clock: Clock) -> None:
    async def handle(_job: Job, _now: datetime) -> None: ...

    await add(database, new_id(), due_at=START + timedelta(hours=1))
    assert await worker(database, bus, clock, handle).run_due() == 0
    clock.move(hours=1)
    assert await worker(database, bus, clock, handle).run_due() == 1


async def test_the_same_job_is_noted_once(database: Database) -> None:
    subject = new_id()
    await add(database, subject)
    await add(database, subject)
    assert len(await left(database)) == 1


async def test_a_failing_job_is_tried_again_and_then_parked(database: Database, bus: LiveBus, clock: Clock) -> None:
    async def handle(_job: Job, _now: datetime) -> None:
        raise ParseFailure("It can't be read.")

    await add(database, new_id(), new_id())
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert await worker(database, bus, clock, handle).run_due() == 2
        assert await left(database) == [(attempt, attempt == MAX_ATTEMPTS)] * 2
        clock.move(hours=1)
    assert await worker(database, bus, clock, handle).run_due() == 0


async def test_an_outage_is_no_reason_to_give_up(database: Database, bus: LiveBus, clock: Clock) -> None:
    async def handle(_job: Job, _now: datetime) -> None:
        raise Unavailable("The file store can't be reached.")

    await add(database, new_id())
    for _ in range(MAX_ATTEMPTS + 3):
        assert await worker(database, bus, clock, handle).run_due() == 1
        clock.move(hours=1)
    assert [is_parked for _, is_parked in await left(database)] == [False]


async def test_a_job_can_ask_to_be_run_again_with_what_it_knows(database: Database, bus: LiveBus, clock: Clock) -> None:
    seen: list[dict[str, object]] = []

    async def handle(job: Job, now: datetime) -> Again | None:
        seen.append(dict(job.data))
        return Again(due_at=now + timedelta(minutes=5), data={"look": 1}) if len(seen) == 1 else None

    await add(database, new_id())
    await worker(database, bus, clock, handle).run_due()
    assert await worker(database, bus, clock, handle).run_due() == 0
    clock.move(minutes=5)
    await worker(database, bus, clock, handle).run_due()
    assert seen == [{}, {"look": 1}]
    assert await left(database) == []


async def test_a_job_that_takes_too_long_counts_as_failed(database: Database, bus: LiveBus, clock: Clock) -> None:
    async def hang(_job: Job, _now: datetime) -> None:
        await asyncio.Event().wait()

    await add(database, new_id())
    slow = JobsWorker(db=database, bus=bus, handlers={JobKind.WAKE: hang}, now=clock, time_limit_s=0.01)
    for _ in range(MAX_ATTEMPTS):
        assert await slow.run_due() == 1
        clock.move(hours=1)
    assert await left(database) == [(MAX_ATTEMPTS, True)]


async def test_a_slow_job_holds_up_no_other(database: Database, bus: LiveBus, clock: Clock) -> None:
    done: asyncio.Queue[str] = asyncio.Queue()
    slow, quick, later = new_id(), new_id(), new_id()

    async def handle(job: Job, _now: datetime) -> None:
        if job.subject_id == slow:
            await asyncio.Event().wait()
        done.put_nowait(job.subject_id)

    await add(database, slow, quick)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(worker(database, bus, clock, handle).run())
        assert await done.get() == quick
        await add(database, later)
        assert await done.get() == later
        running.cancel()


async def test_a_job_of_a_kind_unknown_here_waits_and_stops_no_other(
    database: Database, bus: LiveBus, clock: Clock
) -> None:
    async def handle(_job: Job, _now: datetime) -> None: ...

    await add(database, new_id())
    await database.write(lambda tx: tx.conn.execute(update(jobs).values(kind="of a later version")))
    await add(database, new_id())
    assert await worker(database, bus, clock, handle).run_due() == 1
    assert await left(database) == [(0, False)]


async def test_a_look_up_starts_afresh_even_when_it_was_given_up(database: Database, clock: Clock) -> None:
    subject = new_id()

    def look_up(due_at: datetime) -> NewJob:
        return NewJob(kind=JobKind.RECONCILE, subject_id=subject, due_at=due_at)

    await database.write(lambda tx: add_jobs(tx, [look_up(START)], START))
    (old,) = await database.write(lambda tx: claim_jobs(tx, now=clock(), lease_s=60, limit=9))
    await database.write(lambda tx: park_job(tx, old, now=clock(), error="Given up."))
    clock.move(minutes=1)
    await database.write(lambda tx: add_jobs(tx, [look_up(clock())], clock()))
    assert await left(database) == [(0, False)]
    assert not await database.write(lambda tx: finish_job(tx, old))
    (fresh,) = await database.write(lambda tx: claim_jobs(tx, now=clock(), lease_s=60, limit=9))
    assert fresh.attempts == 1


async def test_the_job_of_a_dead_worker_is_taken_over_when_its_lease_ends(
    database: Database, bus: LiveBus, clock: Clock
) -> None:
    done: list[str] = []
    died = asyncio.Event()

    async def die(_job: Job, _now: datetime) -> None:
        died.set()
        await asyncio.Event().wait()

    async def handle(job: Job, _now: datetime) -> None:
        done.append(job.subject_id)

    await add(database, new_id())
    async with asyncio.TaskGroup() as tasks:
        dead = tasks.create_task(worker(database, bus, clock, die).run_due())
        await died.wait()
        dead.cancel()
    assert await worker(database, bus, clock, handle).run_due() == 0
    clock.move(minutes=3)
    assert await worker(database, bus, clock, handle).run_due() == 1
    assert len(done) == 1
