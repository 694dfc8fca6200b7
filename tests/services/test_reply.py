"""A reply can be taken back and sent again, and the customer waits for as long as nothing has answered them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import Conflict
from gateway.sandbox.twilio_ledger import Behaviour, Kind
from gateway.services.conversations import resolve
from gateway.services.reply import cancel, resend
from storage.database import Database
from storage.live.contract import LiveBus
from storage.tables import jobs
from tests.support.delivery import AUTHOR, Rig, delivering, open_rig


@pytest.fixture
async def rig(database: Database, bus: LiveBus) -> AsyncIterator[Rig]:
    async with open_rig(database, bus) as opened:
        yield opened


async def test_only_what_failed_or_is_in_doubt_can_be_sent_again(rig: Rig) -> None:
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.SENT)
    with pytest.raises(Conflict):
        await rig.database.write(lambda tx: resend(tx, message, AUTHOR.actor, rig.clock()))


async def test_a_held_reply_can_be_taken_back_until_it_leaves(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    async with delivering(rig):
        held = await rig.answer(conversation, "Wrong words", hold_s=10.0)
        await rig.database.write(lambda tx: cancel(tx, held, AUTHOR.actor, rig.clock()))
        sent = await rig.answer(conversation, "Right words")
        await rig.until_status(sent, MessageStatus.SENT)
        rig.clock.move(11)
        with pytest.raises(Conflict):
            await rig.database.write(lambda tx: cancel(tx, sent, AUTHOR.actor, rig.clock()))
    assert rig.bodies() == ["Right words"]
    assert await rig.status(held) is MessageStatus.CANCELLED


async def test_the_colleague_who_was_faster_is_noticed(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    with pytest.raises(Conflict):
        await rig.answer(conversation, "Hello", seen_seq=1)
    await rig.answer(conversation, "Hello", seen_seq=2)


async def test_taking_a_reply_back_leaves_the_customer_waiting_as_before(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    since = await rig.waiting_since(conversation)
    rig.clock.move(60)
    await rig.customer_writes(key="SM2")
    held = await rig.answer(conversation, "Wrong words", hold_s=10.0)
    assert await rig.waiting_since(conversation) is None
    await take_back(rig, held)
    assert await rig.waiting_since(conversation) == since


async def test_taking_a_reply_back_leaves_nobody_waiting_who_was_answered_before(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    await rig.answer(conversation, "An answer")
    await take_back(rig, await rig.answer(conversation, "One more", hold_s=10.0))
    assert await rig.waiting_since(conversation) is None


async def test_taking_a_reply_back_opens_no_wait_that_a_colleague_had_ended(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    held = await rig.answer(conversation, "Wrong words", hold_s=10.0)
    await rig.database.write(lambda tx: resolve(tx, conversation_id=conversation, actor=AUTHOR.actor, now=rig.clock()))
    await take_back(rig, held)
    assert await rig.waiting_since(conversation) is None


async def test_a_scheduled_reply_is_an_answer_once_it_has_left(rig: Rig) -> None:
    conversation = await rig.customer_writes()
    later = await rig.answer(conversation, "tomorrow", send_at=rig.clock() + timedelta(days=1))
    assert await rig.waiting_since(conversation) is not None
    await take_back(rig, await rig.answer(conversation, "Wrong words", hold_s=10.0))
    assert await rig.waiting_since(conversation) is not None
    rig.clock.move(86_401)
    async with delivering(rig):
        await rig.until_status(later, MessageStatus.SENT)
    assert await rig.waiting_since(conversation) is None


async def take_back(rig: Rig, message_id: str) -> None:
    await rig.database.write(lambda tx: cancel(tx, message_id, AUTHOR.actor, rig.clock()))


async def send_again(rig: Rig, message_id: str) -> None:
    await rig.database.write(lambda tx: resend(tx, message_id, AUTHOR.actor, rig.clock()))


async def test_sending_again_starts_the_looks_at_the_provider_afresh(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.HANG, times=2))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    looks = rig.jobs_worker()
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
        rig.clock.move(61)
        assert await looks.run_due() == 1  # nothing listed, once
        rig.clock.move(299)
        await send_again(rig, message)
        await rig.until_status(message, MessageStatus.UNKNOWN)
        rig.clock.move(5)  # the first attempt's second look would be due
        assert await looks.run_due() == 0
        rig.clock.move(56)
        assert await looks.run_due() == 1
        assert await rig.status(message) is MessageStatus.UNKNOWN


async def test_sending_again_takes_the_look_up_away(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.HANG))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
    await send_again(rig, message)
    async with rig.database.read() as conn:
        assert (await conn.execute(select(jobs))).all() == []


async def test_a_look_up_that_was_given_up_comes_back_with_the_next_doubt(rig: Rig) -> None:
    rig.standin.behaviours.add(Behaviour(kind=Kind.HANG, times=2))
    message = await rig.answer(await rig.customer_writes(), "Hello")
    async with delivering(rig):
        await rig.until_status(message, MessageStatus.UNKNOWN)
        await rig.database.write(lambda tx: tx.conn.execute(update(jobs).values(parked_at=rig.clock())))
        await send_again(rig, message)
        await rig.until_status(message, MessageStatus.UNKNOWN)
    async with rig.database.read() as conn:
        assert (await conn.execute(select(jobs.c.parked_at))).scalars().all() == [None]
