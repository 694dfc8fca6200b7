"""What the outbound session promises: time limits, size limits, no redirects, no way into our own network."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from channels.http import AnswerLost, AnswerTooLarge, HttpClient, NotPublic, NotSent, is_loopback
from tests.support.ports import free_port


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(total_timeout_s=10) as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[BaseTestServer]:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"path": request.raw_path, "body": await request.text()}, headers={"X-Name": "1"})

    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/echo"})

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"." * 10_000)
        return response

    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def unfold(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"})

    async def cookie(request: web.Request) -> web.Response:
        answer = web.json_response(dict(request.cookies))
        answer.set_cookie("seen", "yes")
        return answer

    app = web.Application()
    for name, handler in {"echo": echo, "redirect": redirect, "drop": drop, "unfold": unfold, "cookie": cookie}.items():
        app.router.add_route("*", f"/{name}", handler)
    app.router.add_get("/endless", endless)
    async with TestServer(app) as running:
        yield running


async def test_an_answer_comes_whole(http: HttpClient, server: BaseTestServer) -> None:
    answer = await http.request("POST", f"{server.make_url('/echo')}?a=%2Db%C3%a9", body=b"x=1")
    assert answer.status == 200
    assert answer.headers["x-name"] == "1"
    assert answer.body == b'{"path": "/echo?a=%2Db%C3%a9", "body": "x=1"}'


async def test_a_redirect_is_not_followed(http: HttpClient, server: BaseTestServer) -> None:
    answer = await http.request("GET", str(server.make_url("/redirect")))
    assert (answer.status, answer.headers["location"]) == (307, "/echo")


async def test_no_cookie_is_kept(http: HttpClient, server: BaseTestServer) -> None:
    for _ in range(2):
        assert (await http.request("GET", str(server.make_url("/cookie")))).body == b"{}"


@pytest.mark.parametrize("path", ["/unfold", "/endless"])
async def test_an_answer_over_the_limit_is_not_read_to_its_end(
    http: HttpClient, server: BaseTestServer, path: str
) -> None:
    with pytest.raises(AnswerTooLarge):
        await http.request("GET", str(server.make_url(path)), max_bytes=100_000)


async def test_a_dropped_connection_leaves_the_request_in_doubt(http: HttpClient, server: BaseTestServer) -> None:
    with pytest.raises(AnswerLost):
        await http.request("POST", str(server.make_url("/drop")))


async def test_without_a_connection_nothing_was_sent(http: HttpClient) -> None:
    with pytest.raises(NotSent):
        await http.request("POST", f"http://127.0.0.1:{free_port()}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https:///x",
    ],
)
async def test_an_address_of_our_own_network_is_not_called(http: HttpClient, url: str) -> None:
    with pytest.raises(NotPublic):
        await http.request("GET", url, public_only=True)


async def test_a_name_that_leads_into_our_own_network_is_not_called(http: HttpClient) -> None:
    callers: list[object] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(NotSent):
            await http.request("GET", f"https://localhost:{port}/", public_only=True)
        assert callers == []
        with pytest.raises(NotSent):
            await http.request("GET", f"https://localhost:{port}/")
        assert len(callers) == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("example.com", False),
        (None, False),
    ],
)
def test_loopback_is_known_by_its_literal_name(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected
