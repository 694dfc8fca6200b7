"""The processes of a benchmark: the gateway as in production, and the programs around it."""

import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.programs.load import LoadPlan, LoadResult
from benchmarks.waiting import until
from tests.support.gateway import ROOT, GatewayProcess, prepared_gateway
from tests.support.ports import wait_until_listening
from tests.support.postgres import PostgresServer
from tests.support.processes import start_process, stop_process, tail

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "the benchmarks' token"
SHOP_NUMBER = "+15005550006"
SHOP_MAILBOX = "care@shop.example"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all parts share: a folder to write to, a durable PostgreSQL, settings to try."""

    folder: Path
    postgres: PostgresServer
    settings: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def gateway(self, name: str, settings: Mapping[str, str]) -> AsyncIterator[GatewayProcess]:
        """Lend a prepared gateway, not started; `settings` are added to those of all benchmarks."""
        folder = self.folder / name
        folder.mkdir()
        usual = {
            "GATEWAY_LOG__LEVEL": "warning",
            "GATEWAY_TWILIO__ACCOUNT_SID": ACCOUNT_SID,
            "GATEWAY_TWILIO__AUTH_TOKEN": AUTH_TOKEN,
            "GATEWAY_TWILIO__SMS_FROM": SHOP_NUMBER,
            "GATEWAY_EMAIL__ADDRESS": SHOP_MAILBOX,
        }
        async with prepared_gateway(folder, {**usual, **settings, **self.settings}) as gateway:
            try:
                yield gateway
            finally:
                gateway.stop()
                if gateway.log.exists() and (complaints := tail(gateway.log, 5)):
                    print(f"{name}: the gateway logged\n{complaints}", file=sys.stderr)

    @contextmanager
    def program(self, module: str, *arguments: str, port: int | None = None) -> Iterator["Program"]:
        """Run a module in a process of its own until the block is left; with `port`, wait until it listens."""
        log = self.folder / f"{module}-{time.monotonic_ns()}.log"
        process = start_process([sys.executable, "-m", module, *arguments], log=log, cwd=ROOT)
        program = Program(process, log)
        try:
            if port is not None:
                wait_until_listening(port)
            yield program
        finally:
            stop_process(process, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Program:
    process: subprocess.Popen[bytes]
    log: Path

    async def result(self, kind: type[Result], timeout_s: float) -> Result:
        """Wait until the program ends and return what it printed, as JSON on its last line.

        Raises:
            RuntimeError: it failed.
        """
        await until(self._has_ended, timeout_s=timeout_s)
        if self.process.returncode != 0:
            raise RuntimeError(f"{self.log.stem} failed: {tail(self.log)}")
        return msgspec.json.decode(tail(self.log, 1), type=kind)

    async def until_says(self, words: str, timeout_s: float) -> None:
        """Wait until the program has printed a line with these words."""
        await until(lambda: words in self.log.read_text() or self._has_ended(), timeout_s=timeout_s)
        if words not in self.log.read_text():
            raise RuntimeError(f"{self.log.stem} ended: {tail(self.log)}")

    def _has_ended(self) -> bool:
        return self.process.poll() is not None


async def put_load(stage: Stage, plan: LoadPlan) -> LoadResult:
    """Run the load client to its end.

    Raises:
        RuntimeError: it failed, or the server refused something or kept it from an agent.
    """
    arguments = msgspec.json.encode(plan).decode()
    with stage.program("benchmarks.programs.load", arguments) as load:
        result = await load.result(LoadResult, timeout_s=180)
    if result.refused:
        raise RuntimeError(f"The server refused {result.refused} requests.")
    if result.unseen:
        raise RuntimeError(f"{result.unseen} messages never came to an agent's socket.")
    return result


def pid_of(gateway: GatewayProcess) -> int:
    if gateway.process is None:
        raise RuntimeError("The gateway is not running.")
    return gateway.process.pid
