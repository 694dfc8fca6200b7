"""Both sides of e-mail for the contract suite: the shop's mail server, and our own receiver with a doorstep behind."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import aiosmtplib

from channels.contract import Channel
from channels.email.adapter import EmailChannel
from channels.email.wire import parse_mail
from gateway.domain.delivery import DeliveryReport, SendResult
from gateway.domain.message import InboundMessage, OutboundMessage, RawInbound
from gateway.sandbox.smtp import SmtpPeer
from gateway.sandbox.smtp_ledger import Fault, Kind
from gateway.web.smtp import SmtpReceiver
from storage.database import Database
from storage.live.contract import LiveBus
from tests.support.channel_contract import Doorstep, Fixture, Harness, Proof, Recorded, Trouble, recording
from tests.support.mail import MAILBOX, NOW, outbound, server_context, trusting_context
from tests.support.ports import free_port

PASSWORD = "a-password-that-nobody-may-see"
OURS = replace(MAILBOX, trusted_relays=(ip_network("127.0.0.1/32"),))  # whoever brings the mail here
THREAD = "018f0000-0000-7000-8000-000000000001"  # the conversation that a right reply token leads to

_RECIPIENT = {
    Proof.RIGHT: MAILBOX.reply_address(THREAD),
    Proof.WRONG: replace(MAILBOX, reply_secret=b"another secret").reply_address(THREAD),
    Proof.MISSING: MAILBOX.address,
    Proof.ELSEWHERE: replace(MAILBOX, address="service@another.example").reply_address(THREAD),
}
_FAULT = {
    Trouble.THROTTLED: Fault(kind=Kind.REFUSE, reply="450 4.7.1 Too many mails, try again later"),
    Trouble.FAULT: Fault(kind=Kind.REFUSE_DATA, reply="451 4.3.0 Out of order"),
    Trouble.TIMEOUT: Fault(kind=Kind.HANG),
    Trouble.DROPPED: Fault(kind=Kind.DROP_AFTER),
    Trouble.GARBLED: Fault(kind=Kind.REFUSE_DATA, reply="nonsense"),
    Trouble.BAD_ADDRESS: Fault(kind=Kind.REFUSE, reply="550 5.1.1 No such mailbox"),
}


@dataclass(slots=True, kw_only=True)
class EmailHarness:
    channel: Channel
    provider: SmtpPeer
    doorstep: Doorstep
    receiver: SmtpReceiver
    others: Mapping[Trouble, Channel]  # set up so that the trouble can come
    secrets: Sequence[str] = (PASSWORD, MAILBOX.reply_secret.decode())
    usual: Channel = field(init=False)

    def __post_init__(self) -> None:
        self.usual = self.channel

    @property
    def received(self) -> list[RawInbound]:
        return self.doorstep.received

    def parse(self, raw: RawInbound) -> InboundMessage | DeliveryReport:
        return parse_mail(raw, OURS)

    async def hand_over(self, fixture: Fixture, proof: Proof) -> bool:
        try:
            await aiosmtplib.send(
                fixture.body,
                sender="bounces@customer.example",
                recipients=[_RECIPIENT[proof]],
                hostname="127.0.0.1",
                port=self.receiver.port,
                start_tls=False,
            )
        except aiosmtplib.SMTPRecipientsRefused:
            return False
        return True

    def is_vouched_for(self, message: InboundMessage) -> bool:
        return message.reply_conversation_id == THREAD

    def bring_on(self, trouble: Trouble) -> None:
        self.channel = self.others.get(trouble, self.usual)
        if trouble in _FAULT:
            self.provider.faults.add(copy(_FAULT[trouble]))

    async def outbound(self, text: str) -> OutboundMessage:
        return outbound(text)

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        return await self.channel.send(message, part)

    async def sent_requests(self) -> list[object]:
        return [(mail.mail_from, mail.rcpt_tos, mail.content) for mail in self.provider.mails]

    def expected_request(self, message: OutboundMessage, part: int) -> object:
        text = message.parts[part].encode()
        lines = [text[at : at + 75] for at in range(0, len(text), 75)]
        body = b"=\r\n".join(lines)
        if body.endswith(b" "):  # RFC 2045 6.7: no line ends with a space
            body = body[:-1] + b"=20"
        answers_to = MAILBOX.reply_address(message.conversation_id).encode()
        content = (
            b'From: "Ben (Clean Shop)" <service@shop.example>\r\n'
            b"To: Ana Lima <ana@customer.example>\r\n"
            b"Reply-To: Clean Shop\r\n <%b>\r\n"
            b"Subject: Re: Hello\r\n"
            b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
            b"Message-ID: <%b.%d@shop.example>\r\n"
            b"MIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n"
            b"\r\n"
            b"%b\r\n"
        ) % (answers_to, message.id.encode(), part, body)
        return (MAILBOX.address, ["ana@customer.example"], content)


@asynccontextmanager
async def open_harness(database: Database, bus: LiveBus) -> AsyncIterator[Harness]:
    doorstep = Doorstep(recording(database, lambda raw: parse_mail(raw, OURS)))
    receiver = SmtpReceiver(
        submit=doorstep.submit, mailbox=OURS, host="127.0.0.1", port=0, max_bytes=100_000, now=lambda: NOW
    )
    await receiver.start()
    with TemporaryDirectory() as folder:
        tls_context = server_context(Path(folder))
        trust = trusting_context(Path(folder))
    async with SmtpPeer(login=("shop", PASSWORD), tls_context=tls_context) as provider:
        channel = _channel(provider.port, trust)
        others: dict[Trouble, Channel] = {
            Trouble.TIMEOUT: _channel(provider.port, trust, data_timeout_s=0.2),
            Trouble.UNREACHABLE: _channel(free_port(), trust),
            Trouble.BAD_CREDENTIALS: _channel(provider.port, trust, password=PASSWORD + "-of-yesterday"),
        }
        yield EmailHarness(channel=channel, provider=provider, doorstep=doorstep, receiver=receiver, others=others)
        for opened in (channel, *others.values()):
            await opened.close()
    await receiver.close()


def _channel(
    port: int, trust: ssl.SSLContext, *, password: str = PASSWORD, data_timeout_s: float = 18.0
) -> EmailChannel:
    url = f"smtp+starttls://shop:{password}@localhost:{port}"
    return EmailChannel(MAILBOX, url, now=lambda: NOW, tls_context=trust, data_timeout_s=data_timeout_s)


def mail_fixture(recorded: Recorded) -> Fixture:
    """Return the lines of a mail as the bytes that a server hands over."""
    body = "".join(f"{line}\r\n" for line in recorded.mail).encode("latin-1")
    return Fixture(name=recorded.name, body=body, expected=recorded.expected)
