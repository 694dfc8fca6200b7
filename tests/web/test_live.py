"""Agents' live socket: every event once and in order, whatever the bus, the network and the client do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSServerHandshakeError

from gateway.domain.agent import Scope
from gateway.domain.ids import new_id
from gateway.web import live
from gateway.web.live import PATH, LiveSockets
from storage import sessions
from storage.database import Database, open_database
from storage.live.contract import LiveBus, Notice
from storage.live.memory import MemoryBus
from storage.live.redis import RedisBus
from tests.support.api import Api, Headers
from tests.support.redis import RedisServer, running_redis
from tests.support.sockets import (
    Frame,
    append_note,
    close_code,
    frames_until,
    make_context,
    next_frame,
    serving_sockets,
    start_conversation,
    take_nothing,
    write_sms,
)

ANA = "+351912345678"


class LossyBus(MemoryBus):
    """Loses what a test tells it to, as a bus over a network may."""

    is_lossy = False

    async def publish(self, notices: Sequence[Notice]) -> None:
        if not self.is_lossy:
            self.deliver(notices)


@pytest.fixture
def bus() -> LossyBus:
    return LossyBus()


@pytest.fixture
async def api(database: Database, bus: LossyBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as api:
        yield api


@asynccontextmanager
async def serving(database: Database, bus: LiveBus, **figures: float) -> AsyncIterator[Api]:
    context = make_context(database, bus, take_nothing)
    sockets = LiveSockets(context, **figures)
    async with serving_sockets(context, sockets.routes(), sockets.run) as api:
        yield api
        await sockets.close()


@asynccontextmanager
async def connected(api: Api, headers: Headers | None = None) -> AsyncIterator[ClientWebSocketResponse]:
    async with api.client.ws_connect(PATH, headers=headers or await api.as_program()) as ws:
        assert await next_frame(ws) == {"inbox": None}
        yield ws


async def subscribe(ws: ClientWebSocketResponse, after: dict[str, int]) -> list[Frame]:
    """Subscribe and return the events that come before the answer."""
    await ws.send_json({"subscribe": after})
    *frames, answer = await frames_until(ws, lambda frame: "subscribed" in frame or "error" in frame)
    assert "subscribed" in answer, answer
    return [frame for frame in frames if "event" in frame]


def seqs(frames: Sequence[Frame]) -> list[int]:
    return [frame["event"]["seq"] for frame in frames if "event" in frame]


async def events_up_to(ws: ClientWebSocketResponse, seq: int) -> list[int]:
    return seqs(await frames_until(ws, lambda frame: "event" in frame and frame["event"]["seq"] >= seq))


async def test_a_subscriber_gets_what_stands_and_then_what_happens(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        assert seqs(await subscribe(ws, {conversation_id: 0})) == [1, 2]
        await write_sms(database, ANA, "2")
        frames = await frames_until(ws, lambda frame: "inbox" in frame)
        assert frames[-1] == {"inbox": {"conversation": conversation_id, "seq": 3}}
        event = frames[0]["event"]
        assert (event["seq"], event["type"], event["conversation_id"]) == (3, "message.received", conversation_id)
        assert event["data"] == {"channel": "sms", "preview": "message 2"}
        assert event["message_id"]


async def test_an_event_looks_the_same_from_the_database_and_from_the_bus(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        await subscribe(ws, {conversation_id: 2})
        await append_note(database, conversation_id, 1)
        live_frame = (await frames_until(ws, lambda frame: "event" in frame))[-1]
        assert (await subscribe(ws, {conversation_id: 2})) == [live_frame]


async def test_a_subscriber_that_has_all_gets_only_what_is_new(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        assert await subscribe(ws, {conversation_id: 2}) == []
        await append_note(database, conversation_id, 1)
        assert await events_up_to(ws, 3) == [3]


async def test_who_says_to_have_more_than_there_is_gets_what_comes(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        await ws.send_json({"subscribe": {conversation_id: 900}})
        assert await next_frame(ws) == {"subscribed": {conversation_id: 2}}
        await append_note(database, conversation_id, 1)
        assert await events_up_to(ws, 3) == [3]


async def test_nothing_is_lost_or_doubled_while_subscribing_under_load(
    api: Api, database: Database, bus: LossyBus
) -> None:
    """Events are written all the while, and the bus loses every third of them."""
    conversation_id = await start_conversation(database)
    last = 60
    is_subscribed = asyncio.Event()

    async def write() -> None:
        for number in range(3, last + 1):
            bus.is_lossy = number % 3 == 0 and number < last
            await append_note(database, conversation_id, number)
            if number == 20:
                await is_subscribed.wait()

    async with connected(api) as ws, asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        before = seqs(await subscribe(ws, {conversation_id: 1}))
        is_subscribed.set()
        assert before + await events_up_to(ws, last) == list(range(2, last + 1))


async def test_resuming_with_the_last_number_seen_misses_nothing(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        await subscribe(ws, {conversation_id: 0})
        await append_note(database, conversation_id, 1)
        last_seen = (await events_up_to(ws, 3))[-1]
    for number in range(250):  # more than the database is asked for at once
        await append_note(database, conversation_id, number)
    async with connected(api) as ws:
        assert seqs(await subscribe(ws, {conversation_id: last_seen})) == list(range(4, 254))


async def test_a_lost_last_notice_is_found_by_the_check(database: Database, bus: LossyBus) -> None:
    conversation_id = await start_conversation(database)
    async with serving(database, bus, check_s=0.05) as api, connected(api) as ws:
        await subscribe(ws, {conversation_id: 2})
        bus.is_lossy = True
        await append_note(database, conversation_id, 1)
        assert await events_up_to(ws, 3) == [3]


async def test_word_from_the_bus_that_notices_were_missed_has_the_database_read(
    api: Api, database: Database, bus: LossyBus
) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        await subscribe(ws, {conversation_id: 2})
        bus.is_lossy = True
        await append_note(database, conversation_id, 1)
        bus.mark_all_lagged()
        assert await events_up_to(ws, 3) == [3]
        assert await next_frame(ws) == {"inbox": None}


async def test_what_another_process_writes_arrives_over_redis_even_when_it_was_away(
    database_url: str, redis_server: RedisServer
) -> None:
    with running_redis() as server:
        assert server.port != redis_server.port
        ours, theirs = RedisBus(server.url), RedisBus(server.url)
        near, far = open_database(database_url, ours), open_database(database_url, theirs)
        conversation_id = await start_conversation(far)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(ours.run()), tasks.create_task(theirs.run())]
            async with serving(near, ours) as api, connected(api) as ws:
                await subscribe(ws, {conversation_id: 2})
                await append_note(far, conversation_id, 1)
                assert await events_up_to(ws, 3) == [3]
                server.stop()
                await append_note(far, conversation_id, 2)
                server.start()
                assert await events_up_to(ws, 4) == [4]
            for task in running:
                task.cancel()
        for database, bus in ((near, ours), (far, theirs)):
            await database.close()
            await bus.close()


async def test_several_conversations_each_keep_their_order(api: Api, database: Database) -> None:
    ids = [await start_conversation(database, f"+35191234567{number}") for number in range(5)]
    async with connected(api) as ws:
        await subscribe(ws, dict.fromkeys(ids, 2))
        async with asyncio.TaskGroup() as tasks:
            for id_ in ids:
                for number in range(10):
                    tasks.create_task(append_note(database, id_, number))
        got: dict[str, list[int]] = {id_: [] for id_ in ids}
        while sum(map(len, got.values())) < 50:
            (frame,) = (await frames_until(ws, lambda frame: "event" in frame))[-1:]
            got[frame["event"]["conversation_id"]].append(frame["event"]["seq"])
        assert got == {id_: list(range(3, 13)) for id_ in ids}


async def test_a_conversation_given_up_is_silent_but_the_list_goes_on(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        await subscribe(ws, {conversation_id: 2})
        await ws.send_json({"unsubscribe": [conversation_id], "ping": 7})
        assert await next_frame(ws) == {"pong": 7}
        await append_note(database, conversation_id, 1)
        assert await next_frame(ws) == {"inbox": {"conversation": conversation_id, "seq": 3}}


async def test_a_slow_client_gets_everything_when_it_reads_again(database: Database, bus: LossyBus) -> None:
    conversation_id = await start_conversation(database)
    async with serving(database, bus) as api, connected(api) as ws:
        await subscribe(ws, {conversation_id: 2})
        transport = ws._writer.transport
        transport.pause_reading()
        for _ in range(3):  # notices beyond the backlog, with the socket's buffers full
            await bus.publish([Notice(topic="inbox", body=b'{"x":"%s"}' % (b"y" * 4000))] * 2000)
            await append_note(database, conversation_id, 1)
        transport.resume_reading()
        assert await events_up_to(ws, 5) == [3, 4, 5]


async def test_a_client_that_takes_nothing_is_cut_off(database: Database, bus: LossyBus) -> None:
    async with serving(database, bus, send_timeout_s=0.2) as api, connected(api) as ws:
        transport = ws._writer.transport
        transport.pause_reading()
        async with asyncio.timeout(20):
            while bus.listeners:
                await bus.publish([Notice(topic="inbox", body=b'"%s"' % (b"y" * 50_000))] * 100)
                await asyncio.sleep(0.02)
        transport.resume_reading()
        assert await close_code(ws) in {1013, 1006}  # 1006: it had not even room for the closing frame


async def test_agents_see_each_other_type_but_not_themselves(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with (
        connected(api, await api.as_agent(email="a@shop.example")) as ana,
        connected(api, await api.as_agent(email="b@shop.example")) as ben,
    ):
        await subscribe(ana, {conversation_id: 2})
        await subscribe(ben, {conversation_id: 2})
        for _ in range(3):  # throttled: the second and third say nothing new
            await ana.send_json({"typing": conversation_id})
        frame = await next_frame(ben)
        assert frame["typing"]["conversation"] == conversation_id
        assert frame["typing"]["agent"]["name"] == "An agent"
        await append_note(database, conversation_id, 1)
        assert seqs([await next_frame(ben)]) == [3]
        assert seqs([await next_frame(ana)]) == [3]


@pytest.mark.parametrize(
    ("sent", "status", "path"),
    [
        ("{", 400, "$"),
        ("[]", 422, "$"),
        ('{"what": 1}', 422, "$.what"),
        ('{"subscribe": {"a": "b"}}', 422, "$.subscribe[...]"),
        ('{"subscribe": {"a": -1}}', 422, "$.subscribe[...]"),
        ('{"subscribe": {"no id": 0}}', 422, "$.subscribe"),
        ('{"typing": "0"}', 422, "$.typing"),
        ("[" * 5000, 422, "$"),
    ],
)
async def test_a_bad_frame_is_answered_and_the_socket_goes_on(
    sqlite_url: str, bus: LossyBus, sent: str, status: int, path: str
) -> None:
    database = open_database(sqlite_url, bus)
    async with serving(database, bus) as api, connected(api) as ws:
        await ws.send_str(sent)
        error = (await next_frame(ws))["error"]
        assert (error["status"], [mistake["path"] for mistake in error["errors"]]) == (status, [path])
        await ws.send_bytes(b"")  # binary is not for us
        assert await close_code(ws) == 1003
    await database.close()


async def test_conversations_that_do_not_exist_are_named_and_the_others_stand(api: Api, database: Database) -> None:
    conversation_id, nowhere = await start_conversation(database), new_id()
    async with connected(api) as ws:
        await ws.send_json({"subscribe": {conversation_id: 2, nowhere: 0}})
        assert await next_frame(ws) == {"subscribed": {conversation_id: 2}}
        error = (await next_frame(ws))["error"]
        assert error["status"] == 422
        assert nowhere in error["errors"][0]["message"]


async def test_a_socket_looks_at_a_bounded_number_of_conversations(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_SUBSCRIPTIONS", 2)
    ids = [await start_conversation(database, f"+35191234567{number}") for number in range(3)]
    async with connected(api) as ws:
        await subscribe(ws, dict.fromkeys(ids[:2], 0))
        await ws.send_json({"subscribe": {ids[2]: 0}})
        assert (await next_frame(ws))["error"]["status"] == 422


async def refusal(api: Api, headers: Headers) -> int:
    with pytest.raises(WSServerHandshakeError) as refused:
        async with api.client.ws_connect(PATH, headers=headers):
            pass
    return refused.value.status


async def test_only_those_who_may_read_conversations_get_in(api: Api) -> None:
    session = dict(await api.as_agent())
    assert await refusal(api, {}) == 401
    assert await refusal(api, {"Authorization": "Bearer wrong"}) == 401
    assert await refusal(api, await api.as_program(Scope.EVENTS)) == 403
    assert await refusal(api, session | {"Origin": "https://evil.example"}) == 403
    assert await refusal(api, {"Cookie": session["Cookie"]}) == 403
    async with connected(api, session):
        pass


async def test_a_plain_request_is_told_that_this_is_a_websocket(api: Api) -> None:
    assert (await api.ask("GET", PATH, await api.as_program())).status == 400


async def test_a_socket_ends_with_its_session(api: Api, database: Database) -> None:
    agent = await api.add_agent()
    async with connected(api, await api.session_of(agent)) as ws:
        await database.write(lambda tx: sessions.end_sessions(tx, agent.id))
        assert await close_code(ws) == 1008


async def test_a_session_that_ends_by_itself_ends_its_socket(database: Database, bus: LossyBus) -> None:
    async with serving(database, bus, check_s=0.02) as api:
        agent = await api.add_agent()
        async with connected(api, await api.session_of(agent)) as ws:
            bus.is_lossy = True
            await database.write(lambda tx: sessions.end_sessions(tx, agent.id))
            assert await close_code(ws) == 1008


async def test_clients_are_sent_away_in_order_when_the_process_ends(database: Database, bus: LossyBus) -> None:
    context = make_context(database, bus, take_nothing)
    sockets = LiveSockets(context)
    async with serving_sockets(context, sockets.routes(), sockets.run) as api, connected(api) as ws:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sockets.close())
            assert await close_code(ws) == 1001
        assert bus.listeners == {}


async def test_frames_are_plain_json_that_any_client_reads(api: Api, database: Database) -> None:
    conversation_id = await start_conversation(database)
    async with connected(api) as ws:
        assert ws.compress == 0
        await ws.send_json({"subscribe": {conversation_id: 0}})
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT
        assert msgspec.json.decode(message.data)["event"]["at"] == "2026-11-02T09:00:00Z"
