"""A conversation's messages as its agents read them, with their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import NotFound
from gateway.domain.message import AuthorKind, Direction
from storage.attachments import Attachment, list_attachments
from storage.tables import messages


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineMessage:
    id: str
    conversation_id: str
    contact_id: str
    seq: int
    direction: Direction
    channel: ChannelName
    author_kind: AuthorKind
    author_id: str | None
    author_name: str | None
    subject: str | None
    text: str
    html: str | None
    attachments: Sequence[Attachment]
    language: str | None  # BCP 47
    topics: Sequence[str]
    status: MessageStatus
    error_code: str | None
    error: str | None  # plain words
    reply_to_id: str | None
    cc: Sequence[str]
    template: str | None
    at: datetime  # stamped at the edge
    send_at: datetime | None


def _message(row: Row[Any], files: Sequence[Attachment]) -> TimelineMessage:
    return TimelineMessage(
        id=row.id,
        conversation_id=row.conversation_id,
        contact_id=row.contact_id,
        seq=row.seq,
        direction=Direction(row.direction),
        channel=ChannelName(row.channel),
        author_kind=AuthorKind(row.author_kind),
        author_id=row.author_id,
        author_name=row.author_name,
        subject=row.subject,
        text=row.text,
        html=row.html,
        attachments=tuple(files),
        language=row.language,
        topics=tuple(row.topics),
        status=MessageStatus(row.status),
        error_code=row.error_code,
        error=row.error,
        reply_to_id=row.reply_to_id,
        cc=tuple(row.cc),
        template=row.template,
        at=row.at,
        send_at=row.send_at,
    )


async def _with_files(conn: AsyncConnection, rows: Sequence[Row[Any]]) -> list[TimelineMessage]:
    files = await list_attachments(conn, [row.id for row in rows])
    return [_message(row, files.get(row.id, ())) for row in rows]


async def list_messages(
    conn: AsyncConnection, conversation_id: str, *, after_seq: int, limit: int
) -> list[TimelineMessage]:
    """Return the messages whose number is over `after_seq`, in the order of their numbers."""
    query = (
        select(messages)
        .where(messages.c.conversation_id == conversation_id, messages.c.seq > after_seq)
        .order_by(messages.c.seq)
        .limit(limit)
    )
    return await _with_files(conn, (await conn.execute(query)).all())


async def list_messages_before(
    conn: AsyncConnection, conversation_id: str, *, before_seq: int, limit: int
) -> list[TimelineMessage]:
    """Return the last messages whose number is under `before_seq`, in the order of their numbers."""
    query = (
        select(messages)
        .where(messages.c.conversation_id == conversation_id, messages.c.seq < before_seq)
        .order_by(messages.c.seq.desc())
        .limit(limit)
    )
    return await _with_files(conn, (await conn.execute(query)).all()[::-1])


async def list_from_contact(conn: AsyncConnection, contact_id: str, *, limit: int) -> list[TimelineMessage]:
    """Return the newest messages that a contact wrote to us, over all conversations, newest first."""
    query = (
        select(messages)
        .where(messages.c.contact_id == contact_id, messages.c.direction == Direction.INBOUND)
        .order_by(messages.c.at.desc())
        .limit(limit)
    )
    return await _with_files(conn, (await conn.execute(query)).all())


async def load_message(conn: AsyncConnection, message_id: str) -> TimelineMessage:
    """Raises:
    NotFound: there is no such message.
    """
    rows = (await conn.execute(select(messages).where(messages.c.id == message_id))).all()
    if not rows:
        raise NotFound("There is no such message.")
    return (await _with_files(conn, rows))[0]
