"""What a visitor is told of the agents: that one has looked, that nobody is there and how an answer comes then."""

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.services.chat import tell_visitor_seen
from gateway.services.journey import Outcome, advance
from gateway.services.presence import Presence
from gateway.web.chat_pages import CONFIG_PATH
from gateway.web.live import PATH, LiveSockets
from storage.database import Database, open_database
from storage.deliveries import suppress
from storage.events import list_events
from storage.live.contract import LiveBus
from storage.live.memory import MemoryBus
from storage.tables import addresses, agents, contacts, conversations, messages, sessions
from tests.support.api import START
from tests.support.chat import DOUBT, ChatRig, chatting, come_to_the_desk, identity_token
from tests.support.sockets import make_context, serving_sockets, take_nothing

PHONE = "+351912345678"


async def looked_at(rig: ChatRig, conversation: str, seq: int) -> None:
    await rig.database.write(lambda tx: tell_visitor_seen(tx, conversation, seq))


async def seq_of(rig: ChatRig, message_id: str) -> int:
    async with rig.database.read() as conn:
        seq: int = (await conn.execute(select(messages.c.seq).where(messages.c.id == message_id))).scalar_one()
        return seq


async def test_a_visitor_sees_how_far_an_agent_has_looked(rig: ChatRig) -> None:
    async with rig.client() as ana:
        first, second = [(await ana.say(text))["message_id"] for text in ("one", "two")]
        conversation = await rig.conversation_of(first)
        await looked_at(rig, conversation, await seq_of(rig, first))
        assert await ana.next("read") == {"type": "read", "seq": 1}
        await looked_at(rig, conversation, await seq_of(rig, second))
        assert await ana.next("read") == {"type": "read", "seq": 2}
        await looked_at(rig, conversation, await seq_of(rig, first))  # late: it never goes back
        assert [frame["type"] for frame in await rig.shown_to(ana)] == ["message", "message"]
    async with rig.client(ana.visitor, after_seq=2) as back:
        assert await back.next("read") == {"type": "read", "seq": 2}
    async with rig.client() as new:
        assert await new.silence() == []


async def test_an_answer_that_was_shown_late_hides_nothing_that_was_not_looked_at(rig: ChatRig) -> None:
    """The answer stands before the second question in the conversation, and behind it in the chat."""
    async with rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("one"))["message_id"])
        held = await rig.answer(conversation, "an answer", hold_s=60)
        await ana.say("two")
        sent = Outcome(message_id=held, part=0, status=MessageStatus.SENT)
        await rig.database.write(lambda tx: advance(tx, [sent], DOUBT, START))
        await looked_at(rig, conversation, await seq_of(rig, held))
        assert (await ana.next("read"))["seq"] == 1


async def test_what_was_looked_at_is_told_to_nobody_else(rig: ChatRig) -> None:
    async with rig.client() as ana, rig.client() as ben:
        conversation = await rig.conversation_of((await ana.say("one"))["message_id"])
        await ben.say("another")
        await looked_at(rig, conversation, 1000)
        assert (await ana.next("read"))["seq"] == 1
        assert [frame["type"] for frame in await rig.shown_to(ben)] == ["message"]


async def test_a_lost_word_of_reading_is_made_up_for(database: Database, database_url: str, tmp_path: Path) -> None:
    silent = open_database(database_url, MemoryBus())
    async with chatting(database, MemoryBus(), tmp_path / "spool", check_s=0.05) as rig, rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("one"))["message_id"])
        await silent.write(lambda tx: tell_visitor_seen(tx, conversation, 100))
        assert (await ana.next("read"))["seq"] == 1
    await silent.close()


async def test_nobody_there_is_said_after_a_message_with_the_ways_that_are_known(
    database: Database, bus: LiveBus, tmp_path: Path
) -> None:
    async with chatting(database, bus, tmp_path / "spool", is_attended=False) as rig:
        async with rig.client() as somebody:
            await somebody.say("Hello?")
            assert await somebody.next("away") == {"type": "away", "by": []}
            await somebody.send("claim", email="ana@mail.example")
            await somebody.next("claimed")
            await somebody.say("There you are")
            assert (await somebody.next("away"))["by"] == ["email"]
            address = Address(kind=AddressKind.EMAIL_CLAIM, value="ana@mail.example")
            await database.write(lambda tx: suppress(tx, address, "They asked us not to.", START))
            await somebody.say("Anybody?")
            assert (await somebody.next("away"))["by"] == []
        token = identity_token(email="b@mail.example", email_verified=True, phone=PHONE, phone_verified=True)
        async with rig.client(identity=token) as ben:
            await ben.say("Hello?")
            assert (await ben.next("away"))["by"] == ["email", "sms"]
            await come_to_the_desk(database, rig.api.clock())
            await ben.say("And now?")
            assert "away" not in {frame["type"] for frame in await rig.shown_to(ben)}
            rig.api.clock.advance(timedelta(minutes=1))  # and gone without a word
            await ben.say("Still there?")
            await ben.next("away")


async def test_only_ways_that_the_shop_has_are_named(database: Database, bus: LiveBus, tmp_path: Path) -> None:
    ways = [ChannelName.SMS]
    async with chatting(database, bus, tmp_path / "spool", is_attended=False, ways=ways) as rig:
        token = identity_token(email="b@mail.example", email_verified=True)
        async with rig.client(identity=token) as ben:
            await ben.say("Hello?")
            assert (await ben.next("away"))["by"] == []


async def test_an_agent_is_there_while_a_page_is_open_whichever_process_serves_it(
    database: Database, database_url: str, bus: LiveBus
) -> None:
    other = open_database(database_url, MemoryBus())
    context = make_context(database, bus, take_nothing)
    live = LiveSockets(context, check_s=0.02)
    async with serving_sockets(context, live.routes(), live.run) as api:
        here = Presence(db=other, now=api.clock, kept_s=0)
        headers = await api.as_agent()
        assert not await here.is_anyone_there()
        async with api.client.ws_connect(PATH, headers=headers):
            assert await here.is_anyone_there()
            api.clock.advance(timedelta(minutes=2))
            async with asyncio.timeout(5):
                while not await here.is_anyone_there():  # until the next round says so again
                    await asyncio.sleep(0.01)
        api.clock.advance(timedelta(minutes=2))
        async with asyncio.timeout(5):
            while await here.is_anyone_there():
                api.clock.advance(timedelta(minutes=2))
                await asyncio.sleep(0.01)
        async with api.client.ws_connect(PATH, headers=await api.as_program()):  # a program answers nobody
            assert not await here.is_anyone_there()
        await live.close()
    await other.close()


async def test_a_disabled_agent_or_an_ended_session_is_nobody(database: Database) -> None:
    now = START
    here = Presence(db=database, now=lambda: now, kept_s=0)
    await come_to_the_desk(database, now)
    assert await here.is_anyone_there()
    await database.write(lambda tx: tx.conn.execute(agents.update().values(disabled_at=now)))
    assert not await here.is_anyone_there()
    await database.write(lambda tx: tx.conn.execute(agents.update().values(disabled_at=None)))
    await database.write(lambda tx: tx.conn.execute(sessions.update().values(expires_at=now)))
    assert not await here.is_anyone_there()


async def test_who_is_there_is_not_asked_at_every_message(database: Database) -> None:
    here = Presence(db=database, now=lambda: START)
    assert not await here.is_anyone_there()
    await come_to_the_desk(database, START)
    assert not await here.is_anyone_there()


async def test_a_topic_and_a_language_that_the_visitor_chose_are_kept_where_none_stands(rig: ChatRig) -> None:
    async with rig.client(language="pt-BR") as ana:
        ack = await ana.say("Onde está?", topic="delivery.tracking")
        conversation = await rig.conversation_of(ack["message_id"])
        await ana.say("E mais", topic="return.start")
    async with rig.client(ana.visitor, language="de") as again:
        await again.say("Hallo")
    async with rig.database.read() as conn:
        assert (await conn.execute(select(conversations.c.topic))).scalar_one() == "delivery.tracking"
        assert (await conn.execute(select(contacts.c.language))).scalar_one() == "pt-BR"
        languages = select(messages.c.language).order_by(messages.c.chat_seq)
        assert list((await conn.execute(languages)).scalars()) == ["pt-BR", "pt-BR", "de"]
        events = await list_events(conn, conversation, after_seq=0, limit=50)
    (chosen,) = [event for event in events if event.type == "conversation.topic_set"]
    assert chosen.data == {"from": None, "to": "delivery.tracking", "reason": "Chosen by the customer."}
    assert chosen.actor_kind == "customer"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def test_a_topic_or_language_that_is_none_hinders_nothing(rig: ChatRig) -> None:
    async with rig.client(language="'; drop") as ana:
        await ana.say("Hello", topic="no.such_topic")
        await ana.say("Hello", topic="../../etc")
    async with rig.database.read() as conn:
        assert (await conn.execute(select(conversations.c.topic))).scalar_one() is None
        assert (await conn.execute(select(contacts.c.language))).scalar_one() is None


async def test_a_claim_before_the_first_message_brings_the_language_and_adds_to_what_was_said(rig: ChatRig) -> None:
    async with rig.client(language="ja") as ana:
        await ana.send("claim", name="Ana", email="ana@mail.example")
        await ana.next("claimed")
        await ana.send("claim", phone=PHONE)
        await ana.next("claimed")
    async with rig.database.read() as conn:
        contact = (await conn.execute(select(contacts))).one()
        address = (await conn.execute(select(addresses.c.id))).scalar_one()
    assert contact.language == "ja"
    claim = contact.attributes["claims"][address]
    assert (claim["name"], claim["email"], claim["phone"]) == ("Ana", "ana@mail.example", PHONE)


async def test_the_desk_is_asked_for_again_while_the_database_is_away(tmp_path: Path) -> None:
    """A gateway whose database is gone shows its chat all the same."""
    database = open_database(f"sqlite+aiosqlite:///{tmp_path}/none/{new_id()}", MemoryBus())
    async with chatting(database, MemoryBus(), tmp_path / "spool", is_attended=False) as rig:
        answer = await rig.api.ask("GET", CONFIG_PATH)
        assert (answer.status, answer.json["is_open"]) == (200, False)
    await database.close()
