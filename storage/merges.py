"""What merging contacts reads and writes. Locks are taken as the way in takes them: addresses, then conversations,
each in id order."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, case, delete, exists, func, literal, or_, select, update
from sqlalchemy.sql.dml import Update

from gateway.domain.conversation import ConversationStatus
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import NotFound
from gateway.domain.message import Direction
from storage.database import Transaction
from storage.jobs import JobKind
from storage.sets import member_of
from storage.tables import Id, addresses, contacts, conversations, drafts, jobs, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A conversation as a merge sees it."""

    id: str
    contact_id: str
    status: ConversationStatus
    created_at: datetime
    last_message_at: datetime
    assignee_id: str | None
    channel: str
    address_id: str | None
    preview: str | None
    waiting_since: datetime | None
    due_at: datetime | None
    merged_from_id: str | None
    joined_into_id: str | None

    @property
    def is_resolved(self) -> bool:
        return self.status is ConversationStatus.RESOLVED


def _episode(row: Row[Any]) -> Episode:
    return Episode(
        id=row.id,
        contact_id=row.contact_id,
        status=ConversationStatus(row.status),
        created_at=row.created_at,
        last_message_at=row.last_message_at,
        assignee_id=row.assignee_id,
        channel=row.channel,
        address_id=row.address_id,
        preview=row.preview,
        waiting_since=row.waiting_since,
        due_at=row.due_at,
        merged_from_id=row.merged_from_id,
        joined_into_id=row.joined_into_id,
    )


async def lock_contacts(tx: Transaction, contact_ids: Iterable[str]) -> dict[str, str | None]:
    """Lock these contacts and return whom each was merged into.

    The lock lets foreign keys to them pass (PostgreSQL, 13.3.2), or the way in would wait for it the wrong way round.

    Raises:
        NotFound: one does not exist.
    """
    wanted = set(contact_ids)
    query = (
        select(contacts.c.id, contacts.c.merged_into_id)
        .where(member_of(tx.conn, contacts.c.id, wanted))
        .order_by(contacts.c.id)
        .with_for_update(key_share=True)
    )
    found = {row.id: row.merged_into_id for row in await tx.conn.execute(query)}
    if found.keys() != wanted:
        raise NotFound("There is no such contact.")
    return found


async def lock_contact_addresses(tx: Transaction, contact_ids: Iterable[str]) -> None:
    """Hold back what comes in for these contacts until the commit."""
    query = (
        select(addresses.c.id)
        .where(member_of(tx.conn, addresses.c.contact_id, contact_ids))
        .order_by(addresses.c.id)
        .with_for_update(key_share=True)
    )
    await tx.conn.execute(query)


async def lock_episodes(tx: Transaction, contact_ids: Iterable[str]) -> list[Episode]:
    """Lock and return all conversations of these contacts, the oldest first."""
    query = (
        select(conversations)
        .where(member_of(tx.conn, conversations.c.contact_id, contact_ids))
        .order_by(conversations.c.id)
        .with_for_update(key_share=True)
    )
    found = [_episode(row) for row in await tx.conn.execute(query)]
    return sorted(found, key=lambda episode: (episode.created_at, episode.id))


async def save_merged_into(tx: Transaction, contact_id: str, into_id: str | None) -> None:
    await tx.conn.execute(update(contacts).where(contacts.c.id == contact_id).values(merged_into_id=into_id))


async def hand_over(tx: Transaction, *, from_id: str, into_id: str, family: Collection[str]) -> None:
    """Re-point the addresses and conversations of `from_id`, each remembering the contact it came from.

    What came to `from_id` by an earlier merge (from one of `family`) goes on remembering that.
    """
    for table in (addresses, conversations):
        origin = case(
            (member_of(tx.conn, table.c.merged_from_id, family), table.c.merged_from_id), else_=literal(from_id, Id)
        )
        await tx.conn.execute(
            update(table).where(table.c.contact_id == from_id).values(contact_id=into_id, merged_from_id=origin)
        )


def _give_back(table: Table, to_id: str) -> Update:
    # What an earlier merge brought to the contact goes on remembering where that one took it from.
    origin = case((table.c.merged_from_id == to_id, None), else_=table.c.merged_from_id)
    return update(table).values(contact_id=to_id, merged_from_id=origin)


async def give_back_addresses(tx: Transaction, *, owner_id: str, to_id: str, family: Collection[str]) -> None:
    await tx.conn.execute(
        _give_back(addresses, to_id).where(
            addresses.c.contact_id == owner_id, member_of(tx.conn, addresses.c.merged_from_id, family)
        )
    )


async def give_back_conversations(tx: Transaction, ids: Collection[str], *, to_id: str) -> None:
    await tx.conn.execute(_give_back(conversations, to_id).where(member_of(tx.conn, conversations.c.id, ids)))


async def keep_conversations(tx: Transaction, ids: Collection[str]) -> None:
    """Let these stay for good with the contact they were merged into."""
    await tx.conn.execute(
        update(conversations).where(member_of(tx.conn, conversations.c.id, ids)).values(merged_from_id=None)
    )


async def find_shared(tx: Transaction, ids: Collection[str], family: Collection[str]) -> set[str]:
    """Return those of these conversations in which an address from outside `family` wrote or was written to."""
    foreign = exists().where(
        messages.c.conversation_id == conversations.c.id,
        messages.c.address_id == addresses.c.id,
        or_(addresses.c.merged_from_id.is_(None), ~member_of(tx.conn, addresses.c.merged_from_id, family)),
    )
    query = select(conversations.c.id).where(member_of(tx.conn, conversations.c.id, ids), foreign)
    return {row.id for row in await tx.conn.execute(query)}


async def save_joined(tx: Transaction, younger_id: str, older_id: str, now: datetime) -> None:
    """Close the younger. Who it was assigned to and what it waited for stay written, should the join be undone."""
    await tx.conn.execute(
        update(conversations)
        .where(conversations.c.id == younger_id)
        .values(status=ConversationStatus.RESOLVED, resolved_at=now, joined_into_id=older_id, snoozed_until=None)
    )
    await tx.conn.execute(delete(jobs).where(jobs.c.kind == JobKind.WAKE, jobs.c.subject_id == younger_id))
    others = drafts.alias("others")
    has_one = exists().where(others.c.conversation_id == older_id, others.c.agent_id == drafts.c.agent_id)
    await tx.conn.execute(
        update(drafts).where(drafts.c.conversation_id == younger_id, ~has_one).values(conversation_id=older_id)
    )


async def save_taken_over(tx: Transaction, older: Episode, younger: Episode) -> None:
    """Let the older go on with the work of both."""
    latest = max(older, younger, key=lambda episode: episode.last_message_at)
    values: dict[str, object] = {
        "assignee_id": older.assignee_id or younger.assignee_id,
        "channel": latest.channel,
        "address_id": latest.address_id,
        "preview": latest.preview,
        "last_message_at": latest.last_message_at,
        "waiting_since": min((at for at in (older.waiting_since, younger.waiting_since) if at), default=None),
        "due_at": min((at for at in (older.due_at, younger.due_at) if at), default=None),
    }
    if older.status is not younger.status:  # one of them is open, so somebody is to see it now
        values |= {"status": ConversationStatus.OPEN, "snoozed_until": None}
    await tx.conn.execute(update(conversations).where(conversations.c.id == older.id).values(values))


async def save_parted(tx: Transaction, episode_id: str, *, is_reopened: bool, joined_into_id: str | None) -> None:
    """Undo a join: on its own again, or joined into another than before."""
    values: dict[str, object] = {"joined_into_id": joined_into_id}
    if is_reopened:
        values |= {"status": ConversationStatus.OPEN, "resolved_at": None}
    await tx.conn.execute(update(conversations).where(conversations.c.id == episode_id).values(values))


async def recount_waiting(tx: Transaction, ids: Collection[str]) -> None:
    """Set since when these unresolved conversations wait: the first customer message that no answer follows."""
    answers = messages.alias("answers")
    last_answer = (
        select(func.coalesce(func.max(answers.c.seq), 0))
        .where(
            answers.c.conversation_id == conversations.c.id,
            answers.c.direction == Direction.OUTBOUND,
            answers.c.status.not_in([MessageStatus.CANCELLED, MessageStatus.SCHEDULED]),
        )
        .correlate(conversations)
        .scalar_subquery()
    )
    since = (
        select(func.min(messages.c.at))
        .where(
            messages.c.conversation_id == conversations.c.id,
            messages.c.direction == Direction.INBOUND,
            messages.c.seq > last_answer,
        )
        .correlate(conversations)
        .scalar_subquery()
    )
    await tx.conn.execute(
        update(conversations)
        .where(member_of(tx.conn, conversations.c.id, ids), conversations.c.status != ConversationStatus.RESOLVED)
        .values(waiting_since=since)
    )
