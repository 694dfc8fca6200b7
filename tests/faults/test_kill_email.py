"""kill -9 while mail is sent: it goes at most once, and an attempt in doubt is there for all to see."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from gateway.sandbox.smtp import SmtpPeer
from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.ports import free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as peer:
        yield peer


@pytest.fixture
async def receiver_port() -> int:
    return free_port()


@pytest.fixture
async def gateway(
    peer: SmtpPeer, receiver_port: int, tmp_path: Path, database_url: str
) -> AsyncIterator[GatewayProcess]:
    settings = {
        "GATEWAY_DATABASE_URL": database_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_EMAIL__ADDRESS": "care@shop.example",
        "GATEWAY_EMAIL__SMTP_URL": peer.url,
        "GATEWAY_EMAIL__LISTEN": f"127.0.0.1:{receiver_port}",
        "GATEWAY_DELIVERY__LEASE_S": "2",
    }
    async with prepared_gateway(tmp_path, settings) as process:
        yield process


def mail(number: int) -> bytes:
    return (
        f"From: Ana <ana@customer.example>\r\nTo: care@shop.example\r\nSubject: Order\r\n"
        f"Message-ID: <m{number}@customer.example>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0000\r\n\r\ntext {number}\r\n"
    ).encode()


async def deliver(port: int, number: int) -> None:
    """Hand the mail over until it is taken, as a mail server does."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=5) as client:
                    await client.sendmail("ana@customer.example", ["care@shop.example"], mail(number))
                    return
            except (aiosmtplib.SMTPException, OSError):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "step",
    [
        "gateway.workers.intake:Intake.submit:before:1",
        "gateway.services.intake:receive_messages:after:1",
        "gateway.workers.intake:Intake.submit:after:1",
    ],
)
async def test_a_mail_survives_a_kill_and_stands_once(gateway: GatewayProcess, receiver_port: int, step: str) -> None:
    await gateway.start(crash_at=step)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(deliver(receiver_port, 1))
        await gateway.until_dead()
        await gateway.start()
    assert [message["text"] for message in await gateway.all_messages()] == ["text 1"]


# What is found after the restart: a mail that surely never left is sent, one whose fate is unclear is shown as unknown.
SEND_STEPS = {
    "gateway.workers.delivery:claim_ready:after:2": ("sent", 1),
    "gateway.services.compose:Composer.compose:before:1": ("sent", 1),
    "gateway.workers.delivery:mark_started:after:1": ("sent", 1),
    "channels.email.adapter:EmailChannel.send:before:1": ("unknown", 0),
    "channels.email.adapter:EmailChannel.send:after:1": ("unknown", 1),
    "gateway.workers.delivery:record_attempts:after:1": ("unknown", 1),
    "gateway.workers.delivery:DeliveryWorker._write_results:after:1": ("sent", 1),
}


@pytest.mark.parametrize("step", SEND_STEPS)
async def test_a_mail_goes_at_most_once_and_doubt_is_shown(
    gateway: GatewayProcess, peer: SmtpPeer, receiver_port: int, step: str
) -> None:
    await gateway.start()
    await deliver(receiver_port, 1)
    (conversation,) = (await gateway.get("/v1/conversations"))["items"]
    gateway.kill()
    await gateway.start(crash_at=step)
    path = f"/v1/conversations/{conversation['id']}/messages"
    async with asyncio.TaskGroup() as tasks:
        posted = tasks.create_task(gateway.insist(path, {"text": "Only once, please."}))
        await gateway.until_dead()
        await gateway.start()
        message = await posted
    status, mails = SEND_STEPS[step]
    async with asyncio.timeout(20):
        while (await gateway.messages(conversation["id"]))[-1]["status"] != status:
            await asyncio.sleep(0.05)
    assert len(peer.mails) == mails
    if status == "unknown":
        await gateway.post(f"/v1/messages/{message['id']}/resend", {})
        async with asyncio.timeout(20):
            while (await gateway.messages(conversation["id"]))[-1]["status"] != "sent":
                await asyncio.sleep(0.05)
        assert len(peer.mails) == mails + 1
