"""Fetch the files of an inbound message after it was stored; a fetch that fails never costs the message."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.conversation import EventType
from gateway.domain.errors import FetchFailed
from gateway.domain.message import StoredBlob
from storage import media
from storage.blobs import Blobs
from storage.database import Database, Transaction
from storage.events import NewEvent, append_events
from storage.jobs import Job
from storage.media import PendingFile


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    content: bytes
    content_type: str
    filename: str


Fetch = Callable[[str], Awaitable[FetchedFile]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFetch:
    db: Database
    blobs: Blobs
    fetch: Fetch
    max_attempts: int

    async def run(self, job: Job, now: datetime) -> None:
        """Fetch the job's file and attach it.

        Raises:
            FetchFailed: it failed and another attempt may help.
        """
        async with self.db.read() as conn:
            pending = await media.load_pending(conn, job.subject_id)
        if pending is None:
            return
        try:
            file = await self.fetch(pending.source_url)
        except FetchFailed as error:
            if not error.is_final and job.attempts < self.max_attempts:
                raise
            reason = str(error)
            await self.db.write(lambda tx: _give_up(tx, pending, reason, now))
            return
        blob = await self.blobs.put(file.content)
        await self.db.write(lambda tx: _attach(tx, pending, file, blob, now))


async def _attach(tx: Transaction, pending: PendingFile, file: FetchedFile, blob: StoredBlob, now: datetime) -> None:
    is_news = await media.finish(
        tx, pending.id, blob=blob, filename=pending.filename or file.filename, content_type=file.content_type
    )
    if is_news:
        await _tell(tx, pending, EventType.ATTACHMENT_READY, {"attachment_id": pending.id}, now)


async def _give_up(tx: Transaction, pending: PendingFile, reason: str, now: datetime) -> None:
    if await media.fail(tx, pending.id, reason):
        data = {"attachment_id": pending.id, "error": reason}
        await _tell(tx, pending, EventType.ATTACHMENT_FAILED, data, now)


async def _tell(tx: Transaction, pending: PendingFile, kind: EventType, data: dict[str, str], now: datetime) -> None:
    event = NewEvent(
        conversation_id=pending.conversation_id, type=kind, at=now, message_id=pending.message_id, data=data
    )
    await append_events(tx, [event])
