"""A door before a server: connections go through it until it is held shut, and then hang without a word.

So does a machine that froze, or a network that drops what it is given: nobody is refused, and nobody is answered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress


class TcpDoor:
    """Passes bytes both ways between its own port and one of this machine."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.held_bytes = 0  # what came while it was shut

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def shut(self) -> None:
        self._is_open.clear()

    def open(self) -> None:
        """Let go on; what was cut off meanwhile stays cut off."""
        self._is_open.set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.open()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._known(writer):
            await self._is_open.wait()
            with suppress(OSError):
                behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
                with self._known(behind_writer):
                    await asyncio.gather(self._copy(reader, behind_writer), self._copy(behind_reader, writer))

    @contextmanager
    def _known(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until one side ends, which ends the other too."""
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self._is_open.is_set():
                    self.held_bytes += len(data)
                    await self._is_open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def standing_before(port: int) -> AsyncIterator[TcpDoor]:
    door = TcpDoor(port)
    await door.start()
    yield door
    await door.close()
