"""Both live buses keep one contract; and what the one over Redis must do when Redis goes away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
import redis.asyncio

from storage.live.contract import LiveBus, Notice, Subscription
from storage.live.memory import _BACKLOG, MemoryBus
from storage.live.redis import RedisBus
from tests.support.redis import RedisServer, running_redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """What publishes and what listens: two processes' buses over Redis, one and the same in memory."""

    sender: LiveBus
    receiver: LiveBus


@asynccontextmanager
async def running(bus: LiveBus) -> AsyncIterator[LiveBus]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bus.run())
        await until(lambda: bus.is_connected)
        yield bus
        task.cancel()
    await bus.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture(params=["memory", "redis"])
async def two(request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            bus = await stack.enter_async_context(running(MemoryBus()))
            yield Two(sender=bus, receiver=bus)
        else:
            url = request.getfixturevalue("redis_url")
            sender = await stack.enter_async_context(running(RedisBus(url)))
            yield Two(sender=sender, receiver=await stack.enter_async_context(running(RedisBus(url))))


def notice(topic: str, number: int = 0) -> Notice:
    return Notice(topic=topic, body=b'{"number":%d}' % number)


async def heard(subscription: Subscription) -> Notice | None:
    async with asyncio.timeout(10):
        return await subscription.next()


async def test_a_notice_reaches_those_who_listen_to_its_topic_and_no_others(two: Two) -> None:
    with two.receiver.subscribe() as listener, two.receiver.subscribe() as other:
        await listener.add("conversation:1")
        await other.add("conversation:2")
        await two.sender.publish([notice("conversation:1", 1), notice("conversation:2", 2)])
        assert await heard(listener) == notice("conversation:1", 1)
        assert await heard(other) == notice("conversation:2", 2)


async def test_one_listener_hears_all_its_topics_in_the_order_of_publishing(two: Two) -> None:
    with two.receiver.subscribe() as listener:
        await listener.add("a", "b")
        sent = [notice("ab"[number % 2], number) for number in range(300)]
        await two.sender.publish(sent)
        assert [await heard(listener) for _ in sent] == sent


async def test_every_listener_of_a_topic_hears_a_notice_once(two: Two) -> None:
    with two.receiver.subscribe() as first, two.receiver.subscribe() as second, two.sender.subscribe() as third:
        for listener in (first, second, third):
            await listener.add("inbox")
        await two.sender.publish([notice("inbox", 1)])
        await two.sender.publish([notice("inbox", 2)])
        for listener in (first, second, third):
            assert [await heard(listener), await heard(listener)] == [notice("inbox", 1), notice("inbox", 2)]


async def test_a_topic_that_was_given_up_is_not_heard_any_more(two: Two) -> None:
    with two.receiver.subscribe() as listener:
        await listener.add("kept", "dropped")
        listener.discard("dropped")
        await two.sender.publish([notice("dropped"), notice("kept")])
        assert await heard(listener) == notice("kept")


async def test_a_topic_taken_up_again_at_once_is_heard_without_a_hole(two: Two) -> None:
    with two.receiver.subscribe() as listener:
        for number in range(50):
            await listener.add("topic")
            await two.sender.publish([notice("topic", number)])
            assert await heard(listener) == notice("topic", number)
            listener.discard("topic")


async def test_who_subscribes_without_waiting_hears_of_notices_or_that_some_were_missed(two: Two) -> None:
    with two.receiver.subscribe("outbox") as listener:
        await two.sender.publish([notice("outbox")])
        assert await heard(listener) in {None, notice("outbox")}


async def test_a_listener_far_behind_is_told_so_and_goes_on_with_what_comes_then(two: Two) -> None:
    with two.receiver.subscribe() as listener, two.receiver.subscribe() as watcher:
        await listener.add("topic")
        await watcher.add("end")
        await two.sender.publish([*(notice("topic", number) for number in range(_BACKLOG + 1)), notice("end")])
        await heard(watcher)
        assert await heard(listener) is None
        await two.sender.publish([notice("topic", -1)])
        assert await heard(listener) == notice("topic", -1)


async def test_a_listener_marked_as_lagging_is_told_once(two: Two) -> None:
    with two.receiver.subscribe() as listener:
        await listener.add("topic")
        listener.mark_lagged()
        listener.mark_lagged()
        assert await heard(listener) is None
        await two.sender.publish([notice("topic")])
        assert await heard(listener) == notice("topic")


async def test_waiting_for_a_notice_can_be_given_up_without_losing_one(two: Two) -> None:
    with two.receiver.subscribe() as listener:
        await listener.add("topic")
        for number in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await listener.next()
            await two.sender.publish([notice("topic", number)])
            assert await heard(listener) == notice("topic", number)


async def test_leaving_a_subscription_lets_go_of_its_topics() -> None:
    bus = MemoryBus()
    with bus.subscribe("a", "b"):
        assert set(bus.listeners) == {"a", "b"}
    assert bus.listeners == {}


@pytest.fixture
def own_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that may be stopped; skipped where the shared one is."""
    with running_redis() as server:
        assert server.port != redis_server.port
        yield server


async def test_a_redis_that_stops_and_comes_back_only_makes_listeners_lag(own_redis: RedisServer) -> None:
    async with running(RedisBus(own_redis.url)) as sender, running(RedisBus(own_redis.url)) as receiver:
        with receiver.subscribe() as listener, sender.subscribe() as local:
            await listener.add("topic")
            await local.add("topic")
            own_redis.kill()
            await until(lambda: not sender.is_connected and not receiver.is_connected)
            started = asyncio.get_running_loop().time()
            for number in range(100):
                await sender.publish([notice("topic", number)])
            assert asyncio.get_running_loop().time() - started < 5
            assert await heard(local) == notice("topic", 0)  # nothing stands between listeners of one process
            await asyncio.wait_for(listener.add("another"), 5)
            own_redis.start()
            assert await heard(listener) is None
            await until(lambda: sender.is_connected and receiver.is_connected)
            found = None
            while found is None:  # a reconnect may show twice: by our own connection and by the sender's word
                await sender.publish([notice("another", 1)])
                found = await heard(listener)
            assert found == notice("another", 1)


async def test_who_could_not_publish_has_the_others_read_the_database(own_redis: RedisServer) -> None:
    """The publisher alone loses its connection, so nothing but its own word can tell the listeners."""
    sender, receiver = RedisBus(own_redis.url), RedisBus(own_redis.url)
    async with running(receiver):
        with receiver.subscribe() as listener:
            await listener.add("topic")
            sender._is_owing = True
            async with running(sender):
                assert await heard(listener) is None


async def test_publishing_to_a_redis_that_never_was_neither_raises_nor_waits() -> None:
    bus = RedisBus("redis://127.0.0.1:9/0")
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bus.run())
        with bus.subscribe("topic") as listener:
            await bus.publish([notice("topic", 1)])
            assert await heard(listener) == notice("topic", 1)
        assert not bus.is_connected
        task.cancel()
    await bus.close()


async def test_notices_of_a_process_that_only_passes_by_still_go_out(redis_url: str) -> None:
    """A command line does not run the bus: what it published goes out when it closes it."""
    async with running(RedisBus(redis_url)) as receiver:
        with receiver.subscribe() as listener:
            await listener.add("jobs")
            await publish_in_passing(redis_url, notice("jobs"))
            assert await heard(listener) == notice("jobs")


async def test_two_installations_on_one_redis_do_not_hear_each_other(redis_url: str) -> None:
    async with running(RedisBus(redis_url)) as one, running(RedisBus(redis_url[:-1] + "1")) as two:
        with one.subscribe() as listener, two.subscribe() as other:
            await listener.add("inbox")
            await other.add("inbox")
            await publish_in_passing(redis_url[:-1] + "1", notice("inbox", 1))
            assert await heard(other) == notice("inbox", 1)
            await publish_in_passing(redis_url, notice("inbox", 2))
            assert await heard(listener) == notice("inbox", 2)


async def publish_in_passing(url: str, *notices: Notice) -> None:
    bus = RedisBus(url)
    await bus.publish(notices)
    await bus.close()


async def test_what_comes_back_from_redis_is_not_heard_twice(redis_url: str) -> None:
    async with running(RedisBus(redis_url)) as bus:
        with bus.subscribe() as listener:
            await listener.add("topic", "end")
            await bus.publish([notice("topic", 1)])
            assert await heard(listener) == notice("topic", 1)
            await until(lambda: not bus._outgoing)  # type: ignore[attr-defined]
            await publish_in_passing(redis_url, notice("end"))
            assert await heard(listener) == notice("end")


async def test_who_loses_only_its_own_connection_lags(redis_url: str) -> None:
    """Nobody failed to publish here, so nobody else could tell."""
    async with running(RedisBus(redis_url)) as bus, redis.asyncio.Redis.from_url(redis_url) as client:
        with bus.subscribe() as listener:
            await listener.add("topic")
            await client.client_kill_filter(_type="pubsub")
            assert await heard(listener) is None
            await publish_in_passing(redis_url, notice("topic", 1))
            assert await heard(listener) == notice("topic", 1)
