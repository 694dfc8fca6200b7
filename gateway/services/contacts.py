"""Everything an agent may know of a contact, and whose an address is."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.phone import normalise_phone, variants
from storage.contacts import Contact, find_contacts, load_contact, load_family
from storage.conversations import Conversation, ConversationFilter, list_conversations
from storage.database import Database
from storage.orders import Order, list_orders

_MOST_CONVERSATIONS = 50
_MOST_ORDERS = 50
_MOST_FOUND = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCard:
    """A contact with its newest orders and conversations, those of contacts that were merged into it too."""

    contact: Contact
    orders: Sequence[Order]
    conversations: Sequence[Conversation]


async def load_card(db: Database, contact_id: str) -> ContactCard:
    """Raises:
    NotFound: there is no such contact.
    """
    async with db.read() as conn:
        contact = await load_contact(conn, contact_id)
        family = await load_family(conn, contact_id)
        wanted = ConversationFilter(contact_id=contact_id)
        return ContactCard(
            contact=contact,
            orders=await list_orders(conn, family, limit=_MOST_ORDERS),
            conversations=await list_conversations(conn, wanted, after=None, limit=_MOST_CONVERSATIONS),
        )


async def find_by_address(db: Database, address: str) -> list[Contact]:
    """Return whose this address is: a mailbox, a visitor's or customer's id, or a number in any of its forms."""
    address = address.strip()
    values = {address, address.lower()}
    if (number := normalise_phone(address)) is not None:
        values.update(variants(number))
    async with db.read() as conn:
        return await find_contacts(conn, values, limit=_MOST_FOUND)
