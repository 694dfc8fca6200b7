"""API tokens: made, listed, revoked."""

from datetime import datetime
from typing import Annotated

import msgspec

from gateway.domain.agent import ApiToken, Scope
from gateway.services.tokens import make_token
from gateway.web.paging import IdCursor, Page, PageQuery, cut_page, decode_cursor, encode_cursor
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from storage.database import Transaction
from storage.tokens import list_tokens, revoke_token


class TokenBody(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    scope: Scope


class TokenView(msgspec.Struct):
    id: str
    name: str
    scope: Scope
    created_at: datetime
    revoked_at: datetime | None


class NewTokenView(TokenView):
    token: str  # the secret; shown this once


def _view(token: ApiToken) -> TokenView:
    return TokenView(
        id=token.id, name=token.name, scope=token.scope, created_at=token.created_at, revoked_at=token.revoked_at
    )


async def get_tokens(call: Call[None, PageQuery]) -> Page[TokenView]:
    after = decode_cursor(call.query.after, IdCursor)
    async with call.context.db.read() as conn:
        rows = await list_tokens(conn, after=after.id if after else None, limit=call.query.limit + 1)
    return cut_page([_view(row) for row in rows], call.query.limit, lambda last: encode_cursor(IdCursor(last.id)))


async def add_token(call: Call[TokenBody, None], tx: Transaction) -> NewTokenView:
    made = await make_token(tx, name=call.body.name, scope=call.body.scope, now=call.now)
    token = made.token
    return NewTokenView(
        id=token.id,
        name=token.name,
        scope=token.scope,
        created_at=token.created_at,
        revoked_at=None,
        token=made.secret,
    )


async def remove_token(call: Call[None, None], tx: Transaction) -> TokenView:
    return _view(await revoke_token(tx, call.id, call.now))


ROUTES = (
    Route(
        "GET",
        "/v1/tokens",
        Action.TOKEN_READ,
        get_tokens,
        query=PageQuery,
        response=Page[TokenView],
        summary="List the API tokens, revoked ones too",
    ),
    Route(
        "POST",
        "/v1/tokens",
        Action.TOKEN_MANAGE,
        add_token,
        body=TokenBody,
        response=NewTokenView,
        status=201,
        summary="Make an API token; the answer holds the secret, this once",
        keeps_response=False,
    ),
    Route(
        "DELETE",
        "/v1/tokens/{id}",
        Action.TOKEN_MANAGE,
        remove_token,
        response=TokenView,
        summary="Revoke an API token",
    ),
)
