"""Files of messages, and files that were uploaded and belong to no message yet; the bytes are in the blob store."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.errors import NotFound
from gateway.domain.ids import new_id
from gateway.domain.message import StoredBlob
from storage.database import Transaction
from storage.sets import member_of
from storage.tables import attachments


class AttachmentState(StrEnum):
    READY = "ready"
    PENDING = "pending"  # the provider has it, a job will fetch it
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    id: str
    message_id: str | None  # None: uploaded, not sent yet
    owner: str | None  # who uploaded it, as "agent:<id>"; None: it came with a message
    filename: str
    content_type: str
    content_id: str | None  # what `cid:` in the message's HTML points at
    is_inline: bool
    state: AttachmentState
    sha256: str | None
    size: int | None  # bytes
    error: str | None
    created_at: datetime


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(
        id=row.id,
        message_id=row.message_id,
        owner=row.owner,
        filename=row.filename,
        content_type=row.content_type,
        content_id=row.content_id,
        is_inline=row.is_inline,
        state=AttachmentState(row.state),
        sha256=row.sha256,
        size=row.size,
        error=row.error,
        created_at=row.created_at,
    )


async def load_attachment(conn: AsyncConnection, attachment_id: str) -> Attachment:
    """Raises:
    NotFound: there is no such attachment.
    """
    row = (await conn.execute(select(attachments).where(attachments.c.id == attachment_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such attachment.")
    return _attachment(row)


async def list_attachments(conn: AsyncConnection, message_ids: Collection[str]) -> dict[str, list[Attachment]]:
    """Return the attachments of each of these messages that has some, in their order."""
    if not message_ids:
        return {}
    query = (
        select(attachments)
        .where(member_of(conn, attachments.c.message_id, message_ids))
        .order_by(attachments.c.message_id, attachments.c.position)
    )
    found: dict[str, list[Attachment]] = {}
    for row in await conn.execute(query):
        found.setdefault(row.message_id, []).append(_attachment(row))
    return found


async def insert_upload(
    tx: Transaction, *, owner: str, filename: str, content_type: str, blob: StoredBlob, now: datetime
) -> Attachment:
    """Note down a file that belongs to no message yet."""
    row = {
        "id": new_id(),
        "message_id": None,
        "owner": owner,
        "position": 0,
        "filename": filename,
        "content_type": content_type,
        "is_inline": False,
        "state": AttachmentState.READY,
        "sha256": blob.sha256,
        "size": blob.size,
        "created_at": now,
    }
    stored = await tx.conn.execute(insert(attachments).values(row).returning(attachments))
    return _attachment(stored.one())


async def delete_stale_uploads(tx: Transaction, *, before: datetime, limit: int) -> set[str]:
    """Forget uploads that nobody sent; return the hashes of their bytes."""
    stale = (
        select(attachments.c.id)
        .where(attachments.c.message_id.is_(None), attachments.c.created_at < before)
        .order_by(attachments.c.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row.id for row in await tx.conn.execute(stale)]
    if not ids:
        return set()
    query = delete(attachments).where(member_of(tx.conn, attachments.c.id, ids), attachments.c.message_id.is_(None))
    return {row.sha256 for row in await tx.conn.execute(query.returning(attachments.c.sha256)) if row.sha256}


async def find_referenced(conn: AsyncConnection, hashes: Iterable[str]) -> set[str]:
    """Return those of these hashes that an attachment still refers to."""
    query = select(attachments.c.sha256).where(member_of(conn, attachments.c.sha256, hashes)).distinct()
    return {row.sha256 for row in await conn.execute(query)}
