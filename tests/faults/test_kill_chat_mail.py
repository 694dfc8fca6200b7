"""kill -9 while a chat goes on by mail: an answer that nobody took, and a transcript, each go out, and once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.smtp import SmtpPeer
from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.mail import read_built

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

ANA = "ana@customer.example"
SAID = "Where is my parcel?"


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as peer:
        yield peer


@pytest.fixture
async def gateway(peer: SmtpPeer, tmp_path: Path, sqlite_url: str) -> AsyncIterator[GatewayProcess]:
    settings = {
        # A lease that a killed process held is free at once on SQLite; elsewhere it has to run out.
        "GATEWAY_DATABASE_URL": sqlite_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_EMAIL__ADDRESS": "care@shop.example",
        "GATEWAY_EMAIL__SMTP_URL": peer.url,
        "GATEWAY_WEBCHAT__SHOP_NAME": "Calm Shop",
        "GATEWAY_WEBCHAT__HAND_OVER_S": "0.5",
        "GATEWAY_DELIVERY__LEASE_S": "2",
    }
    async with prepared_gateway(tmp_path, settings) as process:
        yield process


async def chat(gateway: GatewayProcess, *frames: Mapping[str, Any], until: str, visitor: str | None = None) -> str:
    """Say these frames, again if the line breaks, until one of this type comes; return the visitor's token."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with gateway.http.ws_connect(f"{gateway.url}/chat/socket") as ws:
                    await ws.send_json({"type": "hello", "visitor": visitor, "language": "de"})
                    visitor = (await ws.receive_json())["visitor"]
                    for frame in frames:
                        await ws.send_json(frame)
                    async for message in ws:
                        if message.json()["type"] == until:
                            assert visitor is not None
                            return visitor
            except (aiohttp.ClientError, TypeError):  # refused, or closed before it was welcomed
                pass
            if gateway.process is not None and gateway.process.poll() is not None:
                await gateway.start()


async def until_quiet(gateway: GatewayProcess, peer: SmtpPeer) -> None:
    """Wait until everything that is to go by mail has gone."""
    async with asyncio.timeout(60):
        while True:
            if gateway.process is not None and gateway.process.poll() is not None:
                await gateway.start()
            mails = [message for message in await gateway.all_messages() if message["channel"] == "email"]
            if mails and all(message["status"] == "sent" for message in mails):
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "step",
    [
        "gateway.services.hand_over:HandOver.run:before:1",
        "gateway.services.hand_over:queue_outgoing:after:1",
        "gateway.services.hand_over:HandOver.run:after:1",
        "gateway.workers.jobs:finish_job:before:1",
    ],
)
async def test_an_answer_that_nobody_took_goes_out_once(gateway: GatewayProcess, peer: SmtpPeer, step: str) -> None:
    await gateway.start(crash_at=step)
    await chat(
        gateway,
        {"type": "claim", "email": ANA},
        {"type": "message", "id": "c1", "text": SAID},
        until="ack",
    )
    (conversation,) = (await gateway.get("/v1/conversations"))["items"]
    await gateway.insist(f"/v1/conversations/{conversation['id']}/messages", {"text": "It comes tomorrow."})
    await gateway.until_dead()
    await gateway.start()
    await until_quiet(gateway, peer)
    (mail,) = peer.mails
    built = read_built(mail.content)
    assert mail.rcpt_tos == [ANA]
    assert built["Subject"] == "Ihr Chat mit Calm Shop"
    assert built.get_content().strip() == "It comes tomorrow."
    events = (await gateway.get(f"/v1/conversations/{conversation['id']}/events", limit="100"))["items"]
    assert [event["type"] for event in events].count("message.handed_over") == 1


@pytest.mark.parametrize(
    "step",
    [
        "gateway.services.chat:queue_transcript:before:1",
        "gateway.services.chat:queue_transcript:after:1",
        "gateway.services.chat:Chats.send_transcript:after:1",
        "gateway.workers.delivery:mark_started:before:1",
    ],
)
async def test_a_transcript_that_was_asked_for_again_goes_out_once(
    gateway: GatewayProcess, peer: SmtpPeer, step: str
) -> None:
    await gateway.start(crash_at=step)
    message = {"type": "message", "id": "c1", "text": SAID}
    visitor = await chat(gateway, message, until="ack")
    await chat(gateway, {"type": "transcript", "email": ANA}, until="transcript_sent", visitor=visitor)
    await until_quiet(gateway, peer)
    (mail,) = peer.mails
    assert mail.rcpt_tos == [ANA]
    text = read_built(mail.content).get_content()
    assert text.startswith("Das ist Ihr Chat mit Calm Shop.")
    assert text.count(SAID) == 1
