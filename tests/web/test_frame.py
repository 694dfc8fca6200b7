"""What every endpoint of `/v1` has in common: bad input never is a fault of ours, and every mistake has a path."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Annotated, get_args, get_type_hints

import msgspec
import pytest
from aiohttp import web

from gateway.domain.agent import Role
from gateway.domain.errors import (
    BadInput,
    Conflict,
    Forbidden,
    GatewayError,
    Gone,
    InputError,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from gateway.domain.ids import new_id
from gateway.domain.message import Json
from gateway.web.paging import IdCursor, PageQuery, TimeCursor, decode_cursor, encode_cursor
from gateway.web.permissions import Action
from gateway.web.problem import _STATUS, HttpError
from gateway.web.routes import Call, Route
from gateway.web.server import API_ROUTES
from storage.database import Database, Transaction, open_database
from storage.live.contract import LiveBus
from tests.support.api import START, Api, serving

JSON = {"Content-Type": "application/json"}


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    inner: list[Inner] = []
    data: dict[str, Json] = {}
    number: Annotated[int, msgspec.Meta(le=10)] | None = None


class Echo(msgspec.Struct):
    text: str


class Filter(PageQuery, forbid_unknown_fields=True):
    q: str | None = None


async def echo(call: Call[Thing, None], _tx: Transaction) -> Echo:
    return Echo(call.body.text)


async def echo_query(call: Call[None, Filter]) -> Echo:
    decode_cursor(call.query.after, TimeCursor)
    return Echo(f"{call.query.limit} {call.query.q}")


async def echo_path(call: Call[None, None]) -> Echo:
    return Echo(call.id)


async def echo_name(call: Call[None, None], _tx: Transaction) -> Echo:
    return Echo(call.path["name"])


class Fault:
    error: Exception = RuntimeError()


async def fail(_call: Call[None, None]) -> Echo:
    raise Fault.error


ROUTES = (
    *API_ROUTES,
    Route("POST", "/v1/things", Action.CONVERSATION_REPLY, echo, body=Thing, response=Echo),
    Route("GET", "/v1/things", Action.CONVERSATION_READ, echo_query, query=Filter, response=Echo),
    Route("GET", "/v1/things/{id}", Action.CONVERSATION_READ, echo_path, response=Echo),
    Route("POST", "/v1/named/{name}", Action.CONVERSATION_READ, echo_name, response=Echo),
    Route("GET", "/v1/fail", None, fail, response=Echo),
)


async def boom(_request: web.Request) -> web.Response:
    raise Fault.error


@pytest.fixture
async def api(sqlite_url: str, bus: LiveBus) -> AsyncIterator[Api]:
    database: Database = open_database(sqlite_url, bus)
    async with serving(database, bus, routes=ROUTES, others=[web.get("/boom", boom)]) as served:
        yield served
    await database.close()


@pytest.mark.parametrize(
    ("body", "status", "paths"),
    [
        (b'{"text": "hello"}', 200, []),
        (b'{"text": "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85", "number": null}', 200, []),
        (b"{", 400, ["$"]),
        (b'{"text": "\xff"}', 400, ["$"]),
        (b'{"text": "\\ud800"}', 400, ["$"]),
        (b'{"text": "a\x00b"}', 400, ["$"]),
        (b"\xef\xbb\xbf{}", 400, ["$"]),
        (b'{"text": "a\\u0000b"}', 422, ["$.text"]),
        (b'{"text": "a", "data": {"k": [1, "\\u0000"]}}', 422, ["$.data.k[1]"]),
        (b'{"text": "a", "data": {"\\u0000": 1}}', 422, ["$.data"]),
        (b'{"text": "a\\\\u0000b"}', 200, []),
        (b"", 422, ["$.text"]),
        (b"null", 422, ["$"]),
        (b"[]", 422, ["$"]),
        (b'{"text": 1}', 422, ["$.text"]),
        (b'{"text": "a", "number": 11}', 422, ["$.number"]),
        (b'{"text": "a", "number": 1e400}', 422, ["$.number"]),
        (b'{"text": "a", "inner": [{"text": "b"}, {"text": null}]}', 422, ["$.inner[1].text"]),
        (b'{"text": "a", "inner": [{}]}', 422, ["$.inner[0].text"]),
        (b'{"text": "a", "other": 1}', 422, ["$.other"]),
        (b'{"text": "a", "data": ' + b'{"a":' * 9000 + b"1" + b"}" * 9000 + b"}", 400, ["$"]),
        (b'{"text": "a", "data": {"a":' + b"[" * 100_000, 400, ["$"]),
    ],
)
async def test_a_body_is_taken_or_refused_with_the_place_of_the_mistake(
    api: Api, body: bytes, status: int, paths: list[str]
) -> None:
    answer = await api.ask("POST", "/v1/things", {**await api.as_agent(), **JSON}, data=body)
    assert answer.status == status
    if paths:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.paths == paths


@pytest.mark.parametrize(
    ("query", "status", "path"),
    [
        ("", 200, None),
        ("?limit=500&q=null", 200, None),
        ("?limit=501", 400, "$.limit"),
        ("?limit=0", 400, "$.limit"),
        ("?limit=many", 400, "$.limit"),
        ("?limit=" + "9" * 5000, 400, "$.limit"),
        ("?limit=1&limit=2", 400, "$.limit"),
        ("?other=1", 400, "$.other"),
        ("?q=%00", 400, "$.q"),
        ("?q=%ff", 400, "$"),
        ("?q=%ed%a0%80", 400, "$"),
        ("?q=%", 200, None),
        ("?" + "&".join(f"a{n}=1" for n in range(60)), 400, "$"),
        ("?after=nonsense", 400, "$.after"),
        ("?after=%C3%A9", 400, "$.after"),
        ("?after=" + encode_cursor(IdCursor("018f0000-0000-7000-8000-000000000001")), 400, "$.after"),
        ("?after=" + encode_cursor(TimeCursor(START, "018f0000-0000-7000-8000-000000000001")), 200, None),
        ("?after=WyIyMDI2LTExLTAyVDA5OjAwOjAwWiIsIm5vIGlkIl0", 400, "$.after"),
        (
            "?after=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjAwIiwiMDE5M2UyYzgtNjQwYi03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIl0",
            400,
            "$.after",
        ),
    ],
)
async def test_a_query_is_taken_or_refused_with_the_place_of_the_mistake(
    api: Api, query: str, status: int, path: str | None
) -> None:
    answer = await api.ask("GET", f"/v1/things{query}", await api.as_agent())
    assert answer.status == status
    if path is not None:
        assert answer.paths == [path]


async def test_what_can_not_be_an_id_is_not_found(api: Api) -> None:
    agent = await api.as_agent()
    for id_ in ("1", "%00", "%ff", "..%2f..", "x" * 3000, "é"):
        assert (await api.ask("GET", f"/v1/things/{id_}", agent)).status == 404
    id_ = new_id()
    assert (await api.ask("GET", f"/v1/things/{id_.upper()}", agent)).json == {"text": id_}


async def test_a_name_in_a_path_holds_no_control_characters(api: Api) -> None:
    agent = await api.as_agent()
    assert (await api.ask("POST", "/v1/named/general", agent)).json == {"text": "general"}
    for name in ("%00", "a%0ab", "%7f", "%c2%85"):
        assert (await api.ask("POST", f"/v1/named/{name}", agent)).status == 404
    assert (await api.ask("POST", "/v1/named/%ed%a0%80%ff", agent)).status < 500


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""])
async def test_a_body_that_is_not_json_is_refused(api: Api, kind: str) -> None:
    headers = {**await api.as_agent(), "Content-Type": kind}
    assert (await api.ask("POST", "/v1/things", headers, data=b'{"text": "a"}')).status == 415


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_a_form_can_send_is_refused_without_a_body_too(api: Api, kind: str) -> None:
    headers = {**await api.as_agent(), "Content-Type": kind}
    assert (await api.ask("POST", "/v1/named/general", headers)).status == 415


async def test_json_is_known_with_a_charset_too(api: Api) -> None:
    headers = {**await api.as_agent(), "Content-Type": "application/json; charset=utf-8"}
    assert (await api.ask("POST", "/v1/things", headers, data=b'{"text": "a"}')).status == 200


async def test_a_body_where_none_is_taken_is_refused_unless_it_is_empty(api: Api) -> None:
    agent = await api.as_agent()
    assert (await api.ask("POST", "/v1/named/general", agent, json={})).status == 200
    assert (await api.ask("POST", "/v1/named/general", agent, json={"a": 1})).status == 422
    assert (await api.ask("POST", "/v1/named/general", {**agent, **JSON}, data=b"{")).status == 400


async def test_a_huge_body_is_refused_announced_or_not(api: Api) -> None:
    headers = {**await api.as_agent(), **JSON}
    huge = b'{"text": "' + b"a" * (1024 * 1024) + b'"}'
    assert (await api.ask("POST", "/v1/things", headers, data=huge)).status == 413

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(huge), 65536):
            yield huge[start : start + 65536]

    async with api.client.post("/v1/things", headers=headers, data=pieces()) as response:
        assert response.status == 413


async def test_a_compressed_body_is_read_and_one_that_swells_is_refused(api: Api) -> None:
    headers = {**await api.as_agent(), **JSON, "Content-Encoding": "gzip"}
    small, bomb = gzip.compress(b'{"text": "a"}'), gzip.compress(b" " * 200_000_000)
    assert (await api.ask("POST", "/v1/things", headers, data=small)).status == 200
    assert (await api.ask("POST", "/v1/things", headers, data=bomb)).status == 413
    assert (await api.ask("POST", "/v1/things", headers, data=b"no gzip")).status == 400


async def test_unknown_paths_and_methods_are_problems_too(api: Api) -> None:
    missing = await api.ask("GET", "/v1/nothing")
    assert (missing.status, missing.json["title"]) == (404, "Not Found")
    wrong = await api.ask("PATCH", "/v1/things")
    assert wrong.status == 405
    assert set(wrong.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
    assert wrong.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("no", (InputError(path="$.a", message="no"),)), 422),
        (Unauthenticated("no"), 401),
        (Forbidden("no"), 403),
        (NotFound("no"), 404),
        (Gone("no"), 410),
        (Conflict("no"), 409),
        (TooLarge("no"), 413),
        (TooManyRequests("no", retry_after_s=0.2), 429),
        (Unavailable("no"), 503),
        (web.HTTPForbidden(text="<b>"), 403),
    ],
)
async def test_each_error_of_ours_has_its_status(api: Api, error: Exception, status: int) -> None:
    Fault.error = error
    answer = await api.ask("GET", "/v1/fail")
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.json.keys() >= {"type", "title", "status", "detail"}
    assert ("Retry-After" in answer.headers) == (status in {429, 503})
    assert answer.headers.get("Retry-After") != "0"


def test_every_error_that_a_caller_can_meet_is_mapped() -> None:
    # These two are met by workers alone, and HttpError carries its status.
    elsewhere = {"ParseFailure", "SendError", "FetchFailed"}
    kinds = {kind for kind in GatewayError.__subclasses__() if kind.__module__ == GatewayError.__module__}
    assert {kind.__name__ for kind in kinds - set(_STATUS)} == elsewhere
    assert HttpError not in _STATUS


async def test_a_fault_of_ours_says_nothing_but_its_number_and_the_log_holds_no_words(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    Fault.error = RuntimeError("the customer wrote: my card is 4111")
    for path in ("/v1/fail", "/boom?q=private-query"):
        answer = await api.ask("GET", path)
        assert answer.status == 500
        assert b"4111" not in answer.body
        logged = "".join(capsys.readouterr())
        assert answer.json["request_id"] in logged
        assert "RuntimeError" in logged
        assert "test_frame.py" in logged
        assert "4111" not in logged
        assert "private-query" not in logged


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/v1/nothing", "/healthz", "/v1/me", "/v1/fail"])
async def test_every_answer_carries_the_security_headers(api: Api, path: str) -> None:
    Fault.error = RuntimeError()
    headers = (await api.ask("GET", path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers.get("Cache-Control") == ("no-store" if path.startswith("/v1/") else None)
    assert "aiohttp" not in headers["Server"]


async def test_health_says_what_is_amiss(sqlite_url: str, bus: LiveBus) -> None:
    database = open_database(sqlite_url, bus)

    async def fine() -> bool:
        return True

    async def away() -> bool:
        raise Unavailable("away")

    async with serving(database, bus, checks={"database": fine, "bus": fine}) as api:
        assert (await api.ask("GET", "/healthz")).status == 200
        ready = await api.ask("GET", "/readyz")
        assert (ready.status, ready.json["checks"]) == (200, {"database": "ok", "bus": "ok"})
    async with serving(database, bus, checks={"database": away, "bus": fine}) as api:
        assert (await api.ask("GET", "/healthz")).status == 200
        ready = await api.ask("GET", "/readyz")
        assert (ready.status, ready.json["checks"]) == (503, {"database": "failed", "bus": "ok"})
    await database.close()


async def test_metrics_answer_the_machine_itself_and_whoever_has_a_token(api: Api) -> None:
    await api.ask("GET", f"/v1/things/{new_id()}")
    answer = await api.ask("GET", "/metrics")
    assert answer.status == 200
    assert b'route="/v1/things/{id}"' in answer.body
    forwarded = {"X-Forwarded-For": "127.0.0.1"}
    assert (await api.ask("GET", "/metrics", forwarded)).status == 401
    assert (await api.ask("GET", "/metrics", {**forwarded, **await api.as_program()})).status == 200
    assert (await api.ask("GET", "/metrics", {**forwarded, **await api.as_agent(Role.AGENT)})).status == 403


async def test_invented_methods_and_paths_do_not_swell_the_metrics(api: Api) -> None:
    for n in range(3):
        await api.ask(f"METHOD{n}", f"/no/{n}")
    body = (await api.ask("GET", "/metrics")).body
    assert b"METHOD" not in body
    assert b"/no/" not in body


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_handler_is_declared_with_the_types_it_takes(route: Route) -> None:
    hints = get_type_hints(route.handler)
    body, query = get_args(hints.pop("call", None) or hints.pop("_call"))
    assert body == (route.body or type(None))
    assert query == (route.query or type(None))
    answers = hints.pop("return")
    takes_transaction = not (route.is_read or route.own_transaction)
    assert list(hints.values()) == ([Transaction] if takes_transaction else [])
    if not (isinstance(answers, type) and issubclass(answers, web.StreamResponse)):
        assert answers == (route.response or type(None))


async def raw_status(api: Api, request: bytes) -> int:
    """Send bytes that no client library would and return the answer's status."""
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(request)
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v1/things?q=\xff HTTP/1.1",
        b"GET /v1/things?\xff=1 HTTP/1.1",
        b"GET /v1/things/\xff HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"POST /v1/named/\xff HTTP/1.1\r\nContent-Length: 0",
        b"GET /v1/me HTTP/1.1\r\nAuthorization: Bearer \xff\xfe",
        b"GET /v1/me HTTP/1.1\r\nAuthorization: \xff\xfe",
        b"GET /v1/me HTTP/1.1\r\nCookie: gateway_session=\xff",
        b"GET /v1/me HTTP/1.1\r\nCookie: \xff=\xff",
        b"POST /v1/named/a HTTP/1.1\r\nContent-Length: 0\r\nIdempotency-Key: \xff",
        b"POST /v1/named/a HTTP/1.1\r\nContent-Length: 0\r\nContent-Type: \xff/\xff; charset=\xff",
        b"POST /v1/session HTTP/1.1\r\nContent-Length: 2\r\nOrigin: \xff\r\nContent-Type: application/json\r\n\r\n{}",
        b"POST /v1/session HTTP/1.1\r\nContent-Length: 29\r\nX-Forwarded-For: \xff\r\nContent-Type: application/json"
        b'\r\n\r\n{"email":"a","password":"bcd"}',
    ],
)
async def test_bytes_that_are_no_text_are_never_a_fault_of_ours(api: Api, line: bytes) -> None:
    program = (await api.as_program())["Authorization"].encode()
    credentials = b"" if b"Authorization" in line or b"Cookie" in line else b"Authorization: " + program + b"\r\n"
    start, _, rest = line.partition(b"\r\n")
    request = start + b"\r\nHost: desk\r\n" + credentials + rest
    status = await raw_status(api, request if b"\r\n\r\n" in rest else request + b"\r\n\r\n")
    assert status < 500


async def test_a_body_that_breaks_off_is_no_fault_of_ours(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    headers = {**await api.as_agent(), **JSON, "Content-Length": "1000", "Host": "x"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(f"POST /v1/things HTTP/1.1\r\n{head}\r\n".encode() + b'{"text"')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await api.ask("GET", "/healthz")).status == 200
    assert "request.failed" not in "".join(capsys.readouterr())
    del reader
