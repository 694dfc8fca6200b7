import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from gateway.domain.contact import ChannelName
from gateway.domain.conversation import ConversationStatus
from gateway.domain.errors import NotFound
from gateway.domain.ids import new_id
from gateway.domain.message import Direction
from storage.conversations import (
    Conversation,
    ConversationFilter,
    Position,
    list_conversations,
    load_conversation,
    lock_next_waiting,
    page_query,
    save_assignee,
    save_queue,
    save_topic,
)
from storage.database import Database, Transaction
from storage.drafts import delete_draft, find_draft, save_draft
from storage.timeline import list_messages, load_message
from tests.support.factories import (
    NOW,
    make_address,
    make_agent,
    make_contact,
    make_conversation,
    make_message,
    minutes,
)


async def listed(
    db: Database, wanted: ConversationFilter | None = None, *, after: Position | None = None, limit: int = 50
) -> list[Conversation]:
    async with db.read() as conn:
        return await list_conversations(conn, wanted or ConversationFilter(), after=after, limit=limit)


def ids(found: Sequence[Conversation]) -> list[str]:
    return [conversation.id for conversation in found]


async def test_conversation_is_shown_with_its_contact_and_assignee(database: Database) -> None:
    contact = await make_contact(database, name="Ana Lima")
    agent = await make_agent(database, name="Ben")
    conversation = await make_conversation(database, contact)
    await database.write(lambda tx: save_assignee(tx, conversation, agent))
    async with database.read() as conn:
        shown = await load_conversation(conn, conversation)
    assert shown.status is ConversationStatus.OPEN
    assert (shown.contact.id, shown.contact.name) == (contact, "Ana Lima")
    assert shown.assignee is not None
    assert (shown.assignee.id, shown.assignee.name) == (agent, "Ben")
    assert shown.channel is ChannelName.SMS
    assert (shown.last_seq, shown.waiting_since, shown.last_message_at) == (1, NOW, NOW)


async def test_conversation_that_does_not_exist_is_not_found(database: Database) -> None:
    async with database.read() as conn:
        with pytest.raises(NotFound):
            await load_conversation(conn, new_id())


async def test_list_begins_with_the_newest_and_each_filter_narrows_it(database: Database) -> None:
    agent = await make_agent(database)
    old = await make_conversation(database, at=NOW, channel=ChannelName.SMS)
    new = await make_conversation(database, at=NOW + minutes(1), channel=ChannelName.EMAIL)
    done = await make_conversation(database, at=NOW + minutes(2), is_resolved=True)
    asleep = await make_conversation(database, at=NOW + minutes(3), snoozed_until=NOW + timedelta(days=1))
    await database.write(lambda tx: save_queue(tx, new, "billing"))
    await database.write(lambda tx: save_assignee(tx, old, agent))
    await database.write(lambda tx: save_topic(tx, old, "shipping"))
    assert ids(await listed(database)) == [asleep, done, new, old]
    for wanted, expected in (
        (ConversationFilter(status=ConversationStatus.OPEN), [new, old]),
        (ConversationFilter(status=ConversationStatus.SNOOZED), [asleep]),
        (ConversationFilter(queue="general"), [asleep, done, old]),
        (ConversationFilter(queue="billing", status=ConversationStatus.RESOLVED), []),
        (ConversationFilter(assignee_id=agent), [old]),
        (ConversationFilter(is_unassigned=True), [asleep, done, new]),
        (ConversationFilter(is_unassigned=True, status=ConversationStatus.OPEN), [new]),
        (ConversationFilter(topic="shipping"), [old]),
        (ConversationFilter(language="pt"), []),
        (ConversationFilter(channel=ChannelName.EMAIL), [new]),
    ):
        assert ids(await listed(database, wanted)) == expected


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wanted", [ConversationFilter(), ConversationFilter(queue="general")])
async def test_paging_visits_every_row_once_while_others_arrive(
    database: Database, seed: int, wanted: ConversationFilter
) -> None:
    dice = random.Random(seed)
    contact = await make_contact(database)  # resolved ones may share a contact, and times may be equal

    async def add(at_minute: int) -> str:
        return await make_conversation(database, contact, at=NOW + minutes(at_minute), is_resolved=True)

    before = [await add(dice.randrange(4)) for _ in range(12)]
    visited: list[str] = []
    after = None
    while page := await listed(database, wanted, after=after, limit=dice.randrange(1, 5)):
        visited += ids(page)
        after = Position(last_message_at=page[-1].last_message_at, id=page[-1].id)
        await add(10)
    assert sorted(visited) == sorted(before)
    assert len(set(visited)) == len(visited)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (ConversationFilter(), "ix_conversations_last_message_at_id"),
        (ConversationFilter(status=ConversationStatus.OPEN), "ix_conversations_status_last_message_at_id"),
        (
            ConversationFilter(status=ConversationStatus.OPEN, queue="general"),
            "ix_conversations_status_queue_last_message_at_id",
        ),
        (
            ConversationFilter(status=ConversationStatus.OPEN, is_unassigned=True),
            "ix_conversations_status_assignee_id_last_message_at_id",
        ),
        (ConversationFilter(queue="general"), "ix_conversations_status_queue_last_message_at_id"),
        (ConversationFilter(assignee_id=new_id()), "ix_conversations_status_assignee_id_last_message_at_id"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_hot_list_is_a_range_scan_of_an_index(database: Database, wanted: ConversationFilter, index: str) -> None:
    query = page_query(wanted, after=Position(last_message_at=NOW, id=new_id()), limit=50)
    written = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    async with database.read() as conn:
        plan = [row.detail for row in await conn.execute(text(f"EXPLAIN QUERY PLAN {written}"))]
    scans = [step for step in plan if "conversations" in step and "sqlite_autoindex" not in step]
    assert scans, plan
    assert all("SEARCH conversations USING" in step and f" {index} " in step for step in scans), plan
    assert all("(last_message_at,id)<(?,?)" in step for step in scans), plan
    is_merged = wanted.status is None and wanted != ConversationFilter()
    assert is_merged or not any("TEMP B-TREE" in step for step in plan), plan


async def test_next_is_the_longest_waiting_one_that_is_nobodys(database: Database) -> None:
    agent = await make_agent(database)
    taken = await make_conversation(database, at=NOW)
    await database.write(lambda tx: save_assignee(tx, taken, agent))
    await make_conversation(database, at=NOW, is_resolved=True)
    await make_conversation(database, at=NOW, queue="other")
    await make_conversation(database, at=NOW, snoozed_until=NOW + timedelta(days=1))
    oldest = await make_conversation(database, at=NOW + minutes(1))
    await make_conversation(database, at=NOW + minutes(2))
    found = await database.write(lambda tx: lock_next_waiting(tx, "general"))
    assert found is not None
    assert found.id == oldest


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_next_passes_over_what_another_holds(database: Database) -> None:
    first = await make_conversation(database, at=NOW)
    second = await make_conversation(database, at=NOW + minutes(1))
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold(tx: Transaction) -> str | None:
        found = await lock_next_waiting(tx, "general")
        holding.set()
        await release.wait()
        return found.id if found is not None else None

    async with asyncio.TaskGroup() as group:
        held = group.create_task(database.write(hold))
        await holding.wait()
        other = await database.write(lambda tx: lock_next_waiting(tx, "general"))
        release.set()
    assert held.result() == first
    assert other is not None
    assert other.id == second


async def test_messages_are_read_in_the_order_of_their_numbers_after_one(database: Database) -> None:
    contact = await make_contact(database)
    address = await make_address(database, contact)
    conversation = await make_conversation(database, contact)
    sent = [
        await make_message(database, conversation, text="one", address_id=address, author_name="Ana"),
        await make_message(database, conversation, text="two", direction=Direction.OUTBOUND),
        await make_message(database, conversation, text="three"),
    ]
    await make_message(database, await make_conversation(database), text="somebody else's")
    async with database.read() as conn:
        first, *rest = await list_messages(conn, conversation, after_seq=0, limit=50)
        assert [first.id, *(message.id for message in rest)] == sent
        assert (first.text, first.author_name, first.direction, first.at) == ("one", "Ana", Direction.INBOUND, NOW)
        assert [message.id for message in await list_messages(conn, conversation, after_seq=first.seq, limit=1)] == [
            sent[1]
        ]
        assert (await load_message(conn, sent[2])).text == "three"
        with pytest.raises(NotFound):
            await load_message(conn, new_id())


async def test_each_agent_has_one_draft_for_each_conversation(database: Database) -> None:
    conversation = await make_conversation(database)
    ben, eva = await make_agent(database), await make_agent(database)
    await database.write(lambda tx: save_draft(tx, conversation, ben, "Dear", NOW))
    await database.write(lambda tx: save_draft(tx, conversation, ben, "Dear Ana", NOW + minutes(1)))
    await database.write(lambda tx: save_draft(tx, conversation, eva, "Hello", NOW))
    async with database.read() as conn:
        of_ben = await find_draft(conn, conversation, ben)
    assert of_ben is not None
    assert (of_ben.text, of_ben.updated_at) == ("Dear Ana", NOW + minutes(1))
    await database.write(lambda tx: delete_draft(tx, conversation, ben))
    async with database.read() as conn:
        assert await find_draft(conn, conversation, ben) is None
        assert await find_draft(conn, conversation, eva) is not None
