"""Identifiers: time-ordered UUIDs (version 7, RFC 9562 section 5.7), as strings."""

import os
import time
import uuid

from gateway.domain.errors import NotFound

_last_ms = 0
_sequence = 0


def new_id() -> str:
    """Return a new id; ids of one process sort in the order in which they were made."""
    global _last_ms, _sequence
    now_ms = time.time_ns() // 1_000_000
    if now_ms > _last_ms:
        _last_ms, _sequence = now_ms, int.from_bytes(os.urandom(2), "big") & 0x3FF
    else:
        _sequence += 1
        if _sequence > 0xFFF:
            _last_ms, _sequence = _last_ms + 1, 0
    tail = os.urandom(8).hex()
    stamp = f"{_last_ms:012x}"
    variant = "89ab"[int(tail[0], 16) & 3]
    return f"{stamp[:8]}-{stamp[8:]}-7{_sequence:03x}-{variant}{tail[1:4]}-{tail[4:]}"


def parse_id(text: str) -> str:
    """Return `text` as a canonical id.

    Raises:
        NotFound: it isn't one, so nothing can have it.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NotFound("There is nothing with this id.") from None
