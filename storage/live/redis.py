"""The live bus of several processes: Redis PUBLISH and SUBSCRIBE, with commands of Redis 7.0.

Each process has one connection that listens and feeds a local hub, and one that publishes. A process subscribes to
the topics that somebody here listens to and no others: a message concerns the few who look at its conversation, and a
pattern would make every process parse every notice of all. What is published here is heard here at once, without the
way over Redis; our own notices that come back from there are told by a token and dropped.

While Redis is away notices are dropped. Who may have missed one is told so: after our own connection was away, all
listeners here; after a process could not publish, all listeners everywhere else, as soon as it can.
"""

import asyncio
import os
import random
from collections import Counter, deque
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from storage.live.contract import Notice
from storage.live.memory import MemoryBus, MemorySubscription

_log = structlog.get_logger("gateway.bus")

_TIMEOUT_S = 2.0  # for Redis to answer
_PING_S = 10.0
_SILENCE_S = 25.0  # a listening connection on which not even a ping came back is dead
_RETRY_S = 0.5
_CONFIRM_S = 1.0
_QUEUE = 10_000  # notices that wait to be published
_BATCH = 256
_TOKEN_LENGTH = 8
_LOST = "!lost"  # the topic that says: somebody could not publish


class RedisSubscription(MemorySubscription):
    __slots__ = ("_redis", "adding")

    def __init__(self, hub: MemoryBus, redis: "RedisBus") -> None:
        super().__init__(hub)
        self._redis = redis
        self.adding: set[str] = set()

    async def add(self, *topics: str) -> None:
        fresh = [topic for topic in topics if topic not in self._topics]
        self.adding.update(fresh)
        try:
            self.join(*fresh)
            await self._redis.wait_confirmed(fresh)
        finally:
            self.adding.difference_update(fresh)


class RedisBus:
    """The bus at `url` (`redis://` or `rediss://`); `run` must be running for notices to come and go."""

    def __init__(self, url: str) -> None:
        self._hub = MemoryBus(self._note_change)
        self._token = os.urandom(_TOKEN_LENGTH)
        # Pub/sub knows no databases, so the number in the URL keeps two installations on one server apart.
        self._prefix = f"gateway{urlsplit(url).path}/"
        # Without the library's own retries, because a failure is to be seen here, where the listeners are told of it;
        # and without its time-outs on sockets, because they use asyncio.wait_for, which swallows a cancellation that
        # comes at the wrong moment (CPython issue 86296, mended in 3.12).
        self._client = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        self._outgoing: deque[Notice] = deque(maxlen=_QUEUE)
        self._has_outgoing = asyncio.Event()
        self._is_owing = False  # notices of ours were dropped, and the others don't know yet
        self._is_online = False  # the listening connection stands
        self._is_away = False  # and we have said so in the log
        self._changed: set[str] = set()  # topics whose listeners came or went
        self._has_changed = asyncio.Event()
        self._active: set[str] = set()  # topics that SUBSCRIBE was sent for
        self._pending: Counter[str] = Counter()  # how many of those are not confirmed yet
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._behind: set[MemorySubscription] = set()

    @property
    def is_connected(self) -> bool:
        return self._is_online and not self._is_owing

    async def publish(self, notices: Sequence[Notice]) -> None:
        self._hub.deliver(notices)
        if len(self._outgoing) + len(notices) > _QUEUE:
            self._is_owing = True
        self._outgoing.extend(notices)
        self._has_outgoing.set()

    def subscribe(self, *topics: str) -> RedisSubscription:
        subscription = RedisSubscription(self._hub, self)
        subscription.join(*topics)
        return subscription

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_all())
            tasks.create_task(self._listen())

    async def close(self) -> None:
        while self._outgoing and await self._publish_batch():
            pass
        await self._client.aclose()

    async def _publish_all(self) -> None:
        while True:
            if not self._outgoing and not self._is_owing:
                self._has_outgoing.clear()
                await self._has_outgoing.wait()
            if not await self._publish_batch():
                await asyncio.sleep(_RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret

    async def _publish_batch(self) -> bool:
        """Publish what waits, in one round trip; False when it was dropped because Redis is away."""
        batch = [self._outgoing.popleft() for _ in range(min(len(self._outgoing), _BATCH))]
        pipeline = self._client.pipeline(transaction=False)
        if self._is_owing:
            _ = pipeline.publish(self._prefix + _LOST, self._token)  # queued; `execute` sends
        for notice in batch:
            _ = pipeline.publish(self._prefix + notice.topic, self._token + notice.body)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await pipeline.execute()
        except (RedisError, OSError) as error:
            self._is_owing = True
            self._note_away(error)
            return False
        self._is_owing = False
        if self._is_online:
            self._note_back()
        return True

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except* (RedisError, OSError) as group:
                self._note_away(group.exceptions[0])
            await asyncio.sleep(_RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret

    async def _listen_once(self) -> None:
        pubsub = self._client.pubsub()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await pubsub.subscribe(self._prefix + _LOST)
            self._changed.update(self._hub.listeners)
            self._has_changed.set()
            self._is_online = True
            self._note_back()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_listeners(pubsub))
                tasks.create_task(self._read(pubsub))
        finally:
            self._forget_connection()
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _follow_listeners(self, pubsub: PubSub) -> None:
        """Subscribe to topics as listeners come, let go of them as they leave."""
        while True:
            try:
                async with asyncio.timeout(_PING_S):
                    await self._has_changed.wait()
            except TimeoutError:
                await pubsub.ping()
            self._has_changed.clear()
            changed, self._changed = self._changed, set()
            gone = [topic for topic in changed if topic in self._active and topic not in self._hub.listeners]
            come = [topic for topic in changed if topic not in self._active and topic in self._hub.listeners]
            self._active.difference_update(gone)
            self._active.update(come)
            self._pending.update(come)
            for start in range(0, len(gone), _BATCH):
                await pubsub.unsubscribe(*(self._prefix + topic for topic in gone[start : start + _BATCH]))
            for start in range(0, len(come), _BATCH):
                await pubsub.subscribe(*(self._prefix + topic for topic in come[start : start + _BATCH]))

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=_SILENCE_S)
            if message is None:
                raise RedisConnectionError("Redis has fallen silent.")
            if message["type"] == "pong":
                continue
            topic = message["channel"].decode().removeprefix(self._prefix)
            if message["type"] == "message":
                self._hear(topic, message["data"])
            elif message["type"] == "subscribe" and topic != _LOST:
                self._confirm(topic)

    def _hear(self, topic: str, data: bytes) -> None:
        if data.startswith(self._token):
            return
        if topic == _LOST:
            self._hub.mark_all_lagged()
        else:
            self._hub.deliver([Notice(topic=topic, body=data[_TOKEN_LENGTH:])])

    def _confirm(self, topic: str) -> None:
        """Redis has taken a SUBSCRIBE: whoever listened to the topic before may have missed something."""
        self._pending[topic] -= 1
        if self._pending[topic] <= 0:
            del self._pending[topic]
            self._release(topic)
        for listener in self._hub.listeners.get(topic, ()):
            if not isinstance(listener, RedisSubscription) or topic not in listener.adding:
                self._behind.add(listener)
        if not self._pending:
            for listener in self._behind:
                listener.mark_lagged()
            self._behind.clear()

    async def wait_confirmed(self, topics: Sequence[str]) -> None:
        """Wait until Redis has confirmed these; not long, and not at all while it is away: then they lag later."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONFIRM_S):
                for topic in topics:
                    while self._is_online and (topic not in self._active or self._pending[topic]):
                        await asyncio.shield(self._waiters.setdefault(topic, loop.create_future()))
        except TimeoutError:
            return

    def _release(self, topic: str) -> None:
        waiter = self._waiters.pop(topic, None)
        if waiter is not None:
            waiter.set_result(None)

    def _forget_connection(self) -> None:
        self._is_online = False
        self._active.clear()
        self._pending.clear()
        self._behind.clear()
        for topic in list(self._waiters):
            self._release(topic)

    def _note_change(self, topic: str) -> None:
        self._changed.add(topic)
        self._has_changed.set()

    def _note_away(self, error: BaseException) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warning("bus.away", error=type(error).__name__)

    def _note_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("bus.back")
