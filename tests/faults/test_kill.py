"""kill -9 at each step of receiving and sending: nothing acknowledged is lost, and no SMS is sent twice.

What the outside saw decides: the provider's ledger and the client's own notes, not what the gateway says of itself.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from gateway.sandbox.twilio import TwilioStandIn
from gateway.sandbox.twilio_callbacks import CallbackMode
from tests.support.gateway import GatewayProcess, prepared_gateway

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

SID = "AC" + "1" * 32
TOKEN = "a-token-of-the-stand-in"
SHOP = "+15005550006"


@pytest.fixture
async def standin() -> AsyncIterator[TwilioStandIn]:
    standin = TwilioStandIn(account_sid=SID, auth_token=TOKEN)
    async with standin.serving() as url:
        standin.api_url = url  # type: ignore[attr-defined]
        yield standin


@pytest.fixture
async def gateway(standin: TwilioStandIn, tmp_path: Path, database_url: str) -> AsyncIterator[GatewayProcess]:
    settings = {
        "GATEWAY_DATABASE_URL": database_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
        "GATEWAY_TWILIO__API_URL": standin.api_url,  # type: ignore[attr-defined]
        "GATEWAY_DELIVERY__LEASE_S": "2",
        "GATEWAY_DELIVERY__CALLBACK_WAIT_S": "0.5",
        "GATEWAY_DELIVERY__RELIST_S": "1",
    }
    async with prepared_gateway(tmp_path, settings) as process:
        yield process


async def post_sms(gateway: GatewayProcess, number: int, sender: str = "+447700900123") -> bool:
    """Post one signed webhook as Twilio does; True when it was acknowledged."""
    url = f"{gateway.url}/webhooks/twilio/messages"
    form = {"MessageSid": f"SM{number:032x}", "AccountSid": SID, "From": sender, "To": SHOP, "Body": f"text {number}"}
    signature = RequestValidator(TOKEN).compute_signature(url, form)
    try:
        async with gateway.http.post(url, data=form, headers={"X-Twilio-Signature": signature}) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def until_acknowledged(gateway: GatewayProcess, number: int) -> None:
    async with asyncio.timeout(30):
        while not await post_sms(gateway, number):
            await asyncio.sleep(0.05)


async def until_texts(gateway: GatewayProcess, expected: set[str]) -> Counter[str]:
    """Wait until all of these stand in the gateway, and count everything that does."""
    async with asyncio.timeout(30):
        while True:
            found = Counter(message["text"] for message in await gateway.all_messages())
            if expected <= found.keys():
                return found
            await asyncio.sleep(0.05)


RECEIVE_STEPS = [
    "gateway.workers.intake:Intake.submit:before:1",
    "gateway.services.intake:Recorder.store_files:after:1",
    "gateway.services.receive:inbound.insert_keys:after:1",
    "gateway.services.intake:receive_messages:after:1",
    "gateway.services.intake:Recorder.record:after:1",
    "gateway.workers.intake:Intake.submit:after:1",
]


@pytest.mark.parametrize("step", RECEIVE_STEPS)
async def test_a_message_survives_a_kill_at_any_step_and_stands_once(gateway: GatewayProcess, step: str) -> None:
    await gateway.start(crash_at=step)
    assert not await post_sms(gateway, 1)
    await gateway.until_dead()
    await gateway.start()
    await until_acknowledged(gateway, 1)  # the provider tries again
    assert await until_texts(gateway, {"text 1"}) == {"text 1": 1}


SEND_STEPS = [
    "gateway.services.reply:insert_messages:after:1",
    "gateway.web.frame:_run_in_transaction:after:1",
    "gateway.workers.delivery:claim_ready:after:2",
    "gateway.services.compose:Composer.compose:before:1",
    "gateway.workers.delivery:mark_started:after:1",
    "channels.sms.adapter:SmsChannel.send:before:1",
    "channels.sms.adapter:SmsChannel.send:after:1",
    "gateway.workers.delivery:record_attempts:after:1",
    "gateway.workers.delivery:DeliveryWorker._write_results:after:1",
]


@pytest.mark.parametrize("callbacks", [CallbackMode.NONE, CallbackMode.SHUFFLED])
@pytest.mark.parametrize("step", SEND_STEPS)
async def test_a_reply_leaves_once_whatever_step_the_gateway_is_killed_at(
    gateway: GatewayProcess, standin: TwilioStandIn, step: str, callbacks: CallbackMode
) -> None:
    standin.callbacks = callbacks
    await gateway.start()
    await until_acknowledged(gateway, 1)
    (conversation,) = (await gateway.get("/v1/conversations"))["items"]
    gateway.kill()
    await gateway.start(crash_at=step)
    async with asyncio.TaskGroup() as tasks:
        path = f"/v1/conversations/{conversation['id']}/messages"
        posted = tasks.create_task(gateway.insist(path, {"text": "Only once, please."}))
        await gateway.until_dead()
        await gateway.start()
        message = await posted
    async with asyncio.timeout(40):
        while await status_of(gateway, conversation["id"], message["id"]) not in {"sent", "delivered"}:
            await asyncio.sleep(0.05)
    assert [accepted.body for accepted in standin.accepted] == ["Only once, please."]


async def status_of(gateway: GatewayProcess, conversation_id: str, message_id: str) -> str:
    statuses = {message["id"]: message["status"] for message in await gateway.messages(conversation_id)}
    status: str = statuses[message_id]
    return status


async def test_kills_at_random_moments_under_load_lose_and_double_nothing(
    gateway: GatewayProcess, standin: TwilioStandIn
) -> None:
    """Customers write and are answered without pause while the gateway dies again and again."""
    chance = random.Random(20261120)
    standin.callbacks = CallbackMode.ORDERED
    acknowledged: set[str] = set()
    promised: set[str] = set()
    is_over = asyncio.Event()

    async def write(lane: int) -> None:
        number = lane * 100_000
        while not is_over.is_set():
            number += 1
            await until_acknowledged_from(gateway, number, f"+4477009{lane:05}")
            acknowledged.add(f"text {number}")

    async def answer() -> None:
        count = 0
        while not is_over.is_set():
            try:
                page = await gateway.get("/v1/conversations", limit="20")
            except (aiohttp.ClientError, AssertionError):
                await asyncio.sleep(0.05)
                continue
            for conversation in page["items"]:
                count += 1
                await gateway.insist(f"/v1/conversations/{conversation['id']}/messages", {"text": f"answer {count}"})
                promised.add(f"answer {count}")

    await gateway.start()
    async with asyncio.TaskGroup() as tasks:
        for lane in range(4):
            tasks.create_task(write(lane))
        tasks.create_task(answer())
        for _ in range(6):
            # The load goes on for a random while: the moment of death is what is tried here.
            await asyncio.sleep(chance.uniform(0.2, 0.9))
            gateway.kill()
            await gateway.start()
        is_over.set()
    stored = await until_texts(gateway, acknowledged | promised)
    assert {text: count for text, count in stored.items() if count > 1} == {}
    async with asyncio.timeout(60):
        while not promised <= {message.body for message in standin.accepted}:
            await asyncio.sleep(0.1)
    sent = Counter(message.body for message in standin.accepted)
    assert {text: count for text, count in sent.items() if count > 1} == {}
    assert len(acknowledged) > 20
    assert len(promised) > 5


async def until_acknowledged_from(gateway: GatewayProcess, number: int, sender: str) -> None:
    async with asyncio.timeout(30):
        while not await post_sms(gateway, number, sender):
            await asyncio.sleep(0.05)
