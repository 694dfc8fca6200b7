"""Errors on the wire: application/problem+json (RFC 9457), and the one place that maps our errors to HTTP.

`type` is always `about:blank`: the status says all that a program acts on, and `detail` is a sentence for a person.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web

from gateway.domain.errors import (
    BadInput,
    Conflict,
    Forbidden,
    GatewayError,
    Gone,
    InputError,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    trace_lines,
)
from gateway.domain.ids import new_id

_log = structlog.get_logger("gateway.web")

CONTENT_TYPE = "application/problem+json"
_UNAVAILABLE_RETRY_S = 5

_STATUS: dict[type[GatewayError], HTTPStatus] = {
    BadInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Gone: HTTPStatus.GONE,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


class FieldError(msgspec.Struct):
    path: str
    message: str


class Problem(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    request_id: str | None = None


class HttpError(GatewayError):
    """A mistake in how HTTP was used, which nothing below the web knows of."""

    def __init__(self, status: HTTPStatus, detail: str, errors: tuple[InputError, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors


def malformed(detail: str, *, path: str = "$") -> HttpError:
    """A 400: what came is not in the form that it claims to have."""
    return HttpError(HTTPStatus.BAD_REQUEST, detail, (InputError(path=path, message=detail),))


def problem_response(
    status: int,
    detail: str,
    *,
    errors: tuple[InputError, ...] = (),
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> web.Response:
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=[FieldError(path=error.path, message=error.message) for error in errors],
        request_id=request_id,
    )
    return web.Response(
        status=status, body=msgspec.json.encode(problem), content_type=CONTENT_TYPE, headers=dict(headers or {})
    )


def _from_error(error: GatewayError) -> web.Response | None:
    """Return the answer to an error of ours, or None where it should never have come this far."""
    if isinstance(error, HttpError):
        return problem_response(error.status, str(error), errors=error.errors)
    for kind in type(error).__mro__:
        if kind in _STATUS:
            status = _STATUS[kind]
            break
    else:
        return None
    errors = error.errors if isinstance(error, BadInput) else ()
    headers: dict[str, str] = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = str(_UNAVAILABLE_RETRY_S)
    elif isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(status, str(error), errors=errors, headers=headers)


def _from_aiohttp(error: web.HTTPException) -> web.Response:
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return problem_response(error.status, HTTPStatus(error.status).description or error.reason, headers=headers)


def _from_fault(request: web.Request, error: Exception) -> web.Response:
    request_id = new_id()
    resource = request.match_info.route.resource
    _log.error(
        "request.failed",
        request_id=request_id,
        method=request.method,
        route=resource.canonical if resource else None,
        trace=trace_lines(error),
    )
    return problem_response(500, "This is our fault, and it is in our log under the request id.", request_id=request_id)


@web.middleware
async def answer_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer; nothing else in the product maps errors to HTTP."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _from_aiohttp(error)
    except web.RequestPayloadError:
        return problem_response(400, "The body is not in the encoding that it claims to have.")
    except GatewayError as error:
        answer = _from_error(error)
        return answer if answer is not None else _from_fault(request, error)
    except Exception as error:  # the boundary: one request's fault must not be the server's
        return _from_fault(request, error)
