import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.conversation import ConversationStatus, EventType
from gateway.domain.errors import BadInput, Conflict, NotFound
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind
from gateway.services import conversations as service
from storage.conversations import Conversation, load_conversation, save_assignee
from storage.database import Database, Transaction
from storage.drafts import find_draft
from storage.events import SYSTEM, Actor, StoredEvent, list_events
from storage.jobs import JobKind, claim_jobs
from storage.search import find_conversations
from tests.support.factories import NOW, make_agent, make_contact, make_conversation, minutes

ALICE = Actor(kind=AuthorKind.AGENT, id="alice")
LATER = NOW + minutes(5)


async def load(db: Database, conversation_id: str) -> Conversation:
    async with db.read() as conn:
        return await load_conversation(conn, conversation_id)


async def events_of(db: Database, conversation_id: str) -> list[StoredEvent]:
    """Return what happened after the conversation was made."""
    async with db.read() as conn:
        return await list_events(conn, conversation_id, after_seq=1, limit=50)


async def last_event(db: Database, conversation_id: str) -> StoredEvent:
    return (await events_of(db, conversation_id))[-1]


async def due_wakes(db: Database, conversation_id: str) -> int:
    jobs = await db.write(lambda tx: claim_jobs(tx, now=NOW + timedelta(days=400), lease_s=0, limit=9))
    return sum(job.kind is JobKind.WAKE and job.subject_id == conversation_id for job in jobs)


async def test_note_is_an_event_with_its_mentions_and_is_found(database: Database) -> None:
    conversation, ben = await make_conversation(database), await make_agent(database)
    await database.write(
        lambda tx: service.add_note(
            tx, conversation_id=conversation, actor=ALICE, text="Ask the warehouse", mentions=[ben, ben], now=LATER
        )
    )
    event = await last_event(database, conversation)
    assert (event.type, event.at, event.actor_kind, event.actor_id) == (
        EventType.NOTE_ADDED, LATER, AuthorKind.AGENT, "alice",
    )  # fmt: skip
    assert event.data == {"text": "Ask the warehouse", "mentions": [ben]}
    async with database.read() as conn:
        assert await find_conversations(conn, "warehouse", limit=5) == [conversation]


async def test_note_that_mentions_nobody_real_is_refused_with_the_place(database: Database) -> None:
    conversation, ben = await make_conversation(database), await make_agent(database)
    with pytest.raises(BadInput) as refused:
        await database.write(
            lambda tx: service.add_note(
                tx, conversation_id=conversation, actor=ALICE, text="?", mentions=[ben, new_id()], now=NOW
            )
        )
    assert [error.path for error in refused.value.errors] == ["$.mentions[1]"]
    assert await events_of(database, conversation) == []


async def test_assigning_says_from_whom_to_whom_and_why(database: Database) -> None:
    conversation, ben = await make_conversation(database), await make_agent(database)

    async def assign(agent_id: str | None, reason: str | None) -> None:
        await database.write(
            lambda tx: service.assign(
                tx, conversation_id=conversation, agent_id=agent_id, actor=ALICE, reason=reason, now=LATER
            )
        )

    await assign(ben, "She speaks Portuguese.")
    assert (await load(database, conversation)).assignee is not None
    await assign(ben, "Again.")
    await assign(None, None)
    assert (await load(database, conversation)).assignee is None
    assert [event.data for event in await events_of(database, conversation)] == [
        {"from": None, "to": ben, "reason": "She speaks Portuguese."},
        {"from": ben, "to": None},
    ]


async def test_nobody_can_be_assigned_who_is_disabled_or_does_not_exist(database: Database) -> None:
    conversation, gone = await make_conversation(database), await make_agent(database, disabled_at=NOW)

    async def assign(agent_id: str) -> None:
        await database.write(
            lambda tx: service.assign(tx, conversation_id=conversation, agent_id=agent_id, actor=ALICE, now=NOW)
        )

    for agent_id in (gone, new_id()):
        with pytest.raises(BadInput):
            await assign(agent_id)
    assert await events_of(database, conversation) == []


async def test_transfer_moves_it_to_a_known_queue_where_it_is_nobodys(database: Database) -> None:
    conversation, ben = await make_conversation(database), await make_agent(database)
    await database.write(lambda tx: save_assignee(tx, conversation, ben))

    async def transfer(queue: str) -> None:
        await database.write(
            lambda tx: service.transfer(
                tx, conversation_id=conversation, queue=queue, queues={"general", "billing"}, actor=ALICE, now=NOW
            )
        )

    with pytest.raises(BadInput):
        await transfer("nowhere")
    await transfer("billing")
    await transfer("billing")
    moved = await load(database, conversation)
    assert (moved.queue, moved.assignee) == ("billing", None)
    assert [event.data for event in await events_of(database, conversation)] == [
        {"from": "general", "to": "billing", "unassigned": ben}
    ]


async def test_topic_is_set_and_taken_away(database: Database) -> None:
    conversation = await make_conversation(database, is_resolved=True)

    async def set_topic(topic: str | None) -> None:
        await database.write(
            lambda tx: service.set_topic(
                tx, conversation_id=conversation, topic=topic, actor=ALICE, reason="Reads so.", now=NOW
            )
        )

    for topic in ("shipping", None):
        await set_topic(topic)
        assert (await load(database, conversation)).topic == topic
    assert [event.data["to"] for event in await events_of(database, conversation)] == ["shipping", None]


async def test_resolving_ends_the_waiting_and_the_snooze(database: Database) -> None:
    conversation = await make_conversation(database)
    await snooze(database, conversation)
    await database.write(
        lambda tx: service.resolve(tx, conversation_id=conversation, actor=ALICE, reason="Told.", now=LATER)
    )
    done = await load(database, conversation)
    assert (done.status, done.resolved_at) == (ConversationStatus.RESOLVED, LATER)
    assert (done.waiting_since, done.snoozed_until, done.due_at) == (None, None, None)
    assert await due_wakes(database, conversation) == 0
    event = await last_event(database, conversation)
    assert (event.type, event.data) == (EventType.RESOLVED, {"reason": "Told.", "was_waiting": True})


async def snooze(db: Database, conversation_id: str, until: timedelta = timedelta(hours=1)) -> None:
    await db.write(
        lambda tx: service.snooze(tx, conversation_id=conversation_id, until=NOW + until, actor=ALICE, now=NOW)
    )


async def test_snoozed_conversation_wakes_when_it_is_due_and_not_before(database: Database) -> None:
    conversation = await make_conversation(database)
    await snooze(database, conversation)
    asleep = await load(database, conversation)
    assert (asleep.status, asleep.snoozed_until) == (ConversationStatus.SNOOZED, NOW + timedelta(hours=1))
    assert await due_wakes(database, conversation) == 1
    early, due = NOW + timedelta(minutes=59), NOW + timedelta(hours=1)
    assert not await database.write(lambda tx: service.wake(tx, conversation, early))
    assert (await load(database, conversation)).status is ConversationStatus.SNOOZED
    assert await database.write(lambda tx: service.wake(tx, conversation, due))
    awake = await load(database, conversation)
    assert (awake.status, awake.snoozed_until) == (ConversationStatus.OPEN, None)
    assert awake.waiting_since == NOW
    assert not await database.write(lambda tx: service.wake(tx, conversation, due))
    assert [event.type for event in await events_of(database, conversation)] == [EventType.SNOOZED, EventType.WOKEN]


async def test_snoozing_again_moves_the_time(database: Database) -> None:
    conversation = await make_conversation(database)
    await snooze(database, conversation)
    await snooze(database, conversation, timedelta(hours=2))
    jobs = await database.write(lambda tx: claim_jobs(tx, now=NOW + timedelta(hours=1), lease_s=0, limit=9))
    assert jobs == []
    assert await due_wakes(database, conversation) == 1


@pytest.mark.parametrize("until", [timedelta(0), timedelta(seconds=-1), timedelta(days=366)])
async def test_snooze_ends_in_the_future_and_within_a_year(database: Database, until: timedelta) -> None:
    conversation = await make_conversation(database)
    with pytest.raises(BadInput):
        await snooze(database, conversation, until)
    assert (await load(database, conversation)).status is ConversationStatus.OPEN


async def test_reopened_conversation_is_open_again(database: Database) -> None:
    conversation = await make_conversation(database, is_resolved=True)
    await database.write(
        lambda tx: service.reopen(tx, conversation_id=conversation, actor=ALICE, reason="She called.", now=LATER)
    )
    again = await load(database, conversation)
    assert (again.status, again.resolved_at) == (ConversationStatus.OPEN, None)
    assert (await last_event(database, conversation)).data == {"reason": "She called."}


async def test_conversation_stays_resolved_while_the_contact_has_another(database: Database) -> None:
    contact = await make_contact(database)
    old = await make_conversation(database, contact, is_resolved=True)
    await make_conversation(database, contact, at=NOW + minutes(1))
    with pytest.raises(Conflict):
        await database.write(lambda tx: service.reopen(tx, conversation_id=old, actor=ALICE, now=LATER))
    assert (await load(database, old)).status is ConversationStatus.RESOLVED


async def test_two_reopened_at_once_leave_one_open(database: Database) -> None:
    contact = await make_contact(database)
    both = [await make_conversation(database, contact, is_resolved=True) for _ in range(2)]

    async def reopen(conversation_id: str) -> bool:
        try:
            await database.write(lambda tx: service.reopen(tx, conversation_id=conversation_id, actor=ALICE, now=LATER))
        except Conflict:
            return False
        return True

    assert sorted(await asyncio.gather(*(reopen(id_) for id_ in both))) == [False, True]
    statuses = [(await load(database, id_)).status for id_ in both]
    assert statuses.count(ConversationStatus.OPEN) == 1


Action = Callable[[Transaction, str], Awaitable[Any]]
ACTIONS: dict[str, Action] = {
    "note": lambda tx, id_: service.add_note(tx, conversation_id=id_, actor=SYSTEM, text="x", now=NOW),
    "assign": lambda tx, id_: service.assign(tx, conversation_id=id_, agent_id=new_id(), actor=SYSTEM, now=NOW),
    "transfer": lambda tx, id_: service.transfer(
        tx, conversation_id=id_, queue="q", queues={"q"}, actor=SYSTEM, now=NOW
    ),
    "topic": lambda tx, id_: service.set_topic(tx, conversation_id=id_, topic="t", actor=SYSTEM, now=NOW),
    "resolve": lambda tx, id_: service.resolve(tx, conversation_id=id_, actor=SYSTEM, now=NOW),
    "snooze": lambda tx, id_: service.snooze(tx, conversation_id=id_, until=LATER, actor=SYSTEM, now=NOW),
    "reopen": lambda tx, id_: service.reopen(tx, conversation_id=id_, actor=SYSTEM, now=NOW),
    "draft": lambda tx, id_: service.keep_draft(tx, conversation_id=id_, agent_id=new_id(), text="x", now=NOW),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_what_is_done_to_no_conversation_is_not_found(database: Database, name: str) -> None:
    with pytest.raises(NotFound):
        await database.write(lambda tx: ACTIONS[name](tx, new_id()))


@pytest.mark.parametrize("name", ["assign", "transfer", "resolve", "snooze"])
async def test_resolved_conversation_is_left_as_it_is(database: Database, name: str) -> None:
    conversation = await make_conversation(database, is_resolved=True)
    before = await load(database, conversation)
    with pytest.raises(Conflict):
        await database.write(lambda tx: ACTIONS[name](tx, conversation))
    assert await load(database, conversation) == before


async def test_open_conversation_is_not_reopened(database: Database) -> None:
    conversation = await make_conversation(database)
    with pytest.raises(Conflict):
        await database.write(lambda tx: ACTIONS["reopen"](tx, conversation))


async def test_two_agents_who_take_the_next_never_get_the_same(database: Database) -> None:
    waiting = [await make_conversation(database, at=NOW + minutes(number)) for number in range(6)]
    agents = [await make_agent(database) for _ in range(8)]

    async def take(agent_id: str) -> str | None:
        return await database.write(lambda tx: service.take_next(tx, queue="general", agent_id=agent_id, now=LATER))

    taken = await asyncio.gather(*(take(agent) for agent in agents))
    assert sorted(id_ for id_ in taken if id_) == sorted(waiting)
    assert taken.count(None) == 2
    for agent, conversation in zip(agents, taken, strict=True):
        if conversation is not None:
            assignee = (await load(database, conversation)).assignee
            assert assignee is not None
            assert assignee.id == agent
            assert (await last_event(database, conversation)).data["to"] == agent


async def test_next_is_the_one_that_has_waited_longest(database: Database) -> None:
    new, old = await make_conversation(database, at=LATER), await make_conversation(database, at=NOW)
    ben = await make_agent(database)
    taken = [
        await database.write(lambda tx: service.take_next(tx, queue="general", agent_id=ben, now=LATER))
        for _ in range(3)
    ]
    assert taken == [old, new, None]


async def test_draft_is_kept_until_nothing_is_left_of_it(database: Database) -> None:
    conversation, ben = await make_conversation(database), await make_agent(database)

    async def keep(text: str) -> None:
        await database.write(
            lambda tx: service.keep_draft(tx, conversation_id=conversation, agent_id=ben, text=text, now=NOW)
        )

    for text in ("Dear", "Dear Ana", ""):
        await keep(text)
        async with database.read() as conn:
            draft = await find_draft(conn, conversation, ben)
        assert (draft.text if draft else "") == text
    assert await events_of(database, conversation) == []
