from datetime import date
from decimal import Decimal

from gateway.domain.ids import new_id
from storage.database import Database, Transaction
from storage.orders import Money, Order, Refund, Shipment, insert_order, list_orders
from tests.support.factories import NOW, make_contact, minutes


def order(contact_id: str, number: str, *, minute: int = 0) -> Order:
    return Order(
        id=new_id(),
        contact_id=contact_id,
        external_id=f"o-{number}",
        number=number,
        status="paid",
        placed_at=NOW + minutes(minute),
        total=Money(amount=Decimal("54.10"), currency="EUR"),
        items=[{"sku": "SERUM-30", "name": "Calm serum", "quantity": 1}],
        shipments=(
            Shipment(
                id=new_id(),
                external_id=f"s-{number}",
                status="dispatched",
                carrier="DHL",
                tracking_number="JD01",
                tracking_url=None,
                expected_on=date(2026, 12, 1),
            ),
        ),
        refunds=(
            Refund(
                id=new_id(),
                external_id=f"f-{number}",
                status="started",
                total=Money(amount=Decimal("4.00"), currency="EUR"),
                method="card",
                started_at=NOW,
                completed_at=None,
            ),
        ),
    )


async def test_order_comes_back_with_its_shipments_and_refunds(database: Database) -> None:
    contact = await make_contact(database)
    stored = order(contact, "10023")
    await database.write(lambda tx: insert_order(tx, stored))
    async with database.read() as conn:
        assert await list_orders(conn, [contact], limit=10) == [stored]


async def test_newest_orders_of_just_these_contacts_are_listed(database: Database) -> None:
    one, two, other = [await make_contact(database) for _ in range(3)]

    async def store(tx: Transaction) -> None:
        for minute, contact in enumerate((one, two, other, one)):
            await insert_order(tx, order(contact, str(minute), minute=minute))

    await database.write(store)
    async with database.read() as conn:
        assert [found.number for found in await list_orders(conn, [one, two], limit=10)] == ["3", "1", "0"]
        assert [found.number for found in await list_orders(conn, [one, two], limit=1)] == ["3"]
        assert await list_orders(conn, [], limit=10) == []
