"""A page of the list, as the inbox asks for it, among 100,000 conversations."""

import time
from functools import partial
from urllib.parse import quote

from sqlalchemy import select, update

from benchmarks.figures import Figure
from benchmarks.launch import Stage
from benchmarks.seed import queue_replies
from gateway.domain.contact import ChannelName
from storage.database import Transaction, open_database
from storage.live.memory import MemoryBus
from storage.tables import agents, conversations
from tests.support.gateway import GatewayProcess

_CONVERSATIONS = 100_000
_OF_ONE_AGENT = 10_000
_RUNS = 200
_WARM = 20
_AT_MOST_MS = 20


async def measure(stage: Stage) -> list[Figure]:
    url = stage.postgres.create_database("lists")
    await queue_replies(url, ChannelName.SMS, customers=_CONVERSATIONS, replies=0)
    async with stage.gateway("lists", {"GATEWAY_DATABASE_URL": url}) as gateway:
        password = ["--password-stdin"]
        await gateway.command(
            "agent", "add", "ben@shop.example", "--name", "Ben", "--role", "agent", *password, stdin="a long password"
        )
        agent = await _give_some(url)
        await gateway.start()
        asked = {
            "status and queue": "status=open&queue=general",
            "status and assignee": f"status=open&assignee={agent}",
            "unassigned": "status=open&assignee=none",
            "all open": "status=open",
        }
        figures = [_figure(name, await _time(gateway, f"/v1/conversations?{query}")) for name, query in asked.items()]
        figures.append(_figure("the counts of all views", await _time(gateway, "/v1/views")))
        deep = await gateway.get("/v1/conversations", status="open", limit="500")
        for _ in range(20):
            deep = await gateway.get("/v1/conversations", status="open", limit="500", after=deep["next"])
        page = f"/v1/conversations?status=open&after={quote(deep['next'])}"
        return [*figures, _figure("all open, 10,000 rows down", await _time(gateway, page))]


async def _give_some(url: str) -> str:
    """Assign some conversations to the one agent; return their id."""

    async def give(tx: Transaction) -> str:
        agent: str = (await tx.conn.execute(select(agents.c.id))).scalar_one()
        some = select(conversations.c.id).order_by(conversations.c.id).limit(_OF_ONE_AGENT)
        await tx.conn.execute(update(conversations).where(conversations.c.id.in_(some)).values(assignee_id=agent))
        return agent

    db = open_database(url, MemoryBus())
    try:
        return await db.write(partial(give))
    finally:
        await db.close()


async def _time(gateway: GatewayProcess, path: str) -> list[float]:
    """Return the milliseconds that each of the requests took, one after the other."""
    headers = {"Authorization": f"Bearer {gateway.token}"}
    spent = []
    for run in range(_RUNS + _WARM):
        began = time.perf_counter()
        async with gateway.http.get(gateway.url + path, headers=headers) as answer:
            assert answer.status == 200
            await answer.read()
        if run >= _WARM:
            spent.append((time.perf_counter() - began) * 1000)
    return sorted(spent)


def _figure(name: str, spent: list[float]) -> Figure:
    note = f"p95 of {_RUNS}, median {spent[_RUNS // 2]:.1f} ms; 50 rows of {_CONVERSATIONS:,} conversations; PostgreSQL"
    return Figure(part="lists", name=name, value=spent[int(_RUNS * 0.95)], unit="ms", at_most=_AT_MOST_MS, note=note)
