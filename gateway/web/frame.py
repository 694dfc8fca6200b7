"""What happens around every endpoint of `/v1`: admit, decode, run, answer; and what makes a repeated write harmless.

With an Idempotency-Key the same request gets the first one's answer, byte for byte; a different request gets 422, one
that comes while the first is still at work waits or gets 409 (IETF draft-ietf-httpapi-idempotency-key-header-07,
section 2.7). Errors are not kept: what was refused has done nothing, and may be tried again.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.domain.errors import Conflict
from gateway.web import auth, wire
from gateway.web.context import CONTEXT
from gateway.web.permissions import NOBODY, Principal
from gateway.web.problem import HttpError, malformed
from gateway.web.routes import JSON, Call, Route
from storage import idempotency
from storage.database import Database, Transaction
from storage.idempotency import KeyedRequest, StoredAnswer

_MAX_KEY = 255
# A write of its own transactions that has not finished by now never will: its process is gone.
_ABANDONED_AFTER = timedelta(minutes=5)

AnyCall = Call[msgspec.Struct | None, msgspec.Struct | None]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes | None  # None: it held a secret and was not kept


def bind(route: Route) -> web.RouteDef:
    """Return the route as aiohttp wants it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _serve(route, request)

    return web.RouteDef(route.method, route.path, handle, {})


async def _serve(route: Route, request: web.Request) -> web.StreamResponse:
    principal = await _admit(route, request)
    path = wire.decode_path(request.match_info)
    query = wire.decode_query(request.rel_url.raw_query_string, route.query)
    raw = b"" if route.is_read else await _read_body(route, request)
    call: AnyCall = Call(
        context=request.app[CONTEXT],
        principal=principal,
        path=path,
        query=query,
        body=wire.decode_body(raw, route.body),
        now=request.app[CONTEXT].now(),
        request=request,
    )
    if route.is_read:
        return _respond(route, await route.handler(call))
    keyed = _keyed_request(request, principal, raw)
    if route.own_transaction:
        return await _run_alone(route, call, keyed)
    return _write_out(await _run_in_transaction(route, call, keyed))


async def _admit(route: Route, request: web.Request) -> Principal:
    if route.action is not None:
        return await auth.admit(request, route.action, is_write=not route.is_read)
    if not route.is_read:
        auth.refuse_foreign_origin(request)
    return NOBODY


async def _read_body(route: Route, request: web.Request) -> bytes:
    if route.consumes != JSON:
        return b""  # the handler reads it
    auth.require_json(request, has_body=request.body_exists and request.content_length != 0)
    return await wire.read_body(request, route.max_body)


def _keyed_request(request: web.Request, principal: Principal, raw: bytes) -> KeyedRequest | None:
    key = request.headers.get("Idempotency-Key")
    if key is None or principal is NOBODY:
        return None
    if not 1 <= len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise malformed(f"An Idempotency-Key has 1 to {_MAX_KEY} printable ASCII characters.", path="Idempotency-Key")
    asked = b"\n".join((request.method.encode(), request.rel_url.raw_path_qs.encode(), raw))
    return KeyedRequest(principal=principal.key, key=key, fingerprint=hashlib.sha256(asked).hexdigest())


async def _run_in_transaction(route: Route, call: AnyCall, keyed: KeyedRequest | None) -> Answer:
    async def work(tx: Transaction) -> Answer:
        if keyed is None:
            return _encode(route, await route.handler(call, tx))
        earlier = await idempotency.claim_key(tx, keyed, call.now)
        if earlier is not None:
            return _repeat(keyed, earlier)
        answer = _encode(route, await route.handler(call, tx))
        await idempotency.save_answer(
            tx, keyed, status=answer.status, response=answer.body if route.keeps_response else None
        )
        return answer

    return await call.context.db.write(work)


async def _run_alone(route: Route, call: AnyCall, keyed: KeyedRequest | None) -> web.StreamResponse:
    """Run a handler that must not stand in a transaction: the key is claimed before it and answered after it.

    A crash in between leaves the claim to whoever comes back later, so such a handler can be run twice with no harm.
    """
    if keyed is None:
        return _respond(route, await route.handler(call))
    db = call.context.db
    earlier = await _claim(db, keyed, call.now)
    if earlier is not None:
        return _write_out(earlier)
    finished = False
    try:
        answer = _encode(route, await route.handler(call))
        await db.write(lambda tx: idempotency.save_answer(tx, keyed, status=answer.status, response=answer.body))
        finished = True
    finally:
        if not finished:
            await db.write(lambda tx: idempotency.release_key(tx, keyed))
    return _write_out(answer)


async def _claim(db: Database, keyed: KeyedRequest, now: datetime) -> Answer | None:
    async def claim(tx: Transaction) -> Answer | None:
        earlier = await idempotency.claim_key(tx, keyed, now)
        if earlier is None:
            return None
        is_same = earlier.fingerprint == keyed.fingerprint
        is_abandoned = earlier.status is None and now - earlier.created_at > _ABANDONED_AFTER
        if is_same and is_abandoned and await idempotency.renew_claim(tx, keyed, stale=earlier.created_at, now=now):
            return None
        return _repeat(keyed, earlier)

    return await db.write(claim)


def _repeat(keyed: KeyedRequest, earlier: StoredAnswer) -> Answer:
    if earlier.fingerprint != keyed.fingerprint:
        raise HttpError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "This Idempotency-Key was used for a different request already."
        )
    if earlier.status is None:
        raise Conflict("The first request with this Idempotency-Key is still being worked on.")
    if earlier.response is None:
        raise Conflict("This was done already; its answer held a secret and is not kept.")
    return Answer(earlier.status, earlier.response)


def _encode(route: Route, result: object) -> Answer:
    if result is None:
        return Answer(HTTPStatus.NO_CONTENT, b"")
    return Answer(route.status, msgspec.json.encode(result))


def _write_out(answer: Answer) -> web.Response:
    if answer.status == HTTPStatus.NO_CONTENT:
        return web.Response(status=answer.status)
    return web.Response(status=answer.status, body=answer.body, content_type=JSON)


def _respond(route: Route, result: object) -> web.StreamResponse:
    if isinstance(result, web.StreamResponse):
        return result
    return _write_out(_encode(route, result))
