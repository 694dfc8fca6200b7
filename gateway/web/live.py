"""`GET /v1/live`: what happens in conversations, to agents and programs that look at them, as it happens.

How nothing is lost: a conversation's events are numbered without gaps. Whoever subscribes first listens on the bus,
then is sent what stands in the database, then what the bus brings. An event that is not the next one, or word from the
bus that some may be missing, has the database read; and four times a minute the last numbers of all conversations that
are looked at here are compared with what was sent, which finds a last notice that nobody heard.

A slow client costs nothing but its own time: what it does not read is dropped beyond the backlog of its subscription,
and sent again from the database when it does read; one that takes nothing at all is cut off.
"""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice

import msgspec
from aiohttp import WSCloseCode, web
from prometheus_client import Gauge

from gateway.domain.errors import BadInput, InputError, NotFound, Unauthenticated, Unavailable
from gateway.domain.ids import parse_id
from gateway.services.chat import tell_agent_typing
from gateway.web import auth, wire
from gateway.web.context import Context
from gateway.web.paging import Seq
from gateway.web.permissions import Action, Principal
from gateway.web.problem import HttpError, problem_response
from gateway.web.sockets import SEND_TIMEOUT_S, Socket, SocketEnded, close_all, converse, ping_all
from storage.events import list_events, load_last_seqs
from storage.live.contract import Notice, Subscription
from storage.presence import note_live
from storage.sessions import find_session

PATH = "/v1/live"
MAX_SUBSCRIPTIONS = 500
_MAX_FRAME_BYTES = 256 * 1024
_PAGE = 200
_CHECK_S = 15.0
_CHECKED_AT_ONCE = 500
_PROVE_EVERY = 4  # checks
_TYPING_EVERY_S = 2.0
_AWAY_S = 1.0  # how long to wait for the database before it is read again
# Word that the list may have changed unseen: at the beginning, and whenever notices may have been missed.
_READ_THE_LIST = b'{"inbox":null}'


class _ClientFrame(msgspec.Struct, forbid_unknown_fields=True):
    subscribe: dict[str, Seq] | None = None  # conversation: the last number that the client has
    unsubscribe: list[str] | None = None
    typing: str | None = None
    ping: int | None = None


class _EventHead(msgspec.Struct):
    seq: int


class _TypingAgent(msgspec.Struct):
    id: str


class _TypingHead(msgspec.Struct):
    agent: _TypingAgent | None = None


class _Body(msgspec.Struct):
    """As much as must be known of a conversation's notice to forward it as it is."""

    event: _EventHead | None = None
    typing: _TypingHead | None = None


_BODY = msgspec.json.Decoder(_Body)


class LiveSockets:
    """All sockets of agents in this process; `run` must be running."""

    def __init__(self, context: Context, *, check_s: float = _CHECK_S, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._context = context
        self._check_s = check_s
        self._send_timeout_s = send_timeout_s
        self._viewers: set[_Viewer] = set()
        gauge = Gauge("gateway_live_sockets", "Open sockets of agents", registry=context.metrics)
        gauge.set_function(lambda: len(self._viewers))

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.handle, allow_head=False)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        principal = await auth.admit(request, Action.LIVE_SUBSCRIBE, is_write=True)
        principal.require(Action.CONVERSATION_READ)
        await self._note_present([principal])
        socket = Socket(request, max_frame=_MAX_FRAME_BYTES, send_timeout_s=self._send_timeout_s)
        await socket.open()
        with self._context.bus.subscribe() as subscription:
            viewer = _Viewer(self._context, request, socket, principal, subscription)
            self._viewers.add(viewer)
            try:
                await subscription.add("inbox", f"agent:{principal.id}")
                await converse(socket, viewer.read, viewer.write, subscription.mark_lagged)
            finally:
                self._viewers.discard(viewer)
        return socket.response

    async def run(self) -> None:
        """Look for what was missed, and for who is gone, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ping_all(lambda: [viewer.socket for viewer in self._viewers]))
            tasks.create_task(self._check())

    async def _check(self) -> None:
        checks = 0
        while True:
            await asyncio.sleep(self._check_s)
            checks += 1
            try:
                await self._note_present([viewer.principal for viewer in self._viewers])
                await self._find_missed()
                if checks % _PROVE_EVERY == 0:
                    await self._prove_all()
            except Unavailable:
                continue  # the writers read everything again once it is back

    async def _note_present(self, principals: Iterable[Principal]) -> None:
        """Note, for visitors of the chat, that these agents are there."""
        sessions = {principal.session for principal in principals if principal.session is not None}
        if sessions:
            await self._context.db.write(lambda tx: note_live(tx, sessions, self._context.now()))

    async def _find_missed(self) -> None:
        viewers = list(self._viewers)
        ids = iter({id_ for viewer in viewers for id_ in viewer.positions})
        last: dict[str, int] = {}
        while some := list(islice(ids, _CHECKED_AT_ONCE)):
            async with self._context.db.read() as conn:
                last |= await load_last_seqs(conn, some)
        for viewer in viewers:
            if any(last.get(id_, 0) > position for id_, position in viewer.positions.items()):
                viewer.subscription.mark_lagged()

    async def _prove_all(self) -> None:
        for viewer in list(self._viewers):
            try:
                await viewer.prove()
            except SocketEnded as ended:
                await viewer.socket.close(ended.code, ended.reason)

    async def close(self) -> None:
        """Send every client away; it comes back to whoever serves then."""
        await close_all([viewer.socket for viewer in self._viewers])


class _Viewer:
    """One open socket. The lock keeps what the reader and the writer send of a conversation in its order."""

    def __init__(
        self,
        context: Context,
        request: web.Request,
        socket: Socket,
        principal: Principal,
        subscription: Subscription,
    ) -> None:
        self.socket = socket
        self.subscription = subscription
        self.principal = principal
        self.positions: dict[str, int] = {}  # the last number sent, by conversation
        self._context = context
        self._request = request
        self._lock = asyncio.Lock()
        self._typed_at: dict[str, float] = {}

    async def read(self) -> None:
        while True:
            data = await self.socket.receive()
            try:
                await self._obey(data)
            except BadInput as error:
                await self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), error.errors)
            except HttpError as error:
                await self._refuse(error.status, str(error), error.errors)
            except Unavailable as error:
                await self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    async def _refuse(self, status: int, detail: str, errors: tuple[InputError, ...] = ()) -> None:
        problem = problem_response(status, detail, errors=errors).body
        assert isinstance(problem, bytes)  # noqa: S101  it is made of bytes
        await self.socket.send(b'{"error":' + problem + b"}")

    async def _obey(self, data: bytes) -> None:
        frame = wire.decode_body(data, _ClientFrame) or _ClientFrame()
        if frame.unsubscribe:
            self._unsubscribe(frame.unsubscribe)
        if frame.subscribe:
            await self._subscribe(frame.subscribe)
        if frame.typing is not None:
            await self._tell_typing(frame.typing)
        if frame.ping is not None:
            await self.socket.send(msgspec.json.encode({"pong": frame.ping}))

    def _unsubscribe(self, ids: list[str]) -> None:
        for id_ in ids:
            if self.positions.pop(id_, None) is not None:
                self.subscription.discard(f"conversation:{id_}")
                self._typed_at.pop(id_, None)

    async def _subscribe(self, wanted: Mapping[str, int]) -> None:
        after = _canonical(wanted)
        if len(self.positions.keys() | after.keys()) > MAX_SUBSCRIPTIONS:
            raise BadInput(
                "These are too many conversations.",
                (InputError(path="$.subscribe", message=f"At most {MAX_SUBSCRIPTIONS} at a time."),),
            )
        async with self._lock:
            fresh = [f"conversation:{id_}" for id_ in after if id_ not in self.positions]
            try:
                await self.subscription.add(*fresh)
                async with self._context.db.read() as conn:
                    last = await load_last_seqs(conn, after)
            except Unavailable:
                self.subscription.discard(*fresh)
                raise
            for id_ in after.keys() - last.keys():
                self.subscription.discard(f"conversation:{id_}")
            for id_, seq in last.items():
                # Who says to have more than there is gets what comes from here on.
                self.positions[id_] = min(after[id_], seq)
            await self._send_missing(last)
            answer = {"subscribed": {id_: self.positions[id_] for id_ in last}}
            await self.socket.send(msgspec.json.encode(answer))
        if unknown := after.keys() - last.keys():
            raise BadInput("Some of these conversations do not exist.", tuple(map(_unknown, sorted(unknown))))

    async def _tell_typing(self, conversation_id: str) -> None:
        if conversation_id not in self.positions:
            raise BadInput("Subscribe to the conversation first.", (_unknown(conversation_id, "$.typing"),))
        now = time.monotonic()
        if now - self._typed_at.get(conversation_id, -_TYPING_EVERY_S) < _TYPING_EVERY_S:
            return
        self._typed_at[conversation_id] = now
        context, principal = self._context, self.principal
        await tell_agent_typing(
            context.db, context.bus, conversation_id, agent_id=principal.id, agent_name=principal.name
        )

    async def write(self) -> None:
        await self.socket.send(_READ_THE_LIST)
        while True:
            notice = await self.subscription.next()
            if self.socket.is_over:
                return
            try:
                async with self._lock:
                    if notice is None:
                        await self._recover()
                    else:
                        await self._forward(notice)
            except Unavailable:
                await asyncio.sleep(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret
                self.subscription.mark_lagged()

    async def _recover(self) -> None:
        """Notices may have been missed: send what stands in the database."""
        async with self._context.db.read() as conn:
            last = await load_last_seqs(conn, self.positions)
        await self._send_missing(last)
        await self.prove()
        await self.socket.send(_READ_THE_LIST)

    async def _send_missing(self, last: Mapping[str, int]) -> None:
        for id_, seq in last.items():
            if self.positions.get(id_, seq) < seq:
                await self._send_from_database(id_)

    async def _send_from_database(self, id_: str) -> None:
        while (position := self.positions.get(id_)) is not None:
            async with self._context.db.read() as conn:
                events = await list_events(conn, id_, after_seq=position, limit=_PAGE)
            for event in events:
                if id_ not in self.positions:
                    return  # given up meanwhile
                self.positions[id_] = event.seq
                await self.socket.send(msgspec.json.encode({"event": event}))
            if len(events) < _PAGE:
                return

    async def _forward(self, notice: Notice) -> None:
        kind, _, id_ = notice.topic.partition(":")
        if kind == "inbox":
            await self.socket.send(b'{"inbox":' + notice.body + b"}")
        elif kind == "agent":
            await self.prove()
        elif id_ in self.positions:
            await self._forward_from(id_, notice.body)

    async def _forward_from(self, id_: str, data: bytes) -> None:
        body = _BODY.decode(data)
        if body.event is not None:
            position = self.positions[id_]
            if body.event.seq == position + 1:
                self.positions[id_] = body.event.seq
                await self.socket.send(data)
            elif body.event.seq > position:
                await self._send_from_database(id_)
        elif body.typing is not None and not self._is_self(body.typing):
            await self.socket.send(data)

    def _is_self(self, typing: _TypingHead) -> bool:
        return typing.agent is not None and typing.agent.id == self.principal.id

    async def prove(self) -> None:
        """Make sure that whoever opened the socket may still have it.

        Raises:
            SocketEnded: their session has ended, or their token was revoked.
            Unavailable: the database is away.
        """
        context = self._context
        if self.principal.session is not None:
            async with context.db.read() as conn:
                # Looked up, not resumed: an open tab alone must not keep a session going.
                is_valid = await find_session(conn, self.principal.session, context.now()) is not None
        else:
            try:
                is_valid = await auth.authenticate(self._request) == self.principal
            except Unauthenticated:
                is_valid = False
        if not is_valid:
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Log in again.")


def _canonical(wanted: Mapping[str, int]) -> dict[str, int]:
    after, mistakes = {}, []
    for text, seq in wanted.items():
        try:
            after[parse_id(text)] = seq
        except NotFound:
            mistakes.append(_unknown(text))
    if mistakes:
        raise BadInput("Some of these conversations do not exist.", tuple(mistakes))
    return after


def _unknown(id_: str, path: str = "$.subscribe") -> InputError:
    return InputError(path=path, message=f"There is no conversation {id_[:40]!r} here.")
