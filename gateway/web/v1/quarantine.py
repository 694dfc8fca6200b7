"""What came in and could not be handled."""

from datetime import datetime

import msgspec

from gateway.domain.message import Source
from gateway.services.quarantine import replay
from gateway.services.receive import ReceiptState
from gateway.web.paging import IdCursor, Page, PageQuery, cut_page, decode_cursor, encode_cursor
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from storage.quarantine import Quarantined, list_quarantined


class QuarantinedView(msgspec.Struct):
    """An entry without what the customer wrote: the error says why it is here, replaying says whether it still is."""

    id: str
    source: Source
    received_at: datetime
    error: str
    size: int  # bytes
    created_at: datetime
    replayed_at: datetime | None


def _view(entry: Quarantined) -> QuarantinedView:
    return QuarantinedView(
        id=entry.id,
        source=entry.raw.source,
        received_at=entry.raw.received_at,
        error=entry.error,
        size=len(entry.raw.body),
        created_at=entry.created_at,
        replayed_at=entry.replayed_at,
    )


async def get_quarantine(call: Call[None, PageQuery]) -> Page[QuarantinedView]:
    after = decode_cursor(call.query.after, IdCursor)
    async with call.context.db.read() as conn:
        rows = await list_quarantined(conn, after=after.id if after else None, limit=call.query.limit + 1)
    return cut_page([_view(row) for row in rows], call.query.limit, lambda last: encode_cursor(IdCursor(last.id)))


class ReplayView(msgspec.Struct):
    """What became of it this time; `quarantined` says that it failed again and stands as a new entry."""

    state: ReceiptState
    message_id: str | None


async def post_replay(call: Call[None, None]) -> ReplayView:
    receipt = await replay(call.context.db, call.context.submit, call.id, call.now)
    return ReplayView(state=receipt.state, message_id=receipt.message_id)


ROUTES = (
    Route(
        "GET",
        "/v1/quarantine",
        Action.QUARANTINE_READ,
        get_quarantine,
        query=PageQuery,
        response=Page[QuarantinedView],
        summary="List what could not be handled and waits for a replay, oldest first",
    ),
    Route(
        "POST",
        "/v1/quarantine/{id}/replay",
        Action.QUARANTINE_REPLAY,
        post_replay,
        response=ReplayView,
        own_transaction=True,
        summary="Try again what could not be handled",
    ),
)
