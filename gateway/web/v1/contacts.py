"""Who customers are, how they are reached, and what is known of them; two that are one are merged, or parted again."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated

import msgspec

from gateway.domain.contact import AddressKind
from gateway.domain.message import Json
from gateway.services.contacts import ContactCard, find_by_address, load_card
from gateway.services.merge import merge_contacts, unmerge_contact
from gateway.web.paging import Id, Page
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.v1.views import ConversationView, Reason, conversation_view
from storage.contacts import Contact, ContactAddress, load_contact
from storage.database import Transaction
from storage.orders import Money, Order, Refund, Shipment


class SuppressionView(msgspec.Struct):
    reason: str
    at: datetime


class AddressView(msgspec.Struct):
    """`suppressed`: never send here. An address that is not verified is a claim: it proves nobody."""

    id: str
    kind: AddressKind
    value: str
    display_name: str | None
    verified: bool
    verified_at: datetime | None
    last_inbound_at: datetime | None
    suppressed: SuppressionView | None
    undeliverable_reason: str | None


def _address_view(address: ContactAddress) -> AddressView:
    suppressed = None
    if address.suppressed_at is not None:
        suppressed = SuppressionView(reason=address.suppressed_reason or "", at=address.suppressed_at)
    return AddressView(
        id=address.id,
        kind=address.kind,
        value=address.value,
        display_name=address.display_name,
        verified=address.verified_at is not None,
        verified_at=address.verified_at,
        last_inbound_at=address.last_inbound_at,
        suppressed=suppressed,
        undeliverable_reason=address.undeliverable_reason,
    )


class ContactView(msgspec.Struct):
    """`merged_into`: the contact that this one is part of now; its addresses and conversations are there."""

    id: str
    name: str | None
    language: str | None
    created_at: datetime
    merged_into: str | None
    addresses: Sequence[AddressView]


def _contact_view(contact: Contact) -> ContactView:
    return ContactView(
        id=contact.id,
        name=contact.name,
        language=contact.language,
        created_at=contact.created_at,
        merged_into=contact.merged_into_id,
        addresses=[_address_view(address) for address in contact.addresses],
    )


class MoneyView(msgspec.Struct):
    amount: str  # a decimal
    currency: str  # ISO 4217


def _money_view(money: Money) -> MoneyView:
    return MoneyView(amount=str(money.amount), currency=money.currency)


class ShipmentView(msgspec.Struct):
    id: str
    external_id: str
    status: str
    carrier: str | None
    tracking_number: str | None
    tracking_url: str | None
    expected_on: date | None


def _shipment_view(shipment: Shipment) -> ShipmentView:
    return ShipmentView(
        id=shipment.id,
        external_id=shipment.external_id,
        status=shipment.status,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        tracking_url=shipment.tracking_url,
        expected_on=shipment.expected_on,
    )


class RefundView(msgspec.Struct):
    id: str
    external_id: str
    status: str
    amount: MoneyView
    method: str | None
    started_at: datetime | None
    completed_at: datetime | None


def _refund_view(refund: Refund) -> RefundView:
    return RefundView(
        id=refund.id,
        external_id=refund.external_id,
        status=refund.status,
        amount=_money_view(refund.total),
        method=refund.method,
        started_at=refund.started_at,
        completed_at=refund.completed_at,
    )


class OrderView(msgspec.Struct):
    id: str
    external_id: str
    number: str
    status: str
    placed_at: datetime
    total: MoneyView
    items: Sequence[Mapping[str, Json]]
    shipments: Sequence[ShipmentView]
    refunds: Sequence[RefundView]


def _order_view(order: Order) -> OrderView:
    return OrderView(
        id=order.id,
        external_id=order.external_id,
        number=order.number,
        status=order.status,
        placed_at=order.placed_at,
        total=_money_view(order.total),
        items=order.items,
        shipments=[_shipment_view(shipment) for shipment in order.shipments],
        refunds=[_refund_view(refund) for refund in order.refunds],
    )


class ContactCardView(ContactView):
    orders: Sequence[OrderView]
    conversations: Sequence[ConversationView]


def _card_view(card: ContactCard) -> ContactCardView:
    contact = card.contact
    return ContactCardView(
        id=contact.id,
        name=contact.name,
        language=contact.language,
        created_at=contact.created_at,
        merged_into=contact.merged_into_id,
        addresses=[_address_view(address) for address in contact.addresses],
        orders=[_order_view(order) for order in card.orders],
        conversations=[conversation_view(conversation) for conversation in card.conversations],
    )


class ContactQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly this address: there is no list of everybody."""

    address: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]


class MergeBody(msgspec.Struct, forbid_unknown_fields=True):
    """`contact_id` becomes part of the contact in the path."""

    contact_id: Id
    reason: Annotated[Reason, msgspec.Meta(min_length=1)] = "An agent said so."


async def get_contact(call: Call[None, None]) -> ContactCardView:
    return _card_view(await load_card(call.context.db, call.id))


async def find_contacts(call: Call[None, ContactQuery]) -> Page[ContactView]:
    found = await find_by_address(call.context.db, call.query.address)
    return Page(items=[_contact_view(contact) for contact in found])


async def merge(call: Call[MergeBody, None], tx: Transaction) -> ContactView:
    await merge_contacts(
        tx,
        into_id=call.id,
        from_id=call.body.contact_id,
        actor=call.principal.actor,
        reason=call.body.reason,
        now=call.now,
    )
    return _contact_view(await load_contact(tx.conn, call.id))


async def unmerge(call: Call[None, None], tx: Transaction) -> ContactView:
    await unmerge_contact(tx, contact_id=call.id, actor=call.principal.actor, now=call.now)
    return _contact_view(await load_contact(tx.conn, call.id))


ROUTES = (
    Route(
        "GET",
        "/v1/contacts",
        Action.CONTACT_READ,
        find_contacts,
        query=ContactQuery,
        response=Page[ContactView],
        summary="Find whose an address is",
    ),
    Route(
        "GET",
        "/v1/contacts/{id}",
        Action.CONTACT_READ,
        get_contact,
        response=ContactCardView,
        summary="Read a contact with its addresses, orders and conversations",
    ),
    Route(
        "POST",
        "/v1/contacts/{id}/merge",
        Action.CONTACT_MERGE,
        merge,
        body=MergeBody,
        response=ContactView,
        summary="Make another contact part of this one",
    ),
    Route(
        "POST",
        "/v1/contacts/{id}/unmerge",
        Action.CONTACT_UNMERGE,
        unmerge,
        response=ContactView,
        summary="Make a merged contact one of its own again",
    ),
)
