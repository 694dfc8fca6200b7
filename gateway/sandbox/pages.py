"""`/sandbox`: the customers' side of demo mode, a page and its JSON; for this machine alone."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from gateway.domain.agent import Role
from gateway.domain.contact import ChannelName
from gateway.domain.errors import Forbidden, NotFound
from gateway.sandbox.customer_side import CustomerSide, Picture
from gateway.sandbox.keepsakes import is_loopback
from gateway.sandbox.shop import ADMIN, CUSTOMERS, SHOP_NAME, Customer
from gateway.sandbox.smtp_ledger import Fault
from gateway.sandbox.switches import KNOWN, SWITCHES, turn
from gateway.sandbox.thread import SentList, SentQuery, list_sent, list_thread
from gateway.sandbox.twilio_callbacks import CallbackMode
from gateway.sandbox.twilio_ledger import Behaviour
from gateway.services.login import begin_session
from gateway.web import wire
from gateway.web.auth import is_on_this_machine, refuse_foreign_origin, require_json, set_session_cookie
from gateway.web.chat import SOCKET_PATH
from gateway.web.context import CONTEXT
from gateway.web.pages import Pages
from gateway.web.twilio import MESSAGES_PATH
from storage.agents import find_agent, list_agents, load_agent

_BY_ID = {customer.id: customer for customer in CUSTOMERS}
_MAX_BODY = 8 * 1024 * 1024


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


class PictureBody(msgspec.Struct, forbid_unknown_fields=True):
    """`content`: base64."""

    filename: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\r\n/]+$")]
    content_type: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
    content: bytes


class WriteBody(msgspec.Struct, forbid_unknown_fields=True):
    customer: str
    channel: ChannelName
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=50_000)]
    subject: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\r\n]+$")] | None = None
    picture: PictureBody | None = None


class WroteView(msgspec.Struct):
    customer: str
    channel: ChannelName
    external_id: str


class BehaviourBody(msgspec.Struct, forbid_unknown_fields=True):
    """What goes wrong from now on. `is_forgotten` first drops what was asked for before."""

    is_forgotten: bool = False
    callbacks: CallbackMode | None = None
    twilio: list[Behaviour] = []
    mail: list[Fault] = []


class SwitchView(msgspec.Struct):
    id: str
    place: str
    is_on: bool


class SwitchesView(msgspec.Struct):
    items: Sequence[SwitchView]


class SwitchesBody(msgspec.Struct, forbid_unknown_fields=True):
    """All that is to be on; what isn't named is as usual again."""

    on: Annotated[list[Annotated[str, msgspec.Meta(max_length=40)]], msgspec.Meta(max_length=40)]


class DeskView(msgspec.Struct):
    id: str
    name: str
    role: Role
    languages: Sequence[str]


class DeskList(msgspec.Struct):
    items: Sequence[DeskView]


class SessionBody(msgspec.Struct, forbid_unknown_fields=True):
    """`agent`: an id; absent: the one whom the start names."""

    agent: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class SandboxPages:
    def __init__(self, side: CustomerSide, *, public_url: str, twilio_url: str) -> None:
        self._side = side
        self._public_url = public_url
        self._twilio_url = twilio_url
        self._pages = Pages(is_demo=True)
        self._on: frozenset[str] = frozenset()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox", self.show_page, allow_head=False),
            web.get("/sandbox/state", self.show, allow_head=False),
            web.get("/sandbox/sent", self.list_sent, allow_head=False),
            web.get("/sandbox/thread", self.list_thread, allow_head=False),
            web.post("/sandbox/messages", self.write),
            web.post("/sandbox/behaviour", self.change_behaviour),
            web.get("/sandbox/switches", self.list_switches, allow_head=False),
            web.put("/sandbox/switches", self.turn_switches),
            web.get("/sandbox/agents", self.list_agents, allow_head=False),
            web.post("/sandbox/session", self.begin_session),
        ]

    async def show_page(self, request: web.Request) -> web.Response:
        self._admit(request)
        return await self._pages.show(request, "sandbox.html")

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
        sent = body.picture
        picture = None
        if sent is not None:
            picture = Picture(filename=sent.filename, content_type=sent.content_type, content=sent.content)
        external_id = await self._side.write(
            customer, body.channel, body.text, request.app[CONTEXT].now(), subject=body.subject, picture=picture
        )
        view = WroteView(customer=customer.id, channel=body.channel, external_id=external_id)
        return _answer(view, HTTPStatus.CREATED)

    async def list_sent(self, request: web.Request) -> web.Response:
        """What the shop sent to a customer, as it reached them."""
        customer = self._customer(request)
        return _answer(SentList(items=await list_sent(self._side, request.app[CONTEXT].db, customer)))

    async def list_thread(self, request: web.Request) -> web.Response:
        """The same with what the customer wrote."""
        customer = self._customer(request)
        return _answer(SentList(items=await list_thread(self._side, request.app[CONTEXT].db, customer)))

    def _customer(self, request: web.Request) -> Customer:
        self._admit(request)
        query = wire.decode_query(request.rel_url.raw_query_string, SentQuery)
        assert query is not None  # noqa: S101  there is a kind
        return _find(query.customer)

    async def change_behaviour(self, request: web.Request) -> web.Response:
        body = await self._read(request, BehaviourBody)
        twilio, peer = self._side.twilio, self._side.peer
        if body.is_forgotten:
            self._on = frozenset()
            twilio.behaviours.clear()
            peer.faults.clear()
        if body.callbacks is not None:
            twilio.callbacks = body.callbacks
        for behaviour in body.twilio:
            twilio.behaviours.add(behaviour)
        for fault in body.mail:
            peer.faults.add(fault)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def list_switches(self, request: web.Request) -> web.Response:
        self._admit(request)
        return _answer(self._switches())

    async def turn_switches(self, request: web.Request) -> web.Response:
        body = await self._read(request, SwitchesBody)
        if unknown := sorted(set(body.on) - KNOWN):
            raise NotFound(f"There is no switch {unknown[0]}.")
        self._on = frozenset(body.on)
        turn(self._on, self._side.twilio, self._side.peer)
        return _answer(self._switches())

    def _switches(self) -> SwitchesView:
        return SwitchesView(
            items=[SwitchView(id=switch.id, place=switch.place, is_on=switch.id in self._on) for switch in SWITCHES]
        )

    async def list_agents(self, request: web.Request) -> web.Response:
        self._admit(request)
        async with request.app[CONTEXT].db.read() as conn:
            found = [agent for agent in await list_agents(conn) if agent.disabled_at is None]
        # The one whom the start names comes first.
        found.sort(key=lambda agent: (agent.email != ADMIN.email, agent.name))
        return _answer(
            DeskList(
                items=[
                    DeskView(id=agent.id, name=agent.name, role=agent.role, languages=agent.languages)
                    for agent in found
                ]
            )
        )

    async def begin_session(self, request: web.Request) -> web.Response:
        """Log an agent in without a password: whoever sits at this machine could read it where the demo started."""
        body = await self._read(request, SessionBody)
        context = request.app[CONTEXT]
        async with context.db.read() as conn:
            agent = await find_agent(conn, ADMIN.email) if body.agent is None else await load_agent(conn, body.agent)
        if agent is None or agent.disabled_at is not None:
            raise NotFound("There is no such agent.")
        known, now = agent, context.now()
        logged_in = await context.db.write(lambda tx: begin_session(tx, known, now))
        response = web.Response(status=HTTPStatus.NO_CONTENT)
        set_session_cookie(response, context, logged_in.cookie)
        return response

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
