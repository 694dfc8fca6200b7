"""Requests made up from the API's own description: none may find a fault of ours, and every answer is as described."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.domain.agent import Role
from gateway.domain.message import Json
from storage.database import Database
from storage.live.contract import LiveBus
from tests.support.api import Api, Headers, serving
from tests.support.factories import make_contact, make_conversation, make_message

# Enough to meet every kind of value; a longer hunt is a matter of raising this by hand.
_EXAMPLES = 6
_CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as served:
        yield served


# What the made-up ids are replaced by, so that requests get further than "not found".
_THINGS = ("conversations", "contacts", "messages")


async def _known_ids(api: Api) -> dict[str, str]:
    db = api.context.db
    contact_id = await make_contact(db)
    conversation_id = await make_conversation(db, contact_id)
    message_id = await make_message(db, conversation_id)
    return dict(zip(_THINGS, (conversation_id, contact_id, message_id), strict=True))


def _explore(
    document: Json, base_url: str, path: str, method: str, mode: GenerationMode, headers: Headers, known_id: str | None
) -> None:
    operation = schemathesis.openapi.from_dict(document)[path][method]

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Json]) -> None:
        case.cookies = {}
        for name in ("Authorization", "Cookie", "Origin", "Idempotency-Key"):
            case.headers.pop(name, None)
        if known_id is not None:
            case.path_parameters["id"] = known_id
        response = case.call(base_url=base_url, headers=dict(headers))
        case.validate_response(response, checks=_CHECKS)

    ask()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_no_made_up_request_finds_a_fault_of_ours(api: Api, mode: GenerationMode) -> None:
    document = (await api.ask("GET", "/v1/openapi.json")).json
    del document["paths"]["/v1/live"]
    base_url = str(api.client.make_url("/"))
    admin = await api.add_agent(Role.ADMIN)
    known = await _known_ids(api)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if mode is GenerationMode.NEGATIVE and not (operation.get("parameters") or "requestBody" in operation):
                continue
            headers = await api.session_of(admin)  # a new one each time: one of the endpoints ends it
            known_id = known.get(path.split("/")[2]) if "{id}" in path else None
            await asyncio.to_thread(_explore, document, base_url, path, method, mode, headers, known_id)
