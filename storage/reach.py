"""By which of their addresses a visitor of the chat can be written to, and why not by the others."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.contact import AddressKind
from storage.chat import Visitor, find_claim
from storage.tables import addresses, suppressions


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`address_id` None: a mailbox that the visitor typed. `hindrance`: why nothing may be sent there."""

    kind: AddressKind
    address_id: str | None = None
    mailbox: str | None = None
    hindrance: str | None = None


async def list_reach(conn: AsyncConnection, visitor: Visitor, kinds: Collection[AddressKind]) -> list[Reach]:
    """Return what is known to be the visitor's, and the mailbox that they typed, those that may be written to first.

    `kinds` are of proved addresses; of several of one kind the last used comes first.
    """
    same = and_(suppressions.c.kind == addresses.c.kind, suppressions.c.value == addresses.c.value)
    query = (
        select(addresses.c.id, addresses.c.kind, suppressions.c.reason)
        .outerjoin(suppressions, same)
        .where(addresses.c.contact_id == visitor.contact_id, addresses.c.kind.in_(sorted(kinds)))
        .order_by(addresses.c.last_inbound_at.desc().nulls_last(), addresses.c.created_at, addresses.c.id)
    )
    found = [
        Reach(kind=AddressKind(row.kind), address_id=row.id, hindrance=row.reason) for row in await conn.execute(query)
    ]
    typed = await find_claim(conn, visitor, "mailbox")
    if typed is not None:
        hindrance = await find_mailbox_hindrance(conn, typed)
        found.append(Reach(kind=AddressKind.EMAIL_CLAIM, mailbox=typed, hindrance=hindrance))
    return sorted(found, key=lambda reach: reach.hindrance is not None)


async def find_mailbox_hindrance(conn: AsyncConnection, mailbox: str) -> str | None:
    """Return why nothing may be sent to a mailbox, whether or not somebody has proved it theirs."""
    kinds = [AddressKind.EMAIL, AddressKind.EMAIL_CLAIM]
    query = select(suppressions.c.reason).where(suppressions.c.value == mailbox, suppressions.c.kind.in_(kinds))
    return (await conn.execute(query)).scalars().first()
