"""How the stand-in for Twilio answers: its JSON, its errors, its pages."""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from gateway.sandbox.twilio_ledger import Accepted, Behaviour, DateFilter, Kind, Ledger, Resource, to_resource

T = TypeVar("T")

_DEFAULT_PAGE, _LARGEST_PAGE = 50, 1000  # Messages resource, 2026-11


class _Page(msgspec.Struct, kw_only=True):
    messages: list[Resource]
    page: int
    page_size: int
    next_page_uri: str | None
    uri: str


class _Error(msgspec.Struct):
    code: int
    message: str
    status: int
    more_info: str


def json_answer(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def error_answer(code: int, status: int, message: str) -> web.Response:
    return json_answer(_Error(code, message, status, f"https://www.twilio.com/docs/errors/{code}"), status)


def refusal(behaviour: Behaviour | None) -> web.Response | None:
    """Return the answer that takes nothing, if this is what was asked for."""
    if behaviour is None:
        return None
    if behaviour.kind is Kind.REFUSE:
        return error_answer(behaviour.code, behaviour.status or 400, "Refused on request")
    if behaviour.kind is Kind.THROTTLE:
        answer = error_answer(20429, 429, "Too Many Requests")
        answer.headers["Retry-After"] = str(behaviour.retry_after_s)
        return answer
    return None


def page_answer(ledger: Ledger, path: str, query: Mapping[str, str]) -> web.Response:
    """Return one page of the list, newest first; the token holds its place while messages come in."""
    size = min(max(int(query.get("PageSize", _DEFAULT_PAGE)), 1), _LARGEST_PAGE)
    dates = msgspec.convert(dict(query), type=DateFilter)
    known = ledger.sent_to(query["To"]) if "To" in query else ledger.messages
    found = [message for message in reversed(known) if dates.lets_through(message) and _is_from(message, query)]
    if token := query.get("PageToken"):
        last = ledger.find(token.removeprefix("PA"))
        found = found[found.index(last) + 1 :] if last in found else []
    page = int(query.get("Page", "0"))
    following = None
    if len(found) > size:
        kept = {name: value for name, value in query.items() if name not in ("Page", "PageToken")}
        following = f"{path}?{urlencode({**kept, 'Page': page + 1, 'PageToken': 'PA' + found[size - 1].sid})}"
    shown = [to_resource(message) for message in found[:size]]
    return json_answer(_Page(messages=shown, page=page, page_size=size, next_page_uri=following, uri=path))


def _is_from(message: Accepted, query: Mapping[str, str]) -> bool:
    return "From" not in query or query["From"] == message.sender


async def decode_request(request: web.Request, kind: type[T]) -> T:
    """Return the body.

    Raises:
        HTTPBadRequest: it isn't one; says where.
    """
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise web.HTTPBadRequest(text=str(error)) from None
