"""PostgreSQL is away for 20 s under load: every webhook is acknowledged, and every message appears, in order."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from storage.migrate import migrate
from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.parts import PartMissing, give_up
from tests.support.postgres import PostgresServer, running_postgres

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

SID = "AC" + "2" * 32
TOKEN = "a-token-of-the-outage"
SHOP = "+15005550006"
LANES = 8
AWAY_S = 20.0


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    try:
        with running_postgres() as server:
            yield server
    except PartMissing as missing:
        give_up(missing)


async def test_an_outage_of_20_seconds_loses_and_reorders_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.create_database("outage")
    await migrate(url)
    settings = {
        "GATEWAY_DATABASE_URL": url,
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
    }
    posted: dict[int, list[str]] = {lane: [] for lane in range(LANES)}
    refused: list[int] = []
    slowest = 0.0
    is_over = asyncio.Event()

    async def write(gateway: GatewayProcess, lane: int) -> None:
        nonlocal slowest
        while not is_over.is_set():
            text = f"lane {lane} text {len(posted[lane])}"
            began = time.monotonic()
            status = await post_sms(gateway, lane, text)
            slowest = max(slowest, time.monotonic() - began)
            if status != 200:
                refused.append(status)
            posted[lane].append(text)
            await asyncio.sleep(0.02)  # a customer's pace; without it the spool grows by the million

    async with prepared_gateway(tmp_path, settings) as gateway:
        await gateway.start()
        async with asyncio.TaskGroup() as tasks:
            for lane in range(LANES):
                tasks.create_task(write(gateway, lane))
            await asyncio.sleep(1)
            postgres.stop()
            during = sum(map(len, posted.values()))
            await asyncio.sleep(AWAY_S)
            during = sum(map(len, posted.values())) - during
            postgres.start()
            await asyncio.sleep(1)
            is_over.set()
        assert refused == []
        assert during > 10 * LANES
        assert slowest < 15  # Twilio waits no longer (Webhook connection overrides, 2026-11)
        expected = sum(map(len, posted.values()))
        async with asyncio.timeout(60):
            while await count(gateway) < expected:
                await asyncio.sleep(0.2)
        for conversation in (await gateway.get("/v1/conversations"))["items"]:
            items = await all_messages(gateway, conversation["id"])
            texts = [item["text"] for item in items]
            lane = int(texts[0].split()[1])
            assert texts == posted.pop(lane)
            assert [item["at"] for item in items] == sorted(item["at"] for item in items)
        assert posted == {}


async def post_sms(gateway: GatewayProcess, lane: int, text: str) -> int:
    url = f"{gateway.url}/webhooks/twilio/messages"
    form = {
        "MessageSid": f"SM{abs(hash(text)):032x}"[:34],
        "AccountSid": SID,
        "From": f"+4477009{lane:05}",
        "To": SHOP,
        "Body": text,
    }
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
    async with gateway.http.post(url, data=form, headers=headers, timeout=aiohttp.ClientTimeout(total=20)) as answer:
        return answer.status


async def all_messages(gateway: GatewayProcess, conversation_id: str) -> list[dict[str, str]]:
    items: list[dict[str, str]] = []
    after = 0
    while True:
        path = f"/v1/conversations/{conversation_id}/messages"
        page = await gateway.get(path, limit="500", after_seq=str(after))
        items += page["items"]
        if len(page["items"]) < 500:
            return items
        after = page["items"][-1]["seq"]


async def count(gateway: GatewayProcess) -> int:
    page = await gateway.get("/v1/conversations")
    return sum([len(await all_messages(gateway, item["id"])) for item in page["items"]])
