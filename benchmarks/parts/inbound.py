"""Inbound SMS: from the webhook to committed and routed, and on to an agent's screen, against the floor."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from benchmarks.figures import Figure
from benchmarks.launch import ACCOUNT_SID, AUTH_TOKEN, Stage, pid_of, put_load
from benchmarks.programs.floor import FloorPlan
from benchmarks.programs.load import LoadPlan, LoadResult
from gateway.web.twilio import MESSAGES_PATH
from tests.support.gateway import GatewayProcess
from tests.support.ports import free_port

_AGENTS = 4
_EACH = 500  # conversations that an agent looks at: what one socket may subscribe to
_SENDERS = _AGENTS * _EACH
_FLOOR_REQUESTS = 140_000
_STORED = "SELECT count(*) FROM messages WHERE direction = 'inbound'"


async def measure(stage: Stage) -> list[Figure]:
    floor = await _measure_floor(stage)
    postgresql, half = await _measure_postgresql(stage)
    sqlite = await _measure_sqlite(stage)
    return [
        _figure("floor, 64 connections", floor.per_s, "/s"),
        _figure("floor, p99 of the acknowledgement", floor.ack.p99, "ms"),
        _figure("floor, processor time", floor.server_cpu_us, "µs each"),
        _figure("PostgreSQL, 64 connections", postgresql.per_s, "/s"),
        _figure("PostgreSQL, of the floor", postgresql.per_s / floor.per_s, "", at_least=0.30),
        _figure("PostgreSQL, p99 of the acknowledgement at full load", postgresql.ack.p99, "ms"),
        _figure("PostgreSQL, processor time", postgresql.server_cpu_us, "µs each"),
        _figure("half load, p50 of the acknowledgement", half.ack.p50, "ms"),
        _figure("half load, p99 of the acknowledgement", half.ack.p99, "ms", at_most=50),
        _figure("half load, p50 until an agent's socket has it", half.shown.p50, "ms"),
        _figure(
            "half load, p99 until an agent's socket has it",
            half.shown.p99,
            "ms",
            at_most=100,
            note=f"{half.shown.count:,} messages on {_AGENTS} sockets, at {half.per_s:,.0f}/s",
        ),
        _figure("half load, processor time with the sockets", half.server_cpu_us, "µs each"),
        _figure("SQLite, 64 connections", sqlite.per_s, "/s"),
        _figure("SQLite, of PostgreSQL", sqlite.per_s / postgresql.per_s, "", at_least=0.5),
        _figure("SQLite, processor time", sqlite.server_cpu_us, "µs each"),
    ]


def _figure(
    name: str, value: float, unit: str, *, at_least: float | None = None, at_most: float | None = None, note: str = ""
) -> Figure:
    return Figure(part="inbound", name=name, value=value, unit=unit, at_least=at_least, at_most=at_most, note=note)


async def _measure_floor(stage: Stage) -> LoadResult:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    dsn = stage.postgres.create_database("floor").replace("+asyncpg", "")
    plan = FloorPlan(port=port, path=MESSAGES_PATH, public_url=url, auth_token=AUTH_TOKEN, dsn=dsn)
    with stage.program("benchmarks.programs.floor", msgspec.json.encode(plan).decode(), port=port) as floor:
        load = _load_plan(url, port, floor.process.pid)
        result = await put_load(stage, msgspec.structs.replace(load, most=_FLOOR_REQUESTS))
    await _require_stored(dsn, "SELECT count(*) FROM floor", result.acknowledged)
    return result


async def _measure_postgresql(stage: Stage) -> tuple[LoadResult, LoadResult]:
    """Return the results at full and at half load."""
    database = stage.postgres.create_database("inbound")
    async with stage.gateway("inbound-postgresql", {"GATEWAY_DATABASE_URL": database}) as gateway:
        await gateway.start()
        plan = _load_plan(gateway.url, gateway.port, pid_of(gateway))
        await put_load(stage, msgspec.structs.replace(plan, most=0))
        lists = await _agents_lists(gateway)
        plan = msgspec.structs.replace(plan, greets=False)
        full = await put_load(stage, plan)
        dsn = database.replace("+asyncpg", "")
        await _require_stored(dsn, _STORED, _SENDERS + full.acknowledged)
        plan = msgspec.structs.replace(plan, series=2, rate_per_s=full.per_s / 2)
        half = await put_load(stage, msgspec.structs.replace(plan, live_token=gateway.token, live=lists))
        await _require_stored(dsn, _STORED, _SENDERS + full.acknowledged + half.acknowledged)
    return full, half


async def _measure_sqlite(stage: Stage) -> LoadResult:
    async with stage.gateway("inbound-sqlite", {}) as gateway:
        await gateway.start()
        result = await put_load(stage, _load_plan(gateway.url, gateway.port, pid_of(gateway)))
        _require_count(_count_in_file(gateway.folder / "data" / "gateway.sqlite"), result.acknowledged)
    return result


def _load_plan(url: str, port: int, server_pid: int) -> LoadPlan:
    return LoadPlan(
        port=port,
        url=url + MESSAGES_PATH,
        auth_token=AUTH_TOKEN,
        account_sid=ACCOUNT_SID,
        server_pid=server_pid,
        series=1,
        senders=_SENDERS,
    )


async def _agents_lists(gateway: GatewayProcess) -> list[list[str]]:
    """Return what each agent looks at: the conversations of all who have written, shared out."""
    ids: list[str] = []
    query = {"limit": str(_EACH)}
    while len(ids) < _SENDERS:
        page = await gateway.get("/v1/conversations", **query)
        ids += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    return [ids[agent * _EACH : (agent + 1) * _EACH] for agent in range(_AGENTS)]


async def _require_stored(dsn: str, query: str, acknowledged: int) -> None:
    """Hold a server to its word at once: what it acknowledged is committed, not in a spool.

    Raises:
        RuntimeError: it is not.
    """
    conn = await asyncpg.connect(dsn)
    try:
        _require_count(await conn.fetchval(query), acknowledged)
    finally:
        await conn.close()


def _require_count(stored: int, acknowledged: int) -> None:
    if stored != acknowledged:
        raise RuntimeError(f"{acknowledged} messages were acknowledged, and {stored} are stored.")


def _count_in_file(database: Path) -> int:
    conn = sqlite3.connect(database)
    try:
        count: Sequence[int] = conn.execute(_STORED).fetchone()
        return count[0]
    finally:
        conn.close()
