"""An answer that nobody is there to read goes out another way: once, in the same conversation, and it is said why."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.message import InboundMessage
from gateway.services.conversations import resolve
from gateway.services.hand_over import WAYS, HandOver
from gateway.services.journey import record_reports
from gateway.services.merge import merge_contacts
from gateway.services.receive import receive_messages
from gateway.workers.jobs import JobsWorker
from storage.database import Database
from storage.deliveries import suppress
from storage.events import SYSTEM, list_events
from storage.jobs import Job, JobKind
from storage.live.contract import LiveBus
from storage.replies import last_seq_by_others
from storage.tables import addresses, attachments, conversations, deliveries, jobs, messages, outbox
from tests.support.api import START
from tests.support.chat import AUTHOR, ChatRig, chatting, identity_token
from tests.support.chat import Client as Visitor
from tests.support.factories import make_address, make_contact

AFTER = timedelta(seconds=120)
ANA = "ana@mail.example"


@dataclass(kw_only=True)
class Desk:
    """An agent's side: answers, the jobs, and what went out."""

    rig: ChatRig
    jobs: JobsWorker
    hand_over: HandOver

    async def run_jobs(self, after: timedelta = AFTER) -> None:
        self.rig.api.clock.advance(after)
        while await self.jobs.run_due():
            pass

    async def sent(self) -> list[Any]:
        """Return the messages that wait to leave by a channel that is not the chat."""
        query = (
            select(messages, addresses.c.value, addresses.c.kind)
            .join(addresses, addresses.c.id == messages.c.address_id)
            .join(outbox, outbox.c.message_id == messages.c.id)
            .where(messages.c.channel != ChannelName.WEBCHAT)
            .order_by(messages.c.seq)
        )
        async with self.rig.database.read() as conn:
            return list((await conn.execute(query)).all())

    async def events(self, conversation: str, kind: EventType) -> list[Any]:
        async with self.rig.database.read() as conn:
            found = await list_events(conn, conversation, after_seq=0, limit=200)
        return [event for event in found if event.type is kind]

    async def job(self, message_id: str) -> Job:
        async with self.rig.database.read() as conn:
            row = (await conn.execute(select(jobs).where(jobs.c.subject_id == message_id))).one()
        return Job(
            id=row.id, kind=JobKind.HAND_OVER, subject_id=row.subject_id, data={}, attempts=1, lease_until=row.due_at
        )


@pytest.fixture
async def desk(database: Database, bus: LiveBus, tmp_path: Path) -> AsyncIterator[Desk]:
    async with chatting(database, bus, tmp_path / "spool", hand_over_after=AFTER) as rig:
        hand_over = HandOver(db=database, channels=WAYS, split=lambda _, text: (text,), shop="Calm Shop")
        worker = JobsWorker(db=database, bus=bus, handlers={JobKind.HAND_OVER: hand_over.run}, now=rig.api.clock)
        yield Desk(rig=rig, jobs=worker, hand_over=hand_over)


async def asks(desk: Desk, visitor: Visitor, *, email: str | None = ANA) -> str:
    """Have a visitor give their address and ask; return the conversation."""
    if email is not None:
        await visitor.send("claim", email=email)
        await visitor.next("claimed")
    ack = await visitor.say("Where is my parcel?")
    await visitor.next("message")
    return await desk.rig.conversation_of(ack["message_id"])


async def test_an_answer_that_the_visitor_took_stays_in_the_chat(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
        answer = await desk.rig.answer(conversation, "It comes tomorrow.")
        await ana.send("delivered", seq=(await ana.next("message"))["seq"])
        await desk.rig.until_status(answer, "delivered")
    await desk.run_jobs()
    assert await desk.sent() == []
    assert await desk.events(conversation, EventType.MESSAGE_HANDED_OVER) == []


async def test_answers_that_nobody_took_go_out_as_one_mail_in_the_same_conversation(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    first = await desk.rig.answer(conversation, "It comes tomorrow.")
    second = await desk.rig.answer(conversation, "By noon.")
    await desk.run_jobs(AFTER - timedelta(seconds=1))
    assert await desk.sent() == []
    await desk.run_jobs(timedelta(seconds=1))
    (mail,) = await desk.sent()
    assert (mail.value, mail.kind, mail.channel) == (ANA, "email_claim", "email")
    assert (mail.conversation_id, mail.text) == (conversation, "It comes tomorrow.\n\nBy noon.")
    assert (mail.subject, mail.author_id) == ("Your chat with Calm Shop", AUTHOR.actor.id)
    assert (mail.reply_to_id, mail.extra) == (first, {"hands_over": [first, second]})
    (event,) = await desk.events(conversation, EventType.MESSAGE_HANDED_OVER)
    assert event.message_id == mail.id
    assert event.data["message_ids"] == [first, second]
    assert "gone" in event.data["reason"]
    async with desk.rig.database.read() as conn:
        parts = select(deliveries.c.text).where(deliveries.c.message_id == mail.id)
        assert (await conn.execute(parts)).scalar_one() == mail.text


async def test_a_job_that_runs_again_sends_nothing_again(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    answer = await desk.rig.answer(conversation, "It comes tomorrow.")
    job = await desk.job(answer)
    await desk.run_jobs()
    await desk.hand_over.run(job, desk.rig.api.clock())
    assert len(await desk.sent()) == 1


async def test_two_workers_at_one_answer_send_one_mail(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    answers = [await desk.rig.answer(conversation, f"Answer {number}.") for number in range(3)]
    all_jobs = [await desk.job(answer) for answer in answers]
    now = desk.rig.api.clock()
    async with asyncio.TaskGroup() as tasks:
        for job in all_jobs * 3:
            tasks.create_task(desk.hand_over.run(job, now))
    sent = await desk.sent()
    handed = [id_ for mail in sent for id_ in mail.extra["hands_over"]]
    assert sorted(handed) == sorted(answers)  # each once, whoever took it


async def test_either_the_visitor_or_the_mail_has_it_when_both_come_at_once(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    for number in range(5):
        answer = await desk.rig.answer(conversation, f"Answer {number}.")
        job, now = await desk.job(answer), desk.rig.api.clock()
        report = DeliveryReport(
            channel=ChannelName.WEBCHAT, status=MessageStatus.DELIVERED, received_at=now, message_id=answer
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(desk.hand_over.run(job, now))
            tasks.create_task(
                desk.rig.database.write(lambda tx, r=report: record_reports(tx, [r], desk.rig.doubt, START))  # type: ignore[misc]
            )
        mails = [mail for mail in await desk.sent() if answer in mail.extra["hands_over"]]
        taken = await desk.events(conversation, EventType.MESSAGE_STATUS)
        handed = await desk.events(conversation, EventType.MESSAGE_HANDED_OVER)
        delivered = [event.seq for event in taken if event.message_id == answer and event.data["status"] == "delivered"]
        assert len(delivered) == 1
        assert len(mails) <= 1
        # A mail goes out only if it was decided before the visitor's word was taken in.
        assert all(event.seq < delivered[0] for event in handed if answer in event.data["message_ids"])


async def test_without_an_address_nothing_goes_out_and_agents_are_told(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana, email=None)
    answers = [await desk.rig.answer(conversation, text) for text in ("It comes tomorrow.", "By noon.")]
    await desk.run_jobs()
    assert await desk.sent() == []
    (event,) = await desk.events(conversation, EventType.MESSAGE_NOT_HANDED_OVER)
    assert (event.message_id, event.data["message_ids"]) == (answers[0], answers)
    assert event.data["reason"].startswith("There is no e-mail address")


async def test_what_is_no_mailbox_is_not_written_to(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana, email="ana at home")
    await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    assert await desk.sent() == []


@pytest.mark.parametrize("kind", [AddressKind.EMAIL, AddressKind.EMAIL_CLAIM])
async def test_a_suppressed_mailbox_is_not_written_to(desk: Desk, kind: AddressKind) -> None:
    address = Address(kind=kind, value=ANA)
    await desk.rig.database.write(lambda tx: suppress(tx, address, "They asked us not to.", START))
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    assert await desk.sent() == []
    (event,) = await desk.events(conversation, EventType.MESSAGE_NOT_HANDED_OVER)
    assert event.data["reason"].endswith("They asked us not to.")


async def test_a_proved_number_is_used_where_there_is_no_mailbox_and_a_typed_one_never(desk: Desk) -> None:
    phone = "+351912345678"
    async with desk.rig.client() as stranger:
        await stranger.send("claim", phone=phone)
        await stranger.next("claimed")
        unknown = await asks(desk, stranger, email=None)
    async with desk.rig.client(identity=identity_token(phone=phone, phone_verified=True)) as ana:
        known = await asks(desk, ana, email=None)
    for conversation in (unknown, known):
        await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    (text,) = await desk.sent()
    assert (text.conversation_id, text.channel, text.value, text.subject) == (known, "sms", phone, None)


async def test_a_proved_mailbox_goes_before_a_typed_one(desk: Desk) -> None:
    token = identity_token(email="proved@mail.example", email_verified=True)
    async with desk.rig.client(identity=token) as ana:
        conversation = await asks(desk, ana)
    await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    (mail,) = await desk.sent()
    assert (mail.value, mail.kind) == ("proved@mail.example", "email")


async def test_a_mailbox_that_somebody_else_has_proved_is_written_to_as_a_claim_and_joins_nobody(desk: Desk) -> None:
    owner = await make_contact(desk.rig.database)
    await make_address(desk.rig.database, owner, kind=AddressKind.EMAIL, value=ANA)
    async with desk.rig.client() as somebody:
        conversation = await asks(desk, somebody)
    await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    (mail,) = await desk.sent()
    assert (mail.value, mail.kind) == (ANA, "email_claim")
    assert mail.contact_id != owner


async def test_what_they_typed_is_found_after_an_agent_linked_them(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    async with desk.rig.database.read() as conn:
        query = select(messages.c.contact_id).where(messages.c.conversation_id == conversation)
        visitor = (await conn.execute(query)).scalars().first()
    assert visitor is not None
    into = await make_contact(desk.rig.database)
    await desk.rig.database.write(
        lambda tx: merge_contacts(tx, into_id=into, from_id=visitor, actor=SYSTEM, reason="Known.", now=START)
    )
    await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    (mail,) = await desk.sent()
    assert (mail.value, mail.contact_id) == (ANA, into)


async def test_two_browsers_that_give_the_same_mailbox_are_both_answered_there(desk: Desk) -> None:
    for _ in range(2):
        async with desk.rig.client() as browser:
            conversation = await asks(desk, browser)
        await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    assert [mail.value for mail in await desk.sent()] == [ANA, ANA]


async def test_a_conversation_begun_by_mail_keeps_its_subject_and_files_go_along(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    answer = await desk.rig.answer(conversation, "Here is your label.")
    async with desk.rig.database.read() as conn:
        row = (await conn.execute(select(messages).where(messages.c.id == answer))).one()
    await desk.rig.database.write(lambda tx: _dress(tx, row.conversation_id, answer))
    await desk.run_jobs()
    (mail,) = await desk.sent()
    assert mail.subject == "Re: My parcel"
    async with desk.rig.database.read() as conn:
        (file,) = (await conn.execute(select(attachments).where(attachments.c.message_id == mail.id))).all()
        assert (file.filename, file.sha256) == ("label.pdf", "0" * 64)
        assert len((await conn.execute(select(attachments))).all()) == 2  # the chat keeps its own


async def _dress(tx: Any, conversation: str, answer: str) -> None:
    await tx.conn.execute(conversations.update().where(conversations.c.id == conversation).values(subject="My parcel"))
    row = {
        "id": answer,
        "message_id": answer,
        "position": 0,
        "filename": "label.pdf",
        "content_type": "application/pdf",
        "is_inline": False,
        "state": "ready",
        "sha256": "0" * 64,
        "size": 3,
        "created_at": START,
    }
    await tx.conn.execute(attachments.insert().values(row))


async def test_answers_of_two_conversations_go_out_each_in_its_own(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        first = await asks(desk, ana)
    await desk.rig.answer(first, "It comes tomorrow.")
    now = desk.rig.api.clock()
    await desk.rig.database.write(lambda tx: resolve(tx, conversation_id=first, actor=SYSTEM, now=now))
    desk.rig.api.clock.advance(timedelta(days=15))
    async with desk.rig.client(ana.visitor, after_seq=2) as back:
        second = await asks(desk, back)
    await desk.rig.answer(second, "Once more.")
    await desk.run_jobs()
    sent = {mail.conversation_id: mail.text for mail in await desk.sent()}
    assert sent == {first: "It comes tomorrow.", second: "Once more."}


async def test_what_is_passed_on_is_no_colleagues_word(desk: Desk) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    await desk.rig.answer(conversation, "It comes tomorrow.")
    async with desk.rig.database.read() as conn:
        seen = (await list_events(conn, conversation, after_seq=0, limit=100))[-1].seq
    await desk.run_jobs()
    assert len(await desk.sent()) == 1
    found = await desk.rig.database.write(
        lambda tx: last_seq_by_others(tx, conversation, after_seq=seen, author_id="another")
    )
    assert found is None


@pytest.mark.parametrize("kind", [AddressKind.EMAIL, AddressKind.EMAIL_CLAIM])
async def test_who_answers_the_mail_is_back_in_the_conversation(desk: Desk, kind: AddressKind) -> None:
    async with desk.rig.client() as ana:
        conversation = await asks(desk, ana)
    await desk.rig.answer(conversation, "It comes tomorrow.")
    await desk.run_jobs()
    answer = InboundMessage(
        channel=ChannelName.EMAIL,
        dedupe_key="email:1@mail.example",
        received_at=START,
        sender=Address(kind=kind, value=ANA),
        text="At noon I am out.",
        reply_conversation_id=conversation,
    )
    (receipt,) = await desk.rig.database.write(lambda tx: receive_messages(tx, [answer], START), is_racing=True)
    assert receipt.message_id is not None
    assert await desk.rig.conversation_of(receipt.message_id) == conversation
    async with desk.rig.client(ana.visitor) as back:  # whoever reads the chat does not read the mail
        texts = [frame["text"] for frame in await desk.rig.shown_to(back)]
        assert texts == ["Where is my parcel?", "It comes tomorrow."]


async def test_no_job_is_made_where_there_is_no_other_way(rig: ChatRig) -> None:
    async with rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("Hello?"))["message_id"])
        await rig.answer(conversation, "Hello")
    async with rig.database.read() as conn:
        assert (await conn.execute(select(jobs))).all() == []
