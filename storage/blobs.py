"""Files by their own hash: in a folder, or in S3 and what speaks like it.

What `put` returned from is on disk: a message may be acknowledged. S3 promises that by itself ("Amazon S3 data
consistency model"); the library's local store renames without fsync, so that is done here.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

from gateway.domain.errors import NotFound, TooLarge, Unavailable
from gateway.domain.message import StoredBlob

MAX_BLOB_BYTES = 25 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_TIMEOUT_S = 60
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """The file store; open it with `open_blobs`."""

    def __init__(self, store: ObjectStore, folder: Path | None, max_bytes: int) -> None:
        self._store = store
        self._folder = folder  # None: the store is not on a disk of ours
        self.max_bytes = max_bytes

    async def put(self, content: bytes) -> StoredBlob:
        """Keep `content`; the same bytes again are the same blob.

        It is written even where it seems to stand: a crash may have left a torso under its name.

        Raises:
            TooLarge: more than `max_bytes`.
            Unavailable: the store can't be reached, or the disk is full.
        """
        if len(content) > self.max_bytes:
            raise TooLarge(f"A file may have {self.max_bytes} bytes.")
        sha256 = await asyncio.to_thread(_hash, content)
        path = _path(sha256)
        with _reporting():
            async with asyncio.timeout(_TIMEOUT_S):
                await obstore.put_async(self._store, path, content)
            if self._folder is not None:
                await asyncio.to_thread(_sync, self._folder, path)
        return StoredBlob(sha256=sha256, size=len(content))

    async def stream(self, sha256: str) -> AsyncIterator[bytes]:
        """Yield the content in pieces.

        Raises:
            NotFound: there is no such blob.
            Unavailable: the store can't be reached.
        """
        with _reporting():
            async with asyncio.timeout(_TIMEOUT_S):
                found = await obstore.get_async(self._store, _path(sha256))
            async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    async def read(self, sha256: str) -> bytes:
        """Return the whole content.

        Raises:
            NotFound: there is no such blob.
            Unavailable: the store can't be reached.
        """
        async with asyncio.timeout(_TIMEOUT_S):
            return b"".join([chunk async for chunk in self.stream(sha256)])

    async def find_written_at(self, sha256: str) -> datetime | None:
        """Return when these bytes were last put, or None."""
        try:
            with _reporting():
                async with asyncio.timeout(_TIMEOUT_S):
                    meta = await obstore.head_async(self._store, _path(sha256))
        except NotFound:
            return None
        return meta["last_modified"].astimezone(UTC)

    async def delete(self, sha256: str) -> None:
        """Remove the blob, if it is there; the caller knows that nothing refers to it."""
        try:
            with _reporting():
                async with asyncio.timeout(_TIMEOUT_S):
                    await obstore.delete_async(self._store, _path(sha256))
        except NotFound:
            return


def open_blobs(place: str, *, max_bytes: int = MAX_BLOB_BYTES) -> Blobs:
    """Return the store at `place`: a folder, `s3://bucket/prefix` (credentials from AWS_*), or `memory:` for tests."""
    if place == "memory:":
        return Blobs(MemoryStore(), None, max_bytes)
    if place.startswith("s3://"):
        return Blobs(S3Store.from_url(place), None, max_bytes)
    folder = Path(place).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Blobs(LocalStore(folder), folder, max_bytes)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _path(sha256: str) -> str:
    """Return where a blob lies: two levels of 256 folders, so that none grows long."""
    if _SHA256.fullmatch(sha256) is None:
        raise NotFound("There is no such file.")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _sync(folder: Path, path: str) -> None:
    """Force a file, and every folder that names it or one above it, to disk."""
    file = folder / path
    for place in (file, *file.parents[: len(file.parents) - len(folder.parents)]):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _reporting() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound("There is no such file.") from None
    except (BaseError, OSError) as error:  # TimeoutError is an OSError
        raise Unavailable("The file store can't be reached.") from error
