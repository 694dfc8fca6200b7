"""An agent has looked at a conversation: its visitor in web chat is told."""

import msgspec

from gateway.services.chat import tell_visitor_seen
from gateway.web.paging import Seq
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from storage.conversations import load_conversation
from storage.database import Transaction


class SeenBody(msgspec.Struct, forbid_unknown_fields=True):
    """`seq`: the last number that was looked at."""

    seq: Seq


async def mark_seen(call: Call[SeenBody, None], tx: Transaction) -> None:
    await load_conversation(tx.conn, call.id)
    await tell_visitor_seen(tx, call.id, call.body.seq)


ROUTES = (
    Route(
        "PUT",
        "/v1/conversations/{id}/seen",
        Action.CONVERSATION_SEE,
        mark_seen,
        body=SeenBody,
        status=204,
        summary="Say that one has looked at it, up to a number; the visitor in web chat sees that",
    ),
)
