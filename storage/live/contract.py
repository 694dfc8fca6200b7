"""The live bus: short notices from whoever committed something to whoever is watching, in any process.

A notice may be lost (the engine restarts, a listener is slow); nothing depends on one. A listener that may have missed
some is told so (None from `next`) and reads the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    # "inbox", "conversation:<id>", "contact:<id>", "visitor:<address id>", "outbox", "jobs"
    topic: str
    body: bytes  # JSON, at most a few KB


class Subscription(Protocol):
    """One listener and its topics. A context manager: leaving it ends the subscription."""

    async def add(self, *topics: str) -> None:
        """Listen to these too; a notice sent after this returns is heard, or else `next` says that it was missed."""
        ...

    def discard(self, *topics: str) -> None: ...

    def mark_lagged(self) -> None:
        """Have `next` return None once: somebody found out that notices were missed."""
        ...

    async def next(self) -> Notice | None:
        """Wait for the next notice; None says that notices may have been missed: read the database.

        One task at a time; one that is cancelled while it waits loses nothing.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class LiveBus(Protocol):
    @property
    def is_connected(self) -> bool:
        """True while notices reach the other processes."""
        ...

    async def publish(self, notices: Sequence[Notice]) -> None:
        """Hand the notices on; never raises, never waits long."""
        ...

    def subscribe(self, *topics: str) -> Subscription: ...

    async def run(self) -> None:
        """Serve until cancelled (the in-process bus has nothing to do here)."""
        ...

    async def close(self) -> None: ...
