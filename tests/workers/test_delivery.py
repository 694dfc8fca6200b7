"""Replies leave once, in order, and what became of them is never guessed. The provider is the stand-in, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest
from sqlalchemy import delete, select, update

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import BadInput, SendAction, SendError
from gateway.domain.message import OutboundMessage
from gateway.sandbox.twilio_ledger import Behaviour, Kind
from gateway.services.deliver import Attempt, Ready, record_attempts
from gateway.services.reply import resend
from storage import deliveries
from storage.database import Database, Transaction
from storage.live.contract import LiveBus
from storage.outbox import oldest_due_at
from storage.tables import deliveries as parts
from storage.tables import jobs, messages, outbox
from tests.support.delivery import ANA, AUTHOR, DOUBT, Rig, claim, delivering, mark, open_rig, unreachable


@pytest.fixture
async def rig(database: Database, bus: LiveBus) -> AsyncIterator[Rig]:
    async with open_rig(database, bus) as opened:
        yield opened


async def test_a_reply_leaves_once_and_is_sent(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    async with delivering(rig):
        message = await rig.answer(conversation, "It is on its way.")
        await rig.until_status(message, MessageStatus.SENT)
    assert rig.bodies() == ["It is on its way."]
    async with rig.database.read() as conn:
        assert (await conn.execute(select(outbox))).all() == []


async def test_replies_of_one_conversation_keep_their_order_over_a_retry(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    rig.standin.behaviours.add(Behaviour(kind=Kind.THROTTLE, retry_after_s=1))
    ids = [await rig.answer(conversation, f"{n}") for n in range(5)]
    async with delivering(rig):
        await rig.until_status(ids[-1], MessageStatus.SENT)
    assert rig.bodies() == ["0", "1", "2", "3", "4"]


async def test_many_conversations_are_served_side_by_side(rig: Rig) -> None:
    conversations = [await rig.customer_writes(f"+4477009{n:05}", f"SM{n}") for n in range(30)]
    rig.standin.behaviours.add(Behaviour(kind=Kind.HANG, to="+447700900000"))
    ids = [await rig.answer(conversation, f"for {n}") for n, conversation in enumerate(conversations)]
    async with delivering(rig):
        for message in ids[1:]:
            await rig.until_status(message, MessageStatus.SENT)
        await rig.until_status(ids[0], MessageStatus.UNKNOWN)
    assert sorted(rig.bodies()) == sorted(f"for {n}" for n in range(1, 30))


async def test_two_workers_send_each_message_once(rig: Rig) -> None:
    conversations = [await rig.customer_writes(f"+4477009{n:05}", f"SM{n}") for n in range(40)]
    ids = [await rig.answer(conversation, f"for {n}") for n, conversation in enumerate(conversations)]
    async with delivering(rig), delivering(rig):
        for message in ids:
            await rig.until_status(message, MessageStatus.SENT)
    assert len(rig.bodies()) == len(set(rig.bodies())) == 40


async def test_a_permanent_refusal_is_shown_in_plain_words(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.REFUSE, code=21211))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.FAILED)
    async with rig.database.read() as conn:
        row = (await conn.execute(select(messages).where(messages.c.id == message))).one()
    assert row.error_code == "21211"
    assert len(row.error) > 20
    assert rig.bodies() == []


async def test_an_opt_out_at_the_provider_stops_all_later_sends(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.REFUSE, code=21610))
    conversation = await rig.customer_writes()
    first = await rig.answer(conversation, "one")
    second = await rig.answer(conversation, "two")
    async with delivering(rig):
        await rig.until_status(second, MessageStatus.FAILED)
    assert await rig.status(first) is MessageStatus.FAILED
    assert rig.bodies() == []
    assert len(rig.standin.requests) == 1
    with pytest.raises(BadInput):
        await rig.answer(conversation, "three")


async def test_passing_faults_are_tried_again_and_then_given_up(rig: Rig) -> None:
    rig.channels[ChannelName.SMS] = unreachable(rig.http)
    rig.max_attempts = 2
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until(lambda: _was_tried(rig, message, 1))
        assert await rig.status(message) is MessageStatus.QUEUED
        rig.clock.move(60)
        await rig.until_status(message, MessageStatus.FAILED)


async def _was_tried(rig: Rig, message_id: str, times: int) -> bool:
    async with rig.database.read() as conn:
        query = select(outbox.c.attempts).where(outbox.c.message_id == message_id)
        attempts: int = (await conn.execute(query)).scalar_one()
        return attempts == times


async def test_too_many_requests_is_no_attempt(rig: Rig) -> None:
    rig.max_attempts = 1
    rig.standin.behaviours.add(Behaviour(kind=Kind.THROTTLE, retry_after_s=1, times=2))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.SENT)
    assert rig.bodies() == ["Hello"]


@pytest.mark.parametrize("kind", [Kind.DROP, Kind.GARBLE])
async def test_a_lost_answer_is_unknown_until_the_provider_names_the_message(rig: Rig, kind: Kind) -> None:
    rig.standin.behaviours.add(Behaviour(kind=kind))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
        jobs_worker = rig.jobs_worker()
        assert await jobs_worker.run_due() == 0  # a callback has its time first
        rig.clock.move(61)
        assert await jobs_worker.run_due() == 1
        await rig.until_status(message, MessageStatus.SENT, MessageStatus.DELIVERED)
    assert rig.bodies() == ["Hello"]


async def test_a_message_that_never_arrived_is_sent_again_after_two_empty_looks(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.HANG))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    jobs_worker = rig.jobs_worker()
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
        rig.clock.move(61)
        assert await jobs_worker.run_due() == 1
        assert await rig.status(message) is MessageStatus.UNKNOWN
        rig.clock.move(270)
        assert await jobs_worker.run_due() == 0
        rig.clock.move(31)
        assert await jobs_worker.run_due() == 1
        await rig.until_status(message, MessageStatus.SENT)
    assert rig.bodies() == ["Hello"]


async def test_two_equal_messages_in_doubt_stay_unknown(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.DROP, times=2))
    conversation = await rig.customer_writes()
    first, second = await rig.answer(conversation, "Hello"), await rig.answer(conversation, "Hello")
    async with delivering(rig):
        await rig.until_status(first, MessageStatus.UNKNOWN)
        await rig.until_status(second, MessageStatus.UNKNOWN)
        rig.clock.move(61)
        assert await rig.jobs_worker().run_due() == 2
    assert {await rig.status(first), await rig.status(second)} == {MessageStatus.UNKNOWN}
    assert rig.bodies() == ["Hello", "Hello"]


async def test_a_callback_settles_what_is_unknown_and_nothing_is_looked_up(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.DROP))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
        await rig.report(message, MessageStatus.DELIVERED, sid=rig.standin.accepted[0].sid)
        rig.clock.move(61)
        await rig.jobs_worker().run_due()
    assert await rig.status(message) is MessageStatus.DELIVERED
    assert [seen.method for seen in rig.standin.requests] == ["POST"]


async def test_a_lease_that_ran_out_without_a_mark_is_claimed_again(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    (dead,) = await claim(rig)
    assert await claim(rig) == []
    rig.clock.move(61)
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.SENT)
    assert await mark(rig, dead) == [False]
    assert rig.bodies() == ["Hello"]


async def test_a_lease_that_ran_out_with_a_mark_is_in_doubt(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    (dead,) = await claim(rig)
    assert await mark(rig, dead) == [True]
    rig.clock.move(61)
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
    assert rig.bodies() == []
    async with rig.database.read() as conn:
        assert (await conn.execute(select(jobs.c.kind))).scalars().all() == ["reconcile"]


async def test_a_long_text_goes_in_parts_and_a_retry_begins_at_the_first_unsent(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    text = " ".join(f"word{n}" for n in range(450))
    sms = rig.channels[ChannelName.SMS]
    texts = list(sms.split(text))
    assert len(texts) >= 2
    message = await rig.answer(conversation, text)
    async with delivering(rig):
        # The second request of this recipient is refused: a behaviour is used up by the request that meets it.
        await rig.until(lambda: _has_bodies(rig, 1))
        rig.standin.behaviours.add(Behaviour(kind=Kind.REFUSE, code=21211))
        await rig.until_status(message, MessageStatus.FAILED, MessageStatus.SENT)
        if await rig.status(message) is MessageStatus.FAILED:
            rig.standin.behaviours.clear()
            await rig.database.write(lambda tx: resend(tx, message, AUTHOR.actor, rig.clock()))
            await rig.until_status(message, MessageStatus.SENT)
    assert rig.bodies() == texts


async def _has_bodies(rig: Rig, count: int) -> bool:
    return len(rig.standin.accepted) >= count


async def test_a_scheduled_reply_waits_and_blocks_nobody(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    later = await rig.answer(conversation, "tomorrow", send_at=rig.clock() + timedelta(days=1))
    async with delivering(rig):
        now = await rig.answer(conversation, "today")
        await rig.until_status(now, MessageStatus.SENT)
        assert await rig.status(later) is MessageStatus.SCHEDULED
        rig.clock.move(86_400)
        await rig.until_status(later, MessageStatus.SENT)
    assert rig.bodies() == ["today", "tomorrow"]


async def test_a_late_failure_of_an_earlier_attempt_does_not_count(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.SENT)
        await rig.report(message, MessageStatus.FAILED, sid="SM" + "f" * 32)
        assert await rig.status(message) is MessageStatus.SENT
        await rig.report(message, MessageStatus.DELIVERED, sid="SM" + "f" * 32)
        assert await rig.status(message) is MessageStatus.DELIVERED


async def test_a_suppression_that_came_while_it_waited_stops_it(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    ana = Address(kind=AddressKind.PHONE, value=ANA)
    await rig.database.write(lambda tx: deliveries.suppress(tx, ana, "She opted out.", rig.clock()))
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.FAILED)
    assert len(rig.standin.requests) == 0


async def test_a_channel_that_is_not_set_up_any_more_says_so(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    del rig.channels[ChannelName.SMS]
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.FAILED)
    async with rig.database.read() as conn:
        query = select(messages.c.error).where(messages.c.id == message)
        assert (await conn.execute(query)).scalar_one() == "The channel sms is not set up."


async def test_draining_waits_for_what_is_on_its_way(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig) as worker:
        await rig.until(lambda: _has_bodies(rig, 1))
        await worker.drain()
        assert await rig.status(message) is MessageStatus.SENT
        await rig.database.write(_make_due)
        assert len(rig.standin.accepted) == 1


async def _make_due(tx: Transaction) -> None:
    await tx.conn.execute(update(outbox).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))


async def test_a_worker_that_lost_its_lease_undoes_nothing(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    (late,) = await claim(rig)
    rig.clock.move(61)
    (current,) = await claim(rig)
    assert await mark(rig, current) == [True]  # its bytes are leaving
    assert await record(rig, late, SendError(SendAction.RETRY, "Its files could not be read.")) == [False]
    assert await mark(rig, current) == [True]
    rig.clock.move(61)
    assert await claim(rig) == []
    assert await rig.status(message) is MessageStatus.UNKNOWN


async def test_a_success_counts_whoever_tells_it(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    (late,) = await claim(rig)
    rig.clock.move(61)
    await claim(rig)
    assert await record(rig, late, None) == [True]
    assert await rig.status(message) is MessageStatus.SENT


async def record(rig: Rig, ready: Ready, error: SendError | None) -> list[bool]:
    status = MessageStatus.QUEUED if error else MessageStatus.SENT
    attempt = Attempt(ready=ready, part=0, status=status, error=error)
    return await rig.database.write(
        lambda tx: record_attempts(tx, [attempt], max_attempts=4, doubt=DOUBT, now=rig.clock())
    )


async def test_files_that_take_too_long_to_read_are_tried_again(rig: Rig) -> None:
    async def hang(_ready: Ready) -> OutboundMessage:
        await asyncio.Event().wait()
        raise AssertionError

    rig.lease_s = 0.2
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig, compose=hang):
        await rig.until(lambda: _was_tried(rig, message, 1))
    assert rig.bodies() == []


async def test_waits_without_a_given_time_grow_and_are_no_attempts(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.THROTTLE, times=1000))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    rig.max_attempts = 1
    waits = []
    async with delivering(rig):
        for turn in range(1, 9):
            await rig.until(partial(_has_waited, rig, message, turn))
            async with rig.database.read() as conn:
                waits.append(((await conn.execute(select(outbox.c.due_at))).scalar_one() - rig.clock()).total_seconds())
            rig.clock.move(80)
    assert all(earlier < later for earlier, later in pairwise(waits[:6]))
    assert waits[1] > 1
    assert 50 < waits[-1] <= 72


async def _has_waited(rig: Rig, message_id: str, times: int) -> bool:
    async with rig.database.read() as conn:
        query = select(outbox.c.waits).where(outbox.c.message_id == message_id)
        return int((await conn.execute(query)).scalar_one()) == times


async def test_a_message_without_parts_fails_and_holds_up_nobody(rig: Rig) -> None:
    bad = await rig.answer(await rig.customer_writes("+447700900999", "SM9"), "bad")
    await rig.database.write(lambda tx: tx.conn.execute(delete(parts).where(parts.c.message_id == bad)))
    good = await rig.answer(await rig.customer_writes(), "good")
    async with delivering(rig):
        await rig.until_status(good, MessageStatus.SENT)
        await rig.until_status(bad, MessageStatus.FAILED)


async def test_what_stands_behind_a_message_that_waits_is_not_overdue(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    first = await rig.answer(conversation, "one")
    await rig.answer(conversation, "two")
    rig.clock.move(600)
    async with rig.database.read() as conn:
        assert await oldest_due_at(conn, rig.clock()) is not None
    rig.channels[ChannelName.SMS] = unreachable(rig.http)
    async with delivering(rig):
        await rig.until(lambda: _was_tried(rig, first, 1))
    async with rig.database.read() as conn:
        assert await oldest_due_at(conn, rig.clock()) is None
