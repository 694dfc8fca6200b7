"""The demo's shop in a database: complete, plausible, and there once."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import phonenumbers
import pytest

from gateway.domain.agent import Role, Scope
from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.conversation import ConversationStatus, EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import Direction
from gateway.sandbox.seed import Access, SeedRefused, SeedToken, is_seeded, seed_shop
from gateway.sandbox.shop import ADMIN, ANA, COLLEAGUES, CUSTOMERS, PURCHASES, SHOP_SMS, SHOP_WHATSAPP
from gateway.services.contacts import ContactCard, find_by_address, load_card
from gateway.services.receive import Receipt
from gateway.services.tokens import hash_secret
from routing.placement import REOPEN_WINDOW
from storage.agents import list_agents
from storage.conversations import Conversation, ConversationFilter, list_conversations
from storage.database import Database
from storage.events import StoredEvent, list_events
from storage.outbox import next_due_at
from storage.timeline import TimelineMessage, list_messages
from storage.tokens import find_token
from tests.support.sockets import write_sms

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACCESS = Access(
    password_hash="not a hash",
    tokens=[SeedToken(name="one", scope=Scope.API, secret="api"), SeedToken(name="two", scope=Scope.ADMIN, secret="a")],
)


@pytest.fixture
async def shop(database: Database) -> Database:
    await seed_shop(database, ACCESS, NOW)
    return database


async def conversations_of(db: Database) -> list[Conversation]:
    async with db.read() as conn:
        return await list_conversations(conn, ConversationFilter(), after=None, limit=100)


async def messages_of(db: Database, conversation_id: str) -> Sequence[TimelineMessage]:
    async with db.read() as conn:
        return await list_messages(conn, conversation_id, after_seq=0, limit=100)


async def events_of(db: Database, conversation_id: str) -> list[StoredEvent]:
    async with db.read() as conn:
        return await list_events(conn, conversation_id, after_seq=0, limit=100)


async def card_of(db: Database, customer_id: str) -> ContactCard:
    (contact,) = await find_by_address(db, customer_id)
    return await load_card(db, contact.id)


async def test_an_empty_database_is_seeded_once_and_known_for_it(database: Database) -> None:
    assert not await is_seeded(database)
    await seed_shop(database, ACCESS, NOW)
    assert await is_seeded(database)


async def test_a_database_that_somebody_uses_is_not_seeded(database: Database) -> None:
    await write_sms(database, "+14155552671", "1")
    with pytest.raises(SeedRefused):
        await is_seeded(database)


async def test_the_shop_has_people_of_every_role_and_their_programs(shop: Database) -> None:
    async with shop.read() as conn:
        agents = await list_agents(conn)
        tokens = [await find_token(conn, hash_secret(token.secret)) for token in ACCESS.tokens]
    assert {agent.role for agent in agents} == set(Role)
    assert len(agents) == len(COLLEAGUES) == 6
    assert {agent.email for agent in agents if agent.role is Role.ADMIN} == {ADMIN.email}
    assert [token.scope for token in tokens if token] == [Scope.API, Scope.ADMIN]


async def test_there_are_a_dozen_conversations_in_as_many_languages(shop: Database) -> None:
    found = await conversations_of(shop)
    assert len(found) >= 12
    languages = {conversation.contact.language for conversation in found}
    assert languages >= {"en", "es", "fr", "de", "it", "nl", "pl", "ar", "ja", "ko", "zh"}
    states = Counter(conversation.status for conversation in found)
    assert states[ConversationStatus.SNOOZED] == states[ConversationStatus.RESOLVED] == 1
    assert {conversation.channel for conversation in found} == set(ChannelName)
    assert sum(conversation.waiting_since is not None for conversation in found) >= 5
    assert sum(conversation.assignee is not None for conversation in found) >= 5


async def test_what_was_answered_has_left_long_ago_and_nothing_waits_to_be_sent(shop: Database) -> None:
    answers = [
        message
        for conversation in await conversations_of(shop)
        for message in await messages_of(shop, conversation.id)
        if message.direction is Direction.OUTBOUND
    ]
    ends = {
        ChannelName.EMAIL: {MessageStatus.SENT},
        ChannelName.SMS: {MessageStatus.DELIVERED, MessageStatus.FAILED},
        ChannelName.WHATSAPP: {MessageStatus.READ},
        ChannelName.WEBCHAT: {MessageStatus.DELIVERED, MessageStatus.READ},
    }
    for channel, wanted in ends.items():
        assert {answer.status for answer in answers if answer.channel is channel} == wanted
    assert all(answer.error for answer in answers if answer.status is MessageStatus.FAILED)
    async with shop.read() as conn:
        assert await next_due_at(conn) is None


async def test_everything_was_said_before_now_and_in_order(shop: Database) -> None:
    for conversation in await conversations_of(shop):
        events = await events_of(shop, conversation.id)
        assert [event.seq for event in events] == list(range(1, conversation.last_seq + 1))
        assert all(before.at <= after.at for before, after in pairwise(events)), conversation.contact.name
        assert events[-1].at < NOW
        assert conversation.created_at == events[0].at
        assert conversation.last_message_at == (await messages_of(shop, conversation.id))[-1].at
        assert {EventType.STARTED, EventType.MESSAGE_RECEIVED} <= {event.type for event in events}


async def test_a_snooze_ends_by_itself_in_the_future(shop: Database) -> None:
    (snoozed,) = [found for found in await conversations_of(shop) if found.status is ConversationStatus.SNOOZED]
    assert snoozed.snoozed_until is not None
    assert snoozed.snoozed_until > NOW


async def test_ana_has_every_address_verified_and_no_conversation_yet(shop: Database) -> None:
    card = await card_of(shop, ANA.id)
    kinds = {address.kind for address in card.contact.addresses if address.verified_at is not None}
    assert kinds == {AddressKind.EMAIL, AddressKind.PHONE, AddressKind.WHATSAPP, AddressKind.CUSTOMER}
    assert card.conversations == []
    assert {(await find_by_address(shop, value))[0].id for value in ("ana@example.com", "+351 912 345 678")} == {
        card.contact.id
    }


async def test_a_customer_who_writes_again_goes_on_where_they_were(shop: Database) -> None:
    maya = next(customer for customer in CUSTOMERS if customer.name == "Maya Thompson")
    before = await card_of(shop, maya.id)
    receipt: Receipt = await write_sms(shop, maya.phone or "", new_id())
    after = await card_of(shop, maya.id)
    assert receipt.message_id is not None
    assert [found.id for found in after.conversations] == [found.id for found in before.conversations]


async def test_orders_come_in_several_states_with_their_parcels_and_refunds(shop: Database) -> None:
    orders = [order for customer in CUSTOMERS for order in (await card_of(shop, customer.id)).orders]
    assert len(orders) == len(PURCHASES) >= 12
    assert len({order.status for order in orders}) >= 4
    assert len({parcel.status for order in orders for parcel in order.shipments}) >= 3
    assert {refund.status for order in orders for refund in order.refunds} == {"started", "completed", "delayed"}
    for order in orders:
        assert order.placed_at < NOW
        assert order.total.amount == sum(
            type(order.total.amount)(item["price"]["amount"]) * item["quantity"] for item in order.items
        )
        for refund in order.refunds:
            assert refund.total.amount <= order.total.amount
            assert refund.started_at is not None
            assert order.placed_at < refund.started_at <= (refund.completed_at or NOW)


def test_nobody_in_the_shop_can_be_reached() -> None:
    assert all(person.email.endswith((".example", "@example.com")) for person in (*CUSTOMERS, *COLLEAGUES))
    numbers = [SHOP_SMS, SHOP_WHATSAPP, *(customer.phone for customer in CUSTOMERS if customer.phone)]
    fictional = (f"555{number:04}" for number in range(100, 200))
    american = tuple(fictional)
    others = ("+447700900", "+3363998", "+4917139200", ANA.phone or "")
    for number in numbers:
        assert phonenumbers.is_possible_number(phonenumbers.parse(number))
        assert number.startswith(others) or (number.startswith("+1") and number.endswith(american)), number


async def test_the_resolved_conversation_can_still_be_reopened_by_its_customer(shop: Database) -> None:
    (resolved,) = [found for found in await conversations_of(shop) if found.status is ConversationStatus.RESOLVED]
    assert resolved.resolved_at is not None
    assert timedelta(0) < NOW - resolved.resolved_at < REOPEN_WINDOW
