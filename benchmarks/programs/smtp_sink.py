"""A mail server that takes everything and keeps nothing but the time: `python -m benchmarks.programs.smtp_sink PORT`.

It says all that a client of ours asks for and costs as little as possible. Ended by SIGTERM, it prints a `SinkResult`.
"""

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from typing import cast

import msgspec
import uvloop


class SinkResult(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds`: between the first and the last mail that was accepted."""

    mails: int
    seconds: float
    connections: int
    mean_bytes: float


@dataclass(slots=True)
class Tally:
    mails: int = 0
    size: int = 0
    connections: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def note(self, size: int) -> None:
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.mails += 1
        self.size += size

    def result(self) -> SinkResult:
        return SinkResult(
            mails=self.mails,
            seconds=self.last_at - self.first_at,
            connections=self.connections,
            mean_bytes=self.size / max(1, self.mails),
        )


_ANSWERS = {b"EHLO": b"250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", b"QUIT": b"221 Bye\r\n"}
_END = b"\r\n.\r\n"


class SinkProtocol(asyncio.Protocol):
    __slots__ = ("_buffer", "_in_data", "_tally", "_transport")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._buffer = b""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._tally.connections += 1
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._in_data or b"\r\n" in self._buffer:
            if self._in_data:
                content, end, rest = self._buffer.partition(_END)
                if not end:
                    return
                self._in_data, self._buffer = False, rest
                self._tally.note(len(content))
                self._transport.write(b"250 Taken\r\n")
            else:
                line, _, self._buffer = self._buffer.partition(b"\r\n")
                self._obey(line[:4].upper())

    def _obey(self, verb: bytes) -> None:
        if verb == b"DATA":
            self._in_data = True
            self._transport.write(b"354 Go on\r\n")
            return
        self._transport.write(_ANSWERS.get(verb, b"250 OK\r\n"))
        if verb == b"QUIT":
            self._transport.close()


async def serve(port: int) -> SinkResult:
    tally = Tally()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.get_running_loop().create_server(lambda: SinkProtocol(tally), "127.0.0.1", port)
    async with server:
        await stop.wait()
    return tally.result()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        print(msgspec.json.encode(loop_runner.run(serve(int(sys.argv[1])))).decode())
