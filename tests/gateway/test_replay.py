"""One webhook handed over many times at once, over HTTP to a real process: every post is acknowledged, one stored."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from tests.support.gateway import GatewayProcess, prepared_gateway

SID = "AC" + "5" * 32
TOKEN = "a-token-of-the-replay-tests"
SHOP = "+15005550006"


@pytest.fixture
async def gateway(tmp_path: Path, database_url: str) -> AsyncIterator[GatewayProcess]:
    settings = {
        "GATEWAY_DATABASE_URL": database_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
    }
    async with prepared_gateway(tmp_path, settings) as process:
        await process.start()
        yield process


async def post(gateway: GatewayProcess) -> int:
    url = f"{gateway.url}/webhooks/twilio/messages"
    form = {"MessageSid": "SM" + "b" * 32, "AccountSid": SID, "From": "+447700900123", "To": SHOP, "Body": "Once"}
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
    async with gateway.http.post(url, data=form, headers=headers) as answer:
        return answer.status


async def test_fifty_concurrent_posts_of_one_webhook_store_one_message(gateway: GatewayProcess) -> None:
    assert set(await asyncio.gather(*(post(gateway) for _ in range(50)))) == {200}
    assert [message["text"] for message in await gateway.all_messages()] == ["Once"]
