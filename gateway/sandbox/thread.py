"""What an invented customer sees on their own devices: the shop's messages as they arrived, and their own."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.message import Direction
from gateway.sandbox.customer_side import CustomerSide, read_mail
from gateway.sandbox.shop import Customer
from gateway.services.contacts import find_by_address
from storage.chat import find_visitors, list_chat
from storage.database import Database
from storage.timeline import list_from_contact

_MOST = 500


class SentQuery(msgspec.Struct):
    customer: str


class SentView(msgspec.Struct):
    """One message as it stands on the customer's device; `direction` is the shop's: outbound came from the shop."""

    channel: ChannelName
    at: datetime
    external_id: str
    text: str
    subject: str | None = None
    status: str | None = None  # what the stand-in or the chat says of it
    files: Sequence[str] = ()  # names
    direction: Direction = Direction.OUTBOUND


class SentList(msgspec.Struct):
    items: Sequence[SentView]


async def list_sent(side: CustomerSide, db: Database, customer: Customer) -> list[SentView]:
    """Return what reached the customer from the shop, oldest first."""
    return _newest([*_mails(side, customer), *_texts(side, customer), *await _chats(db, customer)])


async def list_thread(side: CustomerSide, db: Database, customer: Customer) -> list[SentView]:
    """Return that and what the customer wrote, oldest first."""
    return _newest([*await list_sent(side, db, customer), *await _written(db, customer)])


def _newest(found: Iterable[SentView]) -> list[SentView]:
    return sorted(found, key=lambda item: item.at)[-_MOST:]


def _mails(side: CustomerSide, customer: Customer) -> list[SentView]:
    found = []
    for kept in side.mails_to(customer):
        mail = read_mail(kept)
        plain = mail.get_body(("plain",))
        found.append(
            SentView(
                channel=ChannelName.EMAIL,
                at=kept.at,
                external_id=str(mail["Message-ID"] or "").strip("<>"),
                text=plain.get_content() if plain is not None else "",
                subject=str(mail["Subject"] or ""),
                files=[part.get_filename() or "" for part in mail.iter_attachments()],
            )
        )
    return found


def _texts(side: CustomerSide, customer: Customer) -> list[SentView]:
    channels = {customer.phone: ChannelName.SMS, f"whatsapp:{customer.phone}": ChannelName.WHATSAPP}
    return [
        SentView(
            channel=channels[message.to],
            at=message.created_at,
            external_id=message.sid,
            text=message.body,
            status=message.status,
            files=["" for _ in message.media_urls],
        )
        for message in side.twilio.accepted
        if message.to in channels
    ]


async def _chats(db: Database, customer: Customer) -> list[SentView]:
    """Return what the customer's own browser has been shown, or will be when it comes back."""
    async with db.read() as conn:
        visitor = (await find_visitors(conn, [customer.visitor])).get(customer.visitor)
        if visitor is None:
            return []
        found = await list_chat(conn, visitor.address_id, after_seq=visitor.chat_seq - _MOST, limit=_MOST)
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


async def _written(db: Database, customer: Customer) -> list[SentView]:
    contacts = await find_by_address(db, customer.id)
    found = []
    async with db.read() as conn:
        for contact in contacts:
            found += await list_from_contact(conn, contact.id, limit=_MOST)
    return [
        SentView(
            channel=message.channel,
            at=message.at,
            external_id=message.id,
            text=message.text,
            subject=message.subject,
            files=[file.filename for file in message.attachments],
            direction=Direction.INBOUND,
        )
        for message in found
    ]
