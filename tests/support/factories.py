"""Rows for tests, written by the product's own inserts; what a test doesn't speak of has a plain value."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gateway.domain.agent import Agent, Role
from gateway.domain.contact import CHANNEL_ADDRESSES, Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction
from storage import inbound
from storage.agents import insert_agent
from storage.conversations import save_resolved, save_snoozed
from storage.database import Database, Transaction
from storage.events import Actor, NewEvent, append_events
from storage.inbound import ConversationWrite, NewAddress, NewContact
from storage.messages import NewMessage, insert_messages
from storage.search import SearchRow, index_messages

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


async def make_contact(db: Database, *, name: str | None = "Ana Lima", at: datetime = NOW) -> str:
    """Return the id of a new contact without addresses."""
    contact_id = new_id()
    await db.write(lambda tx: inbound.insert_contacts(tx, [NewContact(id=contact_id, name=name)], at))
    return contact_id


async def make_address(
    db: Database,
    contact_id: str,
    *,
    kind: AddressKind = AddressKind.PHONE,
    value: str | None = None,
    is_verified: bool = True,
    at: datetime = NOW,
) -> str:
    """Return the id of a new address; without a `value` it has one that nobody else has."""
    address_id = new_id()
    new = NewAddress(
        id=address_id,
        contact_id=contact_id,
        address=Address(kind=kind, value=value or f"{kind}-{address_id}"),
        display_name=None,
        verified_at=at if is_verified else None,
        last_inbound_at=at,
    )
    await db.write(lambda tx: inbound.insert_addresses(tx, [new], at))
    return address_id


async def make_agent(
    db: Database,
    *,
    name: str = "Ben",
    role: Role = Role.AGENT,
    disabled_at: datetime | None = None,
    languages: Sequence[str] = ("en",),
) -> str:
    """Return the id of a new agent, whose password nobody knows."""
    agent = Agent(
        id=new_id(),
        email=f"{new_id()}@shop.example",
        name=name,
        role=role,
        languages=tuple(languages),
        created_at=NOW,
        disabled_at=disabled_at,
    )
    await db.write(lambda tx: insert_agent(tx, agent, "!"))
    return agent.id


async def make_conversation(
    db: Database,
    contact_id: str | None = None,
    *,
    channel: ChannelName = ChannelName.SMS,
    queue: str = "general",
    at: datetime = NOW,
    is_resolved: bool = False,
    snoozed_until: datetime | None = None,
) -> str:
    """Return the id of a new conversation without messages that has waited since `at`."""
    contact_id = contact_id or await make_contact(db, at=at)
    address_id = await make_address(db, contact_id, kind=CHANNEL_ADDRESSES[channel][0], at=at)
    new = ConversationWrite(
        id=new_id(),
        contact_id=contact_id,
        queue=queue,
        previous_id=None,
        channel=channel,
        address_id=address_id,
        subject=None,
        preview="Hello",
        last_seq=0,
        created_at=at,
        last_message_at=at,
        waiting_since=at,
    )

    async def work(tx: Transaction) -> None:
        await inbound.insert_conversations(tx, [new])
        await append_events(tx, [NewEvent(conversation_id=new.id, type=EventType.STARTED, at=at)])
        if is_resolved:
            await save_resolved(tx, new.id, at)
        if snoozed_until is not None:
            await save_snoozed(tx, new.id, snoozed_until)

    await db.write(work)
    return new.id


async def make_message(
    db: Database,
    conversation_id: str,
    *,
    text: str = "Hello",
    direction: Direction = Direction.INBOUND,
    channel: ChannelName = ChannelName.SMS,
    address_id: str | None = None,
    author_name: str | None = None,
    at: datetime = NOW,
) -> str:
    """Return the id of a new message with its event, findable; the conversation's own columns stay as they are."""
    message_id = new_id()
    is_inbound = direction is Direction.INBOUND
    kind = EventType.MESSAGE_RECEIVED if is_inbound else EventType.MESSAGE_QUEUED
    author = AuthorKind.CUSTOMER if is_inbound else AuthorKind.AGENT

    async def work(tx: Transaction) -> None:
        known = await inbound.lock_conversation(tx, conversation_id)
        assert known is not None
        event = NewEvent(
            conversation_id=conversation_id, type=kind, at=at, actor=Actor(kind=author), message_id=message_id
        )
        [stored] = await append_events(tx, [event])
        new = NewMessage(
            id=message_id,
            conversation_id=conversation_id,
            contact_id=known.contact_id,
            address_id=address_id,
            seq=stored.seq,
            direction=direction,
            channel=channel,
            author_kind=author,
            author_id=known.contact_id if is_inbound else None,
            author_name=author_name,
            text=text,
            status=MessageStatus.RECEIVED if is_inbound else MessageStatus.QUEUED,
            at=at,
        )
        await insert_messages(tx, [new])
        found_by = SearchRow(message_id=message_id, conversation_id=conversation_id, at=at, text=text)
        await index_messages(tx, [found_by])

    await db.write(work)
    return message_id


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)
