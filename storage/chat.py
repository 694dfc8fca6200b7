"""Web chat as the customer's side reads it, and the visitors behind it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.chat import ChatFile, ChatMessage
from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.conversation import ConversationStatus
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction
from storage.attachments import AttachmentState, list_attachments
from storage.contacts import load_family
from storage.database import Transaction
from storage.sets import insert_or_ignore, member_of
from storage.tables import addresses, attachments, contacts, conversations, inbound_keys, messages

# What has left: only that is the customer's to see.
_GONE = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A visitor that we have an address of: one who wrote, made a claim or showed an identity."""

    address_id: str
    contact_id: str
    value: str
    chat_seq: int  # the last number of their own chat
    seen_chat_seq: int = 0  # up to which an agent has looked at what they wrote


async def find_visitors(conn: AsyncConnection, values: Iterable[str]) -> dict[str, Visitor]:
    """Return those of these visitors that we know, by value."""
    columns = (addresses.c.id, addresses.c.contact_id, addresses.c.value, addresses.c.chat_seq)
    query = select(*columns, addresses.c.seen_chat_seq).where(
        addresses.c.kind == AddressKind.VISITOR, member_of(conn, addresses.c.value, values)
    )
    return {
        row.value: Visitor(
            address_id=row.id,
            contact_id=row.contact_id,
            value=row.value,
            chat_seq=row.chat_seq,
            seen_chat_seq=row.seen_chat_seq,
        )
        for row in await conn.execute(query)
    }


async def list_chat(conn: AsyncConnection, address_id: str, *, after_seq: int, limit: int) -> list[ChatMessage]:
    """Return the messages of a visitor's own chat whose number is over `after_seq`, in their order."""
    query = (
        select(messages)
        .where(messages.c.address_id == address_id, messages.c.chat_seq > after_seq)
        .order_by(messages.c.chat_seq)
        .limit(limit)
    )
    return await _with_files(conn, (await conn.execute(query)).all())


async def list_newest(conn: AsyncConnection, address_id: str, *, limit: int) -> list[ChatMessage]:
    """Return the newest messages of a visitor's own chat, the oldest first."""
    query = (
        select(messages)
        .where(messages.c.address_id == address_id, messages.c.chat_seq.is_not(None))
        .order_by(messages.c.chat_seq.desc())
        .limit(limit)
    )
    return await _with_files(conn, (await conn.execute(query)).all()[::-1])


async def list_elsewhere(conn: AsyncConnection, contact_id: str, *, apart_from: str, limit: int) -> list[ChatMessage]:
    """Return the newest messages between a customer and us, the oldest first, but for the chat of one address.

    Only what came from or went to an address that is the contact's today: a mail of somebody in copy has none, and a
    number that passed to another person took its messages out of sight.
    """
    query = (
        select(messages)
        .join(addresses, addresses.c.id == messages.c.address_id)
        .where(
            member_of(conn, messages.c.contact_id, await load_family(conn, contact_id)),
            addresses.c.contact_id == contact_id,
            addresses.c.kind != AddressKind.EMAIL_CLAIM,
            not_(and_(messages.c.address_id == apart_from, messages.c.channel == ChannelName.WEBCHAT)),
            or_(messages.c.direction == Direction.INBOUND, messages.c.status.in_(_GONE)),
        )
        .order_by(messages.c.at.desc(), messages.c.id.desc())
        .limit(limit)
    )
    return await _with_files(conn, (await conn.execute(query)).all()[::-1])


async def _with_files(conn: AsyncConnection, rows: Sequence[Row[Any]]) -> list[ChatMessage]:
    files = await list_attachments(conn, [row.id for row in rows])
    return [
        ChatMessage(
            id=row.id,
            chat_seq=row.chat_seq,
            direction=Direction(row.direction),
            channel=ChannelName(row.channel),
            author_kind=AuthorKind(row.author_kind),
            author_name=row.author_name,
            text=row.text,
            html=row.html,
            status=MessageStatus(row.status),
            at=row.at,
            client_id=row.extra.get("client_id"),
            files=tuple(
                ChatFile(id=file.id, filename=file.filename, content_type=file.content_type, size=file.size or 0)
                for file in files.get(row.id, ())
                if file.state is AttachmentState.READY
            ),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPlace:
    """Where a chat message stands: whose chat, and its number there."""

    address_id: str
    chat_seq: int


async def find_place(conn: AsyncConnection, message_id: str) -> ChatPlace | None:
    query = select(messages.c.address_id, messages.c.chat_seq).where(messages.c.id == message_id)
    row = (await conn.execute(query)).one_or_none()
    if row is None or row.address_id is None or row.chat_seq is None:
        return None
    return ChatPlace(address_id=row.address_id, chat_seq=row.chat_seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSaid:
    """The last message of a chat: its number there, and whose work it is part of."""

    chat_seq: int
    conversation_id: str
    contact_id: str


async def find_last(conn: AsyncConnection, address_id: str) -> LastSaid | None:
    query = (
        select(messages.c.chat_seq, messages.c.conversation_id, messages.c.contact_id)
        .where(messages.c.address_id == address_id, messages.c.chat_seq.is_not(None))
        .order_by(messages.c.chat_seq.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).one_or_none()
    if row is None or row.chat_seq is None:
        return None
    return LastSaid(chat_seq=row.chat_seq, conversation_id=row.conversation_id, contact_id=row.contact_id)


async def find_claim(conn: AsyncConnection, visitor: Visitor, name: str) -> str | None:
    """Return what a visitor said of themselves in their chat under this name, whomever they were merged into since."""
    family = await load_family(conn, visitor.contact_id)
    query = select(contacts.c.attributes).where(member_of(conn, contacts.c.id, family))
    for attributes in (await conn.execute(query)).scalars():
        said = attributes.get("claims", {}).get(visitor.address_id, {}).get(name)
        if said:
            return str(said)
    return None


async def find_unreported(
    conn: AsyncConnection, address_id: str, *, after_seq: int, up_to_seq: int, status: MessageStatus
) -> list[str]:
    """Return our messages in a visitor's chat, of these numbers, that are not known to be as far as `status`."""
    short_of = [MessageStatus.QUEUED, MessageStatus.SENT]
    if status is MessageStatus.READ:
        short_of.append(MessageStatus.DELIVERED)
    query = (
        select(messages.c.id)
        .where(
            messages.c.address_id == address_id,
            messages.c.chat_seq > after_seq,
            messages.c.chat_seq <= up_to_seq,
            messages.c.direction == Direction.OUTBOUND,
            messages.c.status.in_(short_of),
        )
        .order_by(messages.c.chat_seq)
    )
    return [row.id for row in await conn.execute(query)]


async def find_unresolved(conn: AsyncConnection, address_id: str) -> str | None:
    """Return the conversation that the contact behind an address has with us now."""
    query = (
        select(conversations.c.id)
        .join(addresses, addresses.c.contact_id == conversations.c.contact_id)
        .where(addresses.c.id == address_id, conversations.c.status != ConversationStatus.RESOLVED)
    )
    return (await conn.execute(query)).scalar_one_or_none()


async def find_chat_partner(conn: AsyncConnection, conversation_id: str) -> str | None:
    """Return the address of the visitor that a conversation is being held with, if it is held over web chat."""
    query = select(conversations.c.address_id).where(
        conversations.c.id == conversation_id, conversations.c.channel == ChannelName.WEBCHAT
    )
    return (await conn.execute(query)).scalar_one_or_none()


async def mark_seen(tx: Transaction, conversation_id: str, seq: int) -> dict[str, int]:
    """Note for the visitors of a conversation that an agent looked at what they wrote in it, up to its number `seq`.

    Return, for each of their addresses where that is news, up to which number of their own chat; it never goes back.
    """
    news = (
        select(func.max(messages.c.chat_seq))
        .where(
            messages.c.address_id == addresses.c.id,
            messages.c.chat_seq > addresses.c.seen_chat_seq,
            messages.c.conversation_id == conversation_id,
            messages.c.seq <= seq,
            messages.c.direction == Direction.INBOUND,
        )
        .correlate(addresses)
        .scalar_subquery()
    )
    contact = select(conversations.c.contact_id).where(conversations.c.id == conversation_id).scalar_subquery()
    query = (
        update(addresses)
        .where(addresses.c.contact_id == contact, addresses.c.kind == AddressKind.VISITOR, news.is_not(None))
        .values(seen_chat_seq=news)
        .returning(addresses.c.id, addresses.c.seen_chat_seq)
    )
    return {row.id: row.seen_chat_seq for row in await tx.conn.execute(query)}


async def has_uploads(conn: AsyncConnection, owner: str, upload_ids: Collection[str]) -> bool:
    """True where all of these were uploaded by `owner`."""
    query = select(attachments.c.id).where(member_of(conn, attachments.c.id, upload_ids), attachments.c.owner == owner)
    return {row.id for row in await conn.execute(query)} == set(upload_ids)


async def insert_visitor_contact(tx: Transaction, name: str | None, language: str | None, now: datetime) -> str:
    """Write down a contact and return its id."""
    contact_id = new_id()
    row: dict[str, object] = {"id": contact_id, "name": name, "language": language, "attributes": {}, "created_at": now}
    await tx.conn.execute(insert(contacts).values(row))
    return contact_id


async def mark_identified(tx: Transaction, address_id: str, now: datetime) -> None:
    await tx.conn.execute(update(addresses).where(addresses.c.id == address_id).values(identified_at=now))


async def mark_verified(tx: Transaction, address_id: str, now: datetime) -> None:
    query = update(addresses).where(addresses.c.id == address_id, addresses.c.verified_at.is_(None))
    await tx.conn.execute(query.values(verified_at=now))


async def list_kinds(tx: Transaction, contact_id: str) -> set[AddressKind]:
    """Return the kinds of address that a contact has."""
    query = select(addresses.c.kind).where(addresses.c.contact_id == contact_id).distinct()
    return {AddressKind(row.kind) for row in await tx.conn.execute(query)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFacts:
    name: str | None
    language: str | None
    attributes: dict[str, Any]


async def lock_facts(tx: Transaction, contact_id: str) -> ContactFacts:
    return await _read_facts(tx.conn, _facts_of(contact_id).with_for_update(key_share=True))


async def load_facts(conn: AsyncConnection, contact_id: str) -> ContactFacts:
    return await _read_facts(conn, _facts_of(contact_id))


def _facts_of(contact_id: str) -> Select[tuple[str | None, str | None, Any]]:
    return select(contacts.c.name, contacts.c.language, contacts.c.attributes).where(contacts.c.id == contact_id)


async def _read_facts(conn: AsyncConnection, query: Select[tuple[str | None, str | None, Any]]) -> ContactFacts:
    row = (await conn.execute(query)).one()
    return ContactFacts(name=row.name, language=row.language, attributes=dict(row.attributes))


async def save_facts(tx: Transaction, contact_id: str, facts: ContactFacts) -> None:
    values = {"name": facts.name, "language": facts.language, "attributes": facts.attributes}
    await tx.conn.execute(update(contacts).where(contacts.c.id == contact_id).values(values))


async def claim_key(tx: Transaction, key: str, holder_id: str, at: datetime) -> str:
    """Bind `key` to `holder_id` unless it is bound already; return whom it is bound to.

    The sweep of inbound keys counts from `at`, which may be in the future.
    """
    row = {"key": key, "message_id": holder_id, "at": at}
    await tx.conn.execute(insert_or_ignore(tx.conn, inbound_keys).values(row))
    query = select(inbound_keys.c.message_id).where(inbound_keys.c.key == key)
    holder: str = (await tx.conn.execute(query)).scalar_one()
    return holder
