"""The description of the API: valid, whole, and true of what is served."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.domain.message import Json
from gateway.web.server import API_ROUTES
from storage.database import open_database
from storage.live.contract import LiveBus
from tests.support.api import Api, serving


@pytest.fixture
async def api(sqlite_url: str, bus: LiveBus) -> AsyncIterator[Api]:
    database = open_database(sqlite_url, bus)
    async with serving(database, bus) as served:
        yield served
    await database.close()


@pytest.fixture
async def document(api: Api) -> Json:
    answer = await api.ask("GET", "/v1/openapi.json")
    assert answer.status == 200
    return answer.json


async def test_it_is_valid_openapi_3_1(document: Json) -> None:
    assert document["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_it_describes_exactly_what_is_served_under_v1(api: Api, document: Json) -> None:
    assert api.client.app is not None
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in api.client.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/v1/") and route.method != "HEAD"
    }
    described = {(method, path) for path, item in document["paths"].items() for method in item}
    assert described == served | {("get", "/v1/live")}


async def test_every_operation_says_what_it_does_who_may_and_what_can_go_wrong(document: Json) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation["responses"]["default"]
        if operation["security"] and operation["operationId"] != "live":
            assert {"401", "403"} <= operation["responses"].keys()
            assert "Roles: " in operation["description"]


async def test_every_write_takes_an_idempotency_key_and_every_path_parameter_is_named(document: Json) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            parameters = {(each["in"], each["name"]) for each in operation.get("parameters", [])}
            is_keyed = method != "get" and bool(operation["security"])
            assert (("header", "Idempotency-Key") in parameters) == is_keyed, path
            assert {name for place, name in parameters if place == "path"} == {
                part.strip("{}") for part in path.split("/") if part.startswith("{")
            }


async def test_a_query_has_its_bounds_and_no_null(document: Json) -> None:
    parameters = {each["name"]: each for each in document["paths"]["/v1/tokens"]["get"]["parameters"]}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}
    assert parameters["after"]["schema"] == {"type": "string", "maxLength": 500}


def test_every_route_says_what_it_does_and_what_comes_back() -> None:
    for route in API_ROUTES:
        assert route.summary, route.path
        streams = route.produces != "application/json"
        assert (route.response is not None) != (route.status == 204 or streams), route.path


async def test_somebody_elses_routes_stay_out(sqlite_url: str, bus: LiveBus) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="hello", headers={"Content-Security-Policy": "default-src 'self'"})

    database = open_database(sqlite_url, bus)
    async with serving(database, bus, others=[web.get("/", page)]) as api:
        answer = await api.ask("GET", "/")
        assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
        assert "/" not in (await api.ask("GET", "/v1/openapi.json")).json["paths"]
    await database.close()
