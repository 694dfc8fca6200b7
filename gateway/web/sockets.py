"""What every WebSocket of ours needs: frames out under a time-out, one reader and one writer, an orderly end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal

from aiohttp import WSCloseCode, WSMsgType, web

HEARTBEAT_S = 30.0
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

    __slots__ = ("_request", "_send_timeout_s", "_ws")

    def __init__(self, request: web.Request, *, max_frame: int, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._request = request
        self._send_timeout_s = send_timeout_s
        # Without per-message deflate: its windows would cost six times what an idle socket costs.
        self._ws: web.WebSocketResponse[Literal[False]] = web.WebSocketResponse(
            compress=False,
            heartbeat=HEARTBEAT_S,
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
        try:
            message = await self._ws.receive(timeout_s)
        except TimeoutError:
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Nothing was said.") from None
        if message.type is WSMsgType.TEXT:
            data: bytes = message.data
            return data
        if message.type is WSMsgType.BINARY:
            raise SocketEnded(WSCloseCode.UNSUPPORTED_DATA, "Frames are text.")
        raise SocketEnded

    async def send(self, frame: bytes) -> None:
        """Hand a text frame to the client; waits while its buffer is full.

        Raises:
            SocketEnded: the client has gone, or takes nothing any more.
        """
        try:
            async with asyncio.timeout(self._send_timeout_s):
                await self._ws.send_frame(frame, WSMsgType.TEXT)
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
        if self._request.transport is not None:
            self._request.transport.abort()


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


async def close_all(sockets: Iterable[Socket]) -> None:
    """Send every client away, all at once: the process is about to end."""
    async with asyncio.TaskGroup() as tasks:
        for socket in sockets:
            tasks.create_task(socket.close(WSCloseCode.GOING_AWAY, "Come back in a moment."))
