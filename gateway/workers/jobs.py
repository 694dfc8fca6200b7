"""The jobs worker: whatever has fallen due, each item through `run_item`, parked after its last attempt."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from gateway.domain.errors import GatewayError
from gateway.services.reconcile import Again
from gateway.workers.run_item import Done, Failed, run_item
from storage.database import Database, Transaction
from storage.jobs import Job, JobKind, claim_jobs, finish_job, park_job, retry_job
from storage.live.contract import LiveBus

Handler = Callable[[Job, datetime], Awaitable[Again | None]]

MAX_ATTEMPTS = 8
_LEASE_S = 120.0
_TIME_LIMIT_S = 90.0  # within the lease, so that nobody takes over a job that is still at work
_AT_ONCE = 16
_IDLE_S = 1.0
_AWAY_PAUSE_S = 1.0
_BACKOFF_FIRST_S = 2.0
_BACKOFF_MOST_S = 600.0


class JobTooSlow(GatewayError):
    """A job that took longer than jobs may; unlike an outage of ours, that counts as a failure."""


class JobsWorker:
    def __init__(
        self,
        *,
        db: Database,
        bus: LiveBus,
        handlers: Mapping[JobKind, Handler],
        now: Callable[[], datetime],
        time_limit_s: float = _TIME_LIMIT_S,
    ) -> None:
        self._db = db
        self._bus = bus
        self._handlers = handlers
        self._now = now
        self._time_limit_s = time_limit_s
        self._free = _AT_ONCE
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; any number of processes may do so at once."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            while True:
                self._wake.clear()
                claimed = await self._claim()
                for job in claimed:
                    self._free -= 1
                    tasks.create_task(self._run_in_slot(job))
                if not claimed:
                    await self._rest()

    async def run_due(self) -> int:
        """Run one batch of what is due to its end; return how many jobs that was."""
        claimed = await self._claim()
        async with asyncio.TaskGroup() as tasks:
            for job in claimed:
                tasks.create_task(self._run(job))
        return len(claimed)

    async def _claim(self) -> list[Job]:
        limit = self._free
        if limit <= 0:
            return []

        async def work(tx: Transaction) -> list[Job]:
            return await claim_jobs(tx, now=self._now(), lease_s=_LEASE_S, limit=limit, kinds=self._handlers)

        claimed = await run_item(lambda: self._db.write(work), task="jobs.claim")
        if isinstance(claimed, Done):
            return claimed.value
        await asyncio.sleep(_AWAY_PAUSE_S)
        return []

    async def _run_in_slot(self, job: Job) -> None:
        try:
            await self._run(job)
        finally:
            self._free += 1
            self._wake.set()

    async def _listen(self) -> None:
        with self._bus.subscribe("jobs") as notices:
            while True:
                await notices.next()
                self._wake.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _run(self, job: Job) -> None:
        outcome = await run_item(lambda: self._handle(job), task=f"job.{job.kind}", subject=job.subject_id)

        async def record(tx: Transaction) -> None:
            await self._record(tx, job, outcome)

        # If this fails the lease runs out and the job runs again: handlers are idempotent.
        await run_item(lambda: self._db.write(record), task="jobs.record", subject=job.subject_id)

    async def _handle(self, job: Job) -> Again | None:
        limit = asyncio.timeout(self._time_limit_s)
        try:
            async with limit:
                return await self._handlers[job.kind](job, self._now())
        except TimeoutError:
            if limit.expired():
                raise JobTooSlow(f"It took longer than {self._time_limit_s:g} s.") from None
            raise

    async def _record(self, tx: Transaction, job: Job, outcome: Done[Again | None] | Failed) -> None:
        now = self._now()
        if isinstance(outcome, Failed):
            if outcome.is_away or job.attempts < MAX_ATTEMPTS:
                wait_s = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2 ** (min(job.attempts, 16) - 1))
                await retry_job(tx, job, due_at=now + timedelta(seconds=wait_s), data=job.data, error=outcome.reason)
            else:
                await park_job(tx, job, now=now, error=outcome.reason)
        elif outcome.value is None:
            await finish_job(tx, job)
        else:
            await retry_job(tx, job, due_at=outcome.value.due_at, data=outcome.value.data, error=None)
