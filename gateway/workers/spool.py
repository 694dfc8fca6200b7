"""The spool: what came in while the database could not take it, on disk before it is acknowledged.

One append-only file per process, 0600, held under a file lock. A torn last record (the process died while writing it)
was never acknowledged and is left out. A spool whose process is gone is adopted by the next one that starts on the same
disk (a torn file stays beside it as `.torn`). What no database will ever take is laid aside as `.refused`. Losing the
disk is the stated limit.
"""

import asyncio
import errno
import os
import threading
from pathlib import Path

import structlog

from gateway.domain.ids import new_id
from gateway.domain.message import RawInbound
from gateway.workers.spool_file import (
    append_record,
    create_locked,
    encode,
    open_abandoned,
    read_records,
    size_of,
    sync_folder,
    write_at,
)

log = structlog.get_logger(__name__)

_COPY_BYTES = 1024 * 1024
_TORN, _REFUSED = ".torn", ".refused"


def list_laid_aside(folder: Path) -> list[Path]:
    """Return the files in which something stands that can't go on by itself."""
    return sorted(path for path in folder.glob("*") if path.suffix in {_TORN, _REFUSED})


class Spool:
    """This process's spool in `folder`. While it is not empty all intake goes through it, so nothing overtakes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{new_id()}.spool"
        self._file = create_locked(self._path)
        self._read_offset = 0
        self._write_offset = 0
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing = asyncio.Lock()
        self._writing = threading.Lock()
        self.has_records = asyncio.Event()
        for path in sorted(folder.glob("*.spool")):
            if path != self._path:
                self._adopt(path)
        if self._write_offset:
            self.has_records.set()

    def _adopt(self, path: Path) -> None:
        """Take over what a dead process left: its records stand before anything of ours."""
        orphan = open_abandoned(path)
        if orphan is None:
            return
        with orphan:
            size, end = size_of(orphan), 0
            for _, behind in read_records(orphan, 0, size):
                end = behind
            for start in range(0, end, _COPY_BYTES):
                self._write(os.pread(orphan.fileno(), min(_COPY_BYTES, end - start), start))
            if end == size:
                path.unlink()
            else:  # a torn tail was never acknowledged, but bytes are not ours to destroy
                log.error("spool.torn", file=path.name, kept_bytes=end, torn_bytes=size - end)
                path.rename(path.with_suffix(_TORN))
            sync_folder(self._folder)

    @property
    def is_empty(self) -> bool:
        return self._write_offset == self._read_offset and not self._pending

    @property
    def size(self) -> int:
        """Bytes on disk that wait for the database."""
        return self._write_offset - self._read_offset

    def _write(self, records: bytes) -> None:
        with self._writing:
            if self._file.closed:
                raise OSError(errno.EBADF, "The spool is closed.")
            write_at(self._file, self._write_offset, records)
            self._write_offset += len(records)

    async def append(self, raw: RawInbound) -> None:
        """Return when the item is on disk; those that wait together share one fsync.

        Raises:
            OSError: the disk did not take it.
            ValueError: it can't be written down.
        """
        record = encode(raw)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((record, done))
        # Who waits may hang up; what is being written is written to its end, and the others are told.
        await asyncio.shield(self._written(done))

    async def _written(self, done: asyncio.Future[None]) -> None:
        async with self._flushing:
            if not done.done():
                await self._flush()
        await done

    async def _flush(self) -> None:
        batch = self._pending[:]
        failure: OSError | None = None
        try:
            await asyncio.to_thread(self._write, b"".join(record for record, _ in batch))
        except OSError as error:
            failure = error
        else:
            self.has_records.set()
        del self._pending[: len(batch)]
        for _, waiter in batch:
            if waiter.done():  # cancelled with the loop itself
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)

    async def read(self, limit: int) -> tuple[list[RawInbound], int]:
        """Return up to `limit` of the oldest items and the offset to hand to `advance` once they are safe.

        Raises:
            OSError: the disk does not give back what it took.
        """
        return await asyncio.to_thread(self._read, limit)

    def _read(self, limit: int) -> tuple[list[RawInbound], int]:
        items, offset, end = [], self._read_offset, self._write_offset
        for raw, behind in read_records(self._file, offset, end):
            items.append(raw)
            offset = behind
            if len(items) == limit:
                break
        if not items and offset < end:
            raise OSError(errno.EIO, "A record that was written can't be read.")
        return items, offset

    async def advance(self, offset: int) -> None:
        """Forget what stands before `offset`; an emptied spool gives its space back.

        Raises:
            OSError: the disk does not take it back.
        """
        async with self._flushing:
            self._read_offset = offset
            if self._read_offset == self._write_offset and not self._pending:
                os.ftruncate(self._file.fileno(), 0)
                self._read_offset = self._write_offset = 0
                self.has_records.clear()

    async def refuse(self, raw: RawInbound) -> None:
        """Lay aside, for a person to look at, what neither the database nor its quarantine will ever take.

        Raises:
            OSError: the disk did not take it.
        """
        await asyncio.to_thread(append_record, self._path.with_suffix(_REFUSED), encode(raw))

    def close(self) -> None:
        with self._writing:  # a thread may still write for somebody who does not wait any more
            if self.is_empty:
                self._path.unlink(missing_ok=True)
            self._file.close()
