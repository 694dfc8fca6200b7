"""A batch of messages becomes contacts, conversations and history in one transaction."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.message import InboundAttachment, InboundMessage, StoredBlob
from gateway.services.receive import Receipt, ReceiptState, receive_messages
from storage.database import Database
from storage.events import list_events
from storage.tables import addresses, attachments, contacts, conversations, jobs, messages

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ANA = "+351912345678"


def sms(key: str, *, sender: str = ANA, at: datetime = NOW, text: str = "Olá", **more: object) -> InboundMessage:
    return InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key=f"twilio:{key}",
        received_at=at,
        sender=Address(kind=AddressKind.PHONE, value=sender),
        text=text,
        external_id=key,
        **more,  # type: ignore[arg-type]
    )


def whatsapp(key: str, *, sender: str = ANA, at: datetime = NOW) -> InboundMessage:
    return InboundMessage(
        channel=ChannelName.WHATSAPP,
        dedupe_key=f"twilio:{key}",
        received_at=at,
        sender=Address(kind=AddressKind.WHATSAPP, value=sender),
        sender_name="Ana",
        text="Oi",
        external_id=key,
    )


def mail(
    key: str,
    sender: str,
    *,
    kind: AddressKind = AddressKind.EMAIL,
    references: tuple[str, ...] = (),
    cc: tuple[str, ...] = (),
) -> InboundMessage:
    return InboundMessage(
        channel=ChannelName.EMAIL,
        dedupe_key=f"email:{key}",
        received_at=NOW,
        sender=Address(kind=kind, value=sender),
        text="A question",
        subject="My order",
        external_id=key,
        references=references,
        cc=cc,
    )


async def receive(database: Database, *arrivals: InboundMessage, now: datetime = NOW) -> list[Receipt]:
    return await database.write(lambda tx: receive_messages(tx, arrivals, now), is_racing=True)


async def counts(database: Database) -> tuple[int, int, int]:
    """Return how many contacts, conversations and messages there are."""
    async with database.read() as conn:
        people, threads, items = [
            (await conn.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (contacts, conversations, messages)
        ]
    return people, threads, items


async def conversation_of(database: Database, receipt: Receipt) -> str:
    async with database.read() as conn:
        query = select(messages.c.conversation_id).where(messages.c.id == receipt.message_id)
        found: str = (await conn.execute(query)).scalar_one()
        return found


async def event_types(database: Database, conversation_id: str) -> list[EventType]:
    async with database.read() as conn:
        found: Sequence[object] = await list_events(conn, conversation_id, after_seq=0, limit=100)
    return [event.type for event in found]  # type: ignore[attr-defined]


async def test_first_message_makes_a_contact_and_a_routed_conversation(database: Database) -> None:
    (receipt,) = await receive(database, sms("SM1"))
    assert receipt.state is ReceiptState.ACCEPTED
    assert await counts(database) == (1, 1, 1)
    async with database.read() as conn:
        row = (await conn.execute(select(conversations))).one()
    assert (row.queue, row.status, row.channel, row.last_seq) == ("general", "open", "sms", 2)
    assert row.waiting_since == NOW
    assert await event_types(database, row.id) == [EventType.STARTED, EventType.MESSAGE_RECEIVED]


async def test_a_message_numbers_like_its_event(database: Database) -> None:
    receipts = await receive(database, sms("SM1"), sms("SM2"), sms("SM3"))
    async with database.read() as conn:
        stored = (await conn.execute(select(messages.c.id, messages.c.seq).order_by(messages.c.seq))).all()
        events = await list_events(conn, await conversation_of(database, receipts[0]), after_seq=0, limit=10)
    assert [(row.id, row.seq) for row in stored] == [(e.message_id, e.seq) for e in events if e.message_id]
    assert [row.id for row in stored] == [receipt.message_id for receipt in receipts]


async def test_the_same_key_is_stored_once_within_a_batch_and_over_batches(database: Database) -> None:
    first, second = await receive(database, sms("SM1"), sms("SM1"))
    (third,) = await receive(database, sms("SM1"))
    assert (first.state, second.state, third.state) == ("accepted", "duplicate", "duplicate")
    assert first.message_id == second.message_id == third.message_id
    assert await counts(database) == (1, 1, 1)


async def test_fifty_writers_of_one_message_store_one(database: Database) -> None:
    receipts = await asyncio.gather(*(receive(database, sms("SM1")) for _ in range(50)))
    states = [receipt.state for (receipt,) in receipts]
    assert states.count(ReceiptState.ACCEPTED) == 1
    assert len({receipt.message_id for (receipt,) in receipts}) == 1
    assert await counts(database) == (1, 1, 1)


async def test_concurrent_first_messages_of_one_sender_share_one_conversation(database: Database) -> None:
    await asyncio.gather(*(receive(database, sms(f"SM{n}")) for n in range(20)))
    assert await counts(database) == (1, 1, 20)


async def test_a_number_and_its_whatsapp_id_are_one_contact(database: Database) -> None:
    await receive(database, sms("SM1"), whatsapp("SM2"))
    await receive(database, whatsapp("SM3", sender="+447700900123"))
    await receive(database, sms("SM4", sender="+447700900123"))
    assert await counts(database) == (2, 2, 4)


async def test_national_variants_of_a_number_are_one_contact_with_both_addresses(database: Database) -> None:
    await receive(database, whatsapp("SM1", sender="+551187654321"), sms("SM2", sender="+5511987654321"))
    assert await counts(database) == (1, 1, 2)
    async with database.read() as conn:
        values = set((await conn.execute(select(addresses.c.value))).scalars())
    assert values == {"+551187654321", "+5511987654321"}


async def test_a_claimed_mailbox_never_joins_the_proved_one(database: Database) -> None:
    proved, claimed = await receive(
        database, mail("1@x", "ana@example.com"), mail("2@x", "ana@example.com", kind=AddressKind.EMAIL_CLAIM)
    )
    assert await conversation_of(database, proved) != await conversation_of(database, claimed)
    assert await counts(database) == (2, 2, 2)


async def test_a_claim_with_the_right_references_still_joins_nothing(database: Database) -> None:
    (proved,) = await receive(database, mail("1@x", "ana@example.com", cc=("ben@example.com",)))
    for claimed in ("ana@example.com", "ben@example.com"):
        forged = mail(f"{claimed}-2", claimed, kind=AddressKind.EMAIL_CLAIM, references=("1@x",))
        (receipt,) = await receive(database, forged)
        assert await conversation_of(database, receipt) != await conversation_of(database, proved)


async def test_somebody_in_copy_answers_into_the_conversation_and_touches_no_contact(database: Database) -> None:
    (first,) = await receive(database, mail("1@x", "ana@example.com", cc=("Ben@example.com",)))
    (second,) = await receive(database, mail("2@x", "ben@example.com", references=("1@x",)))
    assert await conversation_of(database, first) == await conversation_of(database, second)
    assert await counts(database) == (1, 1, 2)
    async with database.read() as conn:
        row = (await conn.execute(select(messages).where(messages.c.id == second.message_id))).one()
    assert (row.author_name, row.address_id) == ("ben@example.com", None)


async def test_a_stranger_who_quotes_a_reference_starts_their_own(database: Database) -> None:
    (first,) = await receive(database, mail("1@x", "ana@example.com"))
    (second,) = await receive(database, mail("2@x", "mallory@example.com", references=("1@x",)))
    assert await conversation_of(database, first) != await conversation_of(database, second)


async def resolve(database: Database, at: datetime) -> None:
    async def work(tx):  # type: ignore[no-untyped-def]
        await tx.conn.execute(update(conversations).values(status="resolved", resolved_at=at))

    await database.write(work)


async def test_a_message_soon_after_the_end_reopens(database: Database) -> None:
    (first,) = await receive(database, sms("SM1"))
    await resolve(database, NOW)
    (second,) = await receive(database, sms("SM2", at=NOW + timedelta(days=13)))
    assert await conversation_of(database, first) == await conversation_of(database, second)
    assert EventType.REOPENED in await event_types(database, await conversation_of(database, first))
    assert await counts(database) == (1, 1, 2)


async def test_a_message_long_after_the_end_starts_anew_and_links(database: Database) -> None:
    (first,) = await receive(database, sms("SM1"))
    await resolve(database, NOW)
    (second,) = await receive(database, sms("SM2", at=NOW + timedelta(days=15)))
    old, new = await conversation_of(database, first), await conversation_of(database, second)
    assert old != new
    async with database.read() as conn:
        query = select(conversations.c.previous_id).where(conversations.c.id == new)
        assert (await conn.execute(query)).scalar_one() == old


async def test_a_number_silent_for_long_belongs_to_somebody_new_on_both_channels(database: Database) -> None:
    (first,) = await receive(database, sms("SM1"))
    await receive(database, whatsapp("SM2"))
    later = NOW + timedelta(days=181)
    (second,) = await receive(database, sms("SM3", at=later), now=later)
    (third,) = await receive(database, whatsapp("SM4", at=later + timedelta(days=1)), now=later)
    new = await conversation_of(database, second)
    assert new != await conversation_of(database, first)
    assert await conversation_of(database, third) == new
    assert EventType.NUMBER_SILENT in await event_types(database, new)


async def test_files_are_ready_or_left_to_a_job(database: Database) -> None:
    ready = InboundAttachment(
        filename="a.pdf", content_type="application/pdf", blob=StoredBlob(sha256="0" * 64, size=3)
    )
    remote = InboundAttachment(filename="", content_type="image/jpeg", url="https://api.twilio.com/x")
    await receive(database, sms("SM1", attachments=(ready, remote)))
    async with database.read() as conn:
        rows = (await conn.execute(select(attachments).order_by(attachments.c.position))).all()
        job = (await conn.execute(select(jobs))).one()
    assert [row.state for row in rows] == ["ready", "pending"]
    assert (job.kind, job.subject_id) == ("fetch_media", rows[1].id)


async def test_an_answered_message_is_linked(database: Database) -> None:
    (first,) = await receive(database, sms("SM1"))
    (second,) = await receive(database, sms("SM2", in_reply_to_external_id="SM1"))
    async with database.read() as conn:
        query = select(messages.c.reply_to_id).where(messages.c.id == second.message_id)
        assert (await conn.execute(query)).scalar_one() == first.message_id


async def test_a_snoozed_conversation_wakes(database: Database) -> None:
    await receive(database, sms("SM1"))

    async def snooze(tx):  # type: ignore[no-untyped-def]
        await tx.conn.execute(update(conversations).values(status="snoozed", snoozed_until=NOW + timedelta(days=1)))

    await database.write(snooze)
    await receive(database, sms("SM2"))
    async with database.read() as conn:
        row = (await conn.execute(select(conversations))).one()
    assert (row.status, row.snoozed_until) == ("open", None)


async def test_a_customer_who_copies_themselves_is_no_guest(database: Database) -> None:
    (first,) = await receive(database, mail("1@x", "ana@example.com", cc=("ana@example.com",)))
    (second,) = await receive(database, mail("2@x", "ana@example.com", references=("1@x",)))
    assert await conversation_of(database, first) == await conversation_of(database, second)
    async with database.read() as conn:
        row = (await conn.execute(select(messages).where(messages.c.id == second.message_id))).one()
    assert row.address_id is not None


async def test_what_the_spool_brings_late_does_not_turn_the_conversation_back(database: Database) -> None:
    await receive(database, sms("SM2", text="younger"))
    await receive(database, sms("SM1", at=NOW - timedelta(minutes=5), text="older"))
    async with database.read() as conn:
        row = (await conn.execute(select(conversations))).one()
        seen = (await conn.execute(select(addresses.c.last_inbound_at))).scalar_one()
    assert (row.preview, row.last_message_at, seen) == ("younger", NOW, NOW)
