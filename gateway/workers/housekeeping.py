"""What has to be cleared away now and then; every process may do it, at any time, any number of times."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Gauge

from gateway.services.attachments import sweep_uploads
from gateway.workers.run_item import Done, run_item
from gateway.workers.spool import list_laid_aside
from storage import idempotency, inbound, outbox, quarantine
from storage.blobs import Blobs
from storage.database import Database, Transaction

log = structlog.get_logger(__name__)

_EVERY_S = 3600.0
_LOOK_EVERY_S = 10.0
_BATCH_ROWS = 500  # a writer waits for one batch of these at most


class _DeleteOldest(Protocol):
    def __call__(self, tx: Transaction, *, before: datetime, limit: int) -> Awaitable[int]: ...


# What is deleted by age, oldest first.
_SWEEPS: tuple[tuple[str, _DeleteOldest, timedelta], ...] = (
    # Kept answers hold message texts; a client that tries again a day later has lost more than this answer.
    ("answers", idempotency.delete_keys_before, timedelta(hours=24)),
    # A key is of use while somebody may hand the same item over again. Twilio tries for seconds (Webhook connection
    # overrides, 2026-11: 15 s for all attempts), mail servers give up after four to five days (RFC 5321 4.5.4.1). The
    # rest is for a browser that was shut with a message unsent, and for a spool whose host was down.
    ("dedupe_keys", inbound.delete_keys_before, timedelta(days=30)),
    # What was replayed stands as a message, or in an entry of its own; the raw bytes have done their work.
    ("quarantine", quarantine.delete_replayed_before, timedelta(days=90)),
)


class Housekeeping:
    """`spool_folder`: where damaged files stay until a person has looked at them; their number is a metric."""

    def __init__(
        self,
        *,
        db: Database,
        blobs: Blobs,
        spool_folder: Path,
        metrics: CollectorRegistry,
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._spool_folder = spool_folder
        self._now = now
        self._oldest_due_at: datetime | None = None
        oldest = Gauge(
            "gateway_outbox_oldest_seconds",
            "How long the oldest message that could go has waited to be taken up",
            registry=metrics,
        )
        oldest.set_function(self._outbox_age_s)
        self._laid_aside = Gauge(
            "gateway_spool_files_laid_aside",
            "Torn or refused spool files that a person has to look at",
            registry=metrics,
        )

    async def run(self) -> None:
        """Clear up every hour, and look at the outbox every ten seconds, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_outbox())
            tasks.create_task(self._clear_up_hourly())

    async def _clear_up_hourly(self) -> None:
        await self._report_laid_aside()
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.clear_up()

    async def _watch_outbox(self) -> None:
        while True:
            await self.look_at_outbox()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look_at_outbox(self) -> None:
        """Note since when the oldest message waits. While the database is away it waits on, and its age grows."""

        async def find() -> datetime | None:
            async with self._db.read() as conn:
                return await outbox.oldest_due_at(conn, self._now())

        outcome = await run_item(find, task="housekeeping.outbox")
        if isinstance(outcome, Done):
            self._oldest_due_at = outcome.value

    def _outbox_age_s(self) -> float:
        if self._oldest_due_at is None:
            return 0.0
        return max(0.0, (self._now() - self._oldest_due_at).total_seconds())

    async def clear_up(self) -> None:
        """Delete what has had its time, and files that no message took along."""
        now = self._now()
        for name, delete, lifetime in _SWEEPS:
            await self._sweep(f"housekeeping.{name}", partial(delete, before=now - lifetime, limit=_BATCH_ROWS))
        await run_item(lambda: sweep_uploads(self._db, self._blobs, now), task="housekeeping.uploads")
        await self._report_laid_aside()

    async def _sweep(self, task: str, delete: Callable[[Transaction], Awaitable[int]]) -> None:
        while True:
            outcome = await run_item(lambda: self._db.write(delete), task=task)
            if not isinstance(outcome, Done) or outcome.value < _BATCH_ROWS:
                return

    async def _report_laid_aside(self) -> None:
        outcome = await run_item(
            lambda: asyncio.to_thread(list_laid_aside, self._spool_folder), task="housekeeping.spool"
        )
        if not isinstance(outcome, Done):
            return
        self._laid_aside.set(len(outcome.value))
        for path in outcome.value:
            log.error("spool.laid_aside", file=path.name)
