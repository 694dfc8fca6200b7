"""What every WebSocket of ours needs: frames out under a time-out, one reader and one writer, an orderly end.

Pings go out in one round over all sockets of a kind: a timer for each, as aiohttp has them, would cost an idle socket
an eighth of its memory (2.6 KB of 22, measured 2026-11).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from aiohttp import WSCloseCode, WSMsgType, web

HEARTBEAT_S = 30.0
_ANSWER_S = 15.0  # to a ping; whoever is silent for longer is gone
_ROUND_STEPS = 30  # so that not all sockets are pinged at once
_PING_TIMEOUT_S = 0.1
SEND_TIMEOUT_S = 15.0
_CLOSE_TIMEOUT_S = 3.0


class SocketEnded(Exception):
    """The connection is over, or is to be closed with `code`."""

    def __init__(self, code: int = WSCloseCode.GOING_AWAY, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Socket:
    """One WebSocket. Text is taken as bytes, so that invalid UTF-8 is a mistake to answer and not the end."""

    __slots__ = ("_is_listening", "_pinged_at", "_request", "_send_timeout_s", "_ws")

    def __init__(self, request: web.Request, *, max_frame: int, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._request = request
        self._send_timeout_s = send_timeout_s
        self._is_listening = False
        self._pinged_at: float | None = None  # since when a ping waits for its answer
        # Without per-message deflate: its windows would cost six times what an idle socket costs.
        self._ws: web.WebSocketResponse[Literal[False]] = web.WebSocketResponse(
            compress=False,
            autoping=False,
            max_msg_size=max_frame,
            timeout=_CLOSE_TIMEOUT_S,
            decode_text=False,
        )

    @property
    def response(self) -> web.StreamResponse:
        return self._ws

    @property
    def is_over(self) -> bool:
        return self._ws.closed

    async def open(self) -> None:
        await self._ws.prepare(self._request)
        self._ws.headers.clear()  # they are sent; an idle socket need not keep them

    async def receive(self, timeout_s: float | None = None) -> bytes:
        """Return the next text frame.

        Raises:
            SocketEnded: the client has gone, sent a binary frame, or nothing at all for `timeout_s`.
        """
        if timeout_s is None:
            return await self._receive()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._receive()
        except TimeoutError:
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Nothing was said.") from None

    async def _receive(self) -> bytes:
        while True:
            self._is_listening = True
            message = await self._ws.receive()
            self._is_listening = False
            self._pinged_at = None  # whatever came, it shows that they are there
            if message.type is WSMsgType.PING:
                await self._send(message.data, WSMsgType.PONG)
            elif message.type is WSMsgType.TEXT:
                data: bytes = message.data
                return data
            elif message.type is WSMsgType.BINARY:
                raise SocketEnded(WSCloseCode.UNSUPPORTED_DATA, "Frames are text.")
            elif message.type is not WSMsgType.PONG:
                raise SocketEnded

    async def ping(self, now: float, answer_s: float) -> None:
        """Ask whether the client is there, or cut it off if it has not answered for `answer_s`; never waits long.

        `now` counts seconds. While the reader is busy with a frame it hears no answer, so none is missed.
        """
        if self._ws.closed:
            return
        if self._pinged_at is None:
            self._pinged_at = now
            # The ping is written before anything is waited for: a full buffer is the client's to empty.
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_PING_TIMEOUT_S):
                    await self._ws.ping()
        elif self._is_listening and now - self._pinged_at >= answer_s:
            self._cut()

    def _cut(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    async def send(self, frame: bytes) -> None:
        """Hand a text frame to the client; waits while its buffer is full.

        Raises:
            SocketEnded: the client has gone, or takes nothing any more.
        """
        await self._send(frame, WSMsgType.TEXT)

    async def _send(self, frame: bytes, kind: WSMsgType) -> None:
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await self._ws.send_frame(frame, kind)
        except TimeoutError:
            raise SocketEnded(WSCloseCode.TRY_AGAIN_LATER, "Too slow.") from None
        except ConnectionError:
            raise SocketEnded from None

    async def close(self, code: int = WSCloseCode.GOING_AWAY, reason: str = "") -> None:
        """Close; whoever does not even take the closing frame is cut off."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._ws.close(code=code, message=reason.encode(), drain=False)
                return
        self._cut()


async def converse(
    socket: Socket, read: Callable[[], Awaitable[None]], write: Callable[[], Awaitable[None]], wake: Callable[[], None]
) -> None:
    """Run a socket's reader and writer until it is over; `wake` has a waiting writer look whether it is.

    Neither is cancelled: whatever they have under way in the database is finished, and its connection is used again.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(socket, write))
            try:
                await read()
            except SocketEnded as ended:
                await socket.close(ended.code, ended.reason)
            wake()
    finally:
        await socket.close(WSCloseCode.INTERNAL_ERROR)


async def _write(socket: Socket, write: Callable[[], Awaitable[None]]) -> None:
    try:
        await write()
    except SocketEnded as ended:
        await socket.close(ended.code, ended.reason)  # which ends the reader


async def ping_all(
    list_sockets: Callable[[], Iterable[Socket]], *, every_s: float = HEARTBEAT_S, answer_s: float = _ANSWER_S
) -> None:
    """Ping every socket once in `every_s`, spread over that time, until cancelled; who does not answer is cut off."""
    while True:
        sockets = list(list_sockets())
        for step in range(_ROUND_STEPS):
            for socket in sockets[step::_ROUND_STEPS]:
                await socket.ping(time.monotonic(), answer_s)
            await asyncio.sleep(every_s / _ROUND_STEPS)


async def close_all(sockets: Iterable[Socket]) -> None:
    """Send every client away, all at once: the process is about to end."""
    async with asyncio.TaskGroup() as tasks:
        for socket in sockets:
            tasks.create_task(socket.close(WSCloseCode.GOING_AWAY, "Come back in a moment."))
