"""The live bus of one process."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

from storage.live.contract import Notice

# A listener that is this far behind has its notices dropped and is told to read the database.
_BACKLOG = 1024


def _ignore(_topic: str) -> None:
    pass


class MemorySubscription:
    # There is one for each open socket, nearly all of them idle, so it is kept small: slots, a future instead of an
    # asyncio.Event, no deque while nothing waits, a dict for a set (empty ones take a third).
    __slots__ = ("_backlog", "_bus", "_lagged", "_topics", "_waiter")

    def __init__(self, bus: "MemoryBus") -> None:
        self._bus = bus
        self._topics: dict[str, None] = {}
        self._backlog: deque[Notice] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lagged = False

    def join(self, *topics: str) -> None:
        for topic in topics:
            self._topics[topic] = None
            self._bus.join(topic, self)

    async def add(self, *topics: str) -> None:
        self.join(*topics)

    def discard(self, *topics: str) -> None:
        for topic in topics:
            self._topics.pop(topic, None)
            self._bus.leave(topic, self)

    def offer(self, notice: Notice) -> None:
        if self._lagged:
            return  # who is about to read the database needs no notice of what stands in it
        if self._backlog is None:
            self._backlog = deque()
        if len(self._backlog) >= _BACKLOG:
            self.mark_lagged()
        else:
            self._backlog.append(notice)
            self._wake()

    def mark_lagged(self) -> None:
        self._backlog = None
        self._lagged = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> Notice | None:
        while not self._backlog and not self._lagged:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._lagged:
            self._lagged = False
            return None
        assert self._backlog  # noqa: S101  or it would wait still
        notice = self._backlog.popleft()
        if not self._backlog:
            self._backlog = None
        return notice

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.discard(*list(self._topics))


class MemoryBus:
    """`on_change` is told of a topic that got its first listener or lost its last one."""

    is_connected = True

    def __init__(self, on_change: Callable[[str], None] = _ignore) -> None:
        self.listeners: dict[str, set[MemorySubscription]] = {}
        self._on_change = on_change

    def join(self, topic: str, listener: MemorySubscription) -> None:
        group = self.listeners.get(topic)
        if group is None:
            self.listeners[topic] = {listener}
            self._on_change(topic)
        else:
            group.add(listener)

    def leave(self, topic: str, listener: MemorySubscription) -> None:
        group = self.listeners.get(topic)
        if group is None:
            return
        group.discard(listener)
        if not group:
            del self.listeners[topic]
            self._on_change(topic)

    async def publish(self, notices: Sequence[Notice]) -> None:
        self.deliver(notices)

    def deliver(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            for listener in self.listeners.get(notice.topic, ()):
                listener.offer(notice)

    def mark_all_lagged(self) -> None:
        for listener in {listener for group in self.listeners.values() for listener in group}:
            listener.mark_lagged()

    def subscribe(self, *topics: str) -> MemorySubscription:
        subscription = MemorySubscription(self)
        subscription.join(*topics)
        return subscription

    async def run(self) -> None:
        """There is nothing to serve: delivery happens in `publish`."""

    async def close(self) -> None:
        self.listeners.clear()
