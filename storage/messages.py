"""Messages as rows: written in sets, found by what providers call them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, union_all, update

from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.message import AuthorKind, Direction
from storage.database import Transaction
from storage.sets import member_of
from storage.tables import addresses, attachments, conversations, deliveries, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """One message to store; `seq` is that of its event, `at` the time stamped at the edge."""

    id: str
    conversation_id: str
    contact_id: str
    address_id: str | None
    seq: int
    direction: Direction
    channel: ChannelName
    author_kind: AuthorKind
    author_id: str | None
    author_name: str | None
    text: str
    status: MessageStatus
    at: datetime
    html: str | None = None
    subject: str | None = None
    language: str | None = None
    external_id: str | None = None
    reply_to_id: str | None = None
    chat_seq: int | None = None
    cc: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    purpose: str = "service"
    template: str | None = None
    send_at: datetime | None = None


async def insert_messages(tx: Transaction, new: Sequence[NewMessage]) -> None:
    rows = [
        {
            "id": message.id,
            "conversation_id": message.conversation_id,
            "contact_id": message.contact_id,
            "address_id": message.address_id,
            "seq": message.seq,
            "chat_seq": message.chat_seq,
            "direction": message.direction,
            "channel": message.channel,
            "author_kind": message.author_kind,
            "author_id": message.author_id,
            "author_name": message.author_name,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "language": message.language,
            "topics": [],
            "status": message.status,
            "external_id": message.external_id,
            "reply_to_id": message.reply_to_id,
            "cc": list(message.cc),
            "extra": dict(message.extra),
            "purpose": message.purpose,
            "template": message.template,
            "at": message.at,
            "send_at": message.send_at,
        }
        for message in new
    ]
    await tx.conn.execute(insert(messages), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMessage:
    """Where a message that a provider names by its own id stands."""

    id: str
    conversation_id: str


async def find_by_external_ids(tx: Transaction, external_ids: Iterable[str]) -> dict[str, KnownMessage]:
    """Return what we received or sent under these provider ids (SIDs, Message-IDs without <>)."""
    wanted = list(external_ids)
    received = select(messages.c.external_id, messages.c.id, messages.c.conversation_id).where(
        member_of(tx.conn, messages.c.external_id, wanted)
    )
    sent = (
        select(deliveries.c.external_id, messages.c.id, messages.c.conversation_id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(member_of(tx.conn, deliveries.c.external_id, wanted))
    )
    return {
        row.external_id: KnownMessage(id=row.id, conversation_id=row.conversation_id)
        for row in await tx.conn.execute(union_all(received, sent))
    }


_NUMBER_CHAT = (
    update(addresses)
    .where(addresses.c.id == bindparam("row"))
    .values(chat_seq=addresses.c.chat_seq + 1)
    .returning(addresses.c.chat_seq)
)


async def take_chat_seq(tx: Transaction, address_id: str) -> int:
    """Give out the next number of this visitor's own chat; its row stays locked, so none is skipped."""
    number: int = (await tx.conn.execute(_NUMBER_CHAT, {"row": address_id})).scalar_one()
    return number


async def claim_uploads(tx: Transaction, message_id: str, owner: str, upload_ids: Sequence[str]) -> list[str]:
    """Attach what `owner` uploaded before to a message; return the ids that were theirs and still free."""
    claimed = []
    for position, upload_id in enumerate(upload_ids):
        query = (
            update(attachments)
            .where(
                attachments.c.id == upload_id,
                attachments.c.owner == owner,
                attachments.c.message_id.is_(None),
                attachments.c.state == "ready",
            )
            .values(message_id=message_id, position=position)
            .returning(attachments.c.id)
        )
        if (await tx.conn.execute(query)).first() is not None:
            claimed.append(upload_id)
    return claimed


async def load_participants(tx: Transaction, conversation_id: str) -> set[str]:
    """Return the mailboxes, lower case, that this conversation's messages went to without being its contact's.

    Those in copy, and those that somebody only said to be theirs, as a visitor of the chat does.
    """
    query = select(messages.c.cc).where(messages.c.conversation_id == conversation_id)
    copied = {mailbox.lower() for row in await tx.conn.execute(query) for mailbox in row.cc}
    claimed = (
        select(addresses.c.value)
        .join(messages, messages.c.address_id == addresses.c.id)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.direction == Direction.OUTBOUND,
            addresses.c.kind == AddressKind.EMAIL_CLAIM,
        )
    )
    return copied | set((await tx.conn.execute(claimed)).scalars())


async def find_conversation_contact(tx: Transaction, conversation_id: str) -> str | None:
    query = select(conversations.c.contact_id).where(conversations.c.id == conversation_id)
    return (await tx.conn.execute(query)).scalar_one_or_none()
