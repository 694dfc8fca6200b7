"""Demo mode as a real process, used as a newcomer would: by mail client, signed webhook, chat socket and API."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import pytest

from gateway.domain.contact import ChannelName
from gateway.domain.ids import new_id
from gateway.sandbox.shop import SHOP_EMAIL, SHOP_SMS, SHOP_WHATSAPP
from tests.support.demo import DemoProcess
from tests.support.gateway import ROOT, prepared_gateway
from tests.support.ports import free_port
from tests.support.twilio import sign

WORDS = {channel: f"Eu escrevo por {channel}." for channel in ChannelName}
ENDS = {
    ChannelName.EMAIL: "sent",
    ChannelName.SMS: "delivered",
    ChannelName.WHATSAPP: "read",
    ChannelName.WEBCHAT: "sent",
}


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[DemoProcess]:
    async with DemoProcess(tmp_path, {}) as process:
        process.keep_ports()
        await process.start()
        yield process


def refused(settings: Mapping[str, str], folder: Path, command: str = "demo") -> tuple[int, str]:
    """Run a command that can't start; return its exit status and what it said."""
    environment = {"PATH": os.environ["PATH"], "GATEWAY_DATA_DIR": str(folder / "data"), **settings}
    words = [sys.executable, str(ROOT / "main.py"), command]
    ended = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr


async def send_mail(demo: DemoProcess, customer: Mapping[str, Any]) -> None:
    mail = EmailMessage()
    mail["From"] = f"{customer['name']} <{customer['addresses']['email']}>"
    mail["To"] = SHOP_EMAIL
    mail["Subject"] = "O meu pedido"
    mail["Message-ID"] = f"<{new_id()}@example.com>"
    mail.set_content(WORDS[ChannelName.EMAIL])
    host, port = demo.printed["Mail to the shop"].rstrip(",").split(":")
    await aiosmtplib.send(mail, hostname=host, port=int(port), start_tls=False)


async def post_webhook(demo: DemoProcess, customer: Mapping[str, Any], channel: ChannelName) -> None:
    prefix, shop = ("whatsapp:", SHOP_WHATSAPP) if channel is ChannelName.WHATSAPP else ("", SHOP_SMS)
    number = customer["addresses"][channel]
    form = {"MessageSid": "SM" + os.urandom(16).hex(), "From": prefix + number, "To": prefix + shop}
    form |= {"Body": WORDS[channel], "NumMedia": "0"}
    url = demo.printed["SMS, WhatsApp"]
    headers = {"X-Twilio-Signature": sign(url, list(form.items()), demo.printed["Twilio auth token"])}
    async with demo.http.post(url, data=form, headers=headers) as answer:
        assert answer.status == 200


async def next_frame(ws: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = await ws.receive_json(timeout=10)
        if frame["type"] == kind:
            return frame


async def test_all_channels_of_a_customer_are_one_conversation_and_each_takes_an_answer(demo: DemoProcess) -> None:
    ana = await demo.customer()
    await send_mail(demo, ana)
    await post_webhook(demo, ana, ChannelName.SMS)
    await post_webhook(demo, ana, ChannelName.WHATSAPP)
    async with demo.http.ws_connect(f"{demo.url}/chat/socket") as chat:
        await chat.send_json({"type": "hello", "identity": ana["identity"]})
        assert (await next_frame(chat, "welcome"))["identified"] is True
        await chat.send_json({"type": "message", "id": "1", "text": WORDS[ChannelName.WEBCHAT]})
        await next_frame(chat, "ack")

        (conversation,) = await demo.conversations_of()
        received = await demo.messages(conversation["id"])
        assert {item["channel"]: item["text"].strip() for item in received} == WORDS
        assert [item["channel"] for item in received] == ["email", "sms", "whatsapp", "webchat"]

        path = f"/v1/conversations/{conversation['id']}/messages"
        for channel, end in ENDS.items():
            answer = await demo.post(path, {"text": f"Por {channel}: obrigada, Ana.", "channel": channel})
            await demo.until_status(conversation["id"], answer["id"], end)
        frame = await next_frame(chat, "message")
        while frame["direction"] != "outbound":
            frame = await next_frame(chat, "message")
        for word, end in (("delivered", "delivered"), ("seen", "read")):
            await chat.send_json({"type": word, "seq": frame["seq"]})
            await demo.until_status(conversation["id"], frame["id"], end)
    sent = {item["channel"]: item["text"].strip() for item in await demo.sent_to() if item["channel"] != "webchat"}
    assert sent == {channel: f"Por {channel}: obrigada, Ana." for channel in ENDS if channel != "webchat"}


async def test_a_killed_demo_goes_on_where_it_was_and_sends_what_waited_once(tmp_path: Path) -> None:
    async with DemoProcess(tmp_path, {}) as demo:
        await demo.start()
        for channel in ChannelName:
            await demo.post("/sandbox/messages", {"customer": "c-1", "channel": channel, "text": WORDS[channel]})
        (conversation,) = await demo.conversations_of()
        path = f"/v1/conversations/{conversation['id']}/messages"
        for channel, end in ENDS.items():
            before = await demo.post(path, {"text": "Antes.", "channel": channel})
            await demo.until_status(conversation["id"], before["id"], end)
        held = {
            channel: (await demo.post(path, {"text": "Depois.", "channel": channel, "hold_s": 3}))["id"]
            for channel in ENDS
        }
        printed, everything = demo.printed, len(await demo.all_messages())

        demo.kill()
        await demo.start()

        assert demo.printed == printed
        assert len(await demo.all_messages()) == everything
        for channel, message_id in held.items():
            await demo.until_status(conversation["id"], message_id, ENDS[channel])
        sent = Counter((item["channel"], item["text"].strip()) for item in await demo.sent_to())
        assert sent == {(channel.value, text): 1 for channel in ENDS for text in ("Antes.", "Depois.")}
        async with demo.http.post(f"{demo.url}/v1/session", json=login(demo)) as answer:
            assert answer.status in (200, 201)


def login(demo: DemoProcess) -> dict[str, str]:
    return {"email": demo.printed["Log in as"].rstrip(","), "password": demo.printed["Password"]}


async def test_the_secrets_of_a_demo_are_for_its_owner_alone(demo: DemoProcess) -> None:
    data = demo.folder / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for name in ("demo.json", "secret_key", "twilio.jsonl", "mail.jsonl"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
    async with demo.http.get(f"{demo.url}/v1/tokens", headers=demo._headers()) as answer:
        assert answer.status == 403
    demo.token = demo.printed["Admin token"]
    assert len((await demo.get("/v1/tokens"))["items"]) == 2


async def test_the_sandbox_writes_as_a_customer_on_every_channel_and_answers_the_last_mail(demo: DemoProcess) -> None:
    write = "/sandbox/messages"
    for channel in ChannelName:
        wrote = await demo.post(write, {"customer": "c-2", "channel": channel, "text": f"by {channel}"})
        assert wrote["external_id"]
    (conversation,) = await demo.conversations_of("c-2")
    assert [item["text"].strip() for item in await demo.messages(conversation["id"])][-4:] == [
        f"by {channel}" for channel in ChannelName
    ]
    answer = await demo.post(f"/v1/conversations/{conversation['id']}/messages", {"text": "So?", "channel": "email"})
    await demo.until_status(conversation["id"], answer["id"], "sent")
    (mail,) = [item for item in await demo.sent_to("c-2") if item["channel"] == "email"]
    await demo.post(write, {"customer": "c-2", "channel": "email", "text": "Well."})
    last = (await demo.messages(conversation["id"]))[-1]
    assert last["text"].startswith("Well.")
    assert last["subject"] == mail["subject"] == "Re: Message from Maya Thompson"


async def test_the_sandbox_makes_things_go_wrong_and_right_again(demo: DemoProcess) -> None:
    await demo.post("/sandbox/messages", {"customer": "c-2", "channel": "sms", "text": "?"})
    (conversation,) = await demo.conversations_of("c-2")
    path = f"/v1/conversations/{conversation['id']}/messages"
    trouble = {"twilio": [{"kind": "refuse", "code": 21614, "times": None}], "callbacks": "doubled"}
    async with demo.http.post(f"{demo.url}/sandbox/behaviour", json=trouble) as answer:
        assert answer.status == 204
    refused_one = await demo.post(path, {"text": "!", "channel": "sms"})
    async with asyncio.timeout(10):
        while (await demo.message(conversation["id"], refused_one["id"]))["status"] != "failed":
            await asyncio.sleep(0.02)
    async with demo.http.post(f"{demo.url}/sandbox/behaviour", json={"is_forgotten": True}) as answer:
        assert answer.status == 204
    taken = await demo.post(path, {"text": "!!", "channel": "sms"})
    await demo.until_status(conversation["id"], taken["id"], "delivered")
    assert [item["text"] for item in await demo.sent_to("c-2")] == ["!!"]


@pytest.mark.parametrize("path", ["/sandbox/messages", "/sandbox/behaviour"])
async def test_the_sandbox_takes_nothing_from_somebody_elses_page(demo: DemoProcess, path: str) -> None:
    url, good = demo.url + path, {"customer": "c-1", "channel": "sms", "text": "?"}
    async with demo.http.post(url, json=good, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    async with demo.http.post(url, json=good, headers={"Host": f"evil.example:{demo.port}"}) as answer:
        assert answer.status == 403
    async with demo.http.post(url, json=good, headers={"X-Forwarded-For": "192.0.2.1"}) as answer:
        assert answer.status == 403
    async with demo.http.post(url, data=good) as answer:
        assert answer.status == 415
    async with demo.http.get(f"{demo.url}/sandbox", headers={"Host": f"evil.example:{demo.port}"}) as answer:
        assert answer.status == 403
    if path == "/sandbox/messages":
        async with demo.http.post(url, json=good, headers={"Origin": demo.url}) as answer:
            assert answer.status == 201
        for wrong, status in (({"customer": "c-99"}, 404), ({"customer": "c-6"}, 422), ({"text": ""}, 422)):
            async with demo.http.post(url, json=good | wrong) as answer:
                assert answer.status == status


async def test_the_real_gateway_has_no_sandbox_and_the_two_keep_out_of_each_others_folder(tmp_path: Path) -> None:
    async with prepared_gateway(tmp_path, {}) as gateway:
        await gateway.start()
        for method, path in (
            ("GET", "/sandbox"),
            ("GET", "/sandbox/state"),
            ("GET", "/sandbox/sent"),
            ("POST", "/sandbox/messages"),
        ):
            async with gateway.http.request(method, f"{gateway.url}/sandbox{path}", json={}) as answer:
                assert answer.status == 404
        gateway.stop()
    status, said = refused({"GATEWAY_HTTP__LISTEN": f"127.0.0.1:{free_port()}"}, tmp_path)
    assert (status, "was made by `serve`" in said) == (1, True)


async def test_the_real_gateway_refuses_the_folder_of_a_demo(demo: DemoProcess) -> None:
    demo.stop()
    status, said = refused({"GATEWAY_SECRET_KEY": "0123456789abcdef" * 2}, demo.folder, "serve")
    assert (status, "was made by `demo`" in said) == (1, True)


def test_a_demo_neither_listens_nor_speaks_beyond_this_machine(tmp_path: Path) -> None:
    world = {
        "GATEWAY_HTTP__LISTEN": "0.0.0.0:8080",
        "GATEWAY_EMAIL__LISTEN": "[::]:2525",
        "GATEWAY_TWILIO__API_URL": "https://api.twilio.com",
        "GATEWAY_EMAIL__SMTP_URL": "smtps://mail.shop.example",
    }
    status, said = refused(world, tmp_path)
    assert status == 2
    assert all(name in said for name in world)


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        place = f"127.0.0.1:{somebody.getsockname()[1]}"
        status, said = refused({"GATEWAY_HTTP__LISTEN": place, "GATEWAY_EMAIL__LISTEN": "127.0.0.1:0"}, tmp_path)
    assert status == 1
    assert place in said


def test_a_database_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    database = {"GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'real.sqlite'}"}
    words = [
        sys.executable,
        str(ROOT / "main.py"),
        "agent",
        "add",
        "ada@shop.example",
        "--name",
        "Ada",
        "--password-stdin",
    ]
    real = {"PATH": os.environ["PATH"], "GATEWAY_SECRET_KEY": "0123456789abcdef" * 2, **database}
    subprocess.run(words, env=real, cwd=tmp_path, input=b"correct horse\n", capture_output=True, check=True, timeout=60)
    status, said = refused(database | {"GATEWAY_HTTP__LISTEN": f"127.0.0.1:{free_port()}"}, tmp_path)
    assert (status, "give demo mode one of its own" in said) == (1, True)


async def test_what_the_environment_sets_goes_first(tmp_path: Path) -> None:
    settings = {
        "GATEWAY_TWILIO__AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
        "GATEWAY_EMAIL__ADDRESS": "hello@otherfern.example",
        "GATEWAY_TWILIO__SMS_FROM": "+12025550199",
    }
    async with DemoProcess(tmp_path, settings) as demo:
        demo.keep_ports()
        await demo.start()
        assert demo.printed["Twilio auth token"] == settings["GATEWAY_TWILIO__AUTH_TOKEN"]
        channels = (await demo.get("/sandbox/state"))["channels"]
        assert channels["email"]["address"] == "hello@otherfern.example"
        assert channels["sms"]["address"] == "+12025550199"
        for channel in ("sms", "email"):
            await demo.post("/sandbox/messages", {"customer": "c-1", "channel": channel, "text": "?"})


async def test_what_the_provider_had_still_to_say_is_said_after_a_kill(demo: DemoProcess) -> None:
    await demo.post("/sandbox/messages", {"customer": "c-2", "channel": "sms", "text": "?"})
    (conversation,) = await demo.conversations_of("c-2")
    trouble = {"twilio": [{"kind": "undelivered", "code": 30005, "to": "whatsapp:*"}], "callbacks": "late"}
    async with demo.http.post(f"{demo.url}/sandbox/behaviour", json=trouble) as answer:
        assert answer.status == 204
    path = f"/v1/conversations/{conversation['id']}/messages"
    await demo.post("/sandbox/messages", {"customer": "c-2", "channel": "whatsapp", "text": "?"})
    ids = [(await demo.post(path, {"text": "!", "channel": channel}))["id"] for channel in ("sms", "whatsapp")]
    for message_id in ids:
        await demo.until_status(conversation["id"], message_id, "sent")
    demo.kill()
    await demo.start()
    for message_id, end in zip(ids, ("delivered", "failed"), strict=True):
        async with asyncio.timeout(10):
            while (await demo.message(conversation["id"], message_id))["status"] != end:
                await asyncio.sleep(0.02)
