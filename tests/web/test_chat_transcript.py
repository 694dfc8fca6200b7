"""A visitor has their chat sent to a mailbox: this chat's words alone, one mail, and nobody is bothered with it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.services.conversations import add_note
from gateway.services.reply import cancel
from gateway.web.limits import ChatLimits, Rate
from storage.database import Database, open_database
from storage.deliveries import suppress
from storage.events import SYSTEM
from storage.live.contract import LiveBus
from storage.live.memory import MemoryBus
from storage.tables import addresses, contacts, conversations, deliveries, messages, outbox
from tests.support.api import START
from tests.support.chat import AUTHOR, ChatRig, chatting, identity_token
from tests.support.chat import Client as Visitor
from tests.support.factories import make_address
from tests.support.sockets import write_sms

ANA = "Ana@Mail.example"
PHONE = "+351912345678"


async def mails(rig: ChatRig) -> list[Any]:
    query = (
        select(messages, addresses.c.value, addresses.c.contact_id.label("owner"))
        .join(addresses, addresses.c.id == messages.c.address_id)
        .join(outbox, outbox.c.message_id == messages.c.id)
        .where(messages.c.channel == ChannelName.EMAIL)
        .order_by(messages.c.seq)
    )
    async with rig.database.read() as conn:
        return list((await conn.execute(query)).all())


async def begin(rig: ChatRig, visitor: Visitor, text: str = "Where is my parcel?") -> str:
    conversation = await rig.conversation_of((await visitor.say(text))["message_id"])
    await visitor.next("message")
    return conversation


async def ask(visitor: Visitor, email: str = ANA) -> None:
    await visitor.send("transcript", email=email)
    await visitor.next("transcript_sent")


async def refusal(visitor: Visitor, email: str = ANA) -> str:
    await visitor.send("transcript", email=email)
    code: str = (await visitor.next("error"))["code"]
    return code


async def test_the_mail_holds_what_was_said_in_this_chat_and_nothing_else(rig: ChatRig) -> None:
    token = identity_token()
    async with rig.client(identity=token) as ana:
        conversation = await begin(rig, ana)
        async with rig.database.read() as conn:
            contact = (await conn.execute(select(conversations.c.contact_id))).scalar_one()
        await make_address(rig.database, contact, kind=AddressKind.PHONE, value=PHONE)
        await write_sms(rig.database, PHONE, "1")  # the same customer, elsewhere
        await rig.database.write(
            lambda tx: add_note(tx, conversation_id=conversation, actor=SYSTEM, text="Difficult.", now=START)
        )
        await rig.answer(conversation, "It comes tomorrow.")
        await rig.answer(conversation, "Not said yet.", hold_s=86_400)
        await ask(ana)
    (mail,) = await mails(rig)
    assert mail.value == "ana@mail.example"
    assert (mail.subject, mail.author_kind, mail.author_id) == ("Your chat with Calm Shop", "system", None)
    assert mail.text == (
        "This is your chat with Calm Shop. All times are in UTC.\n\n"
        "You, 2026-11-02 09:00\nWhere is my parcel?\n\n"
        "Calm Shop, 2026-11-02 09:00\nIt comes tomorrow.\n"
    )
    assert mail.html is None
    async with rig.database.read() as conn:
        query = select(deliveries.c.text).where(deliveries.c.message_id == mail.id)
        assert (await conn.execute(query)).scalar_one() == mail.text


async def test_the_fixed_words_are_in_the_visitors_language(rig: ChatRig) -> None:
    async with rig.client(language="fr-CA") as ana:
        await begin(rig, ana)
        await ask(ana)
    (mail,) = await mails(rig)
    assert mail.subject == "Votre chat avec Calm Shop"
    assert "Vous, 2026-11-02" in mail.text


async def test_the_same_chat_goes_to_the_same_mailbox_once(rig: ChatRig) -> None:
    async with rig.client() as ana, rig.client(ana.visitor) as tab:
        await begin(rig, ana)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ask(ana))
            tasks.create_task(ask(tab, " ana@mail.EXAMPLE "))
        assert len(await mails(rig)) == 1
        await begin(rig, ana, "And one more thing")
        await ask(ana)
    assert len(await mails(rig)) == 2


async def test_a_transcript_is_no_answer_and_a_mailbox_that_is_not_theirs_joins_nobody(rig: ChatRig) -> None:
    async with rig.client() as ana:
        conversation = await begin(rig, ana)
        await ask(ana, "friend@mail.example")
    (mail,) = await mails(rig)
    assert mail.owner != mail.contact_id
    held = await rig.answer(conversation, "Wait", hold_s=60)
    await rig.database.write(lambda tx: cancel(tx, held, AUTHOR.actor, START))
    async with rig.database.read() as conn:
        row = (await conn.execute(select(conversations).where(conversations.c.id == conversation))).one()
        kinds = select(addresses.c.kind).where(addresses.c.contact_id == mail.contact_id)
        assert list((await conn.execute(kinds)).scalars()) == ["visitor"]
        owner = (await conn.execute(select(contacts).where(contacts.c.id == mail.owner))).one()
    assert row.waiting_since == START
    assert owner.name is None


async def test_a_mailbox_that_they_gave_as_theirs_is_theirs_to_be_written_to(rig: ChatRig) -> None:
    async with rig.client() as ana:
        await ana.send("claim", email=ANA)
        await begin(rig, ana)
        await ask(ana)
    (mail,) = await mails(rig)
    assert mail.owner == mail.contact_id


@pytest.mark.parametrize("email", ["", "ana", "ana@localhost", "a@b@c d", "ana@[127.0.0.1]", "a\r\nb@mail.example"])
async def test_what_is_no_mailbox_is_refused(quick: ChatRig, email: str) -> None:
    async with quick.client() as ana:
        await begin(quick, ana)
        assert await refusal(ana, email) == "bad_email"
    assert await mails(quick) == []


async def test_a_suppressed_mailbox_is_refused(rig: ChatRig) -> None:
    address = Address(kind=AddressKind.EMAIL, value="ana@mail.example")
    await rig.database.write(lambda tx: suppress(tx, address, "They asked us not to.", START))
    async with rig.client() as ana:
        await begin(rig, ana)
        assert await refusal(ana) == "suppressed_email"
    assert await mails(rig) == []


async def test_an_empty_chat_is_not_sent(rig: ChatRig) -> None:
    async with rig.client() as ana:
        assert await refusal(ana) == "nothing_said"
        await ana.send("claim", name="Ana")
        await ana.next("claimed")
        assert await refusal(ana) == "nothing_said"


@pytest.fixture
async def database_alone(sqlite_url: str) -> AsyncIterator[tuple[Database, LiveBus]]:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    yield database, bus
    await database.close()


@pytest.mark.parametrize(
    "limits",
    [
        ChatLimits(transcripts=Rate(per_s=0, burst=1)),
        ChatLimits(transcripts_per_address=Rate(per_s=0, burst=1)),
        ChatLimits(transcripts_per_mailbox=Rate(per_s=0, burst=1)),
    ],
)
async def test_nobody_is_flooded_with_transcripts(
    database_alone: tuple[Database, LiveBus], tmp_path: Path, limits: ChatLimits
) -> None:
    async with chatting(*database_alone, tmp_path / "spool", limits=limits) as rig, rig.client() as ana:
        await begin(rig, ana)
        await ask(ana)
        await begin(rig, ana, "more")
        assert await refusal(ana) == "too_fast"
        assert len(await mails(rig)) == 1


async def test_a_shop_without_e_mail_sends_none(database_alone: tuple[Database, LiveBus], tmp_path: Path) -> None:
    async with chatting(*database_alone, tmp_path / "spool", ways=[ChannelName.SMS]) as rig, rig.client() as ana:
        await begin(rig, ana)
        assert await refusal(ana) == "no_email"
