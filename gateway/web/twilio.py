"""Twilio's webhooks: verified, handed to intake, and only then acknowledged."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web

from channels.twilio import STATUS_PATH, SignatureCheck
from gateway.domain.errors import Forbidden, TooLarge
from gateway.domain.message import RawInbound, Source
from gateway.services.receive import Submit

MESSAGES_PATH = "/webhooks/twilio/messages"
# A form holds 4096 characters of text at most, percent-encoded some 50 KB, and small fields around it.
_MAX_BODY_BYTES = 256 * 1024
_EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'

Handler = Callable[[web.Request], Awaitable[web.Response]]


def twilio_routes(check: SignatureCheck, submit: Submit, now: Callable[[], datetime]) -> list[web.RouteDef]:
    """Return the two webhooks, each as POST and GET: Twilio calls them as its console is set."""
    routes = []
    for path, source in ((MESSAGES_PATH, Source.TWILIO_MESSAGE), (STATUS_PATH, Source.TWILIO_STATUS)):
        handler = _handler(source, check, submit, now)
        routes += [web.post(path, handler), web.get(path, handler, allow_head=False)]
    return routes


def _handler(source: Source, check: SignatureCheck, submit: Submit, now: Callable[[], datetime]) -> Handler:
    async def receive(request: web.Request) -> web.Response:
        received_at = now()
        raw_path = request.raw_path
        query = raw_path.partition("?")[2]
        form = await _read_form(request) if request.method == "POST" else None
        if not check.is_genuine(raw_path, form, request.headers):
            raise Forbidden("The signature is missing or wrong.")
        body = form if form is not None else query.encode()
        # Parsing happens behind the intake: what can't be read there is quarantined, and Twilio need not try again.
        await submit(RawInbound(source=source, received_at=received_at, body=body, meta={"query": query}))
        # An empty answer: a reply is a message of its own, sent over the API.
        return web.Response(body=_EMPTY_TWIML, content_type="text/xml")

    return receive


async def _read_form(request: web.Request) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it is longer than any form of Twilio's.
    """
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise TooLarge(f"A form has at most {_MAX_BODY_BYTES} bytes.")
    return bytes(body)
