"""Whatever comes in gets a clear error or the quarantine; never a 5xx, never a loss, and no word of it in the log."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import aiosmtplib
import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.ports import free_port

SID = "AC" + "3" * 32
TOKEN = "a-token-nobody-may-read"
SHOP = "+15005550006"
SENDER = "+447700900777"
WORDS = "my-very-private-words"
MAILBOX = "very.private@customer.example"


@pytest.fixture
def smtp_port() -> int:
    return free_port()


@pytest.fixture
async def gateway(tmp_path: Path, sqlite_url: str, smtp_port: int) -> AsyncIterator[GatewayProcess]:
    settings = {
        "GATEWAY_DATABASE_URL": sqlite_url.replace("sqlite+aiosqlite", "sqlite"),
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
        "GATEWAY_TWILIO__WHATSAPP_FROM": SHOP,
        "GATEWAY_TWILIO__API_URL": "http://127.0.0.1:9",
        "GATEWAY_EMAIL__ADDRESS": "care@shop.example",
        "GATEWAY_EMAIL__SMTP_URL": "smtp://user:hunter2-hunter2@127.0.0.1:9",
        "GATEWAY_EMAIL__LISTEN": f"127.0.0.1:{smtp_port}",
        "GATEWAY_LOG__LEVEL": "debug",
    }
    async with prepared_gateway(tmp_path, settings) as process:
        process.token = (await process.command("token", "add", "admin", "--scope", "admin")).split()[-1]
        await process.start()
        yield process


async def post_form(gateway: GatewayProcess, path: str, body: bytes, *, token: str = TOKEN) -> int:
    """Post a raw form, signed over what Twilio would have made of it."""
    url = gateway.url + path
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    signature = RequestValidator(token).compute_signature(url, dict(pairs))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    async with gateway.http.post(url, data=body, headers=headers) as answer:
        return answer.status


MESSAGES = "/webhooks/twilio/messages"
STATUS = "/webhooks/twilio/status"


FORMS = [
    (MESSAGES, b""),
    (MESSAGES, b"Body=no+sender+and+no+id"),
    (MESSAGES, b"MessageSid=SM1&From=&To=&Body="),
    (MESSAGES, b"MessageSid=" + b"S" * 5000 + b"&From=%2B44&Body=x"),
    (MESSAGES, b"MessageSid=SM2&From=%2B447700900777&Body=nul%00inside&NumMedia=minus"),
    (MESSAGES, b"MessageSid=SM3&From=whatsapp%3A&Body=%ED%A0%80"),
    (MESSAGES, b"MessageSid=SM4&From=%2B447700900777&Body=x&NumMedia=999999999999&MediaUrl0=file%3A%2F%2F%2Fetc"),
    (STATUS, b"MessageSid=SM5&MessageStatus=flying"),
    (STATUS, b"MessageSid=SM6&MessageStatus=delivered"),
    (STATUS + "?message=%00&part=-1", b"MessageSid=SM7&MessageStatus=delivered"),
    (STATUS + "?message=018f0000-0000-7000-8000-000000000000&part=99999999", b"MessageSid=SM8&MessageStatus=read"),
]


async def count_kept(gateway: GatewayProcess) -> int:
    return len((await gateway.get("/v1/quarantine"))["items"]) + len(await gateway.all_messages())


async def test_a_signed_form_that_makes_no_sense_is_acknowledged_and_kept(gateway: GatewayProcess) -> None:
    for number, (path, body) in enumerate(FORMS, start=1):
        assert await post_form(gateway, path, body) == 200, body[:60]
        assert await count_kept(gateway) == number, body[:60]


async def test_a_wrong_signature_is_refused_and_leaves_nothing(gateway: GatewayProcess) -> None:
    body = b"MessageSid=SM1&From=%2B447700900777&To=%2B15005550006&Body=x"
    assert await post_form(gateway, MESSAGES, body, token="another-token") == 403
    assert (await gateway.get("/v1/quarantine"))["items"] == []
    assert await gateway.all_messages() == []


async def test_what_is_no_utf8_is_still_a_message(gateway: GatewayProcess) -> None:
    body = b"MessageSid=SM1&From=%2B447700900777&To=%2B15005550006&Body=caf%E9"
    assert await post_form(gateway, MESSAGES, body) in {200, 403}


def nested_mail(depth: int) -> bytes:
    head = b"From: Ana <ana@customer.example>\r\nTo: care@shop.example\r\nSubject: Deep\r\nMIME-Version: 1.0\r\n"
    opening = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(depth)
    )
    return head + opening + b"Content-Type: text/plain\r\n\r\nthe words inside\r\n"


MAILS = {
    "nothing": b"",
    "no headers": b"\r\n\r\njust words\r\n",
    "a NUL": b"From: a@customer.example\r\nSubject: \x00\r\n\r\nbefore\x00after\r\n",
    "bytes of no charset": b"From: a@customer.example\r\nSubject: \xff\xfe\r\n\r\n\xff\xfe\x80\r\n",
    "deep nesting": nested_mail(2000),
    "a header without end": b"From: a@customer.example\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\nwords\r\n",
    "broken base64": b"From: a@customer.example\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!====\r\n",
    "many parts": b'From: a@customer.example\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    + b"--b\r\n\r\nx\r\n" * 20_000,
}


async def test_any_mail_is_a_message_or_in_quarantine(gateway: GatewayProcess, smtp_port: int) -> None:
    for number, (name, mail) in enumerate(MAILS.items(), start=1):
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) as client:
            await client.sendmail("a@customer.example", ["care@shop.example"], mail)
        assert await count_kept(gateway) == number, name


async def test_a_mail_of_30_mb_is_refused_with_a_reason(gateway: GatewayProcess, smtp_port: int) -> None:
    huge = b"From: a@customer.example\r\n\r\n" + (b"x" * 998 + b"\r\n") * 30_000
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException) as refusal:
            await client.sendmail("a@customer.example", ["care@shop.example"], huge)
    assert refusal.value.code == 552
    assert await gateway.all_messages() == []


async def test_the_gateway_takes_no_mail_for_others(gateway: GatewayProcess, smtp_port: int) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await client.sendmail("a@customer.example", ["somebody@else.example"], b"Subject: x\r\n\r\nx\r\n")


async def test_a_webhook_of_megabytes_is_refused(gateway: GatewayProcess) -> None:
    async with gateway.http.post(gateway.url + MESSAGES, data=BytesIO(b"x" * 5_000_000)) as answer:
        assert answer.status == 413


async def test_after_all_kinds_of_errors_the_log_holds_no_words_addresses_or_secrets(
    gateway: GatewayProcess, smtp_port: int
) -> None:
    form = f"MessageSid=SM1&From={SENDER.replace('+', '%2B')}&To={SHOP.replace('+', '%2B')}&Body={WORDS}".encode()
    assert await post_form(gateway, MESSAGES, form) == 200
    assert await post_form(gateway, MESSAGES, form, token="wrong") == 403
    unreadable = f"Body={WORDS}&From={SENDER.replace('+', '%2B')}".encode()
    assert await post_form(gateway, MESSAGES, unreadable) == 200
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=smtp_port, start_tls=False) as client:
        mail = f"From: {MAILBOX}\r\nTo: care@shop.example\r\nSubject: {WORDS}\r\n\r\n{WORDS}\r\n".encode()
        await client.sendmail(MAILBOX, ["care@shop.example"], mail)
    for conversation in (await gateway.get("/v1/conversations"))["items"]:
        # Both providers are unreachable here: sending fails and is tried again.
        await gateway.post(f"/v1/conversations/{conversation['id']}/messages", {"text": WORDS})
    query = f"{gateway.url}/v1/contacts?address={MAILBOX}&bogus={WORDS}"
    async with gateway.http.get(query, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert answer.status == 401
    async with gateway.http.post(f"{gateway.url}/v1/session", data=WORDS.encode() * 3) as answer:
        assert 400 <= answer.status < 500
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{gateway.url}/chat/socket") as socket:
        await socket.send_str('{"type": "hello", "visitor": "' + WORDS + '", "identity": "' + WORDS + '"}')
        await socket.send_str('{"type": "claim", "email": "' + MAILBOX + '"}')
        await socket.receive(timeout=20)
    await until_tried(gateway)
    gateway.stop()
    written = gateway.log.read_text()
    assert "delivery" in written or "item" in written or "smtp" in written
    for secret in (WORDS, MAILBOX, "very.private", SENDER[1:], TOKEN, "hunter2", gateway.token, "0123456789abcdef0123"):
        assert secret not in written
    assert re.search(r"gw_[A-Za-z0-9_-]{20,}", written) is None


async def until_tried(gateway: GatewayProcess) -> None:
    """Wait until the delivery worker has met both providers that aren't there."""
    async with asyncio.timeout(20):
        while True:
            with sqlite3.connect(gateway.folder / "gateway.sqlite") as database:
                tried = database.execute("SELECT count(*) FROM deliveries WHERE attempts > 0").fetchone()[0]
            database.close()
            if tried >= 2:
                return
            await asyncio.sleep(0.05)
