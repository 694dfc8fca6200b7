"""Idle web chat: what thousands of visitors who say nothing cost one process."""

import asyncio
import time

import msgspec

from benchmarks.figures import Figure
from benchmarks.launch import Stage, pid_of
from benchmarks.machine import cpu_s, rss_bytes
from benchmarks.programs.chat_clients import ClientsPlan
from gateway.web.sockets import HEARTBEAT_S

_FIRST = 100  # so that what is loaded at the first socket is not counted
_SOCKETS = 5_000
_OPEN_TIMEOUT_S = 120
_KB = 1000


async def measure(stage: Stage) -> list[Figure]:
    async with stage.gateway("chat", {}) as gateway:
        await gateway.start()
        pid = pid_of(gateway)
        few = ClientsPlan(port=gateway.port, count=_FIRST, origin=gateway.url)
        many = msgspec.structs.replace(few, count=_SOCKETS, first_address=_FIRST)
        with stage.program("benchmarks.programs.chat_clients", _encode(few)) as first:
            await first.until_says(f"open {_FIRST}", _OPEN_TIMEOUT_S)
            rss_before = rss_bytes(pid)
            began_at = time.monotonic()
            with stage.program("benchmarks.programs.chat_clients", _encode(many)) as clients:
                await clients.until_says(f"open {_SOCKETS}", _OPEN_TIMEOUT_S)
                opened_s = time.monotonic() - began_at
                cpu_before, idle_at = cpu_s(pid), time.monotonic()
                # Every socket is pinged within this time, and answers.
                await asyncio.sleep(HEARTBEAT_S * 1.2)
                cpu_share = (cpu_s(pid) - cpu_before) / (time.monotonic() - idle_at)
                rss_each = (rss_bytes(pid) - rss_before) / _SOCKETS
                if clients.process.poll() is not None:
                    raise RuntimeError("Sockets ended that should have stayed open.")
    return [
        Figure(
            part="chat",
            name="resident memory of an idle socket",
            value=rss_each / _KB,
            unit="KB",
            at_most=20,
            note=f"{_SOCKETS:,} open, after a round of pings; without TLS, which a proxy ends",
        ),
        Figure(part="chat", name="processor time of all idle sockets", value=100 * cpu_share, unit="% of a core"),
        Figure(part="chat", name="sockets opened, with hello and welcome", value=_SOCKETS / opened_s, unit="/s"),
    ]


def _encode(plan: ClientsPlan) -> str:
    return msgspec.json.encode(plan).decode()
