"""Logging in and out over HTTP, and what keeps guessing slow."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.domain.agent import Role, Scope
from gateway.services.agents import disable_agent, reset_password
from gateway.web.auth import COOKIE
from storage.database import Database
from storage.live.contract import LiveBus
from storage.tables import agents, sessions
from tests.support.api import PASSWORD, PUBLIC_URL, Answer, Api, Headers, quick_passwords, serving

EMAIL = "agent@shop.example"
NEW_PASSWORD = "another horse battery"


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as served:
        yield served


async def log_in(api: Api, email: str = EMAIL, password: str = PASSWORD, headers: Headers | None = None) -> Answer:
    return await api.ask("POST", "/v1/session", headers, json={"email": email, "password": password})


def cookie_of(answer: Answer) -> Headers:
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0], "Origin": PUBLIC_URL}


async def test_an_agent_logs_in_asks_who_they_are_and_logs_out(api: Api) -> None:
    await api.add_agent()
    answer = await log_in(api, email=" Agent@Shop.example ")
    assert answer.status == 201
    session = cookie_of(answer)
    me = await api.ask("GET", "/v1/me", session)
    assert me.status == 200
    assert me.json["agent"]["email"] == EMAIL
    assert "conversation.reply" in me.json["permissions"]
    assert "token.manage" not in me.json["permissions"]
    out = await api.ask("DELETE", "/v1/session", session)
    assert out.status == 204
    assert 'gateway_session=""' in out.headers["Set-Cookie"]
    assert (await api.ask("GET", "/v1/me", session)).status == 401


async def test_the_cookie_is_for_our_own_pages_over_tls_and_out_of_reach_of_scripts(api: Api) -> None:
    await api.add_agent()
    cookie = (await log_in(api)).headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for flag in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
        assert flag in cookie


async def test_without_tls_the_cookie_is_not_marked_secure(database: Database, bus: LiveBus) -> None:
    async with serving(database, bus, public_url="http://127.0.0.1:8080") as api:
        await api.add_agent()
        assert "Secure" not in (await log_in(api)).headers["Set-Cookie"]


async def test_a_wrong_password_an_unknown_address_and_a_disabled_agent_get_the_same_answer(api: Api) -> None:
    await api.add_agent()
    await api.add_agent(email="gone@shop.example")
    await disable_agent(api.context.db, email="gone@shop.example", now=api.clock())
    answers = [
        await log_in(api, password="wrong password"),
        await log_in(api, email="nobody@shop.example"),
        await log_in(api, email="gone@shop.example"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1


async def test_the_fifth_failure_locks_an_agent_out_and_the_lock_ends_by_itself(api: Api) -> None:
    await api.add_agent()
    for _ in range(5):
        assert (await log_in(api, password="wrong password")).status == 401
    locked = await log_in(api)
    assert locked.status == 429
    assert locked.headers["Retry-After"] == "30"
    api.clock.advance(timedelta(seconds=31))
    assert (await log_in(api)).status == 201


async def test_a_lock_grows_with_each_failure_after_it(api: Api) -> None:
    await api.add_agent()
    for _ in range(5):
        await log_in(api, password="wrong password")
    api.clock.advance(timedelta(seconds=31))
    assert (await log_in(api, password="wrong password")).status == 401
    assert (await log_in(api)).headers["Retry-After"] == "60"


async def test_an_address_that_nobody_has_is_locked_out_alike(api: Api) -> None:
    await api.add_agent()
    for email in (EMAIL, "nobody@shop.example"):
        statuses = [(await log_in(api, email=email, password="wrong password")).status for _ in range(6)]
        assert statuses == [401] * 5 + [429]


async def test_guesses_made_at_once_are_counted_like_guesses_in_a_row(api: Api) -> None:
    await api.add_agent()
    answers = await asyncio.gather(*(log_in(api, password=f"wrong password {n}") for n in range(12)))
    assert [answer.status for answer in answers].count(401) == 5


async def test_success_takes_the_count_back(api: Api) -> None:
    await api.add_agent()
    for _ in range(3):
        for _ in range(4):
            assert (await log_in(api, password="wrong password")).status == 401
        assert (await log_in(api)).status == 201


async def test_one_client_can_not_try_one_password_on_everybody(api: Api) -> None:
    statuses = [(await log_in(api, email=f"agent{n}@shop.example")).status for n in range(26)]
    assert statuses == [401] * 25 + [429]
    # Behind a proxy on this machine, the client is whom the proxy names last.
    assert (await log_in(api, headers={"X-Forwarded-For": "10.0.0.1, 203.0.113.7"})).status == 401


async def test_a_session_ends_half_a_day_after_its_last_use(api: Api) -> None:
    session = await api.as_agent()
    for _ in range(3):
        api.clock.advance(timedelta(hours=11))
        assert (await api.ask("GET", "/v1/me", session)).status == 200
    api.clock.advance(timedelta(hours=12, seconds=1))
    assert (await api.ask("GET", "/v1/me", session)).status == 401


async def test_a_session_ends_after_a_week_however_much_it_is_used(api: Api) -> None:
    session = await api.as_agent()
    for _ in range(7 * 3 - 1):
        api.clock.advance(timedelta(hours=8))
        assert (await api.ask("GET", "/v1/me", session)).status == 200
    api.clock.advance(timedelta(hours=8, seconds=1))
    assert (await api.ask("GET", "/v1/me", session)).status == 401


async def test_disabling_an_agent_ends_their_sessions_and_tells_open_sockets(api: Api) -> None:
    agent = await api.add_agent()
    session = await api.session_of(agent)
    with api.context.bus.subscribe(f"agent:{agent.id}") as notices:
        await disable_agent(api.context.db, email=EMAIL, now=api.clock())
        async with asyncio.timeout(20):
            assert await notices.next() is not None
    assert (await api.ask("GET", "/v1/me", session)).status == 401
    assert (await log_in(api)).status == 401


async def test_changing_a_password_keeps_this_session_and_ends_the_others(api: Api) -> None:
    agent = await api.add_agent()
    here, elsewhere = await api.session_of(agent), await api.session_of(agent)
    body = {"current": PASSWORD, "new": NEW_PASSWORD}
    assert (await api.ask("PUT", "/v1/me/password", here, json=body)).status == 204
    assert (await api.ask("GET", "/v1/me", here)).status == 200
    assert (await api.ask("GET", "/v1/me", elsewhere)).status == 401
    assert (await log_in(api)).status == 401
    assert (await log_in(api, password=NEW_PASSWORD)).status == 201


async def test_a_wrong_current_password_changes_nothing_and_counts_as_a_guess(api: Api) -> None:
    session = await api.as_agent()
    body = {"current": "wrong password", "new": NEW_PASSWORD}
    for _ in range(5):
        answer = await api.ask("PUT", "/v1/me/password", session, json=body)
        assert (answer.status, answer.paths) == (422, ["$.current"])
    assert (await api.ask("PUT", "/v1/me/password", session, json=body)).status == 429


@pytest.mark.parametrize("password", ["short", ""])
async def test_a_new_password_that_is_too_short_is_refused(api: Api, password: str) -> None:
    session = await api.as_agent()
    answer = await api.ask("PUT", "/v1/me/password", session, json={"current": PASSWORD, "new": password})
    assert (answer.status, answer.paths) == (422, ["$.new"])


async def test_a_reset_password_lifts_the_lock_and_ends_all_sessions(api: Api) -> None:
    session = await api.as_agent()
    for _ in range(5):
        await log_in(api, password="wrong password")
    await reset_password(api.context.db, quick_passwords(), email=EMAIL, password=NEW_PASSWORD)
    assert (await api.ask("GET", "/v1/me", session)).status == 401
    assert (await log_in(api, password=NEW_PASSWORD)).status == 201


async def test_a_page_of_somebody_else_can_not_log_its_visitors_in(api: Api) -> None:
    await api.add_agent()
    assert (await log_in(api, headers={"Origin": "https://evil.example"})).status == 403
    assert (await log_in(api, headers={"Origin": PUBLIC_URL})).status == 201


async def test_a_program_learns_its_name_and_scope_and_has_no_session_to_end(api: Api) -> None:
    program = await api.as_program(Scope.EVENTS)
    me = (await api.ask("GET", "/v1/me", program)).json
    assert (me["scope"], me["agent"]) == ("events", None)
    assert (await api.ask("DELETE", "/v1/session", program)).status == 403


async def test_passwords_are_never_in_the_database(api: Api) -> None:
    await api.add_agent(Role.ADMIN)
    answer = await log_in(api, email="admin@shop.example")
    secret = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]

    async with api.context.db.read() as conn:
        rows = [str(row) for table in (agents, sessions) for row in await conn.execute(table.select())]
    assert len(rows) == 2
    assert not any(PASSWORD in row or secret in row for row in rows)
