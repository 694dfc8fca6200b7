"""The parts of outbound messages on their journey: one row for each provider message."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from storage.database import Transaction
from storage.sets import insert_or_ignore, member_of
from storage.tables import addresses, deliveries, delivery_reports, messages, suppressions


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    message_id: str
    part: int
    text: str
    status: MessageStatus
    external_id: str | None
    attempt_started_at: datetime | None
    attempts: int
    error_code: str | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """A message on its way and all its parts, in their order."""

    message_id: str
    conversation_id: str
    contact_id: str
    channel: ChannelName
    status: MessageStatus
    address: Address | None
    address_id: str | None
    at: datetime
    parts: tuple[Part, ...]


async def insert_parts(tx: Transaction, message_id: str, texts: Sequence[str], now: datetime) -> None:
    rows = [
        {
            "message_id": message_id,
            "part": part,
            "text": text,
            "status": MessageStatus.QUEUED,
            "attempts": 0,
            "updated_at": now,
        }
        for part, text in enumerate(texts)
    ]
    await tx.conn.execute(insert(deliveries), rows)


async def lock_parts(tx: Transaction, message_ids: Iterable[str]) -> dict[str, list[Part]]:
    """Return and lock the parts of these messages, in id order; a message without any is left out."""
    parts: dict[str, list[Part]] = defaultdict(list)
    query = (
        select(deliveries)
        .where(member_of(tx.conn, deliveries.c.message_id, message_ids))
        .order_by(deliveries.c.message_id, deliveries.c.part)
        .with_for_update()
    )
    for row in await tx.conn.execute(query):
        parts[row.message_id].append(
            Part(
                message_id=row.message_id,
                part=row.part,
                text=row.text,
                status=MessageStatus(row.status),
                external_id=row.external_id,
                attempt_started_at=row.attempt_started_at,
                attempts=row.attempts,
                error_code=row.error_code,
                error=row.error,
            )
        )
    return dict(parts)


async def lock_journeys(tx: Transaction, message_ids: Iterable[str]) -> dict[str, Journey]:
    """Return these messages, and lock their parts, in id order."""
    parts = await lock_parts(tx, set(message_ids))
    heads = (
        select(
            messages.c.id,
            messages.c.conversation_id,
            messages.c.contact_id,
            messages.c.channel,
            messages.c.status,
            messages.c.at,
            messages.c.address_id,
            addresses.c.kind,
            addresses.c.value,
        )
        .outerjoin(addresses, addresses.c.id == messages.c.address_id)
        .where(member_of(tx.conn, messages.c.id, parts))
    )
    return {
        row.id: Journey(
            message_id=row.id,
            conversation_id=row.conversation_id,
            contact_id=row.contact_id,
            channel=ChannelName(row.channel),
            status=MessageStatus(row.status),
            address=Address(kind=AddressKind(row.kind), value=row.value) if row.kind else None,
            address_id=row.address_id,
            at=row.at,
            parts=tuple(parts[row.id]),
        )
        for row in await tx.conn.execute(heads)
    }


_MARK = (
    update(deliveries)
    .where(deliveries.c.message_id == bindparam("row"), deliveries.c.part == bindparam("nth"))
    .values(attempt_started_at=bindparam("started"), attempts=deliveries.c.attempts + 1)
)


async def mark_attempts(tx: Transaction, parts: Sequence[tuple[str, int]], now: datetime) -> None:
    """Note that the bytes of these parts are about to leave."""
    await tx.conn.execute(_MARK, [{"row": message_id, "nth": part, "started": now} for message_id, part in parts])


_ADVANCE = (
    update(deliveries)
    .where(deliveries.c.message_id == bindparam("row"), deliveries.c.part == bindparam("nth"))
    .values(
        status=bindparam("state"),
        external_id=bindparam("outside"),
        attempt_started_at=bindparam("started"),
        error_code=bindparam("code"),
        error=bindparam("why"),
        updated_at=bindparam("changed"),
    )
)


async def update_parts(tx: Transaction, parts: Sequence[Part], now: datetime) -> None:
    rows = [
        {
            "row": part.message_id,
            "nth": part.part,
            "state": part.status,
            "outside": part.external_id,
            "started": part.attempt_started_at,
            "code": part.error_code,
            "why": part.error,
            "changed": now,
        }
        for part in parts
    ]
    await tx.conn.execute(_ADVANCE, rows)


_STATUS = (
    update(messages)
    .where(messages.c.id == bindparam("row"))
    .values(status=bindparam("state"), error_code=bindparam("code"), error=bindparam("why"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    message_id: str
    status: MessageStatus
    error_code: str | None = None
    error: str | None = None


async def update_statuses(tx: Transaction, changes: Sequence[StatusChange]) -> None:
    rows = [
        {"row": change.message_id, "state": change.status, "code": change.error_code, "why": change.error}
        for change in changes
    ]
    await tx.conn.execute(_STATUS, rows)


async def set_chat_seq(tx: Transaction, message_id: str, chat_seq: int) -> None:
    await tx.conn.execute(update(messages).where(messages.c.id == message_id).values(chat_seq=chat_seq))


async def find_reported(tx: Transaction, external_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the message and part that bear these provider ids."""
    query = select(deliveries.c.external_id, deliveries.c.message_id, deliveries.c.part).where(
        member_of(tx.conn, deliveries.c.external_id, external_ids)
    )
    return {row.external_id: (row.message_id, row.part) for row in await tx.conn.execute(query)}


async def insert_reports(tx: Transaction, reports: Sequence[tuple[str, int, DeliveryReport]]) -> None:
    """Keep the providers' words, one of each kind for each part."""
    rows = [
        {
            "message_id": message_id,
            "part": part,
            "status": report.status,
            "external_id": report.external_id,
            "error_code": report.error_code,
            "at": report.received_at,
        }
        for message_id, part, report in reports
    ]
    await tx.conn.execute(insert_or_ignore(tx.conn, delivery_reports), rows)


async def suppress(tx: Transaction, address: Address, reason: str, now: datetime) -> None:
    """Never send to this address again."""
    row = {"kind": address.kind, "value": address.value, "reason": reason, "created_at": now}
    await tx.conn.execute(insert_or_ignore(tx.conn, suppressions), [row])


async def find_suppressed(tx: Transaction, wanted: Iterable[Address]) -> dict[Address, str]:
    """Return those of the addresses that must not be written to, with the reason."""
    query = select(suppressions).where(member_of(tx.conn, suppressions.c.value, {address.value for address in wanted}))
    return {Address(kind=AddressKind(row.kind), value=row.value): row.reason for row in await tx.conn.execute(query)}


async def flag_address(tx: Transaction, address_id: str, reason: str) -> None:
    """Note on an address that it can't receive; agents see it, nobody is stopped from trying again."""
    await tx.conn.execute(update(addresses).where(addresses.c.id == address_id).values(undeliverable_reason=reason))


async def list_external_ids(tx: Transaction, candidates: Iterable[str]) -> set[str]:
    """Return which of these provider ids are bound to a part already."""
    query = select(deliveries.c.external_id).where(member_of(tx.conn, deliveries.c.external_id, candidates))
    return set((await tx.conn.execute(query)).scalars())
