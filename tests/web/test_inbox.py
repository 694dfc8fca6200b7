"""What the inbox asks for beside conversations: counts, colleagues, what each channel allows, older pages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import Update, text, update

from gateway.domain.agent import Role
from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.ids import new_id
from gateway.services.allowances import ChannelLimits
from storage.database import Database, Transaction
from storage.live.contract import LiveBus
from storage.orders import Money, Order, insert_order
from storage.tables import addresses, conversations
from storage.views import MOST_COUNTED, counts_query
from tests.support.api import START, Api, Headers, serving
from tests.support.factories import make_address, make_agent, make_contact, make_conversation, make_message, minutes

LIMITS = ChannelLimits(has_subject=False, counts_segments=True, max_characters=1600, max_files=10, max_file_bytes=5)


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    set_up = {ChannelName.SMS, ChannelName.WHATSAPP, ChannelName.EMAIL}
    limits = lambda name: LIMITS if name in set_up else None  # noqa: E731
    async with serving(database, bus, queues=frozenset({"general", "billing"}), limits=limits) as served:
        yield served


@pytest.fixture
async def agent(api: Api) -> Headers:
    return await api.as_agent(email="ben@shop.example")


async def _run(statement: Update, tx: Transaction) -> None:
    await tx.conn.execute(statement)


async def counts(api: Api, headers: Headers) -> dict[str, tuple[int, bool]]:
    answer = await api.ask("GET", "/v1/views", headers)
    assert answer.status == 200, answer.json
    found = [*answer.json["views"], *answer.json["queues"]]
    return {item["id"]: (item["count"], item["more"]) for item in found}


async def test_views_count_what_is_open_for_whoever_asks(database: Database, api: Api) -> None:
    ben = await api.add_agent()
    other = await make_agent(database, name="Eva")
    headers = await api.session_of(ben)
    for number, assignee in enumerate([ben.id, other, None, None]):
        made = await make_conversation(database, at=START + minutes(number))
        given = update(conversations).where(conversations.c.id == made).values(assignee_id=assignee)
        await database.write(partial(_run, given))
    assert await counts(api, headers) == {
        "mine": (1, False),
        "unassigned": (2, False),
        "all": (4, False),
        "snoozed": (0, False),
        "general": (4, False),
        "billing": (0, False),
    }


async def test_counts_go_no_further_than_a_person_can_use(database: Database, api: Api, agent: Headers) -> None:
    for number in range(MOST_COUNTED + 1):
        await make_conversation(database, at=START + minutes(number))
    assert (await counts(api, agent))["all"] == (MOST_COUNTED, True)


async def test_every_count_is_a_range_of_an_index(database: Database) -> None:
    query = counts_query("00000000-0000-7000-8000-000000000000", ["general"])
    async with database.read() as conn:
        compiled = query.compile(conn.sync_engine, compile_kwargs={"literal_binds": True})
        if database.is_postgresql:
            await conn.execute(text("SET LOCAL enable_seqscan = off"))
            plan = "\n".join(row[0] for row in await conn.execute(text(f"EXPLAIN {compiled}")))
            assert "Seq Scan" not in plan, plan
            assert "Sort" not in plan, plan
        else:
            plan = "\n".join(str(row[3]) for row in await conn.execute(text(f"EXPLAIN QUERY PLAN {compiled}")))
            assert "SCAN conversations" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan


async def test_colleagues_are_those_who_work_here(api: Api, agent: Headers) -> None:
    await api.add_agent(Role.SUPERVISOR)
    answer = await api.ask("GET", "/v1/agents", agent)
    assert [item["role"] for item in answer.json["items"]] == ["agent", "supervisor"]
    assert "email" not in answer.json["items"][0]


async def allowed(api: Api, headers: Headers, conversation: str) -> dict[str, dict[str, object]]:
    answer = await api.ask("GET", f"/v1/conversations/{conversation}/channels", headers)
    assert answer.status == 200, answer.json
    return {item["channel"]: item for item in answer.json["items"]}


async def test_each_channel_says_whether_an_answer_may_go_out(database: Database, api: Api, agent: Headers) -> None:
    contact = await make_contact(database)
    await make_address(database, contact, kind=AddressKind.PHONE, value="+351912345678")
    conversation = await make_conversation(database, contact)
    found = await allowed(api, agent, conversation)
    assert list(found) == ["email", "sms", "whatsapp", "webchat"]
    sms = found["sms"]
    assert (sms["can_send"], sms["is_default"], sms["max_characters"]) == (True, True, 1600)
    assert sms["address"] is not None
    assert found["email"]["reason"] == "The contact has no address for it."
    assert found["webchat"]["reason"] == "This channel is not set up."


async def test_whatsapp_takes_free_words_for_a_day(database: Database, api: Api) -> None:
    agent = await api.as_program()  # a session would end before the day does
    contact = await make_contact(database)
    conversation = await make_conversation(database, contact)
    address = await make_address(database, contact, kind=AddressKind.WHATSAPP, at=START - timedelta(hours=25))
    assert not (await allowed(api, agent, conversation))["whatsapp"]["can_send"]
    wrote = update(addresses).where(addresses.c.id == address).values(last_inbound_at=START)
    await database.write(partial(_run, wrote))
    open_ = (await allowed(api, agent, conversation))["whatsapp"]
    assert open_["can_send"]
    assert open_["window_ends_at"] == "2026-11-03T09:00:00Z"
    api.clock.advance(timedelta(hours=24))
    closed = (await allowed(api, agent, conversation))["whatsapp"]
    assert not closed["can_send"]
    assert "24 hours" in str(closed["reason"])


@pytest.mark.parametrize("kind", ["messages", "events"])
async def test_what_came_before_is_read_backwards_in_order(
    database: Database, api: Api, agent: Headers, kind: str
) -> None:
    conversation = await make_conversation(database)
    for number in range(6):
        await make_message(database, conversation, text=str(number), at=START + minutes(number))
    path = f"/v1/conversations/{conversation}/{kind}"
    everything = [item["seq"] for item in (await api.ask("GET", path, agent)).json["items"]]
    read: list[int] = []
    after = ""
    while True:
        answer = await api.ask("GET", f"{path}?before_seq=2147483647&limit=4{after}", agent)
        page = [item["seq"] for item in answer.json["items"]]
        assert page == sorted(page)
        read = page + read
        if answer.json["next"] is None:
            break
        after = f"&after={answer.json['next']}"
    assert read == everything


async def test_one_question_finds_words_addresses_and_orders(database: Database, api: Api, agent: Headers) -> None:
    contact = await make_contact(database, name="Ana Lima")
    await make_address(database, contact, kind=AddressKind.EMAIL, value="ana@example.com")
    conversation = await make_conversation(database, contact)
    await make_message(database, conversation, text="the serum arrived broken")
    order = Order(
        id=new_id(),
        external_id="o-1",
        number="10023",
        status="paid",
        placed_at=START,
        total=Money(amount=Decimal("54.00"), currency="EUR"),
        items=[],
        contact_id=contact,
    )
    await database.write(lambda tx: insert_order(tx, order))

    async def found(q: str) -> tuple[list[str], list[str], list[str]]:
        answer = await api.ask("GET", f"/v1/search?q={q}", agent)
        assert answer.status == 200, answer.json
        kinds = ("conversations", "contacts", "orders")
        one, two, three = ([item["id"] for item in answer.json[kind]] for kind in kinds)
        return one, two, three

    assert await found("serum") == ([conversation], [], [])
    assert (await found("ANA@example.com"))[1] == [contact]
    assert len((await found("%2310023"))[2]) == 1
    assert await found("nothing") == ([], [], [])
    assert (await api.ask("GET", "/v1/search?q=serum")).status == 401
