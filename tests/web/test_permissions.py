"""The table of permissions, row by row, in code, on paper and over HTTP."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.agent import Agent, Role, Scope
from gateway.domain.errors import Forbidden
from gateway.domain.ids import new_id
from gateway.domain.message import Json
from gateway.web.permissions import GRANTS, NOBODY, Action, Principal, permissions_page
from gateway.web.routes import Route
from gateway.web.server import API_ROUTES
from storage.database import open_database
from storage.live.contract import LiveBus
from tests.support.api import PUBLIC_URL, Api, Headers, serving

# Said a second time on purpose: a right given or taken by a slip in the code shows here.
_EXPECTED = """
me.read                 agent supervisor admin | events api admin
me.password             agent supervisor admin |
session.end             agent supervisor admin |
live.subscribe          agent supervisor admin | api admin
conversation.read       agent supervisor admin | api admin
conversation.reply      agent supervisor admin | api admin
conversation.see        agent supervisor admin |
conversation.draft      agent supervisor admin |
conversation.note       agent supervisor admin | api admin
conversation.take       agent supervisor admin |
conversation.assign     agent supervisor admin | api admin
conversation.transfer   agent supervisor admin | api admin
conversation.resolve    agent supervisor admin | api admin
conversation.snooze     agent supervisor admin | api admin
conversation.reopen     agent supervisor admin | api admin
conversation.set_topic  agent supervisor admin | api admin
message.resend          agent supervisor admin | api admin
message.cancel          agent supervisor admin | api admin
attachment.upload       agent supervisor admin | api admin
attachment.read         agent supervisor admin | api admin
contact.read            agent supervisor admin | api admin
contact.merge           agent supervisor admin | api admin
contact.unmerge         agent supervisor admin | api admin
quarantine.read         admin | admin
quarantine.replay       admin | admin
token.read              admin | admin
token.manage            admin | admin
metrics.read            supervisor admin | events api admin
"""


def _rows() -> list[tuple[str, set[str], set[str]]]:
    rows = []
    for line in _EXPECTED.strip().splitlines():
        action, _, grants = line.partition(" ")
        roles, _, scopes = grants.partition("|")
        rows.append((action, set(roles.split()), set(scopes.split())))
    return rows


WHO = [Principal(id=new_id(), name="a", role=role) for role in Role] + [
    Principal(id=new_id(), name="t", scope=scope) for scope in Scope
]


def test_every_action_stands_in_the_table_once() -> None:
    assert [row[0] for row in _rows()] == [action.value for action in Action] == [action.value for action in GRANTS]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: str(row[0]))
@pytest.mark.parametrize("who", WHO, ids=lambda who: f"{'role' if who.role else 'scope'}-{who.role or who.scope}")
def test_each_role_and_scope_may_what_the_table_says(row: tuple[str, set[str], set[str]], who: Principal) -> None:
    action, roles, scopes = row
    assert who.may(Action(action)) == (who.role in roles if who.role else who.scope in scopes)


@pytest.mark.parametrize("action", list(Action))
def test_nobody_may_anything(action: Action) -> None:
    assert not NOBODY.may(action)
    with pytest.raises(Forbidden):
        NOBODY.require(action)


def test_the_page_in_the_documentation_is_the_table_in_the_code() -> None:
    page = Path(__file__).parents[2] / "docs" / "permissions.md"
    assert page.read_text(encoding="utf-8") == permissions_page()


def test_an_owner_is_named_by_kind_and_id() -> None:
    assert Principal(id="1", name="a", role=Role.ADMIN).key == "agent:1"
    assert Principal(id="1", name="a", scope=Scope.ADMIN).key == "token:1"
    assert Principal(id="1", name="a", scope=Scope.ADMIN).agent_id is None


# Over HTTP, for every endpoint.


@pytest.fixture
async def api(sqlite_url: str, bus: LiveBus) -> AsyncIterator[Api]:
    database = open_database(sqlite_url, bus)
    async with serving(database, bus) as served:
        yield served
    await database.close()


def _path_of(route: Route) -> str:
    return re.sub(r"{\w+}", lambda _: new_id(), route.path)


async def _ask(api: Api, route: Route, headers: Headers) -> int:
    json: Json = None if route.is_read or route.consumes != "application/json" else {}
    return (await api.ask(route.method, _path_of(route), headers, json=json)).status


GUARDED = [route for route in API_ROUTES if route.action is not None]
WRITES = [route for route in GUARDED if not route.is_read]


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", GUARDED, ids=_name)
async def test_an_endpoint_lets_in_whom_the_table_names_and_nobody_else(api: Api, route: Route) -> None:
    assert route.action is not None
    assert await _ask(api, route, {"Origin": PUBLIC_URL}) == 401
    grant = GRANTS[route.action]
    for role in Role:
        agent: Agent = await api.add_agent(role)
        status = await _ask(api, route, await api.session_of(agent))
        assert (status == 403) == (role not in grant.roles), role
        assert status != 401
    for scope in Scope:
        status = await _ask(api, route, await api.as_program(scope))
        assert (status == 403) == (scope not in grant.scopes), scope
        assert status != 401


@pytest.mark.parametrize("route", WRITES, ids=_name)
async def test_a_write_with_a_cookie_is_taken_from_our_own_pages_only(api: Api, route: Route) -> None:
    session = {"Cookie": (await api.as_agent(Role.ADMIN))["Cookie"]}
    for origin in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": PUBLIC_URL + ".evil.example"},
    ):
        assert await _ask(api, route, {**session, **origin}) == 403


def test_only_logging_in_is_open_to_anybody() -> None:
    assert [_name(route) for route in API_ROUTES if route.action is None] == ["POST /v1/session"]


def test_every_action_is_asked_for_somewhere() -> None:
    elsewhere = {Action.LIVE_SUBSCRIBE, Action.METRICS_READ}  # a socket and a page outside the table
    assert {route.action for route in GUARDED} | elsewhere == set(Action)
