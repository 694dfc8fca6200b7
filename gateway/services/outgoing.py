"""What the gateway itself writes to a customer: stored and put into the outbox, as a reply is, but nobody's answer.

It ends nobody's waiting, is no colleague's word to whoever is about to answer, and leaves the conversation's preview.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import Direction
from gateway.services.receive import preview_of
from storage import deliveries, inbound, outbox
from storage.chat import insert_visitor_contact
from storage.database import Transaction
from storage.events import SYSTEM, Actor, NewEvent, append_events
from storage.inbound import NewAddress
from storage.messages import NewMessage, insert_messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message; `author` and `author_name` say whose words they are."""

    id: str
    conversation_id: str
    contact_id: str
    address_id: str
    channel: ChannelName
    text: str
    parts: Sequence[str]
    subject: str | None = None
    author: Actor = SYSTEM
    author_name: str | None = None
    purpose: str = "service"
    reply_to_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


async def queue_outgoing(tx: Transaction, message: Outgoing, now: datetime) -> None:
    """Store the message with its event, its parts and its outbox row; it is due at once."""
    event = NewEvent(
        conversation_id=message.conversation_id,
        type=EventType.MESSAGE_QUEUED,
        at=now,
        message_id=message.id,
        data={"channel": message.channel, "preview": preview_of(message.text)},
    )
    (stored,) = await append_events(tx, [event])
    row = NewMessage(
        id=message.id,
        conversation_id=message.conversation_id,
        contact_id=message.contact_id,
        address_id=message.address_id,
        seq=stored.seq,
        direction=Direction.OUTBOUND,
        channel=message.channel,
        author_kind=message.author.kind,
        author_id=message.author.id,
        author_name=message.author_name,
        text=message.text,
        subject=message.subject,
        status=MessageStatus.QUEUED,
        at=now,
        purpose=message.purpose,
        reply_to_id=message.reply_to_id,
        extra=message.extra,
    )
    await insert_messages(tx, [row])
    await deliveries.insert_parts(tx, message.id, message.parts, now)
    waiting = outbox.Waiting(
        message_id=message.id,
        conversation_id=message.conversation_id,
        channel=message.channel,
        order_at=now,
        due_at=now,
    )
    await outbox.enqueue(tx, [waiting])


async def take_mailbox(tx: Transaction, mailbox: str, *, reader_id: str, owner_id: str | None, now: datetime) -> str:
    """Return the address of a mailbox that somebody typed, written down as a claim if new.

    `reader_id` is the contact who is written to: a mailbox proved to be theirs is taken as it is. `owner_id` is the
    contact that a new claim becomes part of; None: of nobody whom we know. Two who claim the same race for its key.
    """
    known = await inbound.lock_addresses(tx, [mailbox])
    for row in known:
        if row.address.kind is AddressKind.EMAIL and row.contact_id == reader_id:
            return row.id
    for row in known:
        if row.address.kind is AddressKind.EMAIL_CLAIM:
            return row.id
    address = NewAddress(
        id=new_id(),
        contact_id=owner_id or await insert_visitor_contact(tx, None, None, now),
        address=Address(kind=AddressKind.EMAIL_CLAIM, value=mailbox),
        display_name=None,
        verified_at=None,
    )
    await inbound.insert_addresses(tx, [address], now)
    return address.id
