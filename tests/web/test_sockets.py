"""A client that is gone without a word is found out, and one that is there stays."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.web.sockets import Socket, SocketEnded, ping_all

EVERY_S = 0.06
ANSWER_S = 0.2


@dataclass
class Hall:
    """A server whose sockets say back what they hear; "wait" keeps the reader busy until `go_on`."""

    client: TestClient[web.Request, web.Application] = field(init=False)
    sockets: list[Socket] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_waiting: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        socket = Socket(request, max_frame=1000)
        await socket.open()
        self.sockets.append(socket)
        try:
            while True:
                data = await socket.receive()
                if data == b"wait":
                    self.is_waiting.set()
                    await self.go_on.wait()
                await socket.send(data)
        except SocketEnded as ended:
            await socket.close(ended.code, ended.reason)
        finally:  # the test server cancels a handler whose connection is lost
            self.sockets.remove(socket)
            self.ended.set()
        return socket.response


@asynccontextmanager
async def open_hall() -> AsyncIterator[Hall]:
    hall = Hall()
    app = web.Application()
    app.router.add_get("/", hall.serve)
    async with TestClient(TestServer(app)) as hall.client:
        async with asyncio.TaskGroup() as tasks:
            pings = tasks.create_task(ping_all(lambda: hall.sockets, every_s=EVERY_S, answer_s=ANSWER_S))
            yield hall
            pings.cancel()


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    async with open_hall() as opened:
        yield opened


async def say(ws: aiohttp.ClientWebSocketResponse, text: str) -> None:
    await ws.send_str(text)
    while True:
        message = await ws.receive(timeout=5)
        if message.type is WSMsgType.TEXT:
            assert message.data == text
            return
        assert message.type in {WSMsgType.PING, WSMsgType.PONG}


async def test_a_client_that_answers_no_ping_is_cut_off(hall: Hall) -> None:
    async with hall.client.ws_connect("/", autoping=False) as ws:
        began_at = time.monotonic()
        assert (await ws.receive(timeout=5)).type is WSMsgType.PING
        async with asyncio.timeout(5):
            await hall.ended.wait()
        assert time.monotonic() - began_at >= ANSWER_S
        assert (await ws.receive(timeout=5)).type in {WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR}


async def test_a_client_that_answers_stays(hall: Hall) -> None:
    async with hall.client.ws_connect("/", autoping=False) as ws:
        for _ in range(8):  # each answer makes room for one more ping
            assert (await ws.receive(timeout=5)).type is WSMsgType.PING
            await ws.pong()
        await say(ws, "here")
        assert not hall.ended.is_set()


async def test_whatever_a_client_says_shows_that_it_is_there(hall: Hall) -> None:
    async with hall.client.ws_connect("/", autoping=False) as ws:
        until = time.monotonic() + 4 * ANSWER_S
        while time.monotonic() < until:
            await say(ws, "here")
        assert not hall.ended.is_set()


async def test_a_reader_that_is_busy_misses_no_answer(hall: Hall) -> None:
    async with hall.client.ws_connect("/", autoping=False) as ws:
        await ws.send_str("wait")
        await hall.is_waiting.wait()
        assert (await ws.receive(timeout=5)).type is WSMsgType.PING
        await ws.pong()
        until = time.monotonic() + 3 * ANSWER_S
        while time.monotonic() < until:
            await hall.sockets[0].ping(time.monotonic(), ANSWER_S)
            await asyncio.sleep(0)
        hall.go_on.set()
        assert (await ws.receive(timeout=5)).data == "wait"
        await say(ws, "here")


async def test_a_clients_own_ping_is_answered(hall: Hall) -> None:
    async with hall.client.ws_connect("/", autoping=False) as ws:
        await ws.ping(b"there?")
        while (message := await ws.receive(timeout=5)).type is not WSMsgType.PONG:
            assert message.type is WSMsgType.PING
        assert message.data == b"there?"
