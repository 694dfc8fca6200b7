"""Settings that lead a process to servers beside it: one bus for several processes, one S3 store for their files."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from aiohttp import ClientTimeout, ClientWebSocketResponse
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.parts import PartMissing
from tests.support.ports import free_port
from tests.support.s3 import BUCKET, S3Server, give_up_s3, running_s3
from tests.support.sockets import Frame, frames_until, next_frame

SID = "AC" + "7" * 32
TOKEN = "a-token-of-two-processes"
SHOP = "+15005550006"
PASSWORD = "correct horse battery"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 200
# Without a notice a socket looks for itself every 15 s: what comes sooner came over the bus.
NOTICE_TIMEOUT_S = 10


@pytest.fixture
def cluster_settings(postgresql_url: str, redis_url: str) -> Mapping[str, str]:
    return {
        "GATEWAY_DATABASE_URL": postgresql_url,
        "GATEWAY_REDIS_URL": redis_url,
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
    }


@asynccontextmanager
async def two_processes(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[GatewayProcess, ...]]:
    for name in ("one", "two"):
        (folder / name).mkdir()
    async with prepared_gateway(folder / "one", settings) as one, GatewayProcess(folder / "two", settings) as two:
        two.token = one.token
        await one.start()
        await two.start()
        yield one, two


async def post_sms(gateway: GatewayProcess, number: int) -> None:
    url = f"{gateway.url}/webhooks/twilio/messages"
    form = {"MessageSid": f"SM{number:032x}", "AccountSid": SID, "From": "+447700900123", "To": SHOP, "Body": "Hello?"}
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
    async with gateway.http.post(url, data=form, headers=headers) as answer:
        assert answer.status == 200


async def log_in(gateway: GatewayProcess) -> Mapping[str, str]:
    """Make an agent, log them in and return the headers of their page."""
    options = ("--name", "Ben", "--password-stdin")
    await gateway.command("agent", "add", "ben@shop.example", *options, stdin=f"{PASSWORD}\n")
    login = {"email": "ben@shop.example", "password": PASSWORD}
    async with gateway.http.post(f"{gateway.url}/v1/session", json=login, headers={"Origin": gateway.url}) as answer:
        assert answer.status == 201
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return {"Cookie": cookie, "Origin": gateway.url}


async def next_of(kind: str, ws: ClientWebSocketResponse) -> Frame:
    async with asyncio.timeout(NOTICE_TIMEOUT_S):
        frame: Frame = (await frames_until(ws, lambda frame: kind in frame))[-1][kind]
        return frame


async def test_what_comes_in_at_one_process_is_seen_live_by_an_agent_at_another(
    tmp_path: Path, cluster_settings: Mapping[str, str]
) -> None:
    async with two_processes(tmp_path, cluster_settings) as (one, two):
        async with two.http.ws_connect(f"{two.url}/v1/live", headers=await log_in(two)) as ws:
            assert await next_frame(ws) == {"inbox": None}
            await post_sms(one, 1)
            seen = await next_of("inbox", ws)
            conversation: str = seen["conversation"]
            [message] = await two.messages(conversation)
            assert message["text"] == "Hello?"
            await ws.send_json({"subscribe": {conversation: seen["seq"]}})
            assert await next_of("subscribed", ws) == {conversation: seen["seq"]}
            await post_sms(one, 2)
            event = await next_of("event", ws)
            assert (event["type"], event["seq"]) == ("message.received", seen["seq"] + 1)
            assert {item["id"] for item in await two.messages(conversation)} == {message["id"], event["message_id"]}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    try:
        with running_s3() as server:
            yield server
    except PartMissing as missing:
        give_up_s3(missing)


@pytest.fixture
def smtp_port() -> int:
    return free_port()


@pytest.fixture
async def on_s3(s3: S3Server, sqlite_url: str, smtp_port: int, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    settings = {
        "GATEWAY_DATABASE_URL": sqlite_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_FILES__URL": f"s3://{BUCKET}/files",
        "GATEWAY_EMAIL__ADDRESS": "care@shop.example",
        "GATEWAY_EMAIL__SMTP_URL": "smtp://127.0.0.1:9",
        "GATEWAY_EMAIL__LISTEN": f"127.0.0.1:{smtp_port}",
        **s3.variables,
    }
    async with prepared_gateway(tmp_path, settings) as process:
        await process.start()
        yield process


async def send_picture(smtp_port: int, content: bytes = PICTURE) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ana@customer.example", "care@shop.example", "It leaks"
    mail.set_content("See the picture.")
    mail.add_attachment(content, maintype="image", subtype="png", filename="leak.png")
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=smtp_port, start_tls=False)


async def download(gateway: GatewayProcess) -> bytes:
    """Return the only file of the only message, once it is there."""
    async with asyncio.timeout(60):
        while not (messages := await gateway.all_messages()):
            await asyncio.sleep(0.05)
    [[file]] = [message["attachments"] for message in messages]
    assert (file["filename"], file["content_type"]) == ("leak.png", "image/png")
    async with gateway.http.get(file["url"]) as answer:
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        return await answer.read()


async def test_files_stand_in_s3_and_nowhere_else(on_s3: GatewayProcess, s3: S3Server, smtp_port: int) -> None:
    before = set(s3.list_names())
    await send_picture(smtp_port)
    assert await download(on_s3) == PICTURE
    [name] = set(s3.list_names()) - before
    assert name.startswith("files/")
    assert not (on_s3.folder / "data" / "files").exists()
    on_s3.kill()
    await on_s3.start()
    assert await download(on_s3) == PICTURE


async def test_a_mail_that_comes_while_s3_is_away_has_its_file_when_it_is_back(
    on_s3: GatewayProcess, s3: S3Server, smtp_port: int
) -> None:
    picture = PICTURE + b"another"
    s3.kill()
    await send_picture(smtp_port, picture)
    assert await on_s3.all_messages() == []
    # The store is tried for a while before the uploader is told.
    patience = ClientTimeout(total=90)
    headers = {"Authorization": f"Bearer {on_s3.token}"}
    url = f"{on_s3.url}/v1/attachments?filename=a.png"
    async with on_s3.http.post(url, data=picture, headers=headers, timeout=patience) as answer:
        assert answer.status == 503
    s3.start()
    assert await download(on_s3) == picture
