"""Who wrote: from a sender's address to the contact behind it, for a whole batch.

A proved address is one contact's for good; a number and the WhatsApp id of the same number are one contact from the
start; national variants of a number are look-up aliases only. A number that was silent for long proves nobody any
more: its next message starts a contact of its own, and an agent may link the two (architecture.md, "Contacts").
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.contact import Address, AddressKind
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage
from gateway.domain.phone import variants
from routing.placement import is_number_silent
from storage import inbound
from storage.database import Transaction
from storage.inbound import AddressUpdate, KnownAddress, NewAddress, NewContact

_NUMBERS = frozenset({AddressKind.PHONE, AddressKind.WHATSAPP})


@dataclass(slots=True, kw_only=True)
class Person:
    """The sender of this batch's messages from one address; `address_id` is None for somebody in copy."""

    contact_id: str
    address_id: str | None
    name: str | None = None
    chat_seq: int = 0
    is_new: bool = False  # the contact is
    silent_contact_id: str | None = None  # whom the number belonged to before it fell silent


async def resolve_people(tx: Transaction, arrivals: Sequence[InboundMessage], now: datetime) -> dict[Address, Person]:
    """Return the person behind each sender, written down if new; the addresses stay locked until the commit."""
    latest = {message.sender: message for message in arrivals}
    counts = Counter(message.sender for message in arrivals)
    if not latest:
        return {}
    known = await inbound.lock_addresses(tx, {value for sender in latest for value in _aliases(sender)})
    by_address = {row.address: row for row in known}
    people: dict[Address, Person] = {}
    contacts: list[NewContact] = []
    added: list[NewAddress] = []
    touched: list[AddressUpdate] = []
    for sender, message in latest.items():
        relatives = _relatives(sender, by_address, people)
        person = _recognise(sender, message, relatives)
        if person is None:
            person = Person(contact_id=new_id(), address_id=None, name=message.sender_name, is_new=True)
            contacts.append(NewContact(id=person.contact_id, name=message.sender_name))
            silent = [row for row in relatives if isinstance(row, KnownAddress)]
            if silent:
                person.silent_contact_id = silent[0].contact_id
            touched += [_moved(row, person) for row in silent if row.address != sender]
        people[sender] = person
        chats = counts[sender] if sender.kind is AddressKind.VISITOR else 0
        exact = by_address.get(sender)
        if exact is None:
            person.address_id = new_id()
            added.append(_new_address(sender, person, message, chats, now))
        else:
            person.address_id, person.chat_seq = exact.id, exact.chat_seq
            touched.append(_touched(exact, person, message, chats))
    if contacts:
        await inbound.insert_contacts(tx, contacts, now)
    if added:
        await inbound.insert_addresses(tx, added, now)
    if touched:
        await inbound.update_addresses(tx, sorted(touched, key=lambda change: change.id))
    return people


def _aliases(sender: Address) -> tuple[str, ...]:
    if sender.kind in _NUMBERS and sender.value.startswith("+"):
        return variants(sender.value)
    return (sender.value,)


def _relatives(
    sender: Address, known: dict[Address, KnownAddress], people: dict[Address, Person]
) -> list[KnownAddress | Person]:
    """Return who may be behind the sender, nearest first: the address itself, its number on the other channel."""
    kinds = _NUMBERS if sender.kind in _NUMBERS else {sender.kind}
    candidates = [sender]
    candidates += [Address(kind=kind, value=value) for value in _aliases(sender) for kind in sorted(kinds)]
    found: list[KnownAddress | Person] = []
    for candidate in dict.fromkeys(candidates):
        if candidate in people:
            found.append(people[candidate])
        elif candidate in known:
            found.append(known[candidate])
    return found


def _recognise(sender: Address, message: InboundMessage, relatives: Sequence[KnownAddress | Person]) -> Person | None:
    for relative in relatives:
        if isinstance(relative, Person):
            return Person(contact_id=relative.contact_id, address_id=None, name=relative.name, is_new=relative.is_new)
    rows = [row for row in relatives if isinstance(row, KnownAddress)]
    if not rows:
        return None
    last_seen_at = max(row.last_seen_at for row in rows)
    if sender.kind in _NUMBERS and is_number_silent(last_seen_at=last_seen_at, received_at=message.received_at):
        return None
    return Person(contact_id=rows[0].contact_id, address_id=None, name=message.sender_name or rows[0].display_name)


def _new_address(sender: Address, person: Person, message: InboundMessage, chats: int, now: datetime) -> NewAddress:
    assert person.address_id is not None  # noqa: S101  given by the caller
    return NewAddress(
        id=person.address_id,
        contact_id=person.contact_id,
        address=sender,
        display_name=message.sender_name,
        verified_at=None if sender.kind is AddressKind.EMAIL_CLAIM else now,
        last_inbound_at=message.received_at,
        chat_seq=chats,
    )


def _moved(silent: KnownAddress, person: Person) -> AddressUpdate:
    """The silent number's address on the other channel goes with it: it has the same new owner."""
    return AddressUpdate(
        id=silent.id,
        contact_id=person.contact_id,
        last_inbound_at=silent.last_seen_at,
        display_name=None,
        chat_seq=silent.chat_seq,
    )


def _touched(exact: KnownAddress, person: Person, message: InboundMessage, chats: int) -> AddressUpdate:
    return AddressUpdate(
        id=exact.id,
        contact_id=person.contact_id,
        last_inbound_at=max(message.received_at, exact.last_seen_at),
        display_name=message.sender_name or exact.display_name,
        chat_seq=exact.chat_seq + chats,
    )
