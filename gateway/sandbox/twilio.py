"""A stand-in for Twilio's message API, with a memory: for demo mode, tests and benchmarks.

    async with TwilioStandIn(account_sid="AC...", auth_token="...").serving() as url: ...
    python -m gateway.sandbox.twilio --port 9001 --messages-url http://127.0.0.1:8080/webhooks/twilio/messages

It takes messages as Twilio does (Messages resource, 2026-11), calls back with signed forms, and fails on request. Its
own paths begin with an underscore:

    GET  /_ledger      every message it took
    POST /_behaviour   what to do wrong next: Behaviour, or a list of them; DELETE forgets them
    POST /_inbound     a customer writes: Inbound; answers with the SID and the status that the webhook gave
    POST /_callbacks   {"mode": "ordered"}
"""

import argparse
import asyncio
import base64
import binascii
import random
import re
import secrets
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import msgspec
import uvloop
from aiohttp import encode_basic_auth, web

from gateway.domain.segments import count_segments
from gateway.sandbox.instructions import Instructions
from gateway.sandbox.twilio_answers import decode_request, error_answer, json_answer, page_answer, refusal
from gateway.sandbox.twilio_callbacks import CallbackMode, Caller, arrange, callback_fields, status_words
from gateway.sandbox.twilio_ledger import Accepted, Behaviour, Kind, Ledger, to_resource

_MAX_BODY_CHARACTERS = 1600  # 21617
_MAX_MEDIA = 10  # 21623
_ADDRESS = re.compile(r"(whatsapp:.{3,140}|\+?[0-9]{3,15})")
# Customize users' opt-in and opt-out experience, 2026-11: whole messages, in any case; on text messages only.
_STOP_WORDS = frozenset(["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
_START_WORDS = frozenset(["START", "YES", "UNSTOP"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request to the API, as it came."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    form: Sequence[tuple[str, str]]


class Inbound(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A message from a customer. `media`: content type and content in base64."""

    sender: str = msgspec.field(name="from")
    to: str
    body: str = ""
    media: list[tuple[str, str]] = []
    fields: dict[str, str] = {}  # further fields of the form; an empty value takes one away
    sid: str | None = None  # a SID used before replays a message


class Delivered(msgspec.Struct):
    sid: str
    status: int  # what the webhook answered; 0: it could not be reached


class _Mode(msgspec.Struct, forbid_unknown_fields=True):
    mode: CallbackMode


@dataclass(slots=True)
class _Running:
    """What there is only while the stand-in serves."""

    url: str
    caller: Caller
    tasks: asyncio.TaskGroup
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    pending: set[asyncio.Task[None]] = field(default_factory=set)


class TwilioStandIn:
    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        messages_url: str | None = None,
        callbacks: CallbackMode = CallbackMode.NONE,
        late_s: float = 2.0,
        ledger: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.callbacks = callbacks
        self.messages_url = messages_url
        self.requests: deque[Seen] = deque(maxlen=200)
        self.behaviours = Instructions[Behaviour]()
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._authorization = encode_basic_auth(account_sid, auth_token)
        self._late_s = late_s
        self._ledger = Ledger(ledger)
        self._chance = random.Random(seed)  # noqa: S311  an order, no secret
        self._opted_out: set[str] = set()
        self._media: dict[str, tuple[str, bytes]] = {}
        self._running: _Running | None = None

    @property
    def accepted(self) -> list[Accepted]:
        """Every message it took, in order."""
        return self._ledger.messages

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve, and give the URL; callbacks that are still to go are dropped at the end."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        connector = aiohttp.TCPConnector(limit=100)
        with self._ledger:
            async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
                site = web.TCPSite(runner, host, port, backlog=1024)
                await site.start()
                name, actual = runner.addresses[0][:2]
                running = _Running(f"http://{name}:{actual}", Caller(self._auth_token, session), tasks)
                self._running = running
                try:
                    yield running.url
                finally:
                    running.closing.set()
                    for task in list(running.pending):
                        task.cancel()
                    await runner.cleanup()
                    self._running = None

    async def resume(self) -> None:
        """Go on with the callbacks that an earlier process was killed before; whoever is called must be up by now."""
        for message in self.accepted:
            if message.status == "queued":
                await self._start_reports(message)

    async def settle(self) -> None:
        """Wait until no callback is under way."""
        while pending := set(self._now_running().pending):
            await asyncio.wait(pending)

    async def send_inbound(self, message: Inbound) -> Delivered:
        """Write as a customer: post a signed form to the gateway."""
        running = self._now_running()
        if self.messages_url is None:
            raise ValueError("Where to? Set messages_url.")
        sid = message.sid or _new_sid("MM" if message.media else "SM")
        self._note_keyword(message)
        fields = self._inbound_fields(message, sid, running.url)
        return Delivered(sid, await running.caller.call(self.messages_url, fields))

    def _now_running(self) -> _Running:
        if self._running is None:
            raise RuntimeError("The stand-in is not serving.")
        return self._running

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        messages = "/2010-04-01/Accounts/{account}/Messages"
        app.add_routes(
            [
                web.post(messages + ".json", self._create),
                web.get(messages + ".json", self._list),
                web.get(messages + "/{message}.json", self._show),
                web.get(messages + "/{message}/Media/{media}", self._redirect_to_media),
                web.get("/_cdn/{media}", self._serve_media),
                web.get("/_ledger", self._show_ledger),
                web.post("/_behaviour", self._add_behaviours),
                web.delete("/_behaviour", self._forget_behaviours),
                web.post("/_inbound", self._post_inbound),
                web.post("/_callbacks", self._set_callbacks),
            ]
        )
        return app

    # The API

    def _refuse_stranger(self, request: web.Request, form: Sequence[tuple[str, str]] = ()) -> web.Response | None:
        self.requests.append(Seen(method=request.method, path=request.raw_path, headers=request.headers, form=form))
        if request.headers.get("Authorization") != self._authorization:
            return error_answer(20003, 401, "Authenticate")
        if request.match_info["account"] != self._account_sid:
            return error_answer(20404, 404, "The requested resource was not found")
        return None

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        if (refused := self._refuse_stranger(request, form)) is not None:
            return refused
        values = dict(form)
        media_urls = [value for name, value in form if name == "MediaUrl"]
        recipient = values.get("To", "")
        behaviour = self.behaviours.take(recipient)
        if (failure := refusal(behaviour)) is not None:
            return failure
        if (mistake := self._find_mistake(values, media_urls)) is not None:
            return mistake
        if behaviour is not None and behaviour.kind in (Kind.FAULT, Kind.HANG) and not behaviour.accepts:
            return await self._fail(behaviour, request)
        message = Accepted(
            sid=_new_sid("MM" if media_urls else "SM"),
            account_sid=self._account_sid,
            to=recipient,
            sender=values.get("From"),
            messaging_service_sid=values.get("MessagingServiceSid"),
            body=values.get("Body", ""),
            media_urls=media_urls,
            status_callback=values.get("StatusCallback"),
            created_at=datetime.now(UTC),
            undelivered_code=behaviour.code if behaviour and behaviour.kind is Kind.UNDELIVERED else None,
        )
        self._ledger.add(message)
        answer = json_answer(to_resource(message), 201)
        await self._start_reports(message)
        if behaviour is not None and behaviour.kind is not Kind.UNDELIVERED:
            return await self._fail(behaviour, request)
        return answer

    def _find_mistake(self, values: Mapping[str, str], media_urls: Sequence[str]) -> web.Response | None:
        recipient = values.get("To", "")
        if not recipient:
            return error_answer(21604, 400, "A 'To' phone number is required.")
        if not _ADDRESS.fullmatch(recipient):
            return error_answer(21211, 400, "The 'To' number is not a valid phone number.")
        if not values.get("From") and not values.get("MessagingServiceSid"):
            return error_answer(21603, 400, "A 'From' phone number is required.")
        if not values.get("Body") and not media_urls:
            return error_answer(21602, 400, "Message body is required.")
        if len(values.get("Body", "")) > _MAX_BODY_CHARACTERS:
            return error_answer(21617, 400, "The concatenated message body exceeds the 1600 character limit.")
        if len(media_urls) > _MAX_MEDIA:
            return error_answer(21623, 400, "Number of media files exceeds allowed limit.")
        if recipient in self._opted_out:
            return error_answer(21610, 400, "Attempt to send to unsubscribed recipient")
        return None

    async def _fail(self, behaviour: Behaviour, request: web.Request) -> web.StreamResponse:
        if behaviour.kind is Kind.FAULT:
            return error_answer(20500, behaviour.status or 500, "Internal Server Error")
        if behaviour.kind is Kind.GARBLE:
            return web.Response(status=201, text="<html>it went well</html>")
        if behaviour.kind is Kind.HANG:
            await self._now_running().closing.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _list(self, request: web.Request) -> web.Response:
        if (refused := self._refuse_stranger(request)) is not None:
            return refused
        return page_answer(self._ledger, request.path, request.query)

    async def _show(self, request: web.Request) -> web.Response:
        if (refused := self._refuse_stranger(request)) is not None:
            return refused
        message = self._ledger.find(request.match_info["message"])
        return error_answer(20404, 404, "Not found") if message is None else json_answer(to_resource(message))

    async def _redirect_to_media(self, request: web.Request) -> web.Response:
        if (refused := self._refuse_stranger(request)) is not None:
            return refused
        # Another host than the API's by name, as Twilio's storage is.
        location = f"http://localhost:{request.url.port}/_cdn/{request.match_info['media']}"
        return web.Response(status=307, headers={"Location": location})

    async def _serve_media(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:  # the storage behind the redirect takes no second proof of identity
            return web.Response(status=400, text="InvalidArgument: only one auth mechanism allowed")
        content_type, content = self._media.get(request.match_info["media"], ("", b""))
        if not content_type:
            return web.Response(status=404)
        return web.Response(body=content, headers={"Content-Type": content_type})

    # Reports

    async def _start_reports(self, message: Accepted) -> None:
        code = message.undelivered_code
        if self.callbacks is CallbackMode.EARLY:
            await self._report(message, code, 0)
            return
        if self.callbacks is CallbackMode.NONE or not message.status_callback:
            for word in status_words(message, code):
                _progress(message, word, code)
            return
        late_s = self._late_s if self.callbacks is CallbackMode.LATE else 0
        running = self._now_running()
        task = running.tasks.create_task(self._report(message, code, late_s))
        running.pending.add(task)
        task.add_done_callback(running.pending.discard)

    async def _report(self, message: Accepted, code: int | None, late_s: float) -> None:
        if late_s:
            await asyncio.sleep(late_s)
        caller = self._now_running().caller
        for word in arrange(status_words(message, code), self.callbacks, self._chance):
            _progress(message, word, code)
            if message.status_callback:
                await caller.call(message.status_callback, callback_fields(message, word, code))
        self._ledger.note(message)

    # Customers

    def _note_keyword(self, message: Inbound) -> None:
        word = message.body.strip().upper()
        if word in _STOP_WORDS and not message.sender.startswith("whatsapp:"):
            self._opted_out.add(message.sender)
        elif word in _START_WORDS:
            self._opted_out.discard(message.sender)

    def _inbound_fields(self, message: Inbound, sid: str, url: str) -> list[tuple[str, str]]:
        fields = {
            "ToCountry": "US",
            "SmsMessageSid": sid,
            "NumMedia": str(len(message.media)),
            "FromState": "",
            "SmsSid": sid,
            "SmsStatus": "received",
            "Body": message.body,
            "To": message.to,
            "NumSegments": str(count_segments(message.body)),
            "MessageSid": sid,
            "AccountSid": self._account_sid,
            "From": message.sender,
            "ApiVersion": "2010-04-01",
        }
        for number, (content_type, content) in enumerate(message.media):
            media_sid = _new_sid("ME")
            self._media[media_sid] = (content_type, base64.b64decode(content, validate=True))
            path = f"/2010-04-01/Accounts/{self._account_sid}/Messages/{sid}/Media/{media_sid}"
            fields |= {f"MediaUrl{number}": url + path, f"MediaContentType{number}": content_type}
        taken_away = {name for name, value in message.fields.items() if not value}
        return [(name, value) for name, value in (fields | message.fields).items() if name not in taken_away]

    # Its own paths

    async def _show_ledger(self, request: web.Request) -> web.Response:
        return json_answer(self.accepted)

    async def _add_behaviours(self, request: web.Request) -> web.Response:
        is_list = (await request.read()).lstrip().startswith(b"[")
        many = await decode_request(request, list[Behaviour]) if is_list else [await decode_request(request, Behaviour)]
        for behaviour in many:
            self.behaviours.add(behaviour)
        return web.Response(status=204)

    async def _forget_behaviours(self, request: web.Request) -> web.Response:
        self.behaviours.clear()
        return web.Response(status=204)

    async def _post_inbound(self, request: web.Request) -> web.Response:
        try:
            return json_answer(await self.send_inbound(await decode_request(request, Inbound)))
        except binascii.Error as error:
            raise web.HTTPBadRequest(text=f"media: {error}") from None

    async def _set_callbacks(self, request: web.Request) -> web.Response:
        self.callbacks = (await decode_request(request, _Mode)).mode
        return web.Response(status=204)


def _new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def _progress(message: Accepted, word: str, code: int | None) -> None:
    message.status = word
    if message.sent_at is None:
        message.sent_at = datetime.now(UTC)
    if word == "undelivered":
        message.error_code = code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gateway.sandbox.twilio", description="A stand-in for Twilio's message API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--account-sid", default="AC" + "0" * 32)
    parser.add_argument("--auth-token", default="sandbox", help="signs webhooks; the gateway must know it")
    parser.add_argument("--messages-url", help="where customers' messages are posted")
    parser.add_argument("--callbacks", type=CallbackMode, choices=list(CallbackMode), default=CallbackMode.ORDERED)
    parser.add_argument("--late-s", type=float, default=2.0)
    parser.add_argument(
        "--ledger", type=Path, help="a file that keeps every accepted message, written before the answer"
    )
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    stand_in = TwilioStandIn(
        account_sid=arguments.account_sid,
        auth_token=arguments.auth_token,
        messages_url=arguments.messages_url,
        callbacks=arguments.callbacks,
        late_s=arguments.late_s,
        ledger=arguments.ledger,
    )
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with stand_in.serving(arguments.host, arguments.port) as url:
        sys.stdout.write(f"listening on {url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(_arguments()))
