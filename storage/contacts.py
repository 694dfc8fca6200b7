"""Contacts as agents see them: who they are, how they are reached, who was merged into whom."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.contact import AddressKind
from gateway.domain.errors import NotFound
from storage.sets import member_of
from storage.tables import addresses, contacts, suppressions


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactAddress:
    id: str
    kind: AddressKind
    value: str
    display_name: str | None
    verified_at: datetime | None  # when the channel or the shop proved that it is theirs
    identified_at: datetime | None  # visitor: when the shop's signed identity was shown
    last_inbound_at: datetime | None
    undeliverable_reason: str | None
    suppressed_at: datetime | None  # never send here since then
    suppressed_reason: str | None
    merged_from_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    id: str
    name: str | None
    language: str | None  # BCP 47
    created_at: datetime
    merged_into_id: str | None
    addresses: Sequence[ContactAddress]


def _address(row: Row[Any]) -> ContactAddress:
    return ContactAddress(
        id=row.id,
        kind=AddressKind(row.kind),
        value=row.value,
        display_name=row.display_name,
        verified_at=row.verified_at,
        identified_at=row.identified_at,
        last_inbound_at=row.last_inbound_at,
        undeliverable_reason=row.undeliverable_reason,
        suppressed_at=row.suppressed_at,
        suppressed_reason=row.suppressed_reason,
        merged_from_id=row.merged_from_id,
    )


async def load_contacts(conn: AsyncConnection, contact_ids: Iterable[str]) -> list[Contact]:
    """Return those of these contacts that exist, the oldest first."""
    ids = list(contact_ids)
    known = select(contacts).where(member_of(conn, contacts.c.id, ids)).order_by(contacts.c.created_at, contacts.c.id)
    reached = (
        select(
            addresses,
            suppressions.c.created_at.label("suppressed_at"),
            suppressions.c.reason.label("suppressed_reason"),
        )
        .outerjoin(
            suppressions, and_(suppressions.c.kind == addresses.c.kind, suppressions.c.value == addresses.c.value)
        )
        .where(member_of(conn, addresses.c.contact_id, ids))
        .order_by(addresses.c.created_at, addresses.c.id)
    )
    owned: dict[str, list[ContactAddress]] = {}
    for row in await conn.execute(reached):
        owned.setdefault(row.contact_id, []).append(_address(row))
    return [
        Contact(
            id=row.id,
            name=row.name,
            language=row.language,
            created_at=row.created_at,
            merged_into_id=row.merged_into_id,
            addresses=tuple(owned.get(row.id, ())),
        )
        for row in await conn.execute(known)
    ]


async def load_contact(conn: AsyncConnection, contact_id: str) -> Contact:
    """Raises:
    NotFound: there is no such contact.
    """
    found = await load_contacts(conn, [contact_id])
    if not found:
        raise NotFound("There is no such contact.")
    return found[0]


async def find_contacts(conn: AsyncConnection, values: Iterable[str], *, limit: int) -> list[Contact]:
    """Return the contacts that one of these address values belongs to, whatever its kind."""
    query = select(addresses.c.contact_id).where(member_of(conn, addresses.c.value, values)).distinct().limit(limit)
    ids = [row.contact_id for row in await conn.execute(query)]
    return await load_contacts(conn, ids) if ids else []


async def load_family(conn: AsyncConnection, contact_id: str) -> set[str]:
    """Return the contact and all that were merged into it, through however many steps."""
    family = select(contacts.c.id).where(contacts.c.id == contact_id).cte("family", recursive=True)
    family = family.union(select(contacts.c.id).where(contacts.c.merged_into_id == family.c.id))
    return {row.id for row in await conn.execute(select(family.c.id))}


async def find_root(conn: AsyncConnection, contact_id: str) -> str:
    """Return the contact that this one has ended in: itself, unless it was merged."""
    step = select(contacts.c.id, contacts.c.merged_into_id).where(contacts.c.id == contact_id)
    chain = step.cte("chain", recursive=True)
    chain = chain.union(select(contacts.c.id, contacts.c.merged_into_id).where(contacts.c.id == chain.c.merged_into_id))
    root: str | None = (
        await conn.execute(select(chain.c.id).where(chain.c.merged_into_id.is_(None)))
    ).scalar_one_or_none()
    if root is None:
        raise NotFound("There is no such contact.")
    return root
