"""Fill an empty database with the invented shop, through the same functions that serve real customers.

All in one transaction, so a database is seeded or it is not: a process killed in between leaves nothing behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest

from gateway.domain.agent import Agent, ApiToken, Scope
from gateway.domain.contact import CHANNEL_ADDRESSES, Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import GatewayError
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, InboundMessage
from gateway.sandbox.shop import (
    ADMIN,
    COLLEAGUES,
    CUSTOMERS,
    PRODUCTS,
    PURCHASES,
    SHOP_DOMAIN,
    SHOP_EMAIL,
    SHOP_SMS,
    SHOP_WHATSAPP,
    Customer,
    Purchase,
)
from gateway.sandbox.stories import STORIES, Answered, Noted, Resolved, Snoozed, Step, Story, Took, Wrote
from gateway.services.conversations import add_note, assign, resolve, snooze
from gateway.services.journey import DoubtPolicy, Outcome, advance
from gateway.services.receive import receive_messages
from gateway.services.reply import Author, Reply, reply
from gateway.services.tokens import hash_secret
from storage.agents import find_agent, insert_agent, list_agents
from storage.chat import insert_visitor_contact, mark_identified
from storage.contacts import find_contacts
from storage.conversations import ConversationFilter, list_conversations
from storage.database import Database, Transaction
from storage.events import Actor
from storage.inbound import NewAddress, insert_addresses, lock_unresolved
from storage.orders import Money, Order, Refund, Shipment, insert_order
from storage.tokens import insert_token

_KNOWN_FOR = timedelta(days=90)
_NO_DOUBT = DoubtPolicy(lookup_channels=frozenset(), callback_wait=timedelta(0))
_RECIPIENTS = {
    ChannelName.EMAIL: SHOP_EMAIL,
    ChannelName.SMS: SHOP_SMS,
    ChannelName.WHATSAPP: SHOP_WHATSAPP,
    ChannelName.WEBCHAT: "",
}
# What is heard of an answer on its way, and how long after it.
_SENT = (MessageStatus.SENT, timedelta(seconds=2))
_DELIVERED = (MessageStatus.DELIVERED, timedelta(seconds=5))
_WAYS = {
    MessageStatus.SENT: (_SENT,),
    MessageStatus.DELIVERED: (_SENT, _DELIVERED),
    MessageStatus.READ: (_SENT, _DELIVERED, (MessageStatus.READ, timedelta(seconds=70))),
    MessageStatus.FAILED: (_SENT, (MessageStatus.FAILED, timedelta(seconds=90))),
}


class SeedRefused(GatewayError):
    """The database has something in it that the seed did not make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedToken:
    name: str
    scope: Scope
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How people and programs get in: one password for all agents."""

    password_hash: str
    tokens: Sequence[SeedToken]


@dataclass(slots=True, kw_only=True)
class _Cast:
    """Who is who in this database, by the keys of the shop's data."""

    tx: Transaction
    now: datetime
    agents: dict[str, Agent] = field(default_factory=dict)
    contacts: dict[str, str] = field(default_factory=dict)  # customer to contact
    conversations: dict[str, str] = field(default_factory=dict)  # customer to conversation
    channels: dict[str, ChannelName] = field(default_factory=dict)  # customer to where they wrote last


async def is_seeded(db: Database) -> bool:
    """Say whether the shop is in the database already.

    Raises:
        SeedRefused: it isn't, and something else is.
    """
    async with db.read() as conn:
        if await find_agent(conn, ADMIN.email) is not None:
            return True
        others = [
            *await list_agents(conn),
            *await list_conversations(conn, ConversationFilter(), after=None, limit=1),
            *await find_contacts(conn, [customer.id for customer in CUSTOMERS], limit=1),
        ]
    if others:
        raise SeedRefused("The database is in use, and not by demo mode: give demo mode one of its own.")
    return False


async def seed_shop(db: Database, access: Access, now: datetime) -> None:
    """Fill an empty database."""

    async def work(tx: Transaction) -> None:
        cast = _Cast(tx=tx, now=now)
        await _employ(cast, access)
        await _register(cast)
        for purchase in PURCHASES:
            await insert_order(tx, _order(purchase, cast.contacts[purchase.customer_id], now))
        for steps in zip_longest(*(story.steps for story in STORIES)):
            await _go_on(cast, [(story, step) for story, step in zip(STORIES, steps, strict=True) if step is not None])

    await db.write(work)


async def _employ(cast: _Cast, access: Access) -> None:
    since = cast.now - _KNOWN_FOR
    for colleague in COLLEAGUES:
        agent = Agent(
            id=new_id(),
            email=colleague.email,
            name=colleague.name,
            role=colleague.role,
            languages=colleague.languages,
            created_at=since,
        )
        await insert_agent(cast.tx, agent, access.password_hash)
        cast.agents[colleague.key] = agent
    for token in access.tokens:
        stored = ApiToken(id=new_id(), name=token.name, scope=token.scope, created_at=cast.now)
        await insert_token(cast.tx, stored, hash_secret(token.secret))


async def _register(cast: _Cast) -> None:
    since = cast.now - _KNOWN_FOR
    chatters = {story.customer_id for story in STORIES for step in story.steps if _is_chat(step)}
    addresses: list[NewAddress] = []
    browsers: list[str] = []
    for customer in CUSTOMERS:
        contact_id = await insert_visitor_contact(cast.tx, customer.name, customer.language, since)
        cast.contacts[customer.id] = contact_id
        addresses += [_address(contact_id, address, since) for address in customer.addresses]
        if customer.id in chatters:
            browser = Address(kind=AddressKind.VISITOR, value=customer.visitor)
            addresses.append(_address(contact_id, browser, since))
            browsers.append(addresses[-1].id)
    await insert_addresses(cast.tx, addresses, since)
    for address_id in browsers:
        await mark_identified(cast.tx, address_id, since)


def _is_chat(step: Step) -> bool:
    return isinstance(step, Wrote) and step.channel is ChannelName.WEBCHAT


def _address(contact_id: str, address: Address, since: datetime) -> NewAddress:
    return NewAddress(id=new_id(), contact_id=contact_id, address=address, display_name=None, verified_at=since)


def _order(purchase: Purchase, contact_id: str, now: datetime) -> Order:
    def priced(sku: str, quantity: int) -> dict[str, object]:
        product = PRODUCTS[sku]
        price = {"amount": str(product.price), "currency": purchase.currency}
        return {"sku": sku, "name": product.name, "quantity": quantity, "price": price}

    return Order(
        id=new_id(),
        contact_id=contact_id,
        external_id=f"o-{purchase.number}",
        number=purchase.number,
        status=purchase.status,
        placed_at=now - timedelta(days=purchase.days_ago, minutes=int(purchase.number) % 100 * 7),
        total=Money(amount=purchase.total, currency=purchase.currency),
        items=[priced(sku, quantity) for sku, quantity in purchase.items],
        shipments=[
            Shipment(
                id=new_id(),
                external_id=f"s-{purchase.number}-{number}",
                status=parcel.status,
                carrier=parcel.carrier,
                tracking_number=parcel.tracking_number,
                tracking_url=f"https://track.example/{parcel.tracking_number}",
                expected_on=(now + timedelta(days=parcel.expected_in_days)).date(),
            )
            for number, parcel in enumerate(purchase.parcels, 1)
        ],
        refunds=[
            Refund(
                id=new_id(),
                external_id=f"f-{purchase.number}-{number}",
                status=repayment.status,
                total=Money(amount=repayment.amount, currency=purchase.currency),
                method=repayment.method,
                started_at=now - timedelta(days=repayment.started_days_ago),
                completed_at=_days_ago(repayment.completed_days_ago, now),
            )
            for number, repayment in enumerate(purchase.repayments, 1)
        ],
    )


def _days_ago(days: int | None, now: datetime) -> datetime | None:
    return None if days is None else now - timedelta(days=days)


async def _go_on(cast: _Cast, steps: Sequence[tuple[Story, Step]]) -> None:
    """Take the next step of each story: what customers wrote in one set, then what was done about it."""
    customers = {customer.id: customer for customer in CUSTOMERS}
    arrivals = []
    for story, step in steps:
        if isinstance(step, Wrote):
            arrivals.append(_message(customers[story.customer_id], step, cast.now))
            cast.channels[story.customer_id] = step.channel
    if arrivals:
        arrivals.sort(key=lambda message: message.received_at)
        await receive_messages(cast.tx, arrivals, cast.now)
    started = {cast.contacts[story.customer_id]: story.customer_id for story, _ in steps}
    for contact_id, conversation in (await lock_unresolved(cast.tx, started)).items():
        cast.conversations[started[contact_id]] = conversation.id
    for story, step in steps:
        await _act(cast, story.customer_id, step)


def _message(customer: Customer, step: Wrote, now: datetime) -> InboundMessage:
    at = now - step.ago
    external_id = f"{customer.id}-{int(at.timestamp())}"
    if step.channel is ChannelName.EMAIL:
        external_id += f"@{customer.email.rpartition('@')[2]}"
    kind = CHANNEL_ADDRESSES[step.channel][0]
    known = {address.kind: address for address in customer.addresses}
    return InboundMessage(
        channel=step.channel,
        dedupe_key=f"seed:{step.channel}:{external_id}",
        received_at=at,
        sender=known.get(kind) or Address(kind=AddressKind.VISITOR, value=customer.visitor),
        sender_name=None if step.channel is ChannelName.SMS else customer.name,
        recipient=_RECIPIENTS[step.channel],
        text=step.text,
        subject=step.subject,
        external_id=None if step.channel is ChannelName.WEBCHAT else external_id,
        extra={"client_id": external_id} if step.channel is ChannelName.WEBCHAT else {},
    )


async def _act(cast: _Cast, customer_id: str, step: Step) -> None:
    conversation_id = cast.conversations[customer_id]
    if isinstance(step, Wrote):
        return
    actor = Actor(kind=AuthorKind.AGENT, id=cast.agents[step.by].id)
    tx, at = cast.tx, cast.now - step.ago
    match step:
        case Answered():
            await _answer(cast, customer_id, step, actor)
        case Took():
            await assign(tx, conversation_id=conversation_id, agent_id=actor.id, actor=actor, now=at)
        case Noted():
            await add_note(tx, conversation_id=conversation_id, actor=actor, text=step.text, now=at)
        case Snoozed():
            until = cast.now + step.until
            await snooze(tx, conversation_id=conversation_id, until=until, actor=actor, reason=step.reason, now=at)
        case Resolved():
            await resolve(tx, conversation_id=conversation_id, actor=actor, reason=step.reason, now=at)


async def _answer(cast: _Cast, customer_id: str, step: Answered, actor: Actor) -> None:
    at = cast.now - step.ago
    channel = cast.channels[customer_id]
    author = Author(actor=actor, owner=f"agent:{actor.id}")
    wanted = Reply(text=step.text, channel=channel)
    message_id = await reply(
        cast.tx, cast.conversations[customer_id], author, wanted, split=lambda _channel, text: (text,), now=at
    )
    for status, after in _WAYS[step.came_to]:
        is_end = status is step.came_to
        outcome = Outcome(
            message_id=message_id,
            part=0,
            status=status,
            external_id=_external_id(channel, message_id),
            error=step.error if is_end else None,
            error_code=step.error_code if is_end else None,
        )
        await advance(cast.tx, [outcome], _NO_DOUBT, at + after)


def _external_id(channel: ChannelName, message_id: str) -> str | None:
    if channel is ChannelName.EMAIL:
        return f"{message_id}.0@{SHOP_DOMAIN}"
    return None if channel is ChannelName.WEBCHAT else "SM" + message_id.replace("-", "")
