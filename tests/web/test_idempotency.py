"""A write with an Idempotency-Key acts once, however often and however fast it comes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from gateway.domain.agent import Role, Scope
from gateway.domain.errors import Conflict
from gateway.services.tokens import make_token
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.server import API_ROUTES
from storage.database import Database, Transaction
from storage.live.contract import LiveBus
from storage.tokens import list_tokens
from tests.support.api import Api, serving


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    fails_until: int = 0


class Fulfilled(msgspec.Struct):
    id: str
    name: str


class Trouble:
    """What makes the handlers below fail or wait, set by a test."""

    calls = 0
    gate: asyncio.Event | None = None


async def act(call: Call[Wish, None], tx: Transaction) -> Fulfilled:
    Trouble.calls += 1
    made = await make_token(tx, name=call.body.name, scope=Scope.EVENTS, now=call.now)
    if Trouble.calls <= call.body.fails_until:
        raise Conflict("Not yet.")
    return Fulfilled(id=made.token.id, name=made.token.name)


async def act_alone(call: Call[Wish, None]) -> Fulfilled:
    Trouble.calls += 1
    if Trouble.gate is not None:
        await Trouble.gate.wait()
    if Trouble.calls <= call.body.fails_until:
        raise Conflict("Not yet.")
    made = await call.context.db.write(lambda tx: make_token(tx, name=call.body.name, scope=Scope.EVENTS, now=call.now))
    return Fulfilled(id=made.token.id, name=made.token.name)


ROUTES = (
    *API_ROUTES,
    Route("POST", "/v1/acts", Action.CONVERSATION_REPLY, act, body=Wish, response=Fulfilled, status=201),
    Route(
        "POST",
        "/v1/alone",
        Action.CONVERSATION_REPLY,
        act_alone,
        body=Wish,
        response=Fulfilled,
        status=201,
        own_transaction=True,
    ),
)


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    Trouble.calls, Trouble.gate = 0, None
    async with serving(database, bus, routes=ROUTES) as served:
        yield served


async def acts(api: Api) -> int:
    async with api.context.db.read() as conn:
        return len([token for token in await list_tokens(conn, limit=500) if token.name == "wish"])


@pytest.mark.parametrize("path", ["/v1/acts", "/v1/alone"])
async def test_the_same_request_again_gets_the_same_bytes_and_does_nothing(api: Api, path: str) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": "k1"}
    first = await api.ask("POST", path, headers, json={"name": "wish"})
    api.clock.advance(timedelta(hours=1))
    again = await api.ask("POST", path, headers, json={"name": "wish"})
    assert (first.status, first.body) == (again.status, again.body)
    assert first.status == 201
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert await acts(api) == 1


async def test_without_a_key_the_same_request_acts_again(api: Api) -> None:
    headers = await api.as_agent()
    for _ in range(2):
        await api.ask("POST", "/v1/acts", headers, json={"name": "wish"})
    assert await acts(api) == 2


@pytest.mark.parametrize("path", ["/v1/acts", "/v1/alone"])
async def test_a_key_used_for_a_different_request_is_refused(api: Api, path: str) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": "k1"}
    assert (await api.ask("POST", path, headers, json={"name": "wish"})).status == 201
    assert (await api.ask("POST", path, headers, json={"name": "other"})).status == 422
    assert (await api.ask("POST", "/v1/acts?x=", headers, json={"name": "wish"})).status == 400
    assert await acts(api) == 1


async def test_a_key_belongs_to_whoever_used_it(api: Api) -> None:
    for headers in (await api.as_agent(), await api.as_agent(Role.ADMIN), await api.as_program()):
        answer = await api.ask("POST", "/v1/acts", {**headers, "Idempotency-Key": "k1"}, json={"name": "wish"})
        assert answer.status == 201
    assert await acts(api) == 3


async def test_twenty_at_once_act_once_and_all_get_the_first_ones_answer(api: Api) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": "k1"}
    answers = await asyncio.gather(*(api.ask("POST", "/v1/acts", headers, json={"name": "wish"}) for _ in range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await acts(api) == 1


async def test_what_was_refused_did_nothing_and_may_be_tried_again(api: Api) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": "k1"}
    body = {"name": "wish", "fails_until": 1}
    assert (await api.ask("POST", "/v1/acts", headers, json=body)).status == 409
    assert await acts(api) == 0
    assert (await api.ask("POST", "/v1/acts", headers, json=body)).status == 201
    assert await acts(api) == 1


async def test_one_that_manages_its_own_transactions_gives_the_key_back_when_it_fails(api: Api) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": "k1"}
    body = {"name": "wish", "fails_until": 1}
    assert (await api.ask("POST", "/v1/alone", headers, json=body)).status == 409
    assert (await api.ask("POST", "/v1/alone", headers, json=body)).status == 201


async def test_while_the_first_is_at_work_outside_a_transaction_the_second_is_told_so(api: Api) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": "k1"}
    Trouble.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(api.ask("POST", "/v1/alone", headers, json={"name": "wish"}))
        while Trouble.calls == 0 and not first.done():
            await asyncio.sleep(0)
        second = await api.ask("POST", "/v1/alone", headers, json={"name": "wish"})
        assert second.status == 409
        # Its process may have died: then whoever comes later takes the claim over.
        api.clock.advance(timedelta(minutes=6))
        third = group.create_task(api.ask("POST", "/v1/alone", headers, json={"name": "wish"}))
        while Trouble.calls == 1 and not third.done():
            await asyncio.sleep(0)
        Trouble.gate.set()
    assert (first.result().status, third.result().status) == (201, 201)


async def test_a_secret_is_not_kept_for_a_second_answer(api: Api) -> None:
    headers = {**await api.as_agent(Role.ADMIN), "Idempotency-Key": "k1"}
    body = {"name": "wish", "scope": "events"}
    assert (await api.ask("POST", "/v1/tokens", headers, json=body)).status == 201
    assert (await api.ask("POST", "/v1/tokens", headers, json=body)).status == 409
    assert await acts(api) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    headers = {**await api.as_agent(), "Idempotency-Key": key}
    answer = await api.ask("POST", "/v1/acts", headers, json={"name": "wish"})
    assert (answer.status, answer.paths) == (400, ["Idempotency-Key"])
