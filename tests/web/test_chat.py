"""Web chat over real sockets: nothing acknowledged is lost, nobody sees what is not theirs, nothing makes it fall."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError
from sqlalchemy import select

from gateway.domain.contact import AddressKind
from gateway.domain.ids import new_id
from gateway.services.chat import sign_visitor, tell_agent_typing
from gateway.services.merge import merge_contacts
from gateway.web import guest
from gateway.web.chat import SOCKET_PATH
from gateway.web.limits import ChatLimits, Rate
from storage.database import Database, open_database
from storage.events import SYSTEM, list_events
from storage.live.contract import LiveBus, Notice
from storage.live.memory import MemoryBus
from storage.migrate import migrate
from storage.tables import addresses, attachments, contacts, conversations, messages, quarantine
from tests.support.api import START
from tests.support.chat import ChatRig, chatting, identity_token
from tests.support.factories import make_address
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.sockets import close_code, next_frame, write_sms

ANA = "+351912345678"
QUOTED = '"a"'

SOME_ID = "018f0000-0000-7000-8000-000000000001"  # the same in every process that collects these tests


async def test_a_message_is_acknowledged_stored_and_shown_with_its_number(rig: ChatRig) -> None:
    async with rig.client() as ana:
        ack = await ana.say("Where is my parcel?", "c1")
        assert (ack["id"], ack["seq"]) == ("c1", 1)
        shown = await ana.next("message")
        assert shown["id"] == ack["message_id"]
        assert (shown["seq"], shown["client_id"], shown["text"]) == (1, "c1", "Where is my parcel?")
        assert (shown["direction"], shown["status"]) == ("inbound", "received")
        assert shown["author"] == {"kind": "customer", "name": None}
        assert await rig.status_of(ack["message_id"]) == "received"


async def test_an_answer_is_shown_delivered_and_read(rig: ChatRig) -> None:
    async with rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("Hello?"))["message_id"])
        await ana.next("message")
        answer = await rig.answer(conversation, "It comes tomorrow.")
        shown = await ana.next("message")
        assert (shown["id"], shown["seq"], shown["direction"]) == (answer, 2, "outbound")
        assert shown["author"]["kind"] == "system"
        await ana.send("delivered", seq=2)
        await rig.until_status(answer, "delivered")
        await ana.send("seen", seq=2)
        await rig.until_status(answer, "read")
        await ana.send("delivered", seq=2)  # late: a status never goes back
        assert await ana.silence() == []
        assert await rig.status_of(answer) == "read"


async def test_nobody_has_seen_what_was_not_sent_to_them(rig: ChatRig) -> None:
    async with rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("Hello?"))["message_id"])
        await ana.next("message")
        await ana.send("seen", seq=1000)
        await ana.silence()
        answer = await rig.answer(conversation, "Hello")
        await ana.next("message")
        await ana.silence()
        assert await rig.status_of(answer) == "sent"
        await ana.send("seen", seq=2)  # and now they have
        await rig.until_status(answer, "read")


async def test_a_message_sent_again_is_stored_once(rig: ChatRig) -> None:
    async with rig.client() as ana:
        first = await ana.say("Hello?", "c1")
        await ana.next("message")
        assert await ana.say("Hello?", "c1") == first
        assert await rig.shown_to(ana) == []
    async with rig.client(ana.visitor) as ana:
        await ana.next("message")
        assert await ana.say("Hello?", "c1") == first
        assert await rig.shown_to(ana) == []


async def test_the_same_client_id_of_two_visitors_is_two_messages(rig: ChatRig) -> None:
    async with rig.client() as ana, rig.client() as ben:
        assert (await ana.say("Hello", "1"))["message_id"] != (await ben.say("Hello", "1"))["message_id"]


async def test_a_visitor_who_comes_back_gets_what_they_missed(rig: ChatRig) -> None:
    async with rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("one"))["message_id"])
        await ana.next("message")
    for number in range(120):  # more than is read at once
        await rig.answer(conversation, f"answer {number}")
    async with rig.client(ana.visitor, after_seq=1) as back:
        assert back.welcome["after_seq"] == 1
        assert [(await back.next("message"))["seq"] for _ in range(120)] == list(range(2, 122))


async def test_messages_keep_their_order_for_the_visitor_and_in_the_conversation(rig: ChatRig) -> None:
    async with rig.client() as ana:
        for number in range(15):
            await ana.send("message", id=f"c{number}", text=f"{number}")
        acks = [await ana.next("ack") for _ in range(15)]
        assert [ack["seq"] for ack in acks] == list(range(1, 16))
        conversation = await rig.conversation_of(acks[0]["message_id"])
    async with rig.database.read() as conn:
        query = select(messages.c.text).where(messages.c.conversation_id == conversation).order_by(messages.c.seq)
        assert list((await conn.execute(query)).scalars()) == [f"{number}" for number in range(15)]


async def test_a_second_tab_sees_the_chat_of_the_first(rig: ChatRig) -> None:
    async with rig.client() as ana:
        await ana.say("from one tab")
        async with rig.client(ana.visitor) as tab:
            assert (await tab.next("message"))["text"] == "from one tab"
            await ana.say("and more")
            assert (await tab.next("message"))["text"] == "and more"


async def test_a_tab_that_was_there_first_finds_the_chat_that_another_began(
    database: Database, bus: LiveBus, tmp_path: Path
) -> None:
    async with chatting(database, bus, tmp_path / "spool", check_s=0.05) as rig, rig.client() as first:
        async with rig.client(first.visitor) as second:
            await second.say("from the second tab")
            assert (await first.next("message"))["text"] == "from the second tab"


async def test_a_notice_that_the_bus_lost_is_made_up_for(database: Database, database_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    silent = open_database(database_url, MemoryBus())
    async with chatting(database, bus, tmp_path / "spool", check_s=0.05) as rig, rig.client() as ana:
        await ana.say("one")
        await ana.next("message")
        async with chatting(silent, MemoryBus(), tmp_path / "other") as other, other.client(ana.visitor) as elsewhere:
            await elsewhere.say("two")  # in a process whose bus ours does not hear
            assert (await ana.next("message"))["text"] == "two"
    await silent.close()


async def test_two_visitors_see_nothing_of_each_other(rig: ChatRig) -> None:
    async with rig.client() as ana, rig.client() as ben:
        await ana.say("a secret")
        await ben.say("hello")
        assert [frame["text"] for frame in await rig.shown_to(ben)] == ["hello"]
        assert ana.visitor != ben.visitor


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 64, sign_visitor(b"another key" * 4, SOME_ID)])
async def test_a_token_that_is_not_ours_makes_a_new_visitor(quick: ChatRig, token: str) -> None:
    async with quick.client(token, after_seq=7) as somebody:
        assert somebody.visitor != token
        assert somebody.welcome["after_seq"] == 0


async def test_who_looks_and_says_nothing_leaves_no_trace(rig: ChatRig) -> None:
    async with rig.client() as somebody:
        await somebody.send("typing")
        await somebody.send("delivered", seq=3)
        assert await somebody.silence() == []
    async with rig.database.read() as conn:
        assert (await conn.execute(select(contacts))).all() == []


async def test_typing_goes_both_ways_and_is_throttled(rig: ChatRig) -> None:
    async with rig.client() as ana:
        conversation = await rig.conversation_of((await ana.say("Hello?"))["message_id"])
        await ana.next("message")
        with rig.bus.subscribe(f"conversation:{conversation}") as agents:
            await ana.send("typing")
            await ana.send("typing")
            await ana.silence()
            async with asyncio.timeout(5):
                notice = await agents.next()
            body = b'{"typing":{"conversation":"%s","customer":true}}' % conversation.encode()
            assert notice == Notice(topic=f"conversation:{conversation}", body=body)
            await rig.bus.publish([Notice(topic=f"conversation:{conversation}", body=b"end")])
            assert await agents.next() == Notice(topic=f"conversation:{conversation}", body=b"end")
        await tell_agent_typing(rig.database, rig.bus, conversation, agent_id=new_id(), agent_name="Ben")
        assert await ana.next("typing") == {"type": "typing"}


async def test_what_visitors_say_of_themselves_is_kept_as_a_claim_and_joins_nothing(rig: ChatRig) -> None:
    await write_sms(rig.database, ANA, "1")
    async with rig.client() as somebody:
        await somebody.send("claim", name="Ana Lima", email="ana@shop.example", phone=ANA)
        await somebody.next("claimed")
        message_id = (await somebody.say("I am Ana"))["message_id"]
        assert [frame["text"] for frame in await rig.shown_to(somebody)] == ["I am Ana"]
    async with rig.database.read() as conn:
        row = (await conn.execute(messages.select().where(messages.c.id == message_id))).one()
        contact = (await conn.execute(contacts.select().where(contacts.c.id == row.contact_id))).one()
        claim = contact.attributes["claims"][row.address_id]
        assert (claim["name"], claim["email"], claim["phone"]) == ("Ana Lima", "ana@shop.example", ANA)
        kinds = select(addresses.c.kind).where(addresses.c.contact_id == row.contact_id)
        assert list((await conn.execute(kinds)).scalars()) == ["visitor"]
        assert len((await conn.execute(select(conversations))).all()) == 2


async def test_a_signed_customer_sees_what_they_wrote_elsewhere_and_what_comes(rig: ChatRig) -> None:
    await write_sms(rig.database, ANA, "1")
    token = identity_token(phone=ANA, phone_verified=True, sub="c-1")
    async with rig.database.read() as conn:
        sms_contact = (await conn.execute(select(addresses.c.contact_id))).scalar_one()
    await make_address(rig.database, sms_contact, kind=AddressKind.CUSTOMER, value="c-1")
    async with rig.client(identity=token) as ana:
        assert ana.welcome["identified"] is True
        history = await ana.next("history")
        assert (history["text"], history["channel"], history["direction"]) == ("message 1", "sms", "inbound")
        await write_sms(rig.database, ANA, "2")
        assert (await ana.next("history"))["text"] == "message 2"
        await ana.say("and by chat")
        assert [frame["type"] for frame in await rig.shown_to(ana)] == ["message"]  # and no history of itself
    async with rig.database.read() as conn:
        assert len((await conn.execute(select(conversations))).all()) == 1


async def test_history_holds_no_note_nothing_that_has_not_left_and_nobody_elses_words(rig: ChatRig) -> None:
    async with rig.client(identity=identity_token()) as ana:
        conversation = await rig.conversation_of((await ana.say("Hello"))["message_id"])
        await rig.answer(conversation, "not before tomorrow", hold_s=86_400)
    await write_sms(rig.database, ANA, "1")  # somebody else
    async with rig.client(identity=identity_token()) as again:  # another browser, so another visitor
        frames = await rig.shown_to(again)
        assert [(frame["type"], frame["text"]) for frame in frames] == [("history", "Hello")]


async def test_without_an_identity_a_visitor_sees_their_own_chat_alone_whoever_they_were_linked_to(
    rig: ChatRig,
) -> None:
    """An agent may know who writes; the browser has proved nothing."""
    await write_sms(rig.database, ANA, "1")
    async with rig.client() as ana:
        message_id = (await ana.say("It is me, Ana"))["message_id"]
    async with rig.database.read() as conn:
        visitors = select(messages.c.contact_id).where(messages.c.id == message_id)
        visitor = (await conn.execute(visitors)).scalar_one()
        phones = select(addresses.c.contact_id).where(addresses.c.kind == AddressKind.PHONE)
        contact = (await conn.execute(phones)).scalar_one()
    await rig.database.write(
        lambda tx: merge_contacts(tx, into_id=contact, from_id=visitor, actor=SYSTEM, reason="Known.", now=START)
    )
    async with rig.client(ana.visitor) as ana:
        await ana.next("message")
        await write_sms(rig.database, ANA, "2")
        assert await rig.shown_to(ana) == []


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        identity_token("another secret, also long enough for HS256"),
        identity_token(exp=1),
        identity_token(aud="another"),
        identity_token(jti=None),
    ],
)
async def test_a_wrong_identity_is_refused_and_the_visitor_goes_on_unknown(quick: ChatRig, token: str) -> None:
    async with quick.client(identity=token) as somebody:
        assert somebody.welcome["identified"] is False
        assert (await somebody.next("error"))["code"] == "identity_refused"
        assert (await somebody.say("Hello"))["seq"] == 1


async def test_without_a_secret_no_identity_counts(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    async with chatting(database, bus, tmp_path / "spool", has_identity=False) as rig:
        async with rig.client(identity=identity_token()) as somebody:
            assert (await somebody.next("error"))["code"] == "identity_refused"
    await database.close()


async def test_an_identity_overheard_is_worth_nothing_in_another_browser(rig: ChatRig) -> None:
    token = identity_token()
    async with rig.client(identity=token) as ana:
        await ana.say("my address is ...")
    async with rig.client(ana.visitor, token) as ana:  # the same browser, after its line broke
        assert ana.welcome["identified"] is True
    async with rig.client(identity=token) as thief:
        assert thief.welcome["identified"] is False
        assert [frame["type"] for frame in await thief.silence()] == ["error"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", "bad_json"),
        ("", "bad_json"),
        ('"\\ud800"', "bad_json"),
        ("[" * 5000, "bad_frame"),
        ("[]", "bad_frame"),
        ("{}", "bad_frame"),
        ('{"type":"nothing"}', "bad_frame"),
        ('{"type":"message","id":1,"text":"x"}', "bad_frame"),
        ('{"type":"message","id":"","text":"x"}', "bad_id"),
        ('{"type":"message","id":"a b","text":"x"}', "bad_id"),
        ('{"type":"message","id":"c1","text":"  "}', "empty"),
        ('{"type":"message","id":"c1","text":"a\\u0000b"}', "bad_text"),
        ('{"type":"message","id":"c1","text":"%s"}' % ("x" * 8001), "too_long"),
        ('{"type":"message","id":"c1","text":"x","attachments":["1"]}', "unknown_attachment"),
        (f'{{"type":"message","id":"c1","text":"x","attachments":["{SOME_ID}"]}}', "unknown_attachment"),
        (f'{{"type":"message","id":"c1","text":"x","attachments":[{",".join(["1"] * 11)}]}}', "bad_frame"),
        (f'{{"type":"message","id":"c1","text":"x","attachments":[{",".join(11 * [QUOTED])}]}}', "too_many_files"),
        ('{"type":"delivered","seq":-1}', "bad_frame"),
        ('{"type":"seen","seq":99999999999}', "bad_frame"),
        ('{"type":"claim","name":"a\\u0000"}', "bad_text"),
        ('{"type":"claim","name":"%s"}' % ("x" * 201), "bad_frame"),
        ('{"type":"hello"}', "hello_twice"),
    ],
)
async def test_a_bad_frame_is_answered_and_the_chat_goes_on(quick: ChatRig, sent: str, code: str) -> None:
    async with quick.client() as somebody:
        await somebody.ws.send_str(sent)
        error = await somebody.next("error")
        assert error["code"] == code
        assert error["id"] == ("c1" if '"c1"' in sent else None)
        assert (await somebody.say("Hello"))["seq"] == 1


async def test_the_longest_message_in_the_worst_encoding_is_taken(quick: ChatRig) -> None:
    async with quick.client() as somebody:
        text = "😀" * 8000  # sent as two \uXXXX each
        await somebody.say(text, "c1")
        assert (await somebody.next("message"))["text"] == text


async def test_text_that_is_not_utf_8_is_answered(quick: ChatRig) -> None:
    async with quick.client() as somebody:
        await somebody.ws._writer.send_frame(b'{"type":"\xff"}', 1)
        assert (await somebody.next("error"))["code"] == "bad_json"


@pytest.mark.parametrize(("frame", "code"), [(b"x", 1003), (b"x" * 300_000, 1009)])
async def test_binary_and_giant_frames_end_the_socket_by_the_book(quick: ChatRig, frame: bytes, code: int) -> None:
    async with quick.client() as somebody:
        await somebody.ws.send_bytes(frame)
        assert await close_code(somebody.ws) == code


@pytest.mark.parametrize("sent", ["{", '{"type":"message","id":"1","text":"x"}', '{"type":"hello","after_seq":"x"}'])
async def test_who_does_not_say_hello_first_is_told_and_sent_away(quick: ChatRig, sent: str) -> None:
    async with quick.api.client.ws_connect(SOCKET_PATH) as ws:
        await ws.send_str(sent)
        assert (await next_frame(ws))["type"] == "error"
        assert await close_code(ws) == 1008


async def test_who_says_nothing_is_sent_away(quick: ChatRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "HELLO_TIMEOUT_S", 0.05)
    async with quick.api.client.ws_connect(SOCKET_PATH) as ws:
        assert await close_code(ws) == 1008


async def test_only_the_shops_sites_may_show_the_chat(quick: ChatRig) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        async with quick.api.client.ws_connect(SOCKET_PATH, headers={"Origin": "https://evil.example"}):
            pass
    assert refused.value.status == 403
    async with quick.api.client.ws_connect(SOCKET_PATH) as ws:  # a program, which is no browser
        await ws.send_json({"type": "hello"})
        assert (await next_frame(ws))["type"] == "welcome"


async def test_who_writes_too_fast_is_slowed_down_and_loses_nothing_silently(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    limits = ChatLimits(messages=Rate(per_s=0, burst=3), frames=Rate(per_s=0, burst=8))
    async with chatting(database, bus, tmp_path / "spool", limits=limits) as rig, rig.client() as hasty:
        for number in range(10):
            await hasty.send("message", id=f"c{number}", text="x")
        answers: dict[str, str] = {}
        while len(answers) < 10:
            frame = await next_frame(hasty.ws)
            if frame["type"] in {"ack", "error"}:
                answers[frame["id"]] = frame.get("code", "ack")
        assert [answers[f"c{number}"] for number in range(10)] == ["ack"] * 3 + ["too_fast"] * 7
    await database.close()


async def test_one_address_may_open_a_bounded_number_of_chats(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    limits = ChatLimits(sockets_per_address=2)
    async with chatting(database, bus, tmp_path / "spool", limits=limits) as rig:
        async with rig.client(), rig.client():
            with pytest.raises(WSServerHandshakeError) as refused:
                async with rig.client():
                    pass
            assert refused.value.status == 429
        async with rig.client():
            pass
    await database.close()


async def test_chat_goes_on_while_the_database_is_away(postgresql_server: PostgresServer, tmp_path: Path) -> None:
    """What is written is acknowledged from the spool, and everything appears when the database is back."""
    with running_postgres() as server:
        assert server.port != postgresql_server.port
        url = server.create_database("chat")
        await migrate(url)
        bus = MemoryBus()
        database = open_database(url, bus)
        async with chatting(database, bus, tmp_path / "spool", check_s=0.2) as rig:
            async with rig.client() as ana:
                await ana.say("before")
                server.stop()
                ack = await ana.say("meanwhile", "c2")
                assert ack == {"type": "ack", "id": "c2", "message_id": None, "seq": None}
                await ana.send("seen", seq=1)
                async with rig.client() as ben:  # whoever comes now is let in
                    await ben.say("Hello?")
                    server.start()
                    texts: list[str] = []
                    while texts != ["before", "meanwhile"]:
                        texts.append((await ana.next("message"))["text"])
                    assert (await ben.next("message"))["text"] == "Hello?"
        await database.close()


async def test_closing_sends_everybody_away_in_order(quick: ChatRig) -> None:
    async with quick.client() as somebody:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(quick.sockets.close())
            assert await close_code(somebody.ws) == 1001


async def test_nothing_that_visitors_do_ends_in_quarantine(rig: ChatRig) -> None:
    async with rig.client() as ana:
        await ana.say("Olá 😀 \u202e \ufffe", "c:1")
        await ana.next("message")
        await ana.send("seen", seq=1)
        await ana.silence()
    async with rig.database.read() as conn:
        assert (await conn.execute(select(quarantine))).all() == []
        assert (await conn.execute(select(attachments))).all() == []
        conversation = (await conn.execute(select(conversations.c.id))).scalar_one()
        assert len(await list_events(conn, conversation, after_seq=0, limit=10)) == 2
