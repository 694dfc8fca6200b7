"""Start to ready: from the spawn of the process to the first 200 of /readyz."""

import shutil
import time

import aiohttp

from benchmarks.figures import Figure
from benchmarks.launch import Stage
from benchmarks.waiting import until_found
from tests.support.gateway import GatewayProcess

_RUNS = 5
_LOOK_EVERY_S = 0.005
_TIMEOUT_S = 30


async def measure(stage: Stage) -> list[Figure]:
    async with stage.gateway("start", {}) as gateway:
        prepared = [await _start(gateway) for _ in range(_RUNS)]
        empty = []
        for _ in range(_RUNS):
            shutil.rmtree(gateway.folder / "data")
            empty.append(await _start(gateway))
    return [_figure("on an empty data folder", empty), _figure("on a prepared one", prepared)]


def _figure(name: str, seconds: list[float]) -> Figure:
    note = f"median of {_RUNS}, {min(seconds):.2f} to {max(seconds):.2f} s; SQLite"
    return Figure(part="start", name=name, value=sorted(seconds)[_RUNS // 2], unit="s", at_most=2, note=note)


async def _start(gateway: GatewayProcess) -> float:
    began_at = time.monotonic()
    await gateway.start(is_awaited=False)
    await until_found(lambda: _is_ready(gateway), timeout_s=_TIMEOUT_S, look_every_s=_LOOK_EVERY_S)
    seconds = time.monotonic() - began_at
    gateway.stop()
    return seconds


async def _is_ready(gateway: GatewayProcess) -> bool:
    try:
        async with gateway.http.get(f"{gateway.url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
