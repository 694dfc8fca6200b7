"""API tokens over HTTP."""

from collections.abc import AsyncIterator

import pytest

from gateway.domain.agent import Scope
from gateway.domain.ids import new_id
from storage.database import Database
from storage.live.contract import LiveBus
from storage.tables import api_tokens, idempotency_keys
from tests.support.api import Api, Headers, serving


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as served:
        yield served


@pytest.fixture
async def admin(api: Api) -> Headers:
    return await api.as_program(Scope.ADMIN)


async def test_a_token_is_made_used_listed_and_revoked(api: Api, admin: Headers) -> None:
    made = await api.ask("POST", "/v1/tokens", admin, json={"name": " shop ", "scope": "api"})
    assert made.status == 201
    program = {"Authorization": f"Bearer {made.json['token']}"}
    assert (await api.ask("GET", "/v1/me", program)).json["token"] == "shop"
    listed = (await api.ask("GET", "/v1/tokens", admin)).json["items"]
    assert [(item["name"], item["scope"], item["revoked_at"]) for item in listed][1:] == [("shop", "api", None)]
    gone = await api.ask("DELETE", f"/v1/tokens/{made.json['id']}", admin)
    assert (gone.status, gone.json["revoked_at"]) == (200, "2026-11-02T09:00:00Z")
    assert (await api.ask("GET", "/v1/me", program)).status == 401
    assert (await api.ask("DELETE", f"/v1/tokens/{made.json['id']}", admin)).json == gone.json


async def test_a_secret_is_shown_once_and_kept_nowhere(api: Api, admin: Headers) -> None:
    headers = {**admin, "Idempotency-Key": "k"}
    made = await api.ask("POST", "/v1/tokens", headers, json={"name": "shop", "scope": "api"})
    secret = made.json["token"]
    assert secret.startswith("gw_")
    assert len(secret) == 46
    assert secret not in str((await api.ask("GET", "/v1/tokens", admin)).json)
    async with api.context.db.read() as conn:
        rows = [row for table in (api_tokens, idempotency_keys) for row in await conn.execute(table.select())]
    assert len(rows) == 3
    assert secret not in str(rows)


async def test_a_list_is_paged_to_its_end(api: Api, admin: Headers) -> None:
    for n in range(6):
        await api.ask("POST", "/v1/tokens", admin, json={"name": f"shop {n}", "scope": "events"})
    names: list[str] = []
    after = ""
    while True:
        page = (await api.ask("GET", f"/v1/tokens?limit=3{after}", admin)).json
        names += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 3
        after = f"&after={page['next']}"
    assert names == ["a program (admin)", *(f"shop {n}" for n in range(6))]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "", "scope": "api"}, "$.name"),
        ({"name": "   ", "scope": "api"}, "$.name"),
        ({"name": "x" * 101, "scope": "api"}, "$.name"),
        ({"name": "x", "scope": "everything"}, "$.scope"),
        ({"name": "x"}, "$.scope"),
    ],
)
async def test_a_token_without_a_name_or_a_scope_is_refused(
    api: Api, admin: Headers, body: dict[str, str], path: str
) -> None:
    answer = await api.ask("POST", "/v1/tokens", admin, json=body)
    assert (answer.status, answer.paths) == (422, [path])


async def test_a_token_that_never_was_can_not_be_revoked(api: Api, admin: Headers) -> None:
    assert (await api.ask("DELETE", f"/v1/tokens/{new_id()}", admin)).status == 404
