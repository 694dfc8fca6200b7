"""What the intake reads and writes, a whole batch at a time: keys, addresses, open conversations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import ConversationStatus
from storage.database import Transaction
from storage.sets import delete_oldest, member_of
from storage.tables import addresses, attachments, contacts, conversations, inbound_keys


async def find_keys(tx: Transaction, keys: Iterable[str]) -> dict[str, str]:
    """Return the message that each of these dedupe keys has led to, where it has."""
    query = select(inbound_keys.c.key, inbound_keys.c.message_id).where(member_of(tx.conn, inbound_keys.c.key, keys))
    return {row.key: row.message_id for row in await tx.conn.execute(query)}


async def insert_keys(tx: Transaction, message_ids: Mapping[str, str], now: datetime) -> None:
    """Claim dedupe keys; a writer that claims one at the same time makes the loser's transaction run again."""
    rows = [{"key": key, "message_id": message_ids[key], "at": now} for key in sorted(message_ids)]
    await tx.conn.execute(insert(inbound_keys), rows)


async def delete_keys_before(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Forget dedupe keys, the oldest first; return how many. What they led to stays."""
    return await delete_oldest(tx.conn, inbound_keys.c.at, before=before, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAddress:
    id: str
    contact_id: str
    address: Address
    last_seen_at: datetime
    chat_seq: int
    display_name: str | None


async def lock_addresses(tx: Transaction, values: Iterable[str]) -> list[KnownAddress]:
    """Return and lock every address, of whatever kind, with one of these values; in id order, as all do."""
    query = (
        select(
            addresses.c.id,
            addresses.c.contact_id,
            addresses.c.kind,
            addresses.c.value,
            addresses.c.chat_seq,
            addresses.c.display_name,
            func.coalesce(addresses.c.last_inbound_at, addresses.c.created_at).label("last_seen_at"),
        )
        .where(member_of(tx.conn, addresses.c.value, values))
        .order_by(addresses.c.id)
        .with_for_update(key_share=True)
    )
    return [
        KnownAddress(
            id=row.id,
            contact_id=row.contact_id,
            address=Address(kind=AddressKind(row.kind), value=row.value),
            last_seen_at=row.last_seen_at,
            chat_seq=row.chat_seq,
            display_name=row.display_name,
        )
        for row in await tx.conn.execute(query)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownConversation:
    id: str
    contact_id: str
    status: ConversationStatus
    last_seq: int
    waiting_since: datetime | None
    resolved_at: datetime | None
    last_message_at: datetime
    preview: str | None


# Only what is used: each further column costs its conversion, for every row of every batch.
_KNOWN = (
    conversations.c.id,
    conversations.c.contact_id,
    conversations.c.status,
    conversations.c.last_seq,
    conversations.c.waiting_since,
    conversations.c.resolved_at,
    conversations.c.last_message_at,
    conversations.c.preview,
)


def _known(row: Row[tuple[object, ...]]) -> KnownConversation:
    return KnownConversation(
        id=row.id,
        contact_id=row.contact_id,
        status=ConversationStatus(row.status),
        last_seq=row.last_seq,
        waiting_since=row.waiting_since,
        resolved_at=row.resolved_at,
        last_message_at=row.last_message_at,
        preview=row.preview,
    )


async def _lock(tx: Transaction, query: Select[tuple[object, ...]]) -> list[KnownConversation]:
    return [
        _known(row) for row in await tx.conn.execute(query.order_by(conversations.c.id).with_for_update(key_share=True))
    ]


async def lock_unresolved(tx: Transaction, contact_ids: Iterable[str]) -> dict[str, KnownConversation]:
    """Return and lock the conversation of each contact that is not resolved, by contact."""
    query = select(*_KNOWN).where(
        member_of(tx.conn, conversations.c.contact_id, contact_ids),
        conversations.c.status != ConversationStatus.RESOLVED,
    )
    return {conversation.contact_id: conversation for conversation in await _lock(tx, query)}


async def lock_latest(tx: Transaction, contact_ids: Iterable[str]) -> dict[str, KnownConversation]:
    """Return and lock the youngest conversation of each contact that was not joined into another, by contact."""
    other = conversations.alias("other")
    youngest = (
        select(other.c.id)
        .where(other.c.contact_id == contacts.c.id, other.c.joined_into_id.is_(None))
        .order_by(other.c.created_at.desc())
        .limit(1)
        .correlate(contacts)
        .scalar_subquery()
    )
    wanted = select(youngest).where(member_of(tx.conn, contacts.c.id, contact_ids))
    query = select(*_KNOWN).where(conversations.c.id.in_(wanted))
    return {conversation.contact_id: conversation for conversation in await _lock(tx, query)}


async def find_owner(tx: Transaction, address: Address) -> str | None:
    """Return the contact that an address belongs to."""
    query = select(addresses.c.contact_id).where(addresses.c.value == address.value, addresses.c.kind == address.kind)
    return (await tx.conn.execute(query)).scalar_one_or_none()


async def lock_conversation(tx: Transaction, conversation_id: str) -> KnownConversation | None:
    found = await _lock(tx, select(*_KNOWN).where(conversations.c.id == conversation_id))
    return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContact:
    id: str
    name: str | None


async def insert_contacts(tx: Transaction, new: Sequence[NewContact], now: datetime) -> None:
    rows: list[dict[str, object]] = [
        {"id": contact.id, "name": contact.name, "attributes": {}, "created_at": now} for contact in new
    ]
    await tx.conn.execute(insert(contacts), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddress:
    id: str
    contact_id: str
    address: Address
    display_name: str | None
    verified_at: datetime | None
    last_inbound_at: datetime | None = None
    chat_seq: int = 0


async def insert_addresses(tx: Transaction, new: Sequence[NewAddress], now: datetime) -> None:
    rows = [
        {
            "id": address.id,
            "contact_id": address.contact_id,
            "kind": address.address.kind,
            "value": address.address.value,
            "display_name": address.display_name,
            "verified_at": address.verified_at,
            "last_inbound_at": address.last_inbound_at,
            "chat_seq": address.chat_seq,
            "created_at": now,
        }
        for address in new
    ]
    await tx.conn.execute(insert(addresses), rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressUpdate:
    """What an inbound message changes about the address it came from; `contact_id` only moves after long silence."""

    id: str
    contact_id: str
    last_inbound_at: datetime
    display_name: str | None
    chat_seq: int


_TOUCH_ADDRESS = (
    update(addresses)
    .where(addresses.c.id == bindparam("row"))
    .values(
        contact_id=bindparam("owner"),
        last_inbound_at=bindparam("seen"),
        display_name=bindparam("shown"),
        chat_seq=bindparam("chat"),
    )
)


async def update_addresses(tx: Transaction, changes: Sequence[AddressUpdate]) -> None:
    rows = [
        {
            "row": change.id,
            "owner": change.contact_id,
            "seen": change.last_inbound_at,
            "shown": change.display_name,
            "chat": change.chat_seq,
        }
        for change in changes
    ]
    await tx.conn.execute(_TOUCH_ADDRESS, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationWrite:
    """A conversation as the batch leaves it; `contact_id`, `queue`, `previous_id` count for a new one only."""

    id: str
    contact_id: str
    queue: str
    previous_id: str | None
    channel: ChannelName
    address_id: str | None
    subject: str | None
    preview: str | None
    last_seq: int
    created_at: datetime
    last_message_at: datetime
    waiting_since: datetime


async def insert_conversations(tx: Transaction, new: Sequence[ConversationWrite]) -> None:
    rows = [
        {
            "id": conversation.id,
            "contact_id": conversation.contact_id,
            "status": ConversationStatus.OPEN,
            "queue": conversation.queue,
            "channel": conversation.channel,
            "address_id": conversation.address_id,
            "subject": conversation.subject,
            "preview": conversation.preview,
            "last_seq": conversation.last_seq,
            "created_at": conversation.created_at,
            "last_message_at": conversation.last_message_at,
            "waiting_since": conversation.waiting_since,
            "previous_id": conversation.previous_id,
        }
        for conversation in new
    ]
    await tx.conn.execute(insert(conversations), rows)


_TOUCH_CONVERSATION = (
    update(conversations)
    .where(conversations.c.id == bindparam("row"))
    .values(
        status=ConversationStatus.OPEN,
        channel=bindparam("by"),
        address_id=func.coalesce(
            bindparam("from_address", type_=conversations.c.address_id.type), conversations.c.address_id
        ),
        subject=func.coalesce(conversations.c.subject, bindparam("about")),
        preview=bindparam("words"),
        last_seq=bindparam("number"),
        last_message_at=bindparam("latest"),
        waiting_since=bindparam("waiting"),
        snoozed_until=None,
        resolved_at=None,
    )
)


async def update_conversations(tx: Transaction, changed: Sequence[ConversationWrite]) -> None:
    """Write what inbound messages changed; a snoozed or resolved conversation is open again."""
    rows = [
        {
            "row": conversation.id,
            "by": conversation.channel,
            "from_address": conversation.address_id,
            "about": conversation.subject,
            "words": conversation.preview,
            "number": conversation.last_seq,
            "latest": conversation.last_message_at,
            "waiting": conversation.waiting_since,
        }
        for conversation in changed
    ]
    await tx.conn.execute(_TOUCH_CONVERSATION, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttachment:
    """A file of an inbound message: stored already (`sha256`, `size`), or to be fetched from `source_url`."""

    id: str
    message_id: str
    position: int
    filename: str
    content_type: str
    content_id: str | None
    is_inline: bool
    sha256: str | None
    size: int | None
    source_url: str | None


async def insert_attachments(tx: Transaction, new: Sequence[NewAttachment], now: datetime) -> None:
    rows = [
        {
            "id": attachment.id,
            "message_id": attachment.message_id,
            "position": attachment.position,
            "filename": attachment.filename,
            "content_type": attachment.content_type,
            "content_id": attachment.content_id,
            "is_inline": attachment.is_inline,
            "state": "pending" if attachment.sha256 is None else "ready",
            "sha256": attachment.sha256,
            "size": attachment.size,
            "source_url": attachment.source_url,
            "created_at": now,
        }
        for attachment in new
    ]
    await tx.conn.execute(insert(attachments), rows)
