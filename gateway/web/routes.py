"""How an endpoint of `/v1` is declared: one `Route` in its module's `ROUTES`; gateway/web/frame.py does the rest.

    class NoteBody(msgspec.Struct, forbid_unknown_fields=True):
        text: Annotated[str, msgspec.Meta(min_length=1)]

    async def add_note(call: Call[NoteBody, None], tx: Transaction) -> Note: ...

    ROUTES = (
        Route("POST", "/v1/conversations/{id}/notes", Action.CONVERSATION_NOTE, add_note,
              body=NoteBody, response=Note, status=201, summary="Add a note that only agents see"),
    )

A GET is handed its `Call` and reads as it likes. Every other method is a write: it is handed a `Transaction` too, which
the frame opens, in which it claims the caller's Idempotency-Key, and which it commits; so a handler may run several
times and must not act outside of it. `own_transaction=True` is for what must not hold one (uploads, passwords): the
handler is handed its `Call` alone.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from aiohttp import web

from gateway.web.context import Context
from gateway.web.permissions import Action, Principal

B = TypeVar("B")
Q = TypeVar("Q")

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B, Q]):
    """One request, checked and decoded."""

    context: Context
    principal: Principal
    path: Mapping[str, str]  # `id` and `*_id` are canonical ids
    query: Q
    body: B
    now: datetime
    request: web.Request  # for the few that stream

    @property
    def id(self) -> str:
        return self.path["id"]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `handler`'s annotations and `body`, `query`, `response` must agree (a test compares them)."""

    method: str
    path: str
    action: Action | None  # None: open to anybody
    handler: Callable[..., Awaitable[object]]
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    response: type[object] | None = None  # None: no content, or what the handler streams as `produces`
    status: int = 200
    summary: str = ""
    own_transaction: bool = False
    keeps_response: bool = True  # False: the response holds a secret, so a repeated Idempotency-Key gets a 409
    consumes: str = JSON  # another media type: the handler reads `call.request` itself
    produces: str = JSON
    max_body: int = 1024 * 1024  # bytes

    @property
    def is_read(self) -> bool:
        return self.method == "GET"
