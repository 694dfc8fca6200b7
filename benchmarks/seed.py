"""Conversations with replies that wait to be sent, made by the product's own services."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import select

from benchmarks.webhooks import message_text, phone_number
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.message import AuthorKind, InboundMessage
from gateway.services.receive import receive_messages
from gateway.services.reply import Author, Reply, reply
from storage.database import Database, Transaction, open_database
from storage.events import Actor
from storage.live.memory import MemoryBus
from storage.migrate import migrate
from storage.tables import conversations

_AUTHOR = Author(actor=Actor(kind=AuthorKind.SYSTEM, id="benchmarks"), owner="token:benchmarks")
_AT_ONCE = 100
_WRITERS = 4


async def queue_replies(url: str, channel: ChannelName, *, customers: int, replies: int) -> None:
    """Fill an empty database: every customer has written once, and `replies` answers to them wait, shared out."""
    await migrate(url)
    db = open_database(url, MemoryBus())
    try:
        for batch in _batches([_message(channel, customer) for customer in range(customers)]):
            await db.write(partial(_receive, batch))
        async with db.read() as conn:
            ids = list(await conn.scalars(select(conversations.c.id).order_by(conversations.c.id)))
        for turn in range(0, replies, customers):
            wanted = ids[: replies - turn]
            async with asyncio.TaskGroup() as tasks:
                for writer in range(_WRITERS):
                    tasks.create_task(_answer_all(db, wanted[writer::_WRITERS], channel, turn))
    finally:
        await db.close()


async def _receive(batch: Sequence[InboundMessage], tx: Transaction) -> None:
    await receive_messages(tx, batch, datetime.now(UTC))


def _batches(items: Sequence[InboundMessage]) -> Iterator[Sequence[InboundMessage]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _message(channel: ChannelName, customer: int) -> InboundMessage:
    is_mail = channel is ChannelName.EMAIL
    sender = (
        Address(kind=AddressKind.EMAIL, value=f"customer-{customer}@mail.example")
        if is_mail
        else Address(kind=AddressKind.PHONE, value=phone_number(customer))
    )
    return InboundMessage(
        channel=channel,
        dedupe_key=f"benchmarks:{customer}",
        received_at=datetime.now(UTC),
        sender=sender,
        sender_name="Ana Lima",
        text=message_text(customer),
        subject="My order 10023" if is_mail else None,
        external_id=f"message-{customer}@mail.example" if is_mail else f"SM{customer:032x}",
    )


async def _answer_all(db: Database, ids: Sequence[str], channel: ChannelName, turn: int) -> None:
    texts = _MAIL if channel is ChannelName.EMAIL else _SMS

    async def work(some: Sequence[str], tx: Transaction) -> None:
        for number, id_ in enumerate(some):
            wanted = Reply(text=texts[(turn + number) % len(texts)], channel=channel)
            await reply(tx, id_, _AUTHOR, wanted, split=lambda _, text: (text,), now=datetime.now(UTC))

    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        await db.write(partial(work, some))


# One segment each: what an agent writes.
_SMS = (
    "Hello Ana, your parcel left our warehouse this morning. You will have it on Thursday.",
    "We are sorry! A new bottle is on its way to you today, free of charge. Keep the broken one.",
    "Your refund of 54.00 EUR was started today; your bank needs up to 10 working days for it.",
    "Olá Ana, já alterámos a morada da encomenda 10023. Obrigada!",
)
_PARAGRAPH = (
    "thank you for writing to us. We have looked into it: the parcel was handed over to the carrier on Monday, and "
    "stood in their depot for two days because the label could not be read. It has left the depot since then. "
)
_MAIL = tuple(
    f"Dear Ana,\n\n{_PARAGRAPH}{middle}\n\n{_PARAGRAPH}\n\nKind regards,\nBen\n"
    for middle in (
        "You will have it on Thursday.",
        "If it is not there by Friday, write to us: we will send another one at once.",
        "Your refund of 54.00 EUR was started today, https://shop.example/orders/10023 shows how far it is.",
    )
)
