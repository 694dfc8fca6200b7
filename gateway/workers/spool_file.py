"""The spool on disk: what a record looks like, and which process a file belongs to.

A record is a length, a CRC-32 and a MessagePack body. A file belongs to the process that holds its lock; it gets its
name only once it is locked, and is unlinked only under its lock, so that no two processes ever write or adopt one.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from io import FileIO
from pathlib import Path

import msgspec

from gateway.domain.message import RawInbound, Source

_HEADER = struct.Struct(">II")
# Ten times what the largest mail has; a longer length is no length, but what a disk made up.
_MAX_RECORD_BYTES = 256 * 1024 * 1024


class _Record(msgspec.Struct, array_like=True):
    source: str
    received_at: datetime
    body: bytes
    meta: dict[str, str]


def encode(raw: RawInbound) -> bytes:
    """Return the item as a record.

    Raises:
        ValueError: it can't be written so that it could be read again.
    """
    record = _Record(source=raw.source, received_at=raw.received_at, body=raw.body, meta=dict(raw.meta))
    packed = msgspec.msgpack.encode(record)
    if len(packed) > _MAX_RECORD_BYTES:
        raise ValueError(f"A record may have {_MAX_RECORD_BYTES} bytes.")
    return _HEADER.pack(len(packed), zlib.crc32(packed)) + packed


def read_records(file: FileIO, start: int, end: int) -> Iterator[tuple[RawInbound, int]]:
    """Yield each whole record between two offsets, with the offset behind it; stop at one that is torn."""
    offset = start
    while (body_at := offset + _HEADER.size) < end:
        length, checksum = _HEADER.unpack(os.pread(file.fileno(), _HEADER.size, offset))
        # Zeros stand where a power cut came between a file's growth and its bytes.
        if not 0 < length <= min(_MAX_RECORD_BYTES, end - body_at):
            return
        packed = os.pread(file.fileno(), length, body_at)
        if zlib.crc32(packed) != checksum:
            return
        try:
            raw = _decode(packed)
        except (msgspec.DecodeError, ValueError):
            return
        offset = body_at + length
        yield raw, offset


def _decode(packed: bytes) -> RawInbound:
    record = msgspec.msgpack.decode(packed, type=_Record)
    return RawInbound(source=Source(record.source), received_at=record.received_at, body=record.body, meta=record.meta)


def write_at(file: FileIO, offset: int, content: bytes) -> None:
    """Force `content` to disk at `offset`, the file's end.

    Raises:
        OSError: the disk did not take it; nothing of it stays.
    """
    view, at = memoryview(content), offset
    try:
        while view:
            written = os.pwrite(file.fileno(), view, at)
            view, at = view[written:], at + written
        os.fsync(file.fileno())
    except OSError:
        # A full disk may have taken half of it; where even this fails, the next write goes over that half.
        with suppress(OSError):
            os.ftruncate(file.fileno(), offset)
        raise


def append_record(path: Path, record: bytes) -> None:
    """Force one record to the end of the file at `path`, which is made if need be.

    Raises:
        OSError: the disk did not take it.
    """
    with _open(path, os.O_RDWR | os.O_CREAT) as file:
        write_at(file, size_of(file), record)
    sync_folder(path.parent)


def size_of(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def create_locked(path: Path) -> FileIO:
    """Make a file that is ours before anybody can find it."""
    unfinished = path.with_suffix(".new")
    file = _open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unfinished.rename(path)
    sync_folder(path.parent)
    return file


def open_abandoned(path: Path) -> FileIO | None:
    """Return the file, locked, if its process is gone and nobody else has adopted it."""
    try:
        file = _open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever adopted it before we had the lock has unlinked it.
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    file.close()
    return None


def _open(path: Path, flags: int) -> FileIO:
    return os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk: a new file whose name is lost is a lost file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
