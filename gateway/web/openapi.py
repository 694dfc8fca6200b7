"""`GET /v1/openapi.json`: the route table as OpenAPI 3.1 (spec.openapis.org, 3.1.0)."""

import re
from collections.abc import Iterable, Sequence

import msgspec
from aiohttp import web

from gateway.domain.message import Json
from gateway.web.auth import COOKIE
from gateway.web.permissions import GRANTS, Action
from gateway.web.problem import CONTENT_TYPE, Problem
from gateway.web.routes import JSON, Call, Route

_PARAMETER = re.compile(r"{(\w+)}")
_REF = "#/components/schemas/{name}"

_ERRORS = {
    400: "Not in the form it should have",
    401: "No credentials, or wrong ones",
    403: "Not allowed",
    404: "There is no such thing",
    409: "Not true any more, or done already",
    413: "Too large",
    415: "Not in a media type that this takes",
    422: "Not what this takes; `errors` says where",
    429: "Too often: come back after Retry-After seconds",
}


def openapi_route(routes: Sequence[Route], *, public_url: str) -> Route:
    """Return the endpoint that describes all of `routes` and itself."""

    async def get_openapi(_call: Call[None, None]) -> web.Response:
        return web.Response(body=document, content_type=JSON)

    route = Route("GET", "/v1/openapi.json", None, get_openapi, summary="This description")
    document = msgspec.json.encode(build_document([*routes, route], public_url=public_url))
    return route


def build_document(routes: Sequence[Route], *, public_url: str) -> dict[str, Json]:
    queries = [route.query for route in routes if route.query is not None]
    kinds = _unique([kind for route in routes for kind in (route.body, route.response) if kind is not None])
    all_kinds = [Problem, *kinds, *_unique(queries)]
    references, schemas = msgspec.json.schema_components(all_kinds, ref_template=_REF)
    refs = dict(zip(all_kinds, references, strict=True))
    query_properties = {}
    for query in _unique(queries):
        name = refs[query]["$ref"].rpartition("/")[2]
        query_properties[query] = schemas.pop(name)["properties"]
    paths: dict[str, dict[str, Json]] = {"/v1/live": {"get": _LIVE}}
    for route in routes:
        properties = query_properties[route.query] if route.query is not None else {}
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs, properties)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Customer-service gateway", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": public_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas,
            "responses": {
                "Problem": {"description": "An error (RFC 9457)", "content": {CONTENT_TYPE: {"schema": refs[Problem]}}}
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


_DESCRIPTION = (
    "Programs authenticate with a bearer token, agents with the cookie that `POST /v1/session` sets; a write with the "
    "cookie must carry our own Origin. Every write takes an `Idempotency-Key`: the same request again gets the first "
    "one's answer and does nothing."
)

_LIVE: dict[str, Json] = {
    "operationId": "live",
    "summary": "Watch the inbox and open conversations over a WebSocket",
    "security": [{"token": []}, {"session": []}],
    "responses": {
        "101": {"description": "The WebSocket is open"},
        "default": {"$ref": "#/components/responses/Problem"},
    },
}


def _operation(route: Route, refs: dict[type, Json], query: dict[str, Json]) -> dict[str, Json]:
    names = _PARAMETER.findall(route.path)
    operation: dict[str, Json] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [
            *(_path_parameter(name) for name in names),
            *(_query_parameter(name, schema) for name, schema in query.items()),
        ],
        "responses": {str(route.status): _success(route, refs), **_failures(route, has_names=bool(names))},
        "security": [],
    }
    if route.action is not None:
        grant = GRANTS[route.action]
        operation["security"] = ([{"token": []}] if grant.scopes else []) + ([{"session": []}] if grant.roles else [])
        operation["description"] = _who_may(route.action)
        if not route.is_read:
            operation["parameters"].append(_IDEMPOTENCY_KEY)
    if route.body is not None:
        is_needed = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"required": is_needed, "content": {JSON: {"schema": refs[route.body]}}}
    elif route.consumes != JSON:
        operation["requestBody"] = {"required": True, "content": {route.consumes: {"schema": {}}}}
    return operation


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def _path_parameter(name: str) -> dict[str, Json]:
    is_id = name == "id" or name.endswith("_id")
    schema = {"type": "string", "format": "uuid"} if is_id else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(name: str, schema: dict[str, Json]) -> dict[str, Json]:
    """A query has no null: what may be None may be left out."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf" and value is not None}
    if len(choices) == 1:
        rest |= choices[0]
    elif choices:
        rest["anyOf"] = choices
    return {"name": name, "in": "query", "required": False, "schema": rest}


def _success(route: Route, refs: dict[type, Json]) -> dict[str, Json]:
    answer: dict[str, Json] = {"description": route.summary}
    if route.response is not None:
        answer["content"] = {JSON: {"schema": refs[route.response]}}
    elif route.status != 204:
        answer["content"] = {route.produces: {"schema": {}}}
    return answer


def _failures(route: Route, *, has_names: bool) -> dict[str, Json]:
    statuses = {400}
    if route.action is not None:
        statuses |= {401, 403}
    if has_names:
        statuses.add(404)
    if not route.is_read:
        statuses |= {403, 409, 413, 415, 422}
    if route.action is None and not route.is_read:
        statuses |= {401, 429}
    problem = {"$ref": "#/components/responses/Problem"}
    described = {
        str(status): {
            "description": _ERRORS[status],
            "content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
        for status in sorted(statuses)
    }
    return {**described, "default": problem}


def _who_may(action: Action) -> str:
    grant = GRANTS[action]
    roles = ", ".join(sorted(grant.roles)) or "none"
    scopes = ", ".join(sorted(grant.scopes)) or "none"
    return f"Needs `{action.value}`. Roles: {roles}. Scopes: {scopes}."


def _unique(kinds: Iterable[type]) -> list[type]:
    return list(dict.fromkeys(kinds))
