"""Visitors who have said hello and then nothing: `python -m benchmarks.programs.chat_clients PLAN`.

Opens its sockets, prints `open N`, answers pings, and ends by SIGTERM, or when a socket ends too soon.
"""

import asyncio
import signal
import sys

import msgspec
import uvloop

from benchmarks.websocket import WebSocketClient, handshake
from gateway.web.chat import SOCKET_PATH

_HELLO = b'{"type":"hello"}'
_OPENING = 50  # at once
_TIMEOUT_S = 30.0


class ClientsPlan(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    count: int
    origin: str
    first_address: int = 0


class Clients:
    def __init__(self, plan: ClientsPlan) -> None:
        self._plan = plan
        self._sockets: list[WebSocketClient] = []
        self.ended = asyncio.Event()
        self.reason = ""

    async def open_all(self) -> int:
        """Open every socket and return how many have been welcomed."""
        numbers = iter(range(self._plan.count))

        async def open_some() -> None:
            for number in numbers:
                await self._open(number)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_OPENING):
                tasks.create_task(open_some())
        return len(self._sockets)

    async def _open(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        welcomed = loop.create_future()

        def on_text(payload: bytes) -> None:
            if b'"welcome"' in payload and not welcomed.done():
                welcomed.set_result(None)

        headers = {"Origin": self._plan.origin, "X-Forwarded-For": self._address(number)}
        request = handshake(f"127.0.0.1:{self._plan.port}", SOCKET_PATH, headers)
        async with asyncio.timeout(_TIMEOUT_S):
            _, socket = await loop.create_connection(
                lambda: WebSocketClient(request, on_text, self._end), "127.0.0.1", self._plan.port
            )
            await socket.opened
            socket.send(_HELLO)
            await welcomed
        self._sockets.append(socket)

    def _address(self, number: int) -> str:
        """Return where a visitor seems to come from, behind a proxy: everybody from elsewhere."""
        place = self._plan.first_address + number
        return f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"

    def _end(self, reason: str) -> None:
        self.reason = reason
        self.ended.set()


async def hold(plan: ClientsPlan) -> int:
    """Hold the sockets open; return 1 when one ended too soon."""
    clients = Clients(plan)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(f"open {await clients.open_all()}", flush=True)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_wait(event)) for event in (stop, clients.ended)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
    if not stop.is_set():
        print(f"a socket ended: {clients.reason}", flush=True)
    return int(not stop.is_set())


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        sys.exit(loop_runner.run(hold(msgspec.json.decode(sys.argv[1], type=ClientsPlan))))
