"""Who asks, and may they: bearer tokens for programs, a session cookie for agents."""

from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web

from gateway.domain.errors import Forbidden, Unauthenticated
from gateway.services.login import ABSOLUTE_TIMEOUT, resume_session
from gateway.services.tokens import hash_secret
from gateway.web.context import CONTEXT, Context
from gateway.web.permissions import Action, Principal
from gateway.web.problem import HttpError
from storage.tokens import find_token

COOKIE = "gateway_session"

# Fetch standard (2026), "CORS-safelisted request-header": what a page may send anywhere without being asked.
_FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})


async def admit(request: web.Request, action: Action, *, is_write: bool) -> Principal:
    """Return who asks, if they may.

    A browser adds the cookie to whatever any page asks for, so what acts (and a WebSocket, which the same-origin policy
    does not cover) must come from a page of ours: pass `is_write`.

    Raises:
        Unauthenticated: no or wrong credentials.
        Forbidden: not allowed, or by a page of somebody else's.
    """
    principal = await authenticate(request)
    if is_write and principal.session is not None:
        _require_own_origin(request)
    principal.require(action)
    return principal


async def authenticate(request: web.Request) -> Principal:
    """Return who asks, by the token they show or else by their session's cookie.

    Raises:
        Unauthenticated: no or wrong credentials.
    """
    context = request.app[CONTEXT]
    header = request.headers.get("Authorization")
    if header is not None:
        return await _by_token(context, header)
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        raise Unauthenticated("This needs a token or a session.")
    session = await resume_session(context.db, cookie, context.now())
    agent = session.agent
    return Principal(id=agent.id, name=agent.name, role=agent.role, session=session.token_hash)


async def _by_token(context: Context, header: str) -> Principal:
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("The only scheme is Bearer.")
    async with context.db.read() as conn:
        token = await find_token(conn, hash_secret(secret.strip()))
    if token is None:
        raise Unauthenticated("The token is unknown or revoked.")
    return Principal(id=token.id, name=token.name, scope=token.scope)


def _require_own_origin(request: web.Request) -> None:
    if request.headers.get("Origin") != request.app[CONTEXT].origin:
        raise Forbidden("With a cookie, this is only taken from the gateway's own pages (Origin).")


def refuse_foreign_origin(request: web.Request) -> None:
    """For what needs no credentials: a page of somebody else's may not log its visitors in here.

    Raises:
        Forbidden: there is an Origin, and it isn't ours.
    """
    if "Origin" in request.headers:
        _require_own_origin(request)


def set_session_cookie(response: web.Response, context: Context, cookie: str) -> None:
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(ABSOLUTE_TIMEOUT.total_seconds()),
        path="/",
        httponly=True,
        secure=context.is_https,
        samesite="Lax",
    )


def drop_session_cookie(response: web.Response, context: Context) -> None:
    response.del_cookie(COOKIE, path="/", httponly=True, secure=context.is_https, samesite="Lax")


def client_address(request: web.Request) -> str:
    """Return where the request comes from: the peer or, behind a proxy on this machine, whom the proxy names.

    The last entry of X-Forwarded-For is the proxy's own; those before it are whatever the client wrote.
    """
    peer = request.remote or ""
    if is_loopback(peer):
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
        return forwarded or peer
    return peer


def is_on_this_machine(request: web.Request) -> bool:
    """True if a program on this machine asks for itself, and not a proxy for somebody else."""
    named = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"))
    return is_loopback(request.remote or "") and not named


def is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def require_json(request: web.Request, *, has_body: bool) -> None:
    """Refuse what a form of anybody's page could send; a browser asks us before it sends any other type.

    Raises:
        HttpError: 415.
    """
    kind = request.content_type
    if (has_body and kind != "application/json") or ("Content-Type" in request.headers and kind in _FORM_TYPES):
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "This takes application/json.")
