"""What a reply reads and writes: the conversation under its lock, the contact's addresses, who wrote since."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import ConversationStatus, EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.message import AuthorKind, Direction
from storage.database import Transaction
from storage.sets import member_of
from storage.tables import addresses, agents, conversations, events, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTarget:
    id: str
    contact_id: str
    status: ConversationStatus
    channel: ChannelName
    address_id: str | None
    subject: str | None
    last_seq: int


async def lock_target(tx: Transaction, conversation_id: str) -> ReplyTarget | None:
    query = select(conversations).where(conversations.c.id == conversation_id).with_for_update(key_share=True)
    row = (await tx.conn.execute(query)).first()
    if row is None:
        return None
    return ReplyTarget(
        id=row.id,
        contact_id=row.contact_id,
        status=ConversationStatus(row.status),
        channel=ChannelName(row.channel),
        address_id=row.address_id,
        subject=row.subject,
        last_seq=row.last_seq,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachableAddress:
    id: str
    address: Address


async def list_reachable(tx: Transaction, contact_id: str, kinds: Sequence[AddressKind]) -> list[ReachableAddress]:
    """Return the contact's addresses of these kinds, the last used first."""
    query = (
        select(addresses)
        .where(addresses.c.contact_id == contact_id, addresses.c.kind.in_(kinds))
        .order_by(addresses.c.last_inbound_at.desc().nulls_last(), addresses.c.created_at, addresses.c.id)
    )
    return [
        ReachableAddress(id=row.id, address=Address(kind=AddressKind(row.kind), value=row.value))
        for row in await tx.conn.execute(query)
    ]


async def last_seq_by_others(
    tx: Transaction, conversation_id: str, *, after_seq: int, author_id: str | None
) -> int | None:
    """Return the number of the youngest customer's message or colleague's reply behind `after_seq`; None if none."""
    query = (
        select(events.c.seq)
        .where(
            events.c.conversation_id == conversation_id,
            events.c.seq > after_seq,
            (events.c.type == EventType.MESSAGE_RECEIVED)
            | (
                (events.c.type == EventType.MESSAGE_QUEUED)
                & events.c.actor_id.is_not(None)  # what the gateway passes on by itself is nobody's word
                & (events.c.actor_id.is_distinct_from(author_id) | (events.c.actor_kind != AuthorKind.AGENT))
            ),
        )
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    return (await tx.conn.execute(query)).scalar_one_or_none()


async def find_agent_name(tx: Transaction, agent_id: str) -> str | None:
    return (await tx.conn.execute(select(agents.c.name).where(agents.c.id == agent_id))).scalar_one_or_none()


async def note_reply(
    tx: Transaction, conversation_id: str, *, seq: int, preview: str, now: datetime, is_answer: bool
) -> None:
    """Move the conversation on, up to `seq`: an answer ends the customer's waiting."""
    values: dict[str, object] = {"last_seq": seq, "preview": preview, "last_message_at": now}
    if is_answer:
        values["waiting_since"] = None
    await tx.conn.execute(update(conversations).where(conversations.c.id == conversation_id).values(**values))


async def end_waiting(tx: Transaction, conversation_ids: Iterable[str]) -> None:
    """Note that these customers have their answer."""
    await tx.conn.execute(
        update(conversations).where(member_of(tx.conn, conversations.c.id, conversation_ids)).values(waiting_since=None)
    )


async def recount_waiting(tx: Transaction, conversation_id: str) -> None:
    """Set since when an unresolved conversation waits: the first customer message that nothing has answered since.

    What was taken back, or is to leave later, is no answer, nor is a copy of what was said;
    to resolve the conversation ended the waiting as well.
    """
    answered = select(func.coalesce(func.max(messages.c.seq), 0)).where(
        messages.c.conversation_id == conversation_id,
        messages.c.direction == Direction.OUTBOUND,
        messages.c.status.not_in([MessageStatus.CANCELLED, MessageStatus.SCHEDULED]),
        messages.c.purpose != "transcript",
    )
    settled = select(func.coalesce(func.max(events.c.seq), 0)).where(
        events.c.conversation_id == conversation_id, events.c.type == EventType.RESOLVED
    )
    since = (
        select(messages.c.at)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.direction == Direction.INBOUND,
            messages.c.seq > answered.scalar_subquery(),
            messages.c.seq > settled.scalar_subquery(),
        )
        .order_by(messages.c.seq)
        .limit(1)
    )
    await tx.conn.execute(
        update(conversations)
        .where(conversations.c.id == conversation_id, conversations.c.status != ConversationStatus.RESOLVED)
        .values(waiting_since=since.scalar_subquery())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRef:
    message_id: str
    conversation_id: str
    status: str


async def lock_outbound(tx: Transaction, message_id: str) -> OutboundRef | None:
    query = (
        select(messages.c.id, messages.c.conversation_id, messages.c.status)
        .where(messages.c.id == message_id, messages.c.direction == Direction.OUTBOUND)
        .with_for_update()
    )
    row = (await tx.conn.execute(query)).first()
    if row is None:
        return None
    return OutboundRef(message_id=row.id, conversation_id=row.conversation_id, status=row.status)
