"""A WebSocket client that costs next to nothing, so that what is measured is the server (RFC 6455)."""

import asyncio
import base64
import os
from collections.abc import Callable, Mapping
from typing import cast

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_FINAL, _MASKED = 0x80, 0x80


def handshake(host: str, path: str, headers: Mapping[str, str]) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def build_frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame. Its mask is all zeros, which leaves the payload as it is: nobody is deceived here."""
    length = len(payload)
    if length < 126:
        head = bytes([_FINAL | opcode, _MASKED | length])
    elif length < 65536:
        head = bytes([_FINAL | opcode, _MASKED | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([_FINAL | opcode, _MASKED | 127]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


def build_text(payload: bytes) -> bytes:
    return build_frame(_TEXT, payload)


class FrameReader:
    """Cuts a server's bytes into frames; servers don't mask."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the whole frames that there are now, as opcode and payload."""
        data = self._buffer + data if self._buffer else data
        frames, at, size = [], 0, len(data)
        while size - at >= 2:
            length, begin = data[at + 1] & 0x7F, at + 2
            if length == 126:
                length, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
            elif length == 127:
                length, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
            if begin + length > size:
                break
            frames.append((data[at] & 0x0F, data[begin : begin + length]))
            at = begin + length
        self._buffer = data[at:]
        return frames


class WebSocketClient(asyncio.Protocol):
    """One socket: `on_text` gets every text frame, `on_end` hears once that it is over. Pings are answered."""

    __slots__ = ("_handshake", "_on_end", "_on_text", "_reader", "_rest", "opened", "transport")

    def __init__(self, handshake: bytes, on_text: Callable[[bytes], None], on_end: Callable[[str], None]) -> None:
        self._handshake = handshake
        self._on_text = on_text
        self._on_end = on_end
        self._reader: FrameReader | None = None
        self._rest = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.transport.write(self._handshake)

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self._rest += data
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._fail(head.partition(b"\r\n")[0].decode(errors="replace"))
                return
            self._reader, self._rest, data = FrameReader(), b"", rest
            self.opened.set_result(None)
        for opcode, payload in self._reader.feed(data):
            if opcode == _TEXT:
                self._on_text(payload)
            elif opcode == _PING:
                self.transport.write(build_frame(_PONG, payload))
            elif opcode == _CLOSE:
                self._fail(f"closed with {int.from_bytes(payload[:2], 'big')}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("connection lost")

    def send(self, payload: bytes) -> None:
        self.transport.write(build_text(payload))

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))
        on_end, self._on_end = self._on_end, _nobody
        on_end(reason)
        self.transport.close()


def _nobody(_reason: str) -> None:
    pass
