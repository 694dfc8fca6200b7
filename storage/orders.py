"""What the shop told us of a contact's orders."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Transaction
from storage.sets import member_of
from storage.tables import contacts, orders, refunds, shipments


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    amount: Decimal
    currency: str  # ISO 4217


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    id: str
    external_id: str
    status: str
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None
    expected_on: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    id: str
    external_id: str
    status: str
    total: Money
    method: str | None
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `items` are as the shop sent them: sku, name, quantity, price."""

    id: str
    contact_id: str
    external_id: str
    number: str
    status: str
    placed_at: datetime
    total: Money
    items: Sequence[Mapping[str, Any]]
    shipments: Sequence[Shipment] = ()
    refunds: Sequence[Refund] = ()


async def insert_order(tx: Transaction, order: Order) -> None:
    """Store an order that is not there yet, with its shipments and refunds."""
    row = {
        "id": order.id,
        "contact_id": order.contact_id,
        "external_id": order.external_id,
        "number": order.number,
        "status": order.status,
        "placed_at": order.placed_at,
        "total_amount": str(order.total.amount),
        "total_currency": order.total.currency,
        "items": [dict(item) for item in order.items],
    }
    await tx.conn.execute(insert(orders), [row])
    if order.shipments:
        await tx.conn.execute(insert(shipments), [_shipment_row(order.id, shipment) for shipment in order.shipments])
    if order.refunds:
        await tx.conn.execute(insert(refunds), [_refund_row(order.id, refund) for refund in order.refunds])


def _shipment_row(order_id: str, shipment: Shipment) -> dict[str, object]:
    return {
        "id": shipment.id,
        "order_id": order_id,
        "external_id": shipment.external_id,
        "status": shipment.status,
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "tracking_url": shipment.tracking_url,
        "expected_on": None if shipment.expected_on is None else shipment.expected_on.isoformat(),
    }


def _refund_row(order_id: str, refund: Refund) -> dict[str, object]:
    return {
        "id": refund.id,
        "order_id": order_id,
        "external_id": refund.external_id,
        "status": refund.status,
        "amount": str(refund.total.amount),
        "currency": refund.total.currency,
        "method": refund.method,
        "started_at": refund.started_at,
        "completed_at": refund.completed_at,
    }


async def list_orders(conn: AsyncConnection, contact_ids: Collection[str], *, limit: int) -> list[Order]:
    """Return the newest orders of these contacts with their shipments and refunds."""
    query = (
        select(orders)
        .where(member_of(conn, orders.c.contact_id, contact_ids))
        .order_by(orders.c.placed_at.desc(), orders.c.id.desc())
        .limit(limit)
    )
    rows = (await conn.execute(query)).all()
    ids = [row.id for row in rows]
    parcels = select(shipments).where(member_of(conn, shipments.c.order_id, ids)).order_by(shipments.c.id)
    returns = select(refunds).where(member_of(conn, refunds.c.order_id, ids)).order_by(refunds.c.id)
    sent = (await conn.execute(parcels)).all() if ids else []
    repaid = (await conn.execute(returns)).all() if ids else []
    return [
        _order(row, [item for item in sent if item.order_id == row.id], [it for it in repaid if it.order_id == row.id])
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedOrder:
    """An order as its number finds it."""

    id: str
    number: str
    status: str
    placed_at: datetime
    contact_id: str
    contact_name: str | None


async def find_orders(conn: AsyncConnection, number: str, *, limit: int) -> list[NumberedOrder]:
    """Return the newest orders that have this number."""
    query = (
        select(orders, contacts.c.name.label("contact_name"))
        .join(contacts, contacts.c.id == orders.c.contact_id)
        .where(orders.c.number == number)
        .order_by(orders.c.placed_at.desc())
        .limit(limit)
    )
    return [
        NumberedOrder(
            id=row.id,
            number=row.number,
            status=row.status,
            placed_at=row.placed_at,
            contact_id=row.contact_id,
            contact_name=row.contact_name,
        )
        for row in await conn.execute(query)
    ]


def _order(row: Row[Any], sent: Sequence[Row[Any]], repaid: Sequence[Row[Any]]) -> Order:
    return Order(
        id=row.id,
        contact_id=row.contact_id,
        external_id=row.external_id,
        number=row.number,
        status=row.status,
        placed_at=row.placed_at,
        total=Money(amount=Decimal(row.total_amount), currency=row.total_currency),
        items=row.items,
        shipments=tuple(_shipment(shipment) for shipment in sent),
        refunds=tuple(_refund(refund) for refund in repaid),
    )


def _shipment(row: Row[Any]) -> Shipment:
    return Shipment(
        id=row.id,
        external_id=row.external_id,
        status=row.status,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        tracking_url=row.tracking_url,
        expected_on=None if row.expected_on is None else date.fromisoformat(row.expected_on),
    )


def _refund(row: Row[Any]) -> Refund:
    return Refund(
        id=row.id,
        external_id=row.external_id,
        status=row.status,
        total=Money(amount=Decimal(row.amount), currency=row.currency),
        method=row.method,
        started_at=row.started_at,
        completed_at=row.completed_at,
    )
