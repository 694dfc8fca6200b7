"""Credentials as they come over the wire, right ones and wrong ones."""

from collections.abc import AsyncIterator

import pytest

from gateway.domain.agent import Role, Scope
from storage.database import Database, open_database
from storage.live.contract import LiveBus
from storage.tokens import list_tokens, revoke_token
from tests.support.api import PUBLIC_URL, Api, serving
from tests.support.ports import free_port


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as served:
        yield served


async def test_a_token_is_taken_however_the_scheme_is_spelt(api: Api) -> None:
    secret = (await api.as_program())["Authorization"].partition(" ")[2]
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert (await api.ask("GET", "/v1/me", {"Authorization": f"{scheme} {secret}"})).status == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer gw_wrong", "Basic YTpi", "gw_x", "Bearer é"])
async def test_wrong_credentials_are_refused_with_the_scheme_that_we_take(api: Api, header: str) -> None:
    answer = await api.ask("GET", "/v1/me", {"Authorization": header})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("cookie", ["", "gateway_session=", "gateway_session=wrong", "gateway_session=é;;="])
async def test_a_cookie_that_is_none_of_ours_is_refused(api: Api, cookie: str) -> None:
    assert (await api.ask("GET", "/v1/me", {"Cookie": cookie})).status == 401


async def test_a_wrong_token_is_not_made_good_by_a_cookie(api: Api) -> None:
    session = await api.as_agent(Role.ADMIN)
    assert (await api.ask("GET", "/v1/me", {**session, "Authorization": "Bearer gw_wrong"})).status == 401


async def test_a_revoked_token_is_refused_from_then_on(api: Api) -> None:
    program = await api.as_program()
    assert (await api.ask("GET", "/v1/me", program)).status == 200
    async with api.context.db.read() as conn:
        token = (await list_tokens(conn, limit=1))[0]
    await api.context.db.write(lambda tx: revoke_token(tx, token.id, api.clock()))
    assert (await api.ask("GET", "/v1/me", program)).status == 401


async def test_a_cookie_reads_from_anywhere_but_writes_from_our_own_origin_only(api: Api) -> None:
    session = {"Cookie": (await api.as_agent(Role.ADMIN))["Cookie"]}
    body = {"name": "shop", "scope": "events"}
    assert (await api.ask("GET", "/v1/tokens", session)).status == 200
    assert (await api.ask("POST", "/v1/tokens", session, json=body)).status == 403
    evil = {**session, "Origin": "http://desk.example"}
    assert (await api.ask("POST", "/v1/tokens", evil, json=body)).status == 403
    assert (await api.ask("POST", "/v1/tokens", {**session, "Origin": PUBLIC_URL}, json=body)).status == 201


async def test_a_program_needs_no_origin(api: Api) -> None:
    admin = await api.as_program(Scope.ADMIN)
    assert (await api.ask("POST", "/v1/tokens", admin, json={"name": "shop", "scope": "events"})).status == 201


async def test_a_database_that_is_away_is_said_so(bus: LiveBus) -> None:
    database = open_database(f"postgresql+asyncpg://gateway@127.0.0.1:{free_port()}/gateway", bus)
    async with serving(database, bus) as api:
        answer = await api.ask("GET", "/v1/me", {"Authorization": "Bearer gw_x"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    await database.close()
