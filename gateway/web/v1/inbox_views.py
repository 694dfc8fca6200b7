"""What the inbox's first column shows: views and queues, and how much waits in each; and the colleagues."""

from collections.abc import Sequence

import msgspec

from gateway.domain.agent import Role
from gateway.web.paging import Page
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from storage.agents import list_agents
from storage.views import Count, count_views

_VIEWS = ("mine", "unassigned", "all", "snoozed")
_NOTHING = Count(count=0, is_more=False)


class CountView(msgspec.Struct):
    """`more`: it is more than `count`, which goes no further than 99."""

    id: str
    count: int
    more: bool


class InboxViews(msgspec.Struct):
    views: Sequence[CountView]
    queues: Sequence[CountView]


class ColleagueView(msgspec.Struct):
    id: str
    name: str
    role: Role
    languages: Sequence[str]


def _view(id_: str, count: Count) -> CountView:
    return CountView(id=id_, count=count.count, more=count.is_more)


async def get_views(call: Call[None, None]) -> InboxViews:
    queues = sorted(call.context.queues)
    async with call.context.db.read() as conn:
        counts = await count_views(conn, agent_id=call.principal.agent_id, queues=queues)
    return InboxViews(
        views=[_view(id_, counts.get(f"view:{id_}", _NOTHING)) for id_ in _VIEWS],
        queues=[_view(id_, counts[f"queue:{id_}"]) for id_ in queues],
    )


async def get_agents(call: Call[None, None]) -> Page[ColleagueView]:
    async with call.context.db.read() as conn:
        found = [agent for agent in await list_agents(conn) if agent.disabled_at is None]
    found.sort(key=lambda agent: agent.name.casefold())
    return Page(
        items=[
            ColleagueView(id=agent.id, name=agent.name, role=agent.role, languages=agent.languages) for agent in found
        ]
    )


ROUTES = (
    Route(
        "GET",
        "/v1/views",
        Action.CONVERSATION_READ,
        get_views,
        response=InboxViews,
        summary="Count what is open in each view and queue, up to 99",
    ),
    Route(
        "GET",
        "/v1/agents",
        Action.CONVERSATION_READ,
        get_agents,
        response=Page[ColleagueView],
        summary="List who works here: whom a conversation can be given to, or a note can mention",
    ),
)
