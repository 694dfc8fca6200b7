"""Answers in the chat that their visitor has not taken, and what goes out in their place."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction
from storage.chat import Visitor
from storage.database import Transaction
from storage.sets import member_of
from storage.tables import addresses, attachments, conversations, messages

# In `messages.extra`: the message that went out in its place, or null where there was no way.
_HANDED_OVER = "handed_over_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Untaken:
    """An answer that stands in the chat and that the visitor has not acknowledged."""

    id: str
    conversation_id: str
    contact_id: str
    author_kind: AuthorKind
    author_id: str | None
    author_name: str | None
    text: str
    extra: dict[str, Any]


async def find_untaken(tx: Transaction, message_id: str) -> list[str]:
    """Return the answers of the same chat and conversation that wait like this one; none if it does not.

    All of them, before it and behind it, so that two jobs of one chat want the same locks and never share them out.
    """
    this = messages.alias("this")
    query = (
        select(messages.c.id)
        .join(this, this.c.address_id == messages.c.address_id)
        .where(
            this.c.id == message_id,
            this.c.status == MessageStatus.SENT,
            messages.c.conversation_id == this.c.conversation_id,
            messages.c.chat_seq.is_not(None),
            messages.c.direction == Direction.OUTBOUND,
            messages.c.channel == ChannelName.WEBCHAT,
            messages.c.status == MessageStatus.SENT,
        )
    )
    return list((await tx.conn.execute(query)).scalars())


async def load_untaken(tx: Transaction, ids: Collection[str]) -> list[Untaken]:
    """Return those of these answers that still wait, their parts being locked; the gateway's own words never do."""
    query = (
        select(messages)
        .where(member_of(tx.conn, messages.c.id, ids), messages.c.status == MessageStatus.SENT)
        .order_by(messages.c.chat_seq)
    )
    return [
        Untaken(
            id=row.id,
            conversation_id=row.conversation_id,
            contact_id=row.contact_id,
            author_kind=AuthorKind(row.author_kind),
            author_id=row.author_id,
            author_name=row.author_name,
            text=row.text,
            extra=row.extra,
        )
        for row in await tx.conn.execute(query)
        if row.author_id is not None and _HANDED_OVER not in row.extra
    ]


_MARK = update(messages).where(messages.c.id == bindparam("row")).values(extra=bindparam("marked"))


async def mark_handed_over(tx: Transaction, untaken: Sequence[Untaken], by: str | None) -> None:
    """Note on these answers, so that it is decided once, which message went out for them; None: no way was found."""
    rows = [{"row": answer.id, "marked": {**answer.extra, _HANDED_OVER: by}} for answer in untaken]
    await tx.conn.execute(_MARK, rows)


async def load_visitor(tx: Transaction, message_id: str) -> Visitor | None:
    """Return the visitor in whose chat a message stands."""
    query = (
        select(addresses)
        .join(messages, messages.c.address_id == addresses.c.id)
        .where(messages.c.id == message_id, addresses.c.kind == AddressKind.VISITOR)
    )
    row = (await tx.conn.execute(query)).one_or_none()
    if row is None:
        return None
    return Visitor(address_id=row.id, contact_id=row.contact_id, value=row.value, chat_seq=row.chat_seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What of the conversation, and of whose it is, a mail about it speaks of."""

    subject: str | None
    contact_id: str


async def load_episode(tx: Transaction, conversation_id: str) -> Episode:
    query = select(conversations.c.subject, conversations.c.contact_id).where(conversations.c.id == conversation_id)
    row = (await tx.conn.execute(query)).one()
    return Episode(subject=row.subject, contact_id=row.contact_id)


async def copy_files(tx: Transaction, from_ids: Sequence[str], to_id: str, *, most: int) -> None:
    """Give a message the files of others, in their order; the bytes are the same."""
    query = (
        select(attachments)
        .join(messages, messages.c.id == attachments.c.message_id)
        .where(member_of(tx.conn, attachments.c.message_id, from_ids), attachments.c.state == "ready")
        .order_by(messages.c.chat_seq, attachments.c.position)
        .limit(most)
    )
    rows = (await tx.conn.execute(query)).mappings().all()
    copies = [
        {**row, "id": new_id(), "message_id": to_id, "position": position, "owner": None}
        for position, row in enumerate(rows)
    ]
    if copies:
        await tx.conn.execute(insert(attachments), copies)
