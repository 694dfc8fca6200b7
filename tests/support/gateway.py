"""The gateway as a real process of its own, on a free port, that can be killed at any moment."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from gateway.domain.ids import new_id
from tests.support.ports import free_port
from tests.support.processes import start_process, stop_process, tail

ROOT = Path(__file__).parent.parent.parent
SECRET_KEY = "0123456789abcdef" * 4
IDENTITY_SECRET = "fedcba9876543210" * 4
_START_TIMEOUT_S = 30.0


@dataclass
class GatewayProcess:
    """One gateway and its data folder; made by `prepared_gateway`. Kill and start it as often as you like."""

    folder: Path
    settings: Mapping[str, str]
    port: int = field(default_factory=free_port)
    token: str = ""
    drain_s: float | None = None  # how long it may take to finish; None: what it takes itself
    process: subprocess.Popen[bytes] | None = None
    http: aiohttp.ClientSession = field(init=False)
    url: str = field(init=False)
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self.folder / "log"

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GATEWAY_DATA_DIR": str(self.folder / "data"),
            "GATEWAY_SECRET_KEY": SECRET_KEY,
            "GATEWAY_HTTP__LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_HTTP__PUBLIC_URL": self.url,
            "GATEWAY_WEBCHAT__IDENTITY_SECRET": IDENTITY_SECRET,
            **self.settings,
        }

    async def command(self, *words: str, stdin: str = "") -> str:
        """Run one of the commands and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "main.py"),
            *words,
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate(stdin.encode())
        assert process.returncode == 0, f"{words[0]} ended with {process.returncode}"
        return printed.decode()

    async def start(self, *, crash_at: str | None = None, is_awaited: bool = True) -> None:
        """Start it and wait until it is ready; `crash_at` names a step (tests/support/crash_at.py) to die at."""
        program = ["-m", "tests.support.crash_at", crash_at] if crash_at else [str(ROOT / "main.py")]
        if self.drain_s is not None:
            program = ["-m", "tests.support.hasty_stop", str(self.drain_s)]
        self.process = start_process(
            [sys.executable, *program, "serve"], log=self.log, env=self._environment(), cwd=self.folder
        )
        if is_awaited:
            await self._until_ready()

    async def _until_ready(self) -> None:
        async with asyncio.timeout(_START_TIMEOUT_S):
            while not await self._is_ready():
                assert self.process is not None
                assert self.process.poll() is None, f"It ended at once: {tail(self.log)}"
                await asyncio.sleep(0.02)

    async def _is_ready(self) -> bool:
        try:
            async with self.http.get(f"{self.url}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def until_dead(self) -> None:
        """Wait until it has died by itself."""
        assert self.process is not None
        async with asyncio.timeout(20):
            while self.process.poll() is None:
                await asyncio.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            stop_process(self.process, signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None:
            stop_process(self.process, signal.SIGTERM, timeout_s=40)

    async def get(self, path: str, **query: str) -> Any:
        async with self.http.get(self.url + path, params=query, headers=self._headers()) as answer:
            assert answer.status == 200, f"{path}: {answer.status} {await answer.text()}"
            return await answer.json()

    async def post(self, path: str, body: object, *, key: str | None = None) -> Any:
        headers = self._headers() | ({"Idempotency-Key": key} if key else {})
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            assert answer.status in (200, 201, 202), f"{path}: {answer.status} {await answer.text()}"
            return await answer.json()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def insist(self, path: str, body: object) -> Any:
        """Post until there is an answer, with one Idempotency-Key, as a careful client does."""
        key = new_id()
        async with asyncio.timeout(_START_TIMEOUT_S):
            while True:
                try:
                    return await self.post(path, body, key=key)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        page = await self.get(f"/v1/conversations/{conversation_id}/messages", limit="500")
        items: list[dict[str, Any]] = page["items"]
        return items

    async def all_messages(self) -> list[dict[str, Any]]:
        """Return every message of the newest 500 conversations."""
        page = await self.get("/v1/conversations", limit="500")
        return [message for item in page["items"] for message in await self.messages(item["id"])]

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=20)
        self.http = await aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=100)).__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.kill()
        await self.http.close()


@asynccontextmanager
async def prepared_gateway(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[GatewayProcess]:
    """Give a gateway with a migrated database and an API token, not started yet."""
    async with GatewayProcess(folder, settings) as gateway:
        await gateway.command("migrate")
        gateway.token = (await gateway.command("token", "add", "tests", "--scope", "api")).split()[-1]
        yield gateway
