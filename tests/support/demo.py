"""Demo mode as a process of its own, as `make run` starts it."""

import asyncio
import os
import re
import sys
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.sandbox.demo import STAND_INS
from gateway.sandbox.keepsakes import make_keepsakes, save_keepsakes
from tests.support.gateway import ROOT, GatewayProcess
from tests.support.ports import free_port
from tests.support.processes import start_process


@dataclass
class DemoProcess(GatewayProcess):
    """`python main.py demo` with a data folder and ports of its own; `printed` is what it said when it was ready."""

    mail_port: int = field(default_factory=free_port)
    printed: dict[str, str] = field(default_factory=dict)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "GATEWAY_DATA_DIR": str(self.folder / "data"),
            "GATEWAY_HTTP__LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_EMAIL__LISTEN": f"127.0.0.1:{self.mail_port}",
            **self.settings,
        }

    def keep_ports(self) -> None:
        """Give the stand-ins ports of their own, as an earlier start would have left them: other tests run beside."""
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        ports = {name: free_port() for name in STAND_INS}
        save_keepsakes(data, replace(make_keepsakes(), ports=ports))

    async def start(self, *, crash_at: str | None = None, is_awaited: bool = True) -> None:
        self.log.unlink(missing_ok=True)
        command = [sys.executable, str(ROOT / "main.py"), "demo"]
        self.process = start_process(command, log=self.log, env=self._environment(), cwd=self.folder)
        async with asyncio.timeout(30):
            while "What to try" not in self.log.read_text(encoding="utf-8"):
                assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
                await asyncio.sleep(0.02)
        self.printed = dict(re.findall(r"^  (\S.*?)  +(\S+)", self.log.read_text(encoding="utf-8"), re.MULTILINE))
        self.token = self.printed["API token"]

    async def customer(self, id_: str = "c-1") -> dict[str, Any]:
        (found,) = [customer for customer in (await self.get("/sandbox/state"))["customers"] if customer["id"] == id_]
        return dict(found)

    async def conversations_of(self, customer_id: str = "c-1") -> list[dict[str, Any]]:
        (contact,) = (await self.get("/v1/contacts", address=customer_id))["items"]
        page = await self.get("/v1/conversations", limit="500")
        return [item for item in page["items"] if item["contact"]["id"] == contact["id"]]

    async def sent_to(self, customer_id: str = "c-1") -> list[dict[str, Any]]:
        return list((await self.get("/sandbox/sent", customer=customer_id))["items"])

    async def until_status(self, conversation_id: str, message_id: str, status: str) -> None:
        async with asyncio.timeout(20):
            while (found := await self.message(conversation_id, message_id))["status"] != status:
                assert found["status"] != "failed", found
                await asyncio.sleep(0.02)

    async def message(self, conversation_id: str, message_id: str) -> dict[str, Any]:
        (found,) = [item for item in await self.messages(conversation_id) if item["id"] == message_id]
        return found
