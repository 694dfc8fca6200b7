"""Whatever order reports come in, and however often, a message ends in the same state."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.message import AuthorKind, InboundMessage
from gateway.services.journey import DoubtPolicy, record_reports
from gateway.services.receive import receive_messages
from gateway.services.reply import Author, Reply, reply
from storage.database import Database
from storage.deliveries import find_suppressed
from storage.events import Actor, list_events
from storage.tables import delivery_reports, messages

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DOUBT = DoubtPolicy(lookup_channels=frozenset(), callback_wait=timedelta(0))
AUTHOR = Author(actor=Actor(kind=AuthorKind.SYSTEM, id="tests"), owner="token:tests")
WORDS = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.FAILED)
ANA = Address(kind=AddressKind.WHATSAPP, value="+351912345678")


async def queue_replies(database: Database, count: int, parts: int = 1) -> list[str]:
    """Return the ids of replies in one conversation, each in so many parts."""
    question = InboundMessage(
        channel=ChannelName.WHATSAPP, dedupe_key="q", received_at=NOW, sender=ANA, text="Where is it?"
    )
    (receipt,) = await database.write(lambda tx: receive_messages(tx, [question], NOW))
    async with database.read() as conn:
        query = select(messages.c.conversation_id).where(messages.c.id == receipt.message_id)
        conversation_id = (await conn.execute(query)).scalar_one()
    wanted = Reply(text="On its way")

    async def answer() -> str:
        return await database.write(
            lambda tx: reply(tx, conversation_id, AUTHOR, wanted, split=lambda _, text: tuple([text] * parts), now=NOW)
        )

    return [await answer() for _ in range(count)]


def said(message_id: str, status: MessageStatus, part: int = 0, **more: object) -> DeliveryReport:
    return DeliveryReport(
        channel=ChannelName.WHATSAPP,
        status=status,
        received_at=NOW,
        message_id=message_id,
        part=part,
        **more,  # type: ignore[arg-type]
    )


async def record(database: Database, reports: Sequence[DeliveryReport]) -> list[bool]:
    return await database.write(lambda tx: record_reports(tx, reports, DOUBT, NOW))


async def statuses(database: Database) -> dict[str, str]:
    async with database.read() as conn:
        rows = await conn.execute(select(messages.c.id, messages.c.status).where(messages.c.direction == "outbound"))
        return {row.id: row.status for row in rows}


async def test_every_permutation_of_reports_ends_in_the_same_state(database: Database) -> None:
    orders = [order for length in (2, 3, 4) for order in permutations(WORDS, length)]
    ids = await queue_replies(database, len(orders))
    for message_id, order in zip(ids, orders, strict=True):
        for status in order:
            await record(database, [said(message_id, status)])
    ends = await statuses(database)
    best = {MessageStatus.SENT: 0, MessageStatus.FAILED: 1, MessageStatus.DELIVERED: 2, MessageStatus.READ: 3}
    for message_id, order in zip(ids, orders, strict=True):
        assert ends[message_id] == max(order, key=best.__getitem__), order


async def test_reports_in_one_batch_end_as_they_do_one_by_one(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1)
    await record(database, [said(message_id, status) for status in (*reversed(WORDS), *WORDS)])
    assert await statuses(database) == {message_id: MessageStatus.READ}


async def test_a_report_told_twice_is_kept_once_and_changes_nothing(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1)
    for _ in range(3):
        await record(database, [said(message_id, MessageStatus.DELIVERED)])
    async with database.read() as conn:
        kept = (await conn.execute(select(func.count()).select_from(delivery_reports))).scalar_one()
        conversation_id = (await conn.execute(select(messages.c.conversation_id))).scalars().first()
        history = await list_events(conn, str(conversation_id), after_seq=0, limit=100)
    assert kept == 1
    assert [event.type for event in history].count(EventType.MESSAGE_STATUS) == 1


async def test_a_report_may_overtake_the_answer_and_binds_the_providers_id(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1)
    await record(database, [said(message_id, MessageStatus.SENT, external_id="SM1")])
    nameless = DeliveryReport(
        channel=ChannelName.WHATSAPP, status=MessageStatus.READ, received_at=NOW, external_id="SM1"
    )
    await record(database, [nameless])
    assert await statuses(database) == {message_id: MessageStatus.READ}


async def test_a_message_is_as_far_as_its_slowest_part(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1, parts=2)
    await record(database, [said(message_id, MessageStatus.READ, 0)])
    assert await statuses(database) == {message_id: MessageStatus.QUEUED}
    await record(database, [said(message_id, MessageStatus.DELIVERED, 1)])
    assert await statuses(database) == {message_id: MessageStatus.DELIVERED}


async def test_a_failed_part_fails_the_message_until_it_is_corrected(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1, parts=2)
    await record(database, [said(message_id, MessageStatus.DELIVERED, 0), said(message_id, MessageStatus.FAILED, 1)])
    assert await statuses(database) == {message_id: MessageStatus.FAILED}
    await record(database, [said(message_id, MessageStatus.DELIVERED, 1)])
    assert await statuses(database) == {message_id: MessageStatus.DELIVERED}


NOBODY_S = {"message_id": "018f0000-0000-7000-8000-000000000000"}


@pytest.mark.parametrize("named", [NOBODY_S, {"external_id": "SM404"}, {}])
async def test_a_report_of_a_message_that_is_not_ours_changes_nothing(
    database: Database, named: dict[str, str]
) -> None:
    (message_id,) = await queue_replies(database, 1)
    stray = DeliveryReport(channel=ChannelName.SMS, status=MessageStatus.SENT, received_at=NOW, **named)  # type: ignore[arg-type]
    assert await record(database, [stray]) == [False]
    assert await statuses(database) == {message_id: MessageStatus.QUEUED}


async def test_a_report_of_a_part_that_does_not_exist_changes_nothing(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1)
    assert await record(database, [said(message_id, MessageStatus.SENT, part=7)]) == [False]
    assert await statuses(database) == {message_id: MessageStatus.QUEUED}


async def test_strays_among_reports_keep_nothing_from_the_others(database: Database) -> None:
    first, second = await queue_replies(database, 2)
    stray = said(NOBODY_S["message_id"], MessageStatus.READ)
    reports = [
        stray,
        said(first, MessageStatus.DELIVERED),
        said(second, MessageStatus.READ, part=1),
        said(second, MessageStatus.SENT),
        stray,
    ]
    assert await record(database, reports) == [False, True, False, True, False]
    assert await statuses(database) == {first: MessageStatus.DELIVERED, second: MessageStatus.SENT}


async def test_an_opt_out_in_a_report_suppresses_the_address(database: Database) -> None:
    (message_id,) = await queue_replies(database, 1)
    await record(database, [said(message_id, MessageStatus.FAILED, suppress=True, error="They opted out.")])

    async def look(tx):  # type: ignore[no-untyped-def]
        return await find_suppressed(tx, [ANA])

    assert await database.write(look) == {ANA: "They opted out."}
