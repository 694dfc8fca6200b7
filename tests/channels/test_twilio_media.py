"""Fetching what a customer sent along, and what a hostile address gets out of it: nothing."""

import base64
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from channels.http import HttpClient
from channels.twilio_media import MediaFetcher
from channels.twilio_wire import parse_message
from gateway.domain.errors import FetchFailed
from gateway.sandbox.twilio import Inbound
from tests.support.ports import free_port
from tests.support.twilio import CUSTOMER, SHOP_NUMBER, TOKEN, Edge, account_at, stand_in

MAX_BYTES = 1000


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(total_timeout_s=10) as client:
        yield client


class Api:
    """The API's host, and on another port the storage that it redirects to."""

    def __init__(self) -> None:
        self.answer = partial(web.Response, status=404)
        self.seen: list[tuple[str, str | None]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((f"{request.url.port}{request.path}", request.headers.get("Authorization")))
        if request.path == "/storage":
            return web.Response(body=b"a picture", content_type="image/png")
        return self.answer()


@pytest.fixture
def api() -> Api:
    return Api()


async def serve(api: Api) -> BaseTestServer:
    app = web.Application()
    app.router.add_get("/{path:.*}", api.handle)
    server = TestServer(app)
    await server.start_server()
    return server


@pytest.fixture
async def server(api: Api) -> AsyncIterator[BaseTestServer]:
    async with await serve(api) as running:
        yield running


@pytest.fixture
async def storage(api: Api) -> AsyncIterator[BaseTestServer]:
    async with await serve(api) as running:
        yield running


def fetcher(server: BaseTestServer, http: HttpClient) -> MediaFetcher:
    return MediaFetcher(account_at(str(server.make_url("/"))), http, max_bytes=MAX_BYTES)


async def refusal(url: str, server: BaseTestServer, http: HttpClient) -> FetchFailed:
    with pytest.raises(FetchFailed) as raised:
        await fetcher(server, http).fetch_media(url)
    return raised.value


async def test_a_file_is_fetched_through_the_redirect_of_the_stand_in(http: HttpClient) -> None:
    provider, edge, port = stand_in(), Edge(), free_port()
    async with provider.serving() as url:
        account = account_at(url, f"http://127.0.0.1:{port}")
        async with edge.serving(account, port) as edge_url:
            provider.messages_url = edge_url + "/webhooks/twilio/messages"
            content = base64.b64encode(b"\x89PNG").decode()
            sent = Inbound(sender=CUSTOMER, to=SHOP_NUMBER, media=[("image/png", content)])
            assert (await provider.send_inbound(sent)).status == 200
            (file,) = parse_message(edge.received[0]).attachments
            assert file.url is not None
            media = await MediaFetcher(account, http, max_bytes=MAX_BYTES).fetch_media(file.url)
    assert (media.content, media.content_type, media.filename) == (b"\x89PNG", "image/png", "media.png")


async def test_the_storage_behind_a_redirect_never_sees_our_credentials(
    http: HttpClient, api: Api, server: BaseTestServer, storage: TestServer
) -> None:
    api.answer = partial(
        web.Response, status=302, headers={"Location": f"http://user:pass@127.0.0.1:{storage.port}/storage"}
    )
    media = await fetcher(server, http).fetch_media(str(server.make_url("/media")))
    assert media.content == b"a picture"
    (first, proof), (second, no_proof) = api.seen
    assert (first, second) == (f"{server.port}/media", f"{storage.port}/storage")
    assert proof is not None
    assert no_proof is None


async def test_credentials_go_to_no_other_host_than_the_api(
    http: HttpClient, api: Api, server: BaseTestServer, storage: TestServer
) -> None:
    hostile = [
        str(storage.make_url("/media")),
        f"http://127.0.0.1:{server.port}@127.0.0.1:{storage.port}/media",
        f"http://localhost:{server.port}/media",
        f"https://127.0.0.1:{server.port}/media",
        f"//127.0.0.1:{server.port}/media",
        "file:///etc/passwd",
        "/media",
        "",
        "http://[::1",
        f"http://127.0.0.1:{server.port}99999/",
    ]
    for url in hostile:
        error = await refusal(url, server, http)
        assert error.is_final, url
        assert TOKEN not in str(error)
    assert api.seen == []


@pytest.mark.parametrize(
    "location",
    [
        "https://10.0.0.1/x",
        "http://example.com/x",
        "https://169.254.169.254/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
    ],
)
async def test_a_redirect_into_our_own_network_is_not_followed(
    http: HttpClient, api: Api, server: BaseTestServer, location: str
) -> None:
    api.answer = partial(web.Response, status=307, headers={"Location": location})
    error = await refusal(str(server.make_url("/media")), server, http)
    assert error.is_final
    assert len(api.seen) == 1


async def test_a_circle_of_redirects_ends(http: HttpClient, api: Api, server: BaseTestServer) -> None:
    api.answer = partial(web.Response, status=301, headers={"Location": "/media"})
    assert (await refusal(str(server.make_url("/media")), server, http)).is_final
    assert len(api.seen) == 5


@pytest.mark.parametrize(
    ("answer", "is_final"),
    [
        (partial(web.Response, body=b"0" * (MAX_BYTES + 1)), True),
        (partial(web.Response, status=410), True),
        (partial(web.Response, status=404), False),
        (partial(web.Response, status=401), False),
        (partial(web.Response, status=500), False),
    ],
)
async def test_a_failure_says_whether_another_try_may_help(
    http: HttpClient, api: Api, server: BaseTestServer, answer: partial[web.Response], is_final: bool
) -> None:
    api.answer = answer
    assert (await refusal(str(server.make_url("/media")), server, http)).is_final is is_final


async def test_a_host_that_is_away_may_be_back(http: HttpClient, server: BaseTestServer) -> None:
    url, away = str(server.make_url("/media")), fetcher(server, http)
    await server.close()
    with pytest.raises(FetchFailed) as raised:
        await away.fetch_media(url)
    assert not raised.value.is_final


@pytest.mark.parametrize(
    ("headers", "content_type", "filename"),
    [
        ({"Content-Type": "application/pdf"}, "application/pdf", "media.pdf"),
        (
            {"Content-Type": "Application/PDF; x=1", "Content-Disposition": 'inline; filename="a b.pdf"'},
            "application/pdf",
            "a b.pdf",
        ),
        (
            {"Content-Disposition": "attachment; filename*=UTF-8''%e8%ab%8b%00.pdf"},
            "application/octet-stream",
            "請.pdf",
        ),
        (
            {"Content-Disposition": 'attachment; filename="..\\\\..\\\\/etc/passwd"'},
            "application/octet-stream",
            "passwd",
        ),
        ({"Content-Disposition": 'attachment; filename=".."'}, "application/octet-stream", "media.bin"),
        ({"Content-Disposition": "\xff\xfe;;;"}, "application/octet-stream", "media.bin"),
        ({"Content-Type": "text/html\x09 x"}, "application/octet-stream", "media.bin"),
    ],
)
async def test_names_and_types_are_made_safe(
    http: HttpClient, api: Api, server: BaseTestServer, headers: dict[str, str], content_type: str, filename: str
) -> None:
    api.answer = partial(web.Response, body=b"x", headers=headers)
    media = await fetcher(server, http).fetch_media(str(server.make_url("/media")))
    assert (media.content_type, media.filename) == (content_type, filename)
