"""The HTTP application: every route of the product in one place."""

import time
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import Histogram

from gateway.web import files, health
from gateway.web.context import CONTEXT, Context
from gateway.web.frame import bind
from gateway.web.openapi import openapi_route
from gateway.web.problem import answer_problems
from gateway.web.routes import Route
from gateway.web.v1 import (
    actions,
    attachments,
    channels,
    contacts,
    conversations,
    inbox_views,
    mails,
    messages,
    quarantine,
    search,
    seen,
    session,
    tokens,
)

API_ROUTES: tuple[Route, ...] = (
    *session.ROUTES,
    *conversations.ROUTES,
    *inbox_views.ROUTES,
    *search.ROUTES,
    *seen.ROUTES,
    *actions.ROUTES,
    *channels.ROUTES,
    *messages.ROUTES,
    *mails.ROUTES,
    *contacts.ROUTES,
    *attachments.ROUTES,
    *tokens.ROUTES,
    *quarantine.ROUTES,
)

# A page of ours sets a policy of its own; whatever sets none holds no page, and is shown in nobody's frame.
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def build_app(
    context: Context, *, others: Sequence[web.AbstractRouteDef] = (), routes: Sequence[Route] = API_ROUTES
) -> web.Application:
    """Return the application; `others` are the routes that aren't part of `/v1`'s table (webhooks, sockets, pages)."""
    app = web.Application(middlewares=[_measure(context), answer_problems])
    app[CONTEXT] = context
    app.add_routes([bind(route) for route in (*routes, openapi_route(routes, public_url=context.public_url))])
    app.add_routes([*health.routes(), *files.routes(), *others])
    app.on_response_prepare.append(_add_headers)
    return app


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/v1/"):
        response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "gateway"


def _measure(context: Context) -> Middleware:
    seconds = Histogram(
        "gateway_http_request_seconds",
        "Time to answer, by route template",
        ("method", "route", "status"),
        registry=context.metrics,
    )

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        response = await handler(request)
        if isinstance(response, web.WebSocketResponse):  # what took that time is no answer, but a conversation
            return response
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        method = request.method if resource is not None else "none"  # a client may invent any number of methods
        seconds.labels(method, route, str(response.status)).observe(time.perf_counter() - began)
        return response

    return measure
