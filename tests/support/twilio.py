"""Both sides of Twilio for tests: the stand-in, and the gateway's webhooks with a list where the intake would be."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from channels.contract import Channel
from channels.http import HttpClient
from channels.sms.adapter import SmsChannel
from channels.twilio import RETRY_OVERRIDES, SignatureCheck, TwilioAccount, TwilioMessages
from channels.twilio_wire import parse_message, parse_report
from channels.whatsapp.adapter import WhatsAppChannel
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, SendResult
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage, OutboundAttachment, OutboundMessage, RawInbound, Source
from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.twilio_ledger import Behaviour, Kind
from gateway.web.problem import answer_problems
from gateway.web.twilio import MESSAGES_PATH, twilio_routes
from storage.database import Database
from storage.live.contract import LiveBus
from tests.support.channel_contract import Doorstep, Fixture, Harness, Proof, Recorded, Trouble, recording
from tests.support.ports import free_port

ACCOUNT_SID = "AC" + "0" * 32
TOKEN = "a-token-that-nobody-may-see"
PUBLIC_URL = "https://gateway.example"
SHOP_NUMBER = "+15005550006"
CUSTOMER = "+14155552671"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

_BEHAVIOUR = {
    Trouble.THROTTLED: Behaviour(kind=Kind.THROTTLE, retry_after_s=7),
    Trouble.FAULT: Behaviour(kind=Kind.FAULT, status=503),
    Trouble.TIMEOUT: Behaviour(kind=Kind.HANG),
    Trouble.DROPPED: Behaviour(kind=Kind.DROP),
    Trouble.GARBLED: Behaviour(kind=Kind.GARBLE),
    Trouble.OPTED_OUT: Behaviour(kind=Kind.REFUSE, code=21610),
    Trouble.BAD_ADDRESS: Behaviour(kind=Kind.REFUSE, code=21211),
    Trouble.BAD_CREDENTIALS: Behaviour(kind=Kind.REFUSE, code=20003, status=401),
}


def account_at(api_url: str, public_url: str = PUBLIC_URL) -> TwilioAccount:
    return TwilioAccount(
        account_sid=ACCOUNT_SID,
        auth_tokens=(TOKEN,),
        api_url=api_url,
        public_url=public_url,
        sms_from=SHOP_NUMBER,
        whatsapp_from=SHOP_NUMBER,
    )


def stand_in() -> TwilioStandIn:
    return TwilioStandIn(account_sid=ACCOUNT_SID, auth_token=TOKEN)


def sign(url: str, form: Sequence[tuple[str, str]], token: str = TOKEN) -> str:
    """Sign as Twilio does; for forms without a repeated name."""
    signature: str = RequestValidator(token).compute_signature(url, dict(form))
    return signature


def outbound(channel: ChannelName, *parts: str, files: Sequence[str | None] = ()) -> OutboundMessage:
    kind = AddressKind.WHATSAPP if channel is ChannelName.WHATSAPP else AddressKind.PHONE
    return OutboundMessage(
        id=new_id(),
        conversation_id=new_id(),
        channel=channel,
        recipient=Address(kind=kind, value=CUSTOMER),
        recipient_name=None,
        text=" ".join(parts),
        html=None,
        subject=None,
        author_name=None,
        parts=parts,
        attachments=tuple(
            OutboundAttachment(filename="a.png", content_type="image/png", content=None, url=url) for url in files
        ),
    )


@dataclass(slots=True)
class Edge(Doorstep):
    """The gateway's webhooks: real handlers, real middleware."""

    @asynccontextmanager
    async def serving(self, account: TwilioAccount, port: int = 0) -> AsyncIterator[str]:
        app = web.Application(middlewares=[answer_problems])
        app.add_routes(twilio_routes(SignatureCheck(account), self.submit, lambda: NOW))
        async with TestServer(app, port=port) as server:
            yield str(server.make_url("/")).rstrip("/")


@dataclass(slots=True, kw_only=True)
class TwilioHarness:
    channel: Channel
    provider: TwilioStandIn
    edge: Edge
    edge_url: str
    session: aiohttp.ClientSession
    others: Mapping[Trouble, Channel]  # set up so that the trouble can come
    secrets: Sequence[str] = (TOKEN,)
    usual: Channel = field(init=False)

    def __post_init__(self) -> None:
        self.usual = self.channel

    @property
    def received(self) -> list[RawInbound]:
        return self.edge.received

    def parse(self, raw: RawInbound) -> InboundMessage | DeliveryReport:
        return parse(raw)

    async def hand_over(self, fixture: Fixture, proof: Proof) -> bool:
        form = parse_qsl(fixture.body.decode(), keep_blank_values=True)
        token = "another token" if proof is Proof.WRONG else TOKEN
        url = "https://another.example" if proof is Proof.ELSEWHERE else PUBLIC_URL
        signature = RequestValidator(token).compute_signature(url + MESSAGES_PATH, _Fields(form))
        headers = {} if proof is Proof.MISSING else {"X-Twilio-Signature": signature}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with self.session.post(self.edge_url + MESSAGES_PATH, data=fixture.body, headers=headers) as answer:
            assert answer.status in (200, 403)
            return answer.status == 200

    def is_vouched_for(self, message: InboundMessage) -> bool:
        return True  # without its signature there is no message

    def bring_on(self, trouble: Trouble) -> None:
        self.channel = self.others.get(trouble, self.usual)
        if trouble in _BEHAVIOUR:
            self.provider.behaviours.add(copy(_BEHAVIOUR[trouble]))

    async def outbound(self, text: str) -> OutboundMessage:
        return outbound(self.channel.name, *self.channel.split(text))

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        return await self.channel.send(message, part)

    async def sent_requests(self) -> list[object]:
        return [(seen.method, seen.path, tuple(seen.form)) for seen in self.provider.requests]

    def expected_request(self, message: OutboundMessage, part: int) -> object:
        prefix = "whatsapp:" if self.channel.name is ChannelName.WHATSAPP else ""
        callback = f"{PUBLIC_URL}/webhooks/twilio/status?message={message.id}&part={part}{RETRY_OVERRIDES}"
        form = (
            ("To", prefix + CUSTOMER),
            ("From", prefix + SHOP_NUMBER),
            ("Body", message.parts[part]),
            ("StatusCallback", callback),
        )
        return ("POST", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", form)


class _Fields:
    """A form whose names may repeat, in the shape that the SDK asks for."""

    def __init__(self, form: Sequence[tuple[str, str]]) -> None:
        self._form = form

    def __iter__(self) -> Iterator[str]:
        return iter({name for name, _ in self._form})

    def __len__(self) -> int:
        return len(self._form)

    def getlist(self, name: str) -> list[str]:
        return [value for other, value in self._form if other == name]


def parse(raw: RawInbound) -> InboundMessage | DeliveryReport:
    return parse_message(raw) if raw.source is Source.TWILIO_MESSAGE else parse_report(raw)


@asynccontextmanager
async def open_harness(
    channel: type[SmsChannel] | type[WhatsAppChannel], database: Database, bus: LiveBus
) -> AsyncIterator[Harness]:
    provider, edge = stand_in(), Edge(recording(database, parse))
    async with (
        provider.serving() as api_url,
        HttpClient() as http,
        HttpClient(total_timeout_s=1) as hasty,
        edge.serving(account_at(api_url)) as edge_url,
        aiohttp.ClientSession() as session,
    ):
        account, nowhere = account_at(api_url), account_at(f"http://127.0.0.1:{free_port()}")
        yield TwilioHarness(
            channel=channel(account, TwilioMessages(account, http)),
            others={
                Trouble.TIMEOUT: channel(account, TwilioMessages(account, hasty)),
                Trouble.UNREACHABLE: channel(nowhere, TwilioMessages(nowhere, http)),
            },
            provider=provider,
            edge=edge,
            edge_url=edge_url,
            session=session,
        )


def form_fixture(recorded: Recorded) -> Fixture:
    """Return a recorded form as the bytes that Twilio posts."""
    body = urlencode(recorded.form, errors="surrogatepass").encode()
    return Fixture(name=recorded.name, body=body, expected=recorded.expected)
