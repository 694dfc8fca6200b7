"""The histogram of requests holds answers, not the lives of sockets."""

import aiohttp
from aiohttp import web

from gateway.domain.errors import Forbidden
from gateway.web.server import build_app
from storage.database import Database
from storage.live.contract import LiveBus
from tests.support.ports import free_port
from tests.support.sockets import make_context, take_nothing


async def talk(request: web.Request) -> web.StreamResponse:
    if "Origin" in request.headers:
        raise Forbidden("Not from there.")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.receive()
    return socket


async def test_a_socket_is_no_request_but_a_refused_one_is(database: Database, bus: LiveBus) -> None:
    context = make_context(database, bus, take_nothing)
    # As the gateway serves. A TestServer cancels a handler whose client has gone, and so measures none.
    runner = web.AppRunner(build_app(context, others=[web.get("/socket", talk)]))
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.ws_connect("/socket") as socket:
            await socket.send_str("Hello?")
        async with session.get("/socket", headers={"Origin": "https://evil.example"}) as refused:
            assert refused.status == 403
    await runner.cleanup()  # every handler has come to its end
    seen = {
        tuple(sample.labels.values())
        for metric in context.metrics.collect()
        for sample in metric.samples
        if sample.name == "gateway_http_request_seconds_count"
    }
    assert seen == {("GET", "/socket", "403")}
