"""What has to be cleared away now and then; every process may do it, at any time, any number of times."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.services.attachments import sweep_uploads
from gateway.workers.run_item import run_item
from storage.blobs import Blobs
from storage.database import Database
from storage.idempotency import delete_keys_before

_EVERY_S = 3600.0
# Kept answers hold message texts; a client that tries again a day later has lost more than this answer.
_KEEP_ANSWERS = timedelta(hours=24)


class Housekeeping:
    def __init__(self, *, db: Database, blobs: Blobs, now: Callable[[], datetime]) -> None:
        self._db = db
        self._blobs = blobs
        self._now = now

    async def run(self) -> None:
        """Clear up every hour until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.clear_up()

    async def clear_up(self) -> None:
        """Delete kept answers and files that no message took along, both after a day."""
        now = self._now()
        await run_item(
            lambda: self._db.write(lambda tx: delete_keys_before(tx, now - _KEEP_ANSWERS)), task="housekeeping.answers"
        )
        await run_item(lambda: sweep_uploads(self._db, self._blobs, now), task="housekeeping.uploads")
