"""`GET /chat/socket` and `POST /chat/attachments`: web chat with visitors.

There are no cookies: a visitor is known by a signed token that their page keeps, so a page of somebody else's can do
nothing in their name. The Origin is checked all the same, because the shop says who may show its chat. A client that
sends none is let in: only browsers send an Origin, and only browsers have a visitor who must be protected from pages;
any other program could write whatever Origin it liked.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from pathlib import Path

import msgspec
from aiohttp import web
from prometheus_client import Gauge

from channels.webchat import wire as frames
from gateway.domain.contact import ChannelName
from gateway.domain.errors import TooManyRequests, Unauthenticated, Unavailable
from gateway.services.attachments import save_upload
from gateway.services.attempts import client_key
from gateway.services.chat import Chats, read_visitor
from gateway.services.identity import IdentityCheck
from gateway.services.links import Links
from gateway.services.presence import Presence
from gateway.web import wire
from gateway.web.auth import client_address
from gateway.web.chat_pages import CONFIG_PATH, ChatFace, ChatPages
from gateway.web.context import Context
from gateway.web.guest import Guest, open_house
from gateway.web.limits import Buckets, ChatLimits
from gateway.web.origins import ShopOrigins
from gateway.web.pages import FRONT_END
from gateway.web.problem import malformed
from gateway.web.sockets import SEND_TIMEOUT_S, Socket, SocketEnded, close_all, converse, ping_all

SOCKET_PATH = "/chat/socket"
UPLOAD_PATH = "/chat/attachments"
_CHECK_S = 15.0
_CHECKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings:
    origins: Sequence[str]  # of the sites that may show the widget, lower case
    identity: IdentityCheck | None = None
    face: ChatFace = field(default_factory=ChatFace)
    ways: Collection[ChannelName] = ()  # by which an answer may go on to a visitor who is gone: those that are set up
    front_end: Path = FRONT_END
    limits: ChatLimits = field(default_factory=ChatLimits)
    check_s: float = _CHECK_S
    send_timeout_s: float = SEND_TIMEOUT_S
    presence_kept_s: float = 5.0  # who is at their desk is asked at most this often


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
        limits, face = settings.limits, settings.face
        chats = Chats(
            db=context.db,
            bus=context.bus,
            submit=context.submit,
            links=Links(public_url=context.public_url, secret_key=context.secret_key),
            secret_key=context.secret_key,
            identity=settings.identity,
        )
        presence = Presence(db=context.db, now=context.now, kept_s=settings.presence_kept_s)
        self._house = open_house(
            chats, presence, limits, now=context.now, shop=face.shop, topics=face.topics, ways=settings.ways
        )
        self._origins = ShopOrigins(settings.origins)
        self._pages = ChatPages(
            face,
            presence,
            self._origins,
            front_end=settings.front_end,
            max_upload_bytes=min(limits.upload_bytes, context.max_upload_bytes),
            has_transcript=ChannelName.EMAIL in settings.ways,
        )
        self._opened = Buckets(limits.sockets, time.monotonic)
        self._uploads = Buckets(limits.uploads, time.monotonic)
        self._guests: set[Guest] = set()
        self._open_by_address: Counter[str] = Counter()
        gauge = Gauge("gateway_chat_sockets", "Open sockets of visitors", registry=context.metrics)
        gauge.set_function(lambda: len(self._guests))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(SOCKET_PATH, self.handle, allow_head=False),
            web.post(UPLOAD_PATH, self.upload),
            web.options(UPLOAD_PATH, self.preflight),
            *self._pages.routes(),
        ]

    async def allow_origin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the shop's pages read our answers; for `on_response_prepare`."""
        if request.path in {UPLOAD_PATH, CONFIG_PATH}:
            self._origins.let_read(request, response)

    async def preflight(self, request: web.Request) -> web.Response:
        self._origins.require(request)
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Max-Age": "600",
        }
        return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)

    async def upload(self, request: web.Request) -> web.Response:
        """Keep a file, the body as it is, until a message of this visitor's names it; `?filename=` is its name."""
        self._origins.require(request)
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
        self._origins.require(request)
        address = client_key(client_address(request))
        limits = self.settings.limits
        if self._open_by_address[address] >= limits.sockets_per_address or not self._opened.take(address):
            raise TooManyRequests("There are too many chats from here: wait a little.", retry_after_s=5)
        self._open_by_address[address] += 1
        socket = Socket(request, max_frame=frames.MAX_FRAME_BYTES, send_timeout_s=self.settings.send_timeout_s)
        try:
            await socket.open()
            with self.context.bus.subscribe() as subscription:
                guest = Guest(self._house, socket, subscription, address)
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
        """Look for what was missed, and for who is gone, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ping_all(lambda: [guest.socket for guest in self._guests]))
            tasks.create_task(self._check())

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self.settings.check_s)
            try:
                await self._find_missed()
            except Unavailable:
                continue  # the writers read everything again once it is back

    async def _find_missed(self) -> None:
        guests = iter([guest for guest in self._guests if guest.visitor])
        while some := list(islice(guests, _CHECKED_AT_ONCE)):
            found = await self._house.chats.find_visitors([guest.visitor for guest in some])
            for guest in some:
                if guest.visitor in found:
                    await guest.note_visitor(found[guest.visitor])

    async def close(self) -> None:
        """Send every client away; it comes back to whoever serves then."""
        await close_all([guest.socket for guest in self._guests])
