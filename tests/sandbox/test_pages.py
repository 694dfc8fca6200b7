"""The customers' side over HTTP: what a newcomer's page does, each against the whole demo."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.switches import SWITCHES
from gateway.web.auth import COOKIE
from tests.support.demo import DemoProcess

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[DemoProcess]:
    async with DemoProcess(tmp_path, {}) as process:
        process.keep_ports()
        await process.start()
        yield process


async def turn(demo: DemoProcess, *on: str) -> set[str]:
    """Return which switches are on then."""
    async with demo.http.put(f"{demo.url}/sandbox/switches", json={"on": list(on)}) as answer:
        assert answer.status == 200, await answer.text()
        return {item["id"] for item in (await answer.json())["items"] if item["is_on"]}


async def until(demo: DemoProcess, conversation: str, message: str, *wanted: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (found := await demo.message(conversation, message))["status"] not in wanted:
            await asyncio.sleep(0.02)
    return found


async def test_a_switched_off_phone_fails_the_message_in_plain_words_until_it_is_on_again(demo: DemoProcess) -> None:
    await demo.post("/sandbox/messages", {"customer": "c-1", "channel": "sms", "text": "Olá"})
    (conversation,) = await demo.conversations_of()
    path = f"/v1/conversations/{conversation['id']}/messages"
    assert await turn(demo, "phone_off") == {"phone_off"}
    lost = await demo.post(path, {"text": "Olá, Ana.", "channel": "sms"})
    failed = await until(demo, conversation["id"], lost["id"], "failed")
    assert failed["error_code"] == "30003"
    assert failed["error"]
    assert await turn(demo) == set()
    again = await demo.post(path, {"text": "Olá outra vez.", "channel": "sms"})
    assert (await until(demo, conversation["id"], again["id"], "failed", "delivered"))["status"] == "delivered"


async def test_every_switch_can_be_turned_and_an_unknown_one_is_refused(demo: DemoProcess) -> None:
    for switch in SWITCHES:
        assert await turn(demo, switch.id) == {switch.id}
    async with demo.http.put(f"{demo.url}/sandbox/switches", json={"on": ["gravity"]}) as answer:
        assert answer.status == 404
    async with demo.http.post(f"{demo.url}/sandbox/behaviour", json={"is_forgotten": True}) as answer:
        assert answer.status == 204
    assert not [item for item in (await demo.get("/sandbox/switches"))["items"] if item["is_on"]]


async def test_a_newcomer_is_logged_in_with_one_click_from_our_own_page_alone(demo: DemoProcess) -> None:
    agents = (await demo.get("/sandbox/agents"))["items"]
    session = f"{demo.url}/sandbox/session"
    for body, name in (({}, agents[0]["name"]), ({"agent": agents[1]["id"]}, agents[1]["name"])):
        async with demo.http.post(session, json=body, headers={"Origin": demo.url}) as answer:
            assert answer.status == 204
            cookie = answer.cookies[COOKIE].value
        async with demo.http.get(f"{demo.url}/v1/me", headers={"Cookie": f"{COOKIE}={cookie}"}) as answer:
            assert (await answer.json())["agent"]["name"] == name
    demo.http.cookie_jar.clear()
    async with demo.http.post(session, json={}, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
        assert COOKIE not in answer.cookies
    async with demo.http.post(session, data="{}", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415


async def test_the_thread_holds_both_sides_and_pictures_arrive(demo: DemoProcess) -> None:
    picture = {"filename": "jar.png", "content_type": "image/png", "content": base64.b64encode(PNG).decode()}
    for channel in ("sms", "whatsapp", "email"):
        body = {"customer": "c-2", "channel": channel, "text": f"See this, by {channel}", "picture": picture}
        await demo.post("/sandbox/messages", body)
    conversation = (await demo.conversations_of("c-2"))[0]
    async with asyncio.timeout(20):
        while True:
            written = await demo.messages(conversation["id"])
            files = [file["state"] for message in written for file in message["attachments"]]
            if files[-3:] == ["ready"] * 3:
                break
            await asyncio.sleep(0.02)
    await demo.post(f"/v1/conversations/{conversation['id']}/messages", {"text": "Thank you.", "channel": "sms"})
    async with asyncio.timeout(20):
        while (items := (await demo.get("/sandbox/thread", customer="c-2"))["items"][-4:])[-1]["text"] != "Thank you.":
            await asyncio.sleep(0.02)
    sides = [(item["direction"], item["channel"]) for item in items]
    assert sides == [("inbound", "sms"), ("inbound", "whatsapp"), ("inbound", "email"), ("outbound", "sms")]
    assert items[2]["files"] == ["jar.png"]


async def test_the_page_is_served_to_this_machine_alone(demo: DemoProcess) -> None:
    async with demo.http.get(f"{demo.url}/sandbox") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    async with demo.http.get(f"{demo.url}/sandbox", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
