"""The customers' side of every channel: each invented customer writes as a real one would, through the real edges."""

import asyncio
import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime, parseaddr
from http import HTTPStatus

import aiohttp
import aiosmtplib
from joserfc import jwt
from joserfc.jwk import OctKey

from gateway.domain.contact import ChannelName
from gateway.domain.errors import BadInput, InputError, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.message import Json
from gateway.sandbox.shop import SHOP_NAME, Customer
from gateway.sandbox.smtp import SmtpPeer
from gateway.sandbox.smtp_ledger import KeptMail
from gateway.sandbox.twilio import Inbound, TwilioStandIn
from gateway.services.chat import sign_visitor
from gateway.web.chat import SOCKET_PATH

_IDENTITY_FOR = timedelta(hours=1)
_TIMEOUT_S = 20.0
_PARSER = BytesParser(policy=policy.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shopfront:
    """How the shop is reached, as its customers and their providers know it."""

    email: str
    sms: str  # E.164
    whatsapp: str  # E.164
    receiver: tuple[str, int]  # where mail servers hand in mail for it
    chat_url: str  # of the gateway, on this machine
    identity_secret: str = field(repr=False)  # the shop signs with it who has logged in
    visitor_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerSide:
    front: Shopfront
    twilio: TwilioStandIn
    peer: SmtpPeer
    http: aiohttp.ClientSession

    def identity_of(self, customer: Customer, now: datetime) -> str:
        """Return what the shop's site would hand to the chat of a customer who has just logged in."""
        issued = int(now.timestamp())
        claims: dict[str, Json] = {
            "sub": customer.id,
            "iat": issued,
            "exp": issued + int(_IDENTITY_FOR.total_seconds()),
            "jti": new_id(),
            "aud": "gateway",
            "name": customer.name,
            "language": customer.language,
            "email": customer.email,
            "email_verified": True,
        }
        if customer.phone is not None:
            claims |= {"phone": customer.phone, "phone_verified": True}
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(self.front.identity_secret))

    async def write(
        self,
        customer: Customer,
        channel: ChannelName,
        text: str,
        now: datetime,
        *,
        subject: str | None = None,
        picture: Picture | None = None,
    ) -> str:
        """Write to the shop and return the message's id outside: a SID, a Message-ID, the chat client's id.

        Raises:
            BadInput: the customer has no such channel, or it takes no picture from here.
            Unavailable: the gateway did not take it.
        """
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if channel is ChannelName.EMAIL:
                    return await self._write_mail(customer, text, subject, now, picture)
                if channel is ChannelName.WEBCHAT:
                    if picture is not None:
                        message = "In the chat, attach it in the widget."
                        raise BadInput(message, (InputError(path="$.picture", message=message),))
                    return await self._write_chat(customer, text, now)
                return await self._write_text(customer, channel, text, picture)
        except (aiosmtplib.SMTPException, aiohttp.ClientError, OSError) as error:
            raise Unavailable("The gateway did not take the message.") from error

    async def _write_text(self, customer: Customer, channel: ChannelName, text: str, picture: Picture | None) -> str:
        if customer.phone is None:
            message = f"{customer.name} has no phone."
            raise BadInput(message, (InputError(path="$.channel", message=message),))
        media = [] if picture is None else [(picture.content_type, base64.b64encode(picture.content).decode())]
        if channel is ChannelName.WHATSAPP:
            profile = {"ProfileName": customer.name, "WaId": customer.phone.removeprefix("+")}
            inbound = Inbound(
                sender=f"whatsapp:{customer.phone}",
                to=f"whatsapp:{self.front.whatsapp}",
                body=text,
                media=media,
                fields=profile,
            )
        else:
            inbound = Inbound(sender=customer.phone, to=self.front.sms, body=text, media=media)
        delivered = await self.twilio.send_inbound(inbound)
        if delivered.status != HTTPStatus.OK:
            raise Unavailable(f"The gateway answered the webhook with {delivered.status or 'nothing'}.")
        return delivered.sid

    async def _write_mail(
        self, customer: Customer, text: str, subject: str | None, now: datetime, picture: Picture | None
    ) -> str:
        mail = _build_mail(customer, text, subject, self.mails_to(customer), shop=self.front.email, now=now)
        if picture is not None:
            kind, _, subtype = picture.content_type.partition("/")
            mail.add_attachment(picture.content, kind, subtype, filename=picture.filename)
        _, recipient = parseaddr(str(mail["To"]))
        host, port = self.front.receiver
        async with aiosmtplib.SMTP(hostname=host, port=port, start_tls=False, timeout=_TIMEOUT_S) as client:
            await client.sendmail(customer.email, [recipient], mail.as_bytes(policy=policy.SMTP))
        return str(mail["Message-ID"]).strip("<>")

    async def _write_chat(self, customer: Customer, text: str, now: datetime) -> str:
        client_id = new_id()
        hello = {
            "type": "hello",
            "visitor": sign_visitor(self.front.visitor_key, customer.visitor),
            "identity": self.identity_of(customer, now),
        }
        async with self.http.ws_connect(self.front.chat_url + SOCKET_PATH) as ws:
            await ws.send_json(hello)
            await _read_until(ws, "welcome")
            await ws.send_json({"type": "message", "id": client_id, "text": text})
            await _read_until(ws, "ack")
        return client_id

    def mails_to(self, customer: Customer) -> Sequence[KeptMail]:
        """Return the mails that the shop has sent to a customer, oldest first."""
        return [mail for mail in self.peer.mails if customer.email in mail.rcpt_tos]


async def _read_until(ws: aiohttp.ClientWebSocketResponse, kind: str) -> None:
    """Read frames up to the first of this kind.

    Raises:
        Unavailable: an error came instead, or the socket was closed.
    """
    async for message in ws:
        if message.type is aiohttp.WSMsgType.TEXT:
            frame = message.json()
            if frame["type"] == kind:
                return
            if frame["type"] == "error":
                raise Unavailable(f"The chat answered: {frame['message']}")
    raise Unavailable("The chat was closed.")


def read_mail(mail: KeptMail) -> EmailMessage:
    message = _PARSER.parsebytes(mail.content)
    assert isinstance(message, EmailMessage)  # noqa: S101  the policy's own class
    return message


def _build_mail(
    customer: Customer, text: str, subject: str | None, received: Sequence[KeptMail], *, shop: str, now: datetime
) -> EmailMessage:
    """Return a new mail with a subject, and without one an answer to the last mail that the customer got."""
    mail = EmailMessage(policy=policy.SMTP)
    last = read_mail(received[-1]) if received and subject is None else None
    domain = customer.email.rpartition("@")[2]
    mail["From"] = f'"{customer.name}" <{customer.email}>'
    mail["To"] = str(last["Reply-To"] or last["From"]) if last else f'"{SHOP_NAME}" <{shop}>'
    mail["Subject"] = _answered(str(last["Subject"] or "")) if last else (subject or f"Message from {customer.name}")
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{uuid.uuid4()}@{domain}>"
    if last and last["Message-ID"]:
        mail["In-Reply-To"] = str(last["Message-ID"])
        mail["References"] = f"{last['References'] or ''} {last['Message-ID']}".strip()
    mail.set_content(text)
    return mail


def _answered(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"
