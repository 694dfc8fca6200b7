"""One question, everything that answers it: words in conversations, whose an address is, which order has a number."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from gateway.domain.contact import AddressKind
from gateway.services.contacts import find_by_address
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.v1.views import ConversationView, conversation_view
from storage.contacts import Contact
from storage.conversations import ConversationFilter, search_conversations
from storage.orders import NumberedOrder, find_orders

_MOST = 50


class SearchQuery(msgspec.Struct, forbid_unknown_fields=True):
    """`q`: words, a whole address, or a whole order number; `limit` is for each kind of answer."""

    q: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=_MOST)] = 8


class FoundAddress(msgspec.Struct):
    kind: AddressKind
    value: str


class FoundContact(msgspec.Struct):
    id: str
    name: str | None
    language: str | None
    addresses: Sequence[FoundAddress]


class FoundOrder(msgspec.Struct):
    id: str
    number: str
    status: str
    placed_at: datetime
    contact_id: str
    contact_name: str | None


class FoundView(msgspec.Struct):
    conversations: Sequence[ConversationView]
    contacts: Sequence[FoundContact]
    orders: Sequence[FoundOrder]


async def search(call: Call[None, SearchQuery]) -> FoundView:
    context, query = call.context, call.query
    contacts = await find_by_address(context.db, query.q)
    async with context.db.read() as conn:
        conversations = await search_conversations(conn, query.q, ConversationFilter(), limit=query.limit)
        orders = await find_orders(conn, query.q.strip().lstrip("#"), limit=query.limit)
    return FoundView(
        conversations=[conversation_view(conversation) for conversation in conversations],
        contacts=[_contact(contact) for contact in contacts[: query.limit]],
        orders=[_order(order) for order in orders],
    )


def _contact(contact: Contact) -> FoundContact:
    return FoundContact(
        id=contact.id,
        name=contact.name,
        language=contact.language,
        addresses=[FoundAddress(kind=address.kind, value=address.value) for address in contact.addresses],
    )


def _order(order: NumberedOrder) -> FoundOrder:
    return FoundOrder(
        id=order.id,
        number=order.number,
        status=order.status,
        placed_at=order.placed_at,
        contact_id=order.contact_id,
        contact_name=order.contact_name,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/search",
        Action.CONTACT_READ,
        search,
        query=SearchQuery,
        response=FoundView,
        summary="Find conversations by words, contacts by an address, orders by their number",
    ),
)
