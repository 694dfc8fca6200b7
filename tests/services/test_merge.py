import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import ConversationStatus, EventType
from gateway.domain.errors import BadInput, Conflict, NotFound
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction, InboundMessage
from gateway.services.conversations import keep_draft, reopen
from gateway.services.merge import merge_contacts, unmerge_contact
from gateway.services.receive import receive_messages
from storage.contacts import load_contact
from storage.conversations import Conversation, load_conversation, save_assignee
from storage.database import Database
from storage.drafts import find_draft
from storage.events import Actor, StoredEvent, list_events
from storage.tables import messages
from tests.support.factories import (
    NOW,
    make_address,
    make_agent,
    make_contact,
    make_conversation,
    make_message,
    minutes,
)

ALICE = Actor(kind=AuthorKind.AGENT, id="alice")
LATER = NOW + minutes(30)
PHONE = "+351912345678"


async def merge(db: Database, from_id: str, into_id: str) -> None:
    await db.write(
        lambda tx: merge_contacts(tx, into_id=into_id, from_id=from_id, actor=ALICE, reason="She said so.", now=LATER)
    )


async def unmerge(db: Database, contact_id: str) -> None:
    await db.write(lambda tx: unmerge_contact(tx, contact_id=contact_id, actor=ALICE, now=LATER + minutes(1)))


async def load(db: Database, conversation_id: str) -> Conversation:
    async with db.read() as conn:
        return await load_conversation(conn, conversation_id)


async def owner(db: Database, conversation_id: str) -> str:
    return (await load(db, conversation_id)).contact.id


async def events_of(db: Database, conversation_id: str) -> list[StoredEvent]:
    async with db.read() as conn:
        return await list_events(conn, conversation_id, after_seq=1, limit=50)


async def values(db: Database, contact_id: str) -> set[str]:
    async with db.read() as conn:
        return {address.value for address in (await load_contact(conn, contact_id)).addresses}


async def merged_into(db: Database, contact_id: str) -> str | None:
    async with db.read() as conn:
        return (await load_contact(conn, contact_id)).merged_into_id


async def write_in(db: Database, value: str, at_minute: float = 60) -> str:
    """Let a customer write by SMS; return the conversation."""
    message = InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key=new_id(),
        received_at=NOW + minutes(at_minute),
        sender=Address(kind=AddressKind.PHONE, value=value),
        text="Hello again",
    )
    [receipt] = await db.write(lambda tx: receive_messages(tx, [message], NOW + minutes(at_minute)))
    async with db.read() as conn:
        query = select(messages.c.conversation_id).where(messages.c.id == receipt.message_id)
        found: str = (await conn.execute(query)).scalar_one()
    return found


async def test_merged_contact_gives_its_addresses_and_conversations(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_address(database, other, value=PHONE)
    done = await make_conversation(database, other, is_resolved=True)
    await merge(database, other, ana)
    assert PHONE in await values(database, ana)
    assert await values(database, other) == set()
    assert await merged_into(database, other) == ana
    assert await owner(database, done) == ana
    [event] = await events_of(database, done)
    assert (event.type, event.actor_id) == (EventType.CONTACT_MERGED, "alice")
    assert event.data == {"into": ana, "from": other, "reason": "She said so."}


@pytest.mark.parametrize("older_is_merged", [True, False])
async def test_younger_open_conversation_closes_as_joined_into_the_older(
    database: Database, older_is_merged: bool
) -> None:
    first, second = await make_contact(database), await make_contact(database)
    older = await make_conversation(database, first, at=NOW)
    younger = await make_conversation(database, second, at=NOW + minutes(5), channel=ChannelName.EMAIL)
    from_id, into_id = (first, second) if older_is_merged else (second, first)
    await merge(database, from_id, into_id)
    closed, going_on = await load(database, younger), await load(database, older)
    assert (closed.status, closed.joined_into_id) == (ConversationStatus.RESOLVED, older)
    assert (going_on.status, going_on.joined_into_id) == (ConversationStatus.OPEN, None)
    assert (closed.contact.id, going_on.contact.id) == (into_id, into_id)
    assert going_on.last_message_at == NOW + minutes(5)
    assert going_on.channel is ChannelName.EMAIL
    for conversation, data in ((younger, {"into": older}), (older, {"from": younger})):
        joined, merged = await events_of(database, conversation)
        assert (joined.type, merged.type) == (EventType.JOINED, EventType.CONTACT_MERGED)
        assert joined.data == {**data, "reason": "She said so."}


async def test_open_work_moves_to_the_older_conversation(database: Database) -> None:
    first, second = await make_contact(database), await make_contact(database)
    ben = await make_agent(database)
    older = await make_conversation(database, first, at=NOW, snoozed_until=NOW + timedelta(days=1))
    younger = await make_conversation(database, second, at=NOW + minutes(5))
    await database.write(lambda tx: save_assignee(tx, younger, ben))
    await database.write(lambda tx: keep_draft(tx, conversation_id=younger, agent_id=ben, text="Dear", now=NOW))
    await merge(database, second, first)
    going_on = await load(database, older)
    assert (going_on.status, going_on.snoozed_until) == (ConversationStatus.OPEN, None)
    assert going_on.assignee is not None
    assert going_on.assignee.id == ben
    assert EventType.WOKEN in [event.type for event in await events_of(database, older)]
    async with database.read() as conn:
        draft = await find_draft(conn, older, ben)
    assert draft is not None
    assert draft.text == "Dear"


@pytest.mark.parametrize("writer", [PHONE, "+351912345679"])
async def test_after_the_merge_both_addresses_write_into_the_older_conversation(
    database: Database, writer: str
) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_address(database, ana, value=PHONE)
    await make_address(database, other, value="+351912345679")
    younger = await make_conversation(database, ana, at=NOW + minutes(5))
    older = await make_conversation(database, other, at=NOW)
    message = await make_message(database, younger)
    await merge(database, other, ana)
    assert await write_in(database, writer) == older
    async with database.read() as conn:
        query = select(messages.c.conversation_id).where(messages.c.id == message)
        assert (await conn.execute(query)).scalar_one() == younger


async def test_joined_conversation_is_not_reopened(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_conversation(database, ana, at=NOW)
    younger = await make_conversation(database, other, at=NOW + minutes(5))
    await merge(database, other, ana)
    with pytest.raises(Conflict, match="joined"):
        await database.write(lambda tx: reopen(tx, conversation_id=younger, actor=ALICE, now=LATER))


async def test_contact_is_merged_once_and_never_into_itself_or_nobody(database: Database) -> None:
    ana, other, third = [await make_contact(database) for _ in range(3)]
    with pytest.raises(BadInput):
        await merge(database, ana, ana)
    with pytest.raises(NotFound):
        await merge(database, new_id(), ana)
    with pytest.raises(NotFound):
        await merge(database, ana, new_id())
    await merge(database, other, ana)
    with pytest.raises(Conflict):
        await merge(database, other, third)
    with pytest.raises(Conflict):
        await merge(database, third, other)
    with pytest.raises(Conflict):
        await merge(database, ana, other)


async def test_unmerging_gives_back_addresses_and_untouched_conversations(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_address(database, ana, value=PHONE)
    await make_address(database, other, value="+351912345679")
    of_ana = await make_conversation(database, ana, is_resolved=True)
    of_other = await make_conversation(database, other)
    before = await values(database, ana), await values(database, other)
    await merge(database, other, ana)
    await unmerge(database, other)
    assert (await values(database, ana), await values(database, other)) == before
    assert await merged_into(database, other) is None
    assert (await owner(database, of_ana), await owner(database, of_other)) == (ana, other)
    for conversation in (of_ana, of_other):
        assert (await events_of(database, conversation))[-1].type is EventType.CONTACT_UNMERGED
    assert await write_in(database, "+351912345679") == of_other
    assert await write_in(database, PHONE) == of_ana


async def test_own_messages_and_our_answers_to_them_go_back_with_the_conversation(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    address = await make_address(database, other, value=PHONE)
    conversation = await make_conversation(database, other)
    await merge(database, other, ana)
    assert await write_in(database, PHONE) == conversation
    await make_message(database, conversation, direction=Direction.OUTBOUND, address_id=address)
    await unmerge(database, other)
    assert await owner(database, conversation) == other


async def test_conversation_in_which_the_other_wrote_later_stays_where_it_is(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_address(database, ana, value=PHONE)
    await make_address(database, other, value="+351912345679")
    conversation = await make_conversation(database, other)
    await merge(database, other, ana)
    assert await write_in(database, PHONE) == conversation
    await unmerge(database, other)
    assert await owner(database, conversation) == ana
    assert await values(database, other) >= {"+351912345679"}
    assert await write_in(database, "+351912345679") != conversation
    await merge(database, other, ana)
    await unmerge(database, other)
    assert await owner(database, conversation) == ana


@pytest.mark.parametrize("older_is_merged", [True, False])
async def test_unmerging_opens_what_was_joined_and_each_writes_into_their_own(
    database: Database, older_is_merged: bool
) -> None:
    first, second = await make_contact(database), await make_contact(database)
    await make_address(database, first, value=PHONE)
    await make_address(database, second, value="+351912345679")
    older = await make_conversation(database, first, at=NOW)
    younger = await make_conversation(database, second, at=NOW + minutes(5))
    await make_message(database, younger, at=NOW + minutes(6))
    await make_message(database, older, direction=Direction.OUTBOUND)
    from_id, into_id = (first, second) if older_is_merged else (second, first)
    await merge(database, from_id, into_id)
    await unmerge(database, from_id)
    for conversation, contact in ((older, first), (younger, second)):
        parted = await load(database, conversation)
        assert (parted.status, parted.joined_into_id) == (ConversationStatus.OPEN, None)
        assert parted.contact.id == contact
    assert (await load(database, younger)).waiting_since == NOW + minutes(6)
    assert (await load(database, older)).waiting_since is None
    assert await write_in(database, PHONE) == older
    assert await write_in(database, "+351912345679") == younger


async def test_of_several_joined_into_one_that_leaves_the_oldest_goes_on(database: Database) -> None:
    ana, other, third = [await make_contact(database) for _ in range(3)]
    of_other = await make_conversation(database, other, at=NOW)
    of_ana = await make_conversation(database, ana, at=NOW + minutes(1))
    of_third = await make_conversation(database, third, at=NOW + minutes(2))
    await merge(database, other, ana)
    await merge(database, third, ana)
    await unmerge(database, other)
    assert (await load(database, of_ana)).status is ConversationStatus.OPEN
    still = await load(database, of_third)
    assert (still.status, still.joined_into_id) == (ConversationStatus.RESOLVED, of_ana)
    assert (await load(database, of_other)).contact.id == other


async def test_resolved_work_stays_resolved_when_contacts_are_parted(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    older = await make_conversation(database, ana, at=NOW, is_resolved=True)
    await make_conversation(database, other, at=NOW + minutes(1), is_resolved=True)
    await merge(database, other, ana)
    await unmerge(database, other)
    assert (await load(database, older)).status is ConversationStatus.RESOLVED


async def test_chain_of_merges_is_undone_from_either_end(database: Database) -> None:
    first, second, third = [await make_contact(database) for _ in range(3)]
    numbers = {}
    for place, contact in enumerate((first, second, third)):
        numbers[contact] = f"+35191234567{place}"
        await make_address(database, contact, value=numbers[contact])
    await merge(database, first, second)
    await merge(database, second, third)
    assert await values(database, third) == set(numbers.values())
    await unmerge(database, second)
    assert await values(database, second) == {numbers[first], numbers[second]}
    await merge(database, second, third)
    await unmerge(database, first)
    assert await values(database, first) == {numbers[first]}
    assert await values(database, third) == {numbers[second], numbers[third]}
    await unmerge(database, second)
    assert await values(database, second) == {numbers[second]}


async def test_contact_that_was_not_merged_can_not_be_unmerged(database: Database) -> None:
    with pytest.raises(Conflict):
        await unmerge(database, await make_contact(database))
    with pytest.raises(NotFound):
        await unmerge(database, new_id())


async def test_opposite_merges_at_once_leave_one_contact(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)

    async def tried(from_id: str, into_id: str) -> bool:
        try:
            await merge(database, from_id, into_id)
        except Conflict:
            return False
        return True

    assert sorted(await asyncio.gather(tried(ana, other), tried(other, ana))) == [False, True]
    assert [await merged_into(database, ana), await merged_into(database, other)].count(None) == 1


async def test_messages_that_come_in_during_a_merge_end_in_one_open_conversation(database: Database) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_address(database, ana, value=PHONE)
    await make_address(database, other, value="+351912345679")
    writers = [PHONE, "+351912345679"] * 4
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(write_in(database, writer, 60 + n)) for n, writer in enumerate(writers)]
        merging = group.create_task(merge(database, other, ana))
    assert merging.done()
    last = await write_in(database, PHONE, 90)
    assert await write_in(database, "+351912345679", 91) == last
    used = {task.result() for task in writing} | {last}
    conversations = [await load(database, conversation) for conversation in used]
    assert {conversation.contact.id for conversation in conversations} == {ana}
    assert sum(conversation.status is ConversationStatus.OPEN for conversation in conversations) == 1
