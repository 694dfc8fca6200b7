"""Attachments that are still to be fetched from a provider."""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.message import StoredBlob
from storage.database import Transaction
from storage.tables import attachments, messages


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFile:
    id: str
    message_id: str
    conversation_id: str
    source_url: str
    filename: str


async def load_pending(conn: AsyncConnection, attachment_id: str) -> PendingFile | None:
    query = (
        select(attachments, messages.c.conversation_id)
        .join(messages, messages.c.id == attachments.c.message_id)
        .where(attachments.c.id == attachment_id, attachments.c.state == "pending")
    )
    row = (await conn.execute(query)).first()
    if row is None:
        return None
    return PendingFile(
        id=row.id,
        message_id=row.message_id,
        conversation_id=row.conversation_id,
        source_url=row.source_url,
        filename=row.filename,
    )


async def finish(tx: Transaction, attachment_id: str, *, blob: StoredBlob, filename: str, content_type: str) -> bool:
    """Attach the fetched bytes; False when somebody has done so already."""
    query = (
        update(attachments)
        .where(attachments.c.id == attachment_id, attachments.c.state == "pending")
        .values(state="ready", sha256=blob.sha256, size=blob.size, filename=filename, content_type=content_type)
    )
    return (await tx.conn.execute(query)).rowcount == 1


async def fail(tx: Transaction, attachment_id: str, reason: str) -> bool:
    """Give the file up, with the reason in plain words; False when it is settled already."""
    query = (
        update(attachments)
        .where(attachments.c.id == attachment_id, attachments.c.state == "pending")
        .values(state="failed", error=reason)
    )
    return (await tx.conn.execute(query)).rowcount == 1
