"""Ordinary traffic takes its locks in one order: on PostgreSQL nobody is ever a deadlock's victim."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, ExceptionContext, event, select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.message import AuthorKind, InboundMessage
from gateway.services.intake import Recorder
from gateway.services.journey import DoubtPolicy, Outcome, advance
from gateway.services.receive import Receipt
from gateway.services.reply import Author, Reply, reply
from storage.blobs import open_blobs
from storage.database import Database, open_database
from storage.events import Actor
from storage.live.memory import MemoryBus
from storage.tables import messages

NO_DOUBT = DoubtPolicy(lookup_channels=frozenset(), callback_wait=timedelta(0))
AUTHOR = Author(actor=Actor(kind=AuthorKind.SYSTEM, id="tests"), owner="token:tests")
ROUNDS = 40


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def database(postgresql_url: str) -> Database:
    return open_database(postgresql_url, MemoryBus())


@pytest.fixture
def victims() -> Iterator[list[str]]:
    """Collect what PostgreSQL gave up as deadlocked (SQLSTATE 40P01) while the test ran."""
    found: list[str] = []

    def note(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == "40P01":
            found.append(str(context.statement))

    event.listen(Engine, "handle_error", note)
    yield found
    event.remove(Engine, "handle_error", note)


def said(number: int, sender: str, channel: ChannelName = ChannelName.SMS) -> InboundMessage:
    kind = AddressKind.VISITOR if channel is ChannelName.WEBCHAT else AddressKind.PHONE
    return InboundMessage(
        channel=channel,
        dedupe_key=f"{sender}:{number}",
        received_at=now(),
        sender=Address(kind=kind, value=sender),
        text=str(number),
    )


def recorder(database: Database) -> Recorder:
    return Recorder(db=database, blobs=open_blobs("memory:"), doubt=NO_DOUBT, now=now)


async def start(database: Database, sender: str, channel: ChannelName = ChannelName.SMS) -> str:
    """Return the conversation of a first message."""
    (receipt,) = await recorder(database).record([said(0, sender, channel)])
    assert isinstance(receipt, Receipt)
    async with database.read() as conn:
        query = select(messages.c.conversation_id).where(messages.c.id == receipt.message_id)
        found: str = (await conn.execute(query)).scalar_one()
        return found


async def answer(database: Database, conversation: str) -> str:
    wanted = Reply(text="Yes")
    return await database.write(
        lambda tx: reply(tx, conversation, AUTHOR, wanted, split=lambda _, text: (text,), now=now())
    )


async def write(database: Database, sender: str, channel: ChannelName = ChannelName.SMS) -> None:
    for number in range(1, ROUNDS):
        await recorder(database).record([said(number, sender, channel)])


async def test_answers_and_questions_do_not_wait_for_each_other(database: Database, victims: list[str]) -> None:
    conversation = await start(database, "+447700900001")

    async def agent() -> None:
        for _ in range(ROUNDS):
            await answer(database, conversation)

    await asyncio.gather(write(database, "+447700900001"), agent())
    assert victims == []
    await database.close()


async def test_chat_that_is_shown_and_chat_that_comes_in_do_not_either(database: Database, victims: list[str]) -> None:
    conversation = await start(database, "visitor", ChannelName.WEBCHAT)
    waiting = [await answer(database, conversation) for _ in range(ROUNDS)]

    async def show() -> None:
        for message_id in waiting:
            sent = [Outcome(message_id=message_id, part=0, status=MessageStatus.SENT)]
            await database.write(lambda tx, sent=sent: advance(tx, sent, NO_DOUBT, now()))  # type: ignore[misc]

    await asyncio.gather(write(database, "visitor", ChannelName.WEBCHAT), show())
    assert victims == []
    await database.close()


async def test_two_intakes_with_messages_and_reports_do_not_either(database: Database, victims: list[str]) -> None:
    first, second = await start(database, "+447700900001"), await start(database, "+447700900002")
    mine = [await answer(database, first) for _ in range(ROUNDS)]
    yours = [await answer(database, second) for _ in range(ROUNDS)]

    def delivered(message_id: str) -> DeliveryReport:
        return DeliveryReport(
            channel=ChannelName.SMS, status=MessageStatus.DELIVERED, received_at=now(), message_id=message_id
        )

    async def take(sender: str, reported: list[str]) -> None:
        for number, message_id in enumerate(reported, start=1):
            await recorder(database).record([said(number, sender), delivered(message_id)])

    # Each takes in messages of one customer and reports on answers to the other.
    await asyncio.gather(take("+447700900001", yours), take("+447700900002", mine))
    assert victims == []
    await database.close()
