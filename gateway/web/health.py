"""For those who run the gateway: is it alive, is it ready, how is it doing."""

import asyncio

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.domain.errors import GatewayError
from gateway.web.auth import admit, is_on_this_machine
from gateway.web.context import CONTEXT, Check
from gateway.web.permissions import Action
from gateway.web.routes import JSON

_CHECK_TIMEOUT_S = 2


class Health(msgspec.Struct, omit_defaults=True):
    status: str
    checks: dict[str, str] = {}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/healthz", show_alive),
        web.get("/readyz", show_ready),
        web.get("/metrics", show_metrics),
    ]


async def show_alive(_request: web.Request) -> web.Response:
    return _answer(Health(status="alive"), 200)


async def show_ready(request: web.Request) -> web.Response:
    checks = request.app[CONTEXT].checks
    passed = await asyncio.gather(*(_passes(check) for check in checks.values()))
    health = Health(
        status="ready" if all(passed) else "not ready",
        checks={name: "ok" if ok else "failed" for name, ok in zip(checks, passed, strict=True)},
    )
    return _answer(health, 200 if all(passed) else 503)


async def show_metrics(request: web.Request) -> web.Response:
    if not is_on_this_machine(request):
        await admit(request, Action.METRICS_READ, is_write=False)
    body = generate_latest(request.app[CONTEXT].metrics)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await check()
    except (GatewayError, OSError, TimeoutError):
        return False


def _answer(health: Health, status: int) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(health), content_type=JSON)
