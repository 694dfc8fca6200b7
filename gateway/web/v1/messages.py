"""Answers to customers: sent, sent again, taken back."""

from datetime import datetime
from typing import Annotated

import msgspec

from gateway.domain.contact import ChannelName
from gateway.services import reply as service
from gateway.services.reply import Author, Reply
from gateway.web.paging import Id, Seq
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.v1.views import MessageView, links_of, message_view
from storage.database import Transaction
from storage.timeline import load_message

_Mailbox = Annotated[str, msgspec.Meta(pattern=r"^[^@\s<>,;\"\\]+@[^@\s<>,;\"\\]+$", max_length=254)]  # RFC 5321


class ReplyBody(msgspec.Struct, forbid_unknown_fields=True):
    """`channel` absent: the one the customer last used. `hold_s`: seconds in which it can be taken back."""

    text: Annotated[str, msgspec.Meta(max_length=50_000)]
    channel: ChannelName | None = None
    attachments: Annotated[list[Id], msgspec.Meta(max_length=10)] | None = None
    cc: Annotated[list[_Mailbox], msgspec.Meta(max_length=20)] | None = None
    send_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    seen_seq: Seq | None = None


async def add_message(call: Call[ReplyBody, None], tx: Transaction) -> MessageView:
    body = call.body
    wanted = Reply(
        text=body.text,
        channel=body.channel,
        attachments=tuple(dict.fromkeys(body.attachments or ())),
        cc=tuple(dict.fromkeys(mailbox.lower() for mailbox in body.cc or ())),
        send_at=body.send_at,
        hold_s=body.hold_s or 0.0,
        seen_seq=body.seen_seq,
    )
    author = Author(actor=call.principal.actor, owner=call.principal.key)
    message_id = await service.reply(tx, call.id, author, wanted, split=call.context.split, now=call.now)
    return await _view(call, tx, message_id)


async def resend_message(call: Call[None, None], tx: Transaction) -> MessageView:
    await service.resend(tx, call.id, call.principal.actor, call.now)
    return await _view(call, tx, call.id)


async def cancel_message(call: Call[None, None], tx: Transaction) -> MessageView:
    await service.cancel(tx, call.id, call.principal.actor, call.now)
    return await _view(call, tx, call.id)


async def _view(call: Call[ReplyBody, None] | Call[None, None], tx: Transaction, message_id: str) -> MessageView:
    return message_view(await load_message(tx.conn, message_id), links_of(call.context), call.now)


ROUTES = (
    Route(
        "POST",
        "/v1/conversations/{id}/messages",
        Action.CONVERSATION_REPLY,
        add_message,
        body=ReplyBody,
        response=MessageView,
        status=201,
        summary="Answer the customer: stored at once, sent when due",
    ),
    Route(
        "POST",
        "/v1/messages/{id}/resend",
        Action.MESSAGE_RESEND,
        resend_message,
        response=MessageView,
        summary="Send a message again that failed or whose fate is unknown, from its first part that was not sent",
    ),
    Route(
        "POST",
        "/v1/messages/{id}/cancel",
        Action.MESSAGE_CANCEL,
        cancel_message,
        response=MessageView,
        summary="Take a message back that has not begun to leave",
    ),
)
