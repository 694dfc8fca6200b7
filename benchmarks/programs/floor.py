"""The floor: the least that a webhook costs when it is verified and committed before it is acknowledged.

A bare aiohttp handler checks the signature with Twilio's SDK and commits one row, many in one transaction, to the same
PostgreSQL that the gateway is measured on. Run as a process of its own: `python -m benchmarks.programs.floor PLAN`.
"""

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import asyncpg
import msgspec
import uvloop
from aiohttp import web
from multidict import MultiDict
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

_MOST_IN_A_BATCH = 128
_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
_TABLE = "CREATE TABLE floor (sid text PRIMARY KEY, sender text, body text, form text, received_at timestamptz)"
_INSERT = """
    INSERT INTO floor SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
"""

Row = tuple[str, str, str, str, datetime]


class FloorPlan(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    path: str
    public_url: str
    auth_token: str
    dsn: str


@dataclass(slots=True)
class Floor:
    plan: FloorPlan
    waiting: asyncio.Queue[tuple[Row, asyncio.Future[None]]] = field(default_factory=asyncio.Queue)

    async def handle(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        form = MultiDict(parse_qsl(body, keep_blank_values=True))
        url = self.plan.public_url + request.raw_path
        if not RequestValidator(self.plan.auth_token).validate(url, form, request.headers["X-Twilio-Signature"]):
            raise web.HTTPForbidden
        row = (form["MessageSid"], form["From"], form["Body"], body, datetime.now(UTC))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((row, done))
        await done
        return web.Response(body=_TWIML, content_type="text/xml")

    async def write(self, conn: asyncpg.Connection) -> None:
        while True:
            batch = [await self.waiting.get()]
            while len(batch) < _MOST_IN_A_BATCH and not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            await conn.execute(_INSERT, *zip(*(row for row, _ in batch), strict=True))
            for _, done in batch:
                done.set_result(None)


async def serve(plan: FloorPlan) -> None:
    conn = await asyncpg.connect(plan.dsn)
    await conn.execute(_TABLE)
    floor = Floor(plan)
    app = web.Application()
    app.router.add_post(plan.path, floor.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with asyncio.TaskGroup() as tasks:
        writer = tasks.create_task(floor.write(conn))
        await web.TCPSite(runner, "127.0.0.1", plan.port, backlog=1024).start()
        await stop.wait()
        writer.cancel()
    await runner.cleanup()
    await conn.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        loop_runner.run(serve(msgspec.json.decode(sys.argv[1], type=FloorPlan)))
