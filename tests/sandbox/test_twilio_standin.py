"""The stand-in for Twilio: what it takes, how it calls back, and what it does wrong on request."""

import signal
import sys
from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import encode_basic_auth

from channels.twilio_wire import parse_message, parse_report
from gateway.domain.delivery import MessageStatus, fold_status
from gateway.sandbox.twilio import Inbound, TwilioStandIn
from gateway.sandbox.twilio_callbacks import CallbackMode
from gateway.sandbox.twilio_ledger import Behaviour, Kind
from tests.support.ports import free_port, wait_until_listening
from tests.support.processes import start_process, stop_process
from tests.support.twilio import ACCOUNT_SID, CUSTOMER, SHOP_NUMBER, TOKEN, Edge, account_at

PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
AUTHORIZATION = {"Authorization": encode_basic_auth(ACCOUNT_SID, TOKEN)}
MESSAGE_ID = "01930000-0000-7000-8000-000000000000"


class World:
    """The stand-in, the gateway's edge, and a program that sends."""

    def __init__(self, provider: TwilioStandIn, url: str, edge: Edge, edge_url: str, session: aiohttp.ClientSession):
        self.provider = provider
        self.url = url
        self.edge = edge
        self.callback = f"{edge_url}/webhooks/twilio/status?message={MESSAGE_ID}&part=0#rc=5&rp=5xx,ct,rt"
        self._session = session

    async def create(self, **fields: str) -> tuple[int, dict[str, Any]]:
        form = {"To": CUSTOMER, "From": SHOP_NUMBER, "Body": "Hi", "StatusCallback": self.callback, **fields}
        given = [(name, value) for name, value in form.items() if value]
        async with self._session.post(self.url + PATH, data=given, headers=AUTHORIZATION) as answer:
            return answer.status, await answer.json()

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self._session.request(method, self.url + path, **options) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else None

    def statuses(self) -> list[MessageStatus]:
        return [parse_report(raw).status for raw in self.edge.received]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    port = free_port()
    edge_url = f"http://127.0.0.1:{port}"
    edge = Edge()
    provider = TwilioStandIn(
        account_sid=ACCOUNT_SID, auth_token=TOKEN, messages_url=f"{edge_url}/webhooks/twilio/messages", late_s=0.05
    )
    async with (
        provider.serving() as url,
        edge.serving(account_at(url, edge_url), port),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session,
    ):
        yield World(provider, url, edge, edge_url, session)


# Taking messages


async def test_a_message_is_taken_and_kept(world: World) -> None:
    status, created = await world.create()
    assert status == 201
    assert created["sid"].startswith("SM")
    assert len(created["sid"]) == 34
    assert (created["status"], created["date_sent"], created["error_code"]) == ("queued", None, None)
    (kept,) = world.provider.accepted
    assert (kept.sid, kept.to, kept.sender, kept.body) == (created["sid"], CUSTOMER, SHOP_NUMBER, "Hi")
    _, ledger = await world.ask("GET", "/_ledger")
    assert [message["sid"] for message in ledger] == [created["sid"]]
    _, shown = await world.ask("GET", PATH.replace(".json", f"/{created['sid']}.json"), headers=AUTHORIZATION)
    assert (shown["sid"], shown["from"], shown["direction"]) == (created["sid"], SHOP_NUMBER, "outbound-api")


async def test_every_sid_is_another(world: World) -> None:
    assert len({(await world.create())[1]["sid"] for _ in range(50)}) == 50


@pytest.mark.parametrize("headers", [{}, {"Authorization": encode_basic_auth(ACCOUNT_SID, "wrong")}])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stranger_is_refused(world: World, method: str, headers: dict[str, str]) -> None:
    status, error = await world.ask(method, PATH, headers=headers)
    assert (status, error["code"]) == (401, 20003)
    status, error = await world.ask(method, PATH.replace("AC0", "AC1"), headers=AUTHORIZATION)
    assert (status, error["code"]) == (404, 20404)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "nobody"}, 21211),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "a" * 1601}, 21617),
    ],
)
async def test_a_wrong_request_gets_the_code_that_twilio_gives(world: World, fields: dict[str, str], code: int) -> None:
    status, error = await world.create(**fields)
    assert (status, error["code"]) == (400, code)
    assert world.provider.accepted == []


async def listed(world: World, **query: str) -> list[str]:
    """Return the bodies of all pages."""
    bodies: list[str] = []
    path, params = PATH, dict(query)
    while path:
        _, page = await world.ask("GET", path, params=params, headers=AUTHORIZATION)
        bodies += [message["body"] for message in page["messages"]]
        path, params = page["next_page_uri"], {}
    return bodies


async def test_the_list_is_newest_first_by_pages_and_by_recipient(world: World) -> None:
    for number in range(7):
        await world.create(Body=str(number), To=CUSTOMER if number != 3 else "+14155550000")
    assert await listed(world, To=CUSTOMER, PageSize="2") == ["6", "5", "4", "2", "1", "0"]
    assert await listed(world, To="+14155550000") == ["3"]
    assert await listed(world, From="+1") == []
    assert len(await listed(world)) == 7


async def test_a_page_holds_its_place_while_messages_come_in(world: World) -> None:
    for number in range(4):
        await world.create(Body=str(number))
    _, page = await world.ask("GET", PATH, params={"PageSize": "2"}, headers=AUTHORIZATION)
    await world.create(Body="new")
    _, following = await world.ask("GET", page["next_page_uri"], headers=AUTHORIZATION)
    assert [message["body"] for message in following["messages"]] == ["1", "0"]


async def test_the_list_filters_by_the_date_that_a_message_left(world: World) -> None:
    for body in ("yesterday", "today", "queued"):
        await world.create(Body=body)
    yesterday, today, queued = world.provider.accepted
    assert today.sent_at is not None
    yesterday.sent_at, today.sent_at = today.sent_at.replace(2026, 11, 19), today.sent_at.replace(2026, 11, 20)
    queued.sent_at = None
    assert await listed(world, **{"DateSent>": "2026-11-20"}) == ["today"]
    assert await listed(world, **{"DateSent<": "2026-11-19"}) == ["yesterday"]
    assert await listed(world, **{"DateSent>": "2026-11-19"}) == ["today", "yesterday"]
    assert await listed(world, DateSent="2026-11-19") == ["yesterday"]
    assert await listed(world, **{"DateSent>": "2026-11-20T23:59:59Z"}) == []


# Failing on request


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (Behaviour(kind=Kind.REFUSE, code=21610), 400, 21610),
        (Behaviour(kind=Kind.REFUSE, code=63016), 400, 63016),
        (Behaviour(kind=Kind.THROTTLE), 429, 20429),
        (Behaviour(kind=Kind.FAULT, status=503), 503, 20500),
    ],
)
async def test_a_refusal_on_request_takes_nothing_and_happens_once(
    world: World, behaviour: Behaviour, status: int, code: int
) -> None:
    world.provider.behaviours.add(behaviour)
    actual, error = await world.create()
    assert (actual, error["code"]) == (status, code)
    assert world.provider.accepted == []
    assert (await world.create())[0] == 201


async def test_a_429_says_when_to_come_back(world: World) -> None:
    status, _ = await world.ask("POST", "/_behaviour", json={"kind": "throttle", "retry_after_s": 3})
    assert status == 204
    async with aiohttp.request("POST", world.url + PATH, headers=AUTHORIZATION) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")


@pytest.mark.parametrize(
    ("behaviour", "taken"),
    [
        (Behaviour(kind=Kind.DROP), 1),
        (Behaviour(kind=Kind.HANG), 0),
        (Behaviour(kind=Kind.HANG, accepts=True), 1),
    ],
)
async def test_no_answer_says_nothing_of_what_was_taken(world: World, behaviour: Behaviour, taken: int) -> None:
    world.provider.behaviours.add(behaviour)
    with pytest.raises((aiohttp.ClientConnectionError, TimeoutError)):
        await world.create()
    assert len(world.provider.accepted) == taken


@pytest.mark.parametrize(("kind", "taken"), [(Kind.FAULT, 1), (Kind.GARBLE, 1)])
async def test_a_fault_may_come_after_the_message_was_taken(world: World, kind: Kind, taken: int) -> None:
    world.provider.behaviours.add(Behaviour(kind=kind, accepts=True))
    with pytest.raises(aiohttp.ContentTypeError) if kind is Kind.GARBLE else pytest.raises(AssertionError):
        status, _ = await world.create()
        assert status == 201
    assert len(world.provider.accepted) == taken


async def test_instructions_are_for_the_numbers_they_name(world: World) -> None:
    wrong = [{"kind": "refuse", "code": 21211, "to": "+1415*", "times": None}, {"kind": "throttle", "to": "whatsapp:*"}]
    assert (await world.ask("POST", "/_behaviour", json=wrong))[0] == 204
    assert [(await world.create(To=to))[0] for to in ("+14155550000", "+14165550000", "+14155550001")] == [
        400,
        201,
        400,
    ]
    assert [(await world.create(To="whatsapp:+1416"))[0] for _ in range(2)] == [429, 201]
    await world.ask("DELETE", "/_behaviour")
    assert (await world.create(To="+14155550000"))[0] == 201


@pytest.mark.parametrize("body", ["", "[", '{"kind": "explode"}', '{"kind": "drop", "when": "now"}'])
async def test_an_instruction_that_is_none_is_refused(world: World, body: str) -> None:
    assert (await world.ask("POST", "/_behaviour", data=body))[0] == 400


async def test_who_opts_out_gets_nothing_more_until_they_opt_in(world: World) -> None:
    await world.provider.send_inbound(Inbound(sender=CUSTOMER, to=SHOP_NUMBER, body=" stop "))
    status, error = await world.create()
    assert (status, error["code"]) == (400, 21610)
    await world.provider.send_inbound(Inbound(sender=CUSTOMER, to=SHOP_NUMBER, body="start"))
    assert (await world.create())[0] == 201


# Calling back


async def test_callbacks_come_signed_with_our_id_in_their_order(world: World) -> None:
    world.provider.callbacks = CallbackMode.ORDERED
    _, created = await world.create(To=f"whatsapp:{CUSTOMER}")
    await world.provider.settle()
    assert world.statuses() == [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ]
    reports = [parse_report(raw) for raw in world.edge.received]
    assert {(report.message_id, report.external_id) for report in reports} == {(MESSAGE_ID, created["sid"])}
    assert world.provider.accepted[0].status == "read"


async def test_without_callbacks_a_message_still_arrives(world: World) -> None:
    await world.create()
    await world.provider.settle()
    assert world.edge.received == []
    assert world.provider.accepted[0].status == "delivered"


async def test_callbacks_can_come_in_any_order_and_end_the_same(world: World) -> None:
    world.provider.callbacks = CallbackMode.SHUFFLED
    orders = set()
    for _ in range(30):
        await world.create(To=f"whatsapp:{CUSTOMER}")
        await world.provider.settle()
        orders.add(tuple(world.statuses()))
        assert folded(world.statuses()) is MessageStatus.READ
        world.edge.received.clear()
    assert orders == set(permutations([MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ]))


def folded(statuses: Sequence[MessageStatus]) -> MessageStatus:
    state = MessageStatus.QUEUED
    for status in statuses:
        state = fold_status(state, status)
    return state


async def test_callbacks_can_come_twice(world: World) -> None:
    await world.ask("POST", "/_callbacks", json={"mode": "doubled"})
    await world.create()
    await world.provider.settle()
    assert world.statuses() == [MessageStatus.SENT] * 2 + [MessageStatus.DELIVERED] * 2


async def test_callbacks_can_come_late_or_before_the_answer(world: World) -> None:
    world.provider.callbacks = CallbackMode.LATE
    await world.create()
    assert world.edge.received == []
    assert world.provider.accepted[0].status == "queued"
    await world.provider.settle()
    assert len(world.edge.received) == 2
    world.provider.callbacks = CallbackMode.EARLY
    await world.create()
    assert len(world.edge.received) == 4


async def test_a_message_can_be_taken_and_then_not_delivered(world: World) -> None:
    world.provider.callbacks = CallbackMode.ORDERED
    world.provider.behaviours.add(Behaviour(kind=Kind.UNDELIVERED, code=30008))
    assert (await world.create())[0] == 201
    await world.provider.settle()
    sent, failed = (parse_report(raw) for raw in world.edge.received)
    assert (sent.status, sent.error_code) == (MessageStatus.SENT, None)
    assert (failed.status, failed.error_code) == (MessageStatus.FAILED, "30008")
    assert (world.provider.accepted[0].status, world.provider.accepted[0].error_code) == ("undelivered", 30008)


async def test_a_callback_is_tried_again_as_its_url_says(world: World) -> None:
    port = free_port()
    world.provider.callbacks = CallbackMode.ORDERED
    await world.create(StatusCallback=f"http://127.0.0.1:{port}/webhooks/twilio/status#rc=5&rp=ct")
    later = Edge()
    async with later.serving(account_at(world.url, f"http://127.0.0.1:{port}"), port):
        await world.provider.settle()
    assert [parse_report(raw).status for raw in later.received] == [MessageStatus.SENT, MessageStatus.DELIVERED]


# Customers


async def test_a_customer_writes_with_files_and_odd_fields(world: World) -> None:
    message = {
        "from": "whatsapp:+33612345678",
        "to": f"whatsapp:{SHOP_NUMBER}",
        "body": "Où?",
        "media": [["image/png", "iVBORw0="]],
        "fields": {"ProfileName": "Zoé", "From": "whatsapp:", "ExternalUserId": "FR.1", "ToCountry": ""},
    }
    status, delivered = await world.ask("POST", "/_inbound", json=message)
    assert (status, delivered["status"]) == (200, 200)
    parsed = parse_message(world.edge.received[0])
    assert (parsed.external_id, parsed.text, parsed.sender_name) == (delivered["sid"], "Où?", "Zoé")
    assert parsed.sender.value == "FR.1"
    assert "ToCountry" not in parsed.extra
    assert parsed.attachments[0].url is not None


async def test_a_file_is_had_with_credentials_from_the_api_and_without_them_from_the_storage(world: World) -> None:
    await world.provider.send_inbound(Inbound(sender=CUSTOMER, to=SHOP_NUMBER, media=[("image/png", "iVBORw0=")]))
    (file,) = parse_message(world.edge.received[0]).attachments
    path = str(file.url).removeprefix(world.url)
    assert (await world.ask("GET", path, allow_redirects=False))[0] == 401
    assert (await world.ask("GET", path, headers=AUTHORIZATION, allow_redirects=False))[0] == 307
    storage = f"/_cdn/{path.rpartition('/')[2]}"
    assert (await world.ask("GET", storage))[0] == 200
    assert (await world.ask("GET", storage, headers=AUTHORIZATION))[0] == 400


async def test_a_replay_has_the_sid_of_the_first(world: World) -> None:
    message = Inbound(sender=CUSTOMER, to=SHOP_NUMBER, body="Hi")
    first = await world.provider.send_inbound(message)
    again = Inbound(sender=CUSTOMER, to=SHOP_NUMBER, body="Hi", sid=first.sid)
    assert (await world.provider.send_inbound(again)).sid == first.sid
    one, two = (parse_message(raw) for raw in world.edge.received)
    assert one.dedupe_key == two.dedupe_key


async def test_a_gateway_that_is_away_is_told_of(world: World) -> None:
    world.provider.messages_url = f"http://127.0.0.1:{free_port()}/"
    delivered = await world.provider.send_inbound(Inbound(sender=CUSTOMER, to=SHOP_NUMBER, body="Hi"))
    assert delivered.status == 0


async def test_files_that_are_no_base64_are_refused(world: World) -> None:
    message = {"from": CUSTOMER, "to": SHOP_NUMBER, "media": [["image/png", "?"]]}
    assert (await world.ask("POST", "/_inbound", json=message))[0] == 400


# A process of its own


async def test_its_ledger_outlives_a_kill(tmp_path: Path) -> None:
    port, ledger = free_port(), tmp_path / "ledger.jsonl"
    command = [sys.executable, "-m", "gateway.sandbox.twilio", "--port", str(port), "--ledger", str(ledger)]
    command += ["--account-sid", ACCOUNT_SID, "--auth-token", TOKEN, "--callbacks", "none"]
    form = {"To": CUSTOMER, "From": SHOP_NUMBER, "Body": "Hi"}
    sids = []
    for _ in range(2):
        process = start_process(command, log=tmp_path / "log", cwd=Path(__file__).parents[2])
        try:
            wait_until_listening(port)
            url = f"http://127.0.0.1:{port}"
            async with aiohttp.request("POST", url + PATH, data=form, headers=AUTHORIZATION) as answer:
                sids.append((await answer.json())["sid"])
            async with aiohttp.request("GET", url + "/_ledger") as answer:
                assert [message["sid"] for message in await answer.json()] == sids
        finally:
            stop_process(process, signal.SIGKILL)


async def test_it_stops_when_asked(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "gateway.sandbox.twilio", "--port", str(port)]
    process = start_process(command, log=log, cwd=Path(__file__).parents[2])
    wait_until_listening(port)
    stop_process(process, signal.SIGTERM)
    assert process.returncode == 0
    assert log.read_text() == f"listening on http://127.0.0.1:{port}\n"
