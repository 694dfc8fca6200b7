"""Everything a channel needs to send a message, read for a whole batch at once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union_all

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from storage.database import Transaction
from storage.sets import member_of
from storage.tables import addresses, attachments, contacts, deliveries, messages

_REFERENCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundFile:
    id: str
    filename: str
    content_type: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundContent:
    """A stored reply with where it goes; its parts are in `storage.deliveries`."""

    message_id: str
    conversation_id: str
    contact_id: str
    channel: ChannelName
    recipient: Address
    recipient_name: str | None
    text: str
    html: str | None
    subject: str | None
    author_name: str | None
    cc: tuple[str, ...]
    language: str | None
    at: datetime
    files: tuple[OutboundFile, ...]
    references: tuple[str, ...]
    is_scheduled: bool  # nobody has been told yet that it answers them


async def load_contents(tx: Transaction, message_ids: Sequence[str]) -> dict[str, OutboundContent]:
    """Return the content of these messages; one whose address is gone is left out."""
    query = (
        select(messages, addresses.c.kind, addresses.c.value, contacts.c.name.label("contact_name"))
        .join(addresses, addresses.c.id == messages.c.address_id)
        .join(contacts, contacts.c.id == addresses.c.contact_id)
        .where(member_of(tx.conn, messages.c.id, message_ids))
    )
    rows = (await tx.conn.execute(query)).all()
    files = await _load_files(tx, message_ids)
    threads = await _load_threads(tx, [row.id for row in rows if row.channel == ChannelName.EMAIL])
    return {
        row.id: OutboundContent(
            message_id=row.id,
            conversation_id=row.conversation_id,
            contact_id=row.contact_id,
            channel=ChannelName(row.channel),
            recipient=Address(kind=AddressKind(row.kind), value=row.value),
            recipient_name=row.contact_name,
            text=row.text,
            html=row.html,
            subject=row.subject,
            author_name=row.author_name,
            cc=tuple(row.cc),
            language=row.language,
            at=row.at,
            files=tuple(files.get(row.id, ())),
            references=tuple(threads.get(row.id, ())),
            is_scheduled=row.status == MessageStatus.SCHEDULED,
        )
        for row in rows
    }


async def _load_files(tx: Transaction, message_ids: Iterable[str]) -> dict[str, list[OutboundFile]]:
    query = (
        select(attachments)
        .where(member_of(tx.conn, attachments.c.message_id, message_ids), attachments.c.state == "ready")
        .order_by(attachments.c.message_id, attachments.c.position)
    )
    files: dict[str, list[OutboundFile]] = defaultdict(list)
    for row in await tx.conn.execute(query):
        files[row.message_id].append(
            OutboundFile(id=row.id, filename=row.filename, content_type=row.content_type, sha256=row.sha256)
        )
    return files


async def _load_threads(tx: Transaction, mail_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the Message-IDs of the newest mails before each of these in its conversation, oldest first."""
    if not mail_ids:
        return {}
    mail = messages.alias("mail")
    is_before = (
        member_of(tx.conn, mail.c.id, mail_ids)
        & (messages.c.conversation_id == mail.c.conversation_id)
        & (messages.c.channel == ChannelName.EMAIL)
        & (messages.c.at < mail.c.at)
    )
    columns = (mail.c.id.label("mail_id"), messages.c.at)
    received = select(*columns, messages.c.external_id).where(is_before, messages.c.external_id.is_not(None))
    sent = (
        select(*columns, deliveries.c.external_id)
        .join(deliveries, deliveries.c.message_id == messages.c.id)
        .where(is_before, deliveries.c.external_id.is_not(None))
    )
    before = union_all(received, sent).subquery()
    newest_first = (before.c.at.desc(), before.c.external_id.desc())
    rank = func.row_number().over(partition_by=before.c.mail_id, order_by=newest_first).label("rank")
    ranked = select(before.c.mail_id, before.c.external_id, rank).subquery()
    query = select(ranked).where(ranked.c.rank <= _REFERENCES).order_by(ranked.c.mail_id, ranked.c.rank.desc())
    threads: dict[str, list[str]] = defaultdict(list)
    for row in await tx.conn.execute(query):
        threads[row.mail_id].append(row.external_id)
    return threads
