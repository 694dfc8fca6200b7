"""`/sandbox`: the customers' side of demo mode, as JSON. Mounted by demo mode alone, for this machine alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web

from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import Forbidden, NotFound
from gateway.domain.message import Direction
from gateway.sandbox.customer_side import CustomerSide, read_mail
from gateway.sandbox.keepsakes import is_loopback
from gateway.sandbox.shop import CUSTOMERS, SHOP_NAME, Customer
from gateway.sandbox.smtp_ledger import Fault
from gateway.sandbox.twilio_callbacks import CallbackMode
from gateway.sandbox.twilio_ledger import Behaviour
from gateway.web import wire
from gateway.web.auth import is_on_this_machine, refuse_foreign_origin, require_json
from gateway.web.chat import SOCKET_PATH
from gateway.web.context import CONTEXT
from gateway.web.twilio import MESSAGES_PATH
from storage.chat import find_visitors, list_chat

_BY_ID = {customer.id: customer for customer in CUSTOMERS}
_MAX_BODY = 256 * 1024
_MOST_SENT = 500


class ChannelView(msgspec.Struct):
    """How a channel is written to: the shop's address there, and where its traffic comes in."""

    address: str | None
    url: str


class CustomerView(msgspec.Struct):
    id: str
    name: str
    language: str
    addresses: Mapping[ChannelName, str | None]
    identity: str  # what the shop signed for their chat; fresh in each answer, good for an hour


class SandboxView(msgspec.Struct):
    shop: str
    channels: Mapping[ChannelName, ChannelView]
    stand_ins: Mapping[str, str]
    customers: Sequence[CustomerView]


class WriteBody(msgspec.Struct, forbid_unknown_fields=True):
    customer: str
    channel: ChannelName
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=50_000)]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\r\n]+$")] | None = None


class WroteView(msgspec.Struct):
    customer: str
    channel: ChannelName
    external_id: str


class SentQuery(msgspec.Struct):
    customer: str


class SentView(msgspec.Struct):
    """A message of ours as it reached the customer."""

    channel: ChannelName
    at: datetime
    external_id: str
    text: str
    subject: str | None = None
    status: str | None = None  # what the stand-in or the chat says of it


class SentList(msgspec.Struct):
    items: Sequence[SentView]


class BehaviourBody(msgspec.Struct, forbid_unknown_fields=True):
    """What goes wrong from now on. `is_forgotten` first drops what was asked for before."""

    is_forgotten: bool = False
    callbacks: CallbackMode | None = None
    twilio: list[Behaviour] = []
    mail: list[Fault] = []


class SandboxPages:
    def __init__(self, side: CustomerSide, *, public_url: str, twilio_url: str) -> None:
        self._side = side
        self._public_url = public_url
        self._twilio_url = twilio_url

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox", self.show, allow_head=False),
            web.get("/sandbox/sent", self.list_sent, allow_head=False),
            web.post("/sandbox/messages", self.write),
            web.post("/sandbox/behaviour", self.change_behaviour),
        ]

    async def show(self, request: web.Request) -> web.Response:
        self._admit(request)
        front, now = self._side.front, request.app[CONTEXT].now()
        webhook = self._public_url + MESSAGES_PATH
        host, port = front.receiver
        view = SandboxView(
            shop=SHOP_NAME,
            channels={
                ChannelName.EMAIL: ChannelView(address=front.email, url=f"smtp://{host}:{port}"),
                ChannelName.SMS: ChannelView(address=front.sms, url=webhook),
                ChannelName.WHATSAPP: ChannelView(address=f"whatsapp:{front.whatsapp}", url=webhook),
                ChannelName.WEBCHAT: ChannelView(
                    address=None, url=self._public_url.replace("http", "ws", 1) + SOCKET_PATH
                ),
            },
            stand_ins={"twilio": self._twilio_url, "mail": self._side.peer.url},
            customers=[_view(customer, self._side.identity_of(customer, now)) for customer in CUSTOMERS],
        )
        return _answer(view)

    async def write(self, request: web.Request) -> web.Response:
        body = await self._read(request, WriteBody)
        customer = _find(body.customer)
        external_id = await self._side.write(
            customer, body.channel, body.text, request.app[CONTEXT].now(), subject=body.subject
        )
        view = WroteView(customer=customer.id, channel=body.channel, external_id=external_id)
        return _answer(view, HTTPStatus.CREATED)

    async def list_sent(self, request: web.Request) -> web.Response:
        self._admit(request)
        query = wire.decode_query(request.rel_url.raw_query_string, SentQuery)
        assert query is not None  # noqa: S101  there is a kind
        customer = _find(query.customer)
        found = [*self._mails(customer), *self._texts(customer), *await _chats(request, customer)]
        return _answer(SentList(items=sorted(found, key=lambda item: item.at)[-_MOST_SENT:]))

    async def change_behaviour(self, request: web.Request) -> web.Response:
        body = await self._read(request, BehaviourBody)
        twilio, peer = self._side.twilio, self._side.peer
        if body.is_forgotten:
            twilio.behaviours.clear()
            peer.faults.clear()
        if body.callbacks is not None:
            twilio.callbacks = body.callbacks
        for behaviour in body.twilio:
            twilio.behaviours.add(behaviour)
        for fault in body.mail:
            peer.faults.add(fault)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _admit(self, request: web.Request) -> None:
        """Let in whoever sits at this machine, and pages of ours.

        A page of somebody else's can have its own name lead to this machine, and would then be of the same origin
        with us in its browser's eyes; the Host still is that name.

        Raises:
            Forbidden: it is somebody else.
        """
        host = request.url.host or ""
        if not is_on_this_machine(request) or not is_loopback(host):
            raise Forbidden("The sandbox is for this machine alone.")
        refuse_foreign_origin(request)

    async def _read(self, request: web.Request, kind: type[wire.S]) -> wire.S:
        self._admit(request)
        require_json(request, has_body=True)
        body = wire.decode_body(await wire.read_body(request, _MAX_BODY), kind)
        assert body is not None  # noqa: S101  there is a kind
        return body

    def _mails(self, customer: Customer) -> list[SentView]:
        found = []
        for kept in self._side.mails_to(customer):
            mail = read_mail(kept)
            plain = mail.get_body(("plain",))
            found.append(
                SentView(
                    channel=ChannelName.EMAIL,
                    at=kept.at,
                    external_id=str(mail["Message-ID"] or "").strip("<>"),
                    text=plain.get_content() if plain is not None else "",
                    subject=str(mail["Subject"] or ""),
                )
            )
        return found

    def _texts(self, customer: Customer) -> list[SentView]:
        channels = {
            customer.phone: ChannelName.SMS,
            f"whatsapp:{customer.phone}": ChannelName.WHATSAPP,
        }
        return [
            SentView(
                channel=channels[message.to],
                at=message.created_at,
                external_id=message.sid,
                text=message.body,
                status=message.status,
            )
            for message in self._side.twilio.accepted
            if message.to in channels
        ]


async def _chats(request: web.Request, customer: Customer) -> list[SentView]:
    """Return what the customer's own browser has been shown, or will be when it comes back."""
    async with request.app[CONTEXT].db.read() as conn:
        visitor = (await find_visitors(conn, [customer.visitor])).get(customer.visitor)
        if visitor is None:
            return []
        found = await list_chat(conn, visitor.address_id, after_seq=visitor.chat_seq - _MOST_SENT, limit=_MOST_SENT)
    return [
        SentView(
            channel=ChannelName.WEBCHAT,
            at=message.at,
            external_id=message.id,
            text=message.text,
            status=MessageStatus(message.status),
        )
        for message in found
        if message.direction is Direction.OUTBOUND
    ]


def _find(customer_id: str) -> Customer:
    if customer_id not in _BY_ID:
        raise NotFound("The shop has no such customer.")
    return _BY_ID[customer_id]


def _view(customer: Customer, identity: str) -> CustomerView:
    return CustomerView(
        id=customer.id,
        name=customer.name,
        language=customer.language,
        addresses={
            ChannelName.EMAIL: customer.email,
            ChannelName.SMS: customer.phone,
            ChannelName.WHATSAPP: customer.phone,
            ChannelName.WEBCHAT: customer.id,
        },
        identity=identity,
    )


def _answer(view: msgspec.Struct, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(view),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
