"""A browser that types somebody else's e-mail and phone into the chat sees nothing of theirs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from tests.support.browser import running_browser
from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.parts import PartMissing, give_up

SID = "AC" + "4" * 32
TOKEN = "a-token-of-the-chat-tests"
SHOP = "+15005550006"
ANA = "+447700900123"
SECRET = "Ana's order 10023 is at her neighbour's"

# What a page of the shop does, without the widget: open the socket, say frames, note what comes.
_CHAT = """
async ([url, frames, settled]) => {
  const socket = new WebSocket(url);
  const heard = [];
  await new Promise((resolve, reject) => {
    socket.onopen = () => frames.forEach((frame) => socket.send(JSON.stringify(frame)));
    socket.onerror = () => reject(new Error('the socket failed'));
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      heard.push(frame);
      if (frame.type === 'ack' && frame.id === settled) resolve();
    };
  });
  socket.close();
  return heard;
}
"""


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    """The shop's own site, where the chat may be shown."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>The shop</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.fixture
async def gateway(tmp_path: Path, sqlite_url: str, shop: str) -> AsyncIterator[GatewayProcess]:
    settings = {
        "GATEWAY_WEBCHAT__ALLOWED_ORIGINS": shop,
        "GATEWAY_DATABASE_URL": sqlite_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
    }
    async with prepared_gateway(tmp_path, settings) as process:
        await process.start()
        yield process


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    try:
        async with running_browser() as browser:
            yield browser
    except PartMissing as missing:
        give_up(missing)


async def ana_writes(gateway: GatewayProcess) -> None:
    url = f"{gateway.url}/webhooks/twilio/messages"
    form = {"MessageSid": "SM" + "a" * 32, "AccountSid": SID, "From": ANA, "To": SHOP, "Body": SECRET}
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
    async with gateway.http.post(url, data=form, headers=headers) as answer:
        assert answer.status == 200


async def chat(gateway: GatewayProcess, page: Page, frames: list[dict[str, Any]], settled: str) -> list[dict[str, Any]]:
    url = gateway.url.replace("http", "ws") + "/chat/socket"
    heard: list[dict[str, Any]] = await page.evaluate(_CHAT, [url, frames, settled])
    return heard


async def test_a_stranger_who_claims_to_be_ana_sees_nothing_of_hers(
    gateway: GatewayProcess, browser: Browser, shop: str
) -> None:
    await ana_writes(gateway)
    page = await browser.new_page()
    await page.goto(shop)
    hello = {"type": "hello", "visitor": None, "identity": None, "after_seq": 0}
    claim = {"type": "claim", "name": "Ana Lima", "email": "ana@customer.example", "phone": ANA}
    message = {"type": "message", "id": "m1", "text": f"I am Ana, {ANA}. Where is my order 10023?", "attachments": []}
    heard = await chat(gateway, page, [hello, claim, message], "m1")
    again = await chat(gateway, page, [hello | {"visitor": heard[0]["visitor"]}, message | {"id": "m2"}], "m2")
    assert SECRET not in json.dumps(heard + again)
    assert not any(frame["type"] == "history" for frame in heard + again)

    conversations = (await gateway.get("/v1/conversations"))["items"]
    assert len(conversations) == 2
    assert len({conversation["contact"]["id"] for conversation in conversations}) == 2
    stranger = next(item for item in conversations if item["channel"] == "webchat")
    assert [item["channel"] for item in await gateway.messages(stranger["id"])] == ["webchat", "webchat"]
    contact = await gateway.get(f"/v1/contacts/{stranger['contact']['id']}")
    assert [address["kind"] for address in contact["addresses"]] == ["visitor"]
    assert ANA in json.dumps(contact) or ANA in json.dumps(
        await gateway.get(f"/v1/conversations/{stranger['id']}/events")
    )  # the agent is shown what they claim


async def test_a_page_of_another_site_gets_no_chat(gateway: GatewayProcess, browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto("data:text/html,<p>another site</p>")
    with pytest.raises(Exception, match="the socket failed"):
        await chat(gateway, page, [{"type": "hello", "visitor": None, "identity": None, "after_seq": 0}], "m1")
