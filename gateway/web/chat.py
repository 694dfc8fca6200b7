"""`GET /chat/socket` and `POST /chat/attachments`: web chat with visitors.

There are no cookies: a visitor is known by a signed token that their page keeps, so a page of somebody else's can do
nothing in their name. The Origin is checked all the same, because the shop says who may show its chat. A client that
sends none is let in: only browsers send an Origin, and only browsers have a visitor who must be protected from pages;
any other program could write whatever Origin it liked.

A message frame is acknowledged when the intake has it safe. What a visitor sees is read from the database by the
numbers of their own chat; the bus only says that there is more, so a lost notice delays and loses nothing.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from itertools import islice

import msgspec
import structlog
from aiohttp import WSCloseCode, web
from prometheus_client import Gauge

from channels.webchat import wire as frames
from channels.webchat.wire import FrameError
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import Forbidden, TooManyRequests, Unauthenticated, Unavailable
from gateway.services.attachments import save_upload
from gateway.services.attempts import client_key
from gateway.services.chat import PAGE, Chats, Visit, read_visitor
from gateway.services.identity import IdentityCheck
from gateway.services.links import Links
from gateway.web import wire
from gateway.web.auth import client_address
from gateway.web.context import Context
from gateway.web.limits import Buckets, ChatLimits
from gateway.web.problem import malformed
from gateway.web.sockets import SEND_TIMEOUT_S, Socket, SocketEnded, close_all, converse
from storage.chat import Visitor
from storage.live.contract import Notice, Subscription

SOCKET_PATH = "/chat/socket"
UPLOAD_PATH = "/chat/attachments"
_HELLO_TIMEOUT_S = 10.0
_CHECK_S = 15.0
_CHECKED_AT_ONCE = 500
_TYPING_EVERY_S = 2.0
_AWAY_S = 1.0  # how long to wait for the database before it is read again
_TOO_FAST = "too_fast"
_PAUSE_S = 0.2  # for whoever sends too fast: their next frame waits in the socket
_log = structlog.get_logger("gateway.chat")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    origins: Sequence[str]  # of the sites that may show the widget, lower case
    identity: IdentityCheck | None = None
    limits: ChatLimits = field(default_factory=ChatLimits)
    check_s: float = _CHECK_S
    send_timeout_s: float = SEND_TIMEOUT_S


class _Notice(msgspec.Struct):
    seq: int = 0
    typing: bool = False


_NOTICE = msgspec.json.Decoder(_Notice)


class _Upload(msgspec.Struct):
    id: str
    filename: str
    content_type: str
    size: int


class ChatSockets:
    """All sockets of visitors in this process; `run` must be running."""

    def __init__(self, context: Context, settings: ChatSettings) -> None:
        self.context = context
        self.settings = settings
        self.chats = Chats(
            db=context.db,
            bus=context.bus,
            submit=context.submit,
            links=Links(public_url=context.public_url, secret_key=context.secret_key),
            secret_key=context.secret_key,
            identity=settings.identity,
        )
        limits = settings.limits
        self.frames = Buckets(limits.frames, time.monotonic)
        self.messages = Buckets(limits.messages, time.monotonic)
        self.messages_per_address = Buckets(limits.messages_per_address, time.monotonic)
        self._opened = Buckets(limits.sockets, time.monotonic)
        self._uploads = Buckets(limits.uploads, time.monotonic)
        self._guests: set[_Guest] = set()
        self._open_by_address: Counter[str] = Counter()
        gauge = Gauge("gateway_chat_sockets", "Open sockets of visitors", registry=context.metrics)
        gauge.set_function(lambda: len(self._guests))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(SOCKET_PATH, self.handle, allow_head=False),
            web.post(UPLOAD_PATH, self.upload),
            web.options(UPLOAD_PATH, self.preflight),
        ]

    async def allow_origin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the shop's pages read the answer (CORS, Fetch standard 2026); for `on_response_prepare`."""
        origin = request.headers.get("Origin")
        if request.path == UPLOAD_PATH:
            response.headers["Vary"] = "Origin"
            if origin is not None and self._allows(origin):
                response.headers["Access-Control-Allow-Origin"] = origin

    async def preflight(self, request: web.Request) -> web.Response:
        self._require_origin(request)
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    def _allows(self, origin: str) -> bool:
        return origin.lower() in self.settings.origins

    def _require_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and not self._allows(origin):
            raise Forbidden("This site may not show the chat (Origin).")

    async def upload(self, request: web.Request) -> web.Response:
        """Keep a file, the body as it is, until a message of this visitor's names it; `?filename=` is its name."""
        self._require_origin(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        visitor = read_visitor(self.context.secret_key, token.strip()) if scheme.lower() == "bearer" else None
        if visitor is None:
            raise Unauthenticated("This needs the visitor's token.")
        if not self._uploads.take(visitor):
            raise TooManyRequests("That is a lot of files: wait a little.", retry_after_s=5)
        content = await wire.read_body(request, self.settings.limits.upload_bytes)
        if not content:
            raise malformed("The body is the file; it is empty.")
        kept = await save_upload(
            self.context.db,
            self.context.blobs,
            owner=f"visitor:{visitor}",
            filename=request.query.get("filename", ""),
            content=content,
            declared_type=request.headers.get("Content-Type"),
            now=self.context.now(),
        )
        answer = _Upload(id=kept.id, filename=kept.filename, content_type=kept.content_type, size=kept.size or 0)
        return web.Response(
            status=HTTPStatus.CREATED, body=msgspec.json.encode(answer), content_type="application/json"
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._require_origin(request)
        address = client_key(client_address(request))
        limits = self.settings.limits
        if self._open_by_address[address] >= limits.sockets_per_address or not self._opened.take(address):
            raise TooManyRequests("There are too many chats from here: wait a little.", retry_after_s=5)
        self._open_by_address[address] += 1
        socket = Socket(request, max_frame=frames.MAX_FRAME_BYTES, send_timeout_s=self.settings.send_timeout_s)
        try:
            await socket.open()
            with self.context.bus.subscribe() as subscription:
                guest = _Guest(self, socket, subscription, address)
                self._guests.add(guest)
                try:
                    await guest.greet()
                    await converse(socket, guest.read, guest.write, subscription.mark_lagged)
                finally:
                    self._guests.discard(guest)
        except SocketEnded as ended:
            await socket.close(ended.code, ended.reason)
        finally:
            self._open_by_address[address] -= 1
            if not self._open_by_address[address]:
                del self._open_by_address[address]
        return socket.response

    async def run(self) -> None:
        """Look for what was missed until cancelled."""
        while True:
            await asyncio.sleep(self.settings.check_s)
            try:
                await self._find_missed()
            except Unavailable:
                continue  # the writers read everything again once it is back

    async def _find_missed(self) -> None:
        guests = iter([guest for guest in self._guests if guest.visitor])
        while some := list(islice(guests, _CHECKED_AT_ONCE)):
            found = await self.chats.find_visitors([guest.visitor for guest in some])
            for guest in some:
                if guest.visitor in found:
                    await guest.note_visitor(found[guest.visitor])

    async def close(self) -> None:
        """Send every client away; it comes back to whoever serves then."""
        await close_all([guest.socket for guest in self._guests])


class _Guest:
    """One open socket. The reader answers frames, the writer alone sends messages, so that they keep their order.

    There may be thousands, mostly silent: slots, two tasks, no timer but the heartbeat.
    """

    __slots__ = (
        "_address",
        "_delivered",
        "_is_identified",
        "_known",
        "_seen",
        "_shown",
        "_sockets",
        "_subscription",
        "_typed_at",
        "seq",
        "socket",
        "visitor",
    )

    def __init__(self, sockets: ChatSockets, socket: Socket, subscription: Subscription, address: str) -> None:
        self.socket = socket
        self.visitor = ""
        self.seq = 0  # the last number sent of the visitor's own chat
        self._sockets = sockets
        self._subscription = subscription
        self._address = address
        self._known: Visitor | None = None
        self._is_identified = False
        self._shown: frozenset[str] = frozenset()  # messages from elsewhere that were sent
        self._delivered = 0
        self._seen = 0
        self._typed_at = 0.0

    async def greet(self) -> None:
        """Wait for the visitor to say who they are.

        Raises:
            SocketEnded: they said something else, or nothing.
        """
        data = await self.socket.receive(_HELLO_TIMEOUT_S)
        try:
            hello = frames.parse_frame(data)
        except FrameError as error:
            await self._answer(error)
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Say hello first.") from None
        if not isinstance(hello, frames.Hello):
            await self._answer(FrameError("hello_first", "The first frame is a hello."))
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Say hello first.")
        await self._enter(await self._sockets.chats.greet(hello.visitor, hello.identity, self._now()), hello.after_seq)

    async def _enter(self, visit: Visit, after_seq: int) -> None:
        self.visitor = visit.visitor
        self._is_identified = visit.is_identified
        if visit.known is not None:
            # Who says to have more than there is gets what comes from here on.
            self.seq = min(after_seq, visit.known.chat_seq)
            await self.note_visitor(visit.known)
        await self.socket.send(
            frames.build_welcome(token=visit.token, after_seq=self.seq, is_identified=visit.is_identified)
        )
        if visit.refusal is not None:
            _log.info("chat.identity_refused")
            await self._answer(FrameError("identity_refused", visit.refusal))

    async def note_visitor(self, known: Visitor) -> None:
        """Take in where the visitor stands now: they got an address, joined a contact, have more messages."""
        before, self._known = self._known, known
        if before is None or before.contact_id != known.contact_id:
            topics = self._topics(known)
            if before is not None:
                self._subscription.discard(*(self._topics(before) - topics))
            await self._subscription.add(*topics)
            self._subscription.mark_lagged()
        elif known.chat_seq > self.seq:
            self._subscription.mark_lagged()

    def _topics(self, known: Visitor) -> set[str]:
        own = f"visitor:{known.address_id}"
        return {own, f"contact:{known.contact_id}"} if self._is_identified else {own}

    def _now(self) -> datetime:
        return self._sockets.context.now()

    async def _answer(self, error: FrameError) -> None:
        await self.socket.send(frames.build_error(error.code, str(error), error.client_id))

    async def read(self) -> None:
        while True:
            data = await self.socket.receive()
            try:
                if not self._sockets.frames.take(self.visitor):
                    raise _too_fast(frames.find_client_id(data))
                await self._obey(frames.parse_frame(data))
            except FrameError as error:
                await self._answer(error)
                if error.code == _TOO_FAST:
                    await asyncio.sleep(_PAUSE_S)
            except Unavailable:
                await self._answer(FrameError("unavailable", "That did not work. Try again."))

    async def _obey(self, frame: frames.Frame) -> None:
        match frame:
            case frames.Say():
                await self._say(frame)
            case frames.Delivered():
                self._delivered = await self._report(MessageStatus.DELIVERED, self._delivered, frame.seq)
            case frames.Seen():
                self._seen = await self._report(MessageStatus.READ, self._seen, frame.seq)
            case frames.Typing():
                await self._tell_typing()
            case frames.Claim():
                await self._claim(frame)
            case frames.Ping():
                await self.socket.send(frames.PONG)
            case frames.Hello():
                raise FrameError("hello_twice", "To be somebody else, open another socket.")

    async def _say(self, frame: frames.Say) -> None:
        sockets = self._sockets
        if not sockets.messages.take(self.visitor) or not sockets.messages_per_address.take(self._address):
            raise _too_fast(frame.id)
        try:
            said = await sockets.chats.say(self.visitor, frame, self._now())
        except OSError:
            raise FrameError("unavailable", "The message could not be kept. Send it again.", frame.id) from None
        await self.socket.send(frames.build_ack(frame.id, said.message_id, said.chat_seq))
        if self._known is None and said.message_id is not None:
            found = await sockets.chats.find_visitors([self.visitor])
            if self.visitor in found:
                await self.note_visitor(found[self.visitor])

    async def _report(self, status: MessageStatus, after_seq: int, seq: int) -> int:
        """Pass on that messages up to `seq` came this far; return up to which they did."""
        up_to_seq = min(seq, self.seq)  # nobody can have what was not sent
        if self._known is None or up_to_seq <= after_seq:
            return after_seq
        try:
            await self._sockets.chats.report(
                self._known, status=status, after_seq=after_seq, up_to_seq=up_to_seq, now=self._now()
            )
        except OSError:
            raise Unavailable("The report could not be kept.") from None
        return up_to_seq

    async def _tell_typing(self) -> None:
        now = time.monotonic()
        if self._known is not None and now - self._typed_at >= _TYPING_EVERY_S:
            self._typed_at = now
            await self._sockets.chats.tell_typing(self._known)

    async def _claim(self, frame: frames.Claim) -> None:
        if not self._sockets.messages.take(self.visitor):
            raise _too_fast(None)
        await self.note_visitor(await self._sockets.chats.claim(self.visitor, frame.value, self._now()))
        await self.socket.send(frames.CLAIMED)

    async def write(self) -> None:
        while True:
            notice = await self._subscription.next()
            if self.socket.is_over:
                return
            try:
                await self._show(notice)
            except Unavailable:
                await asyncio.sleep(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret
                self._subscription.mark_lagged()

    async def _show(self, notice: Notice | None) -> None:
        if notice is None:
            await self._show_chat()
            await self._show_elsewhere()
        elif notice.topic.startswith("contact:"):
            await self._show_elsewhere()
        else:
            body = _NOTICE.decode(notice.body)
            if body.typing:
                await self.socket.send(frames.TYPING)
            if body.seq > self.seq:
                await self._show_chat()

    async def _show_chat(self) -> None:
        """Send what the visitor's own chat has beyond what was sent."""
        known = self._known
        is_more = known is not None
        while known is not None and is_more:
            found = await self._sockets.chats.list_messages(known.address_id, self.seq, self._now())
            for message in found:
                self.seq = message.chat_seq or self.seq
                await self.socket.send(frames.build_message(message))
            is_more = len(found) >= PAGE

    async def _show_elsewhere(self) -> None:
        """Send an identified customer what they exchanged with us elsewhere, as far as it was not sent."""
        if self._known is None or not self._is_identified:
            return
        found = await self._sockets.chats.list_elsewhere(self._known, self._now())
        for message in found:
            if message.id not in self._shown:
                await self.socket.send(frames.build_history(message))
        self._shown = frozenset(message.id for message in found)


def _too_fast(client_id: str | None) -> FrameError:
    return FrameError(_TOO_FAST, "That was too fast. Wait a little, then send it again.", client_id)
