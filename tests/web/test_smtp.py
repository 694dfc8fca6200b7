"""The SMTP receiver takes mail for us alone, and answers 250 only when it is safe."""

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from channels.email.wire import parse_mail
from gateway.domain.errors import Unavailable
from gateway.domain.message import RawInbound, Source
from gateway.services.receive import Receipt, ReceiptState
from gateway.web.smtp import SmtpReceiver
from tests.support.mail import MAILBOX, NOW, server_context, trusting_context

MAIL = b"From: ana@customer.example\r\nSubject: x\r\n\r\nHello\r\n"
OURS = "service@shop.example"


class Inbox:
    """Where the intake would be."""

    def __init__(self) -> None:
        self.received: list[RawInbound] = []
        self.state = ReceiptState.ACCEPTED
        self.error: Exception | None = None
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def submit(self, raw: RawInbound) -> Receipt:
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.received.append(raw)
        return Receipt(state=self.state)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@asynccontextmanager
async def serving(inbox: Inbox, **settings: Any) -> AsyncIterator[SmtpReceiver]:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "max_bytes": 100_000, "now": lambda: NOW} | settings
    receiver = SmtpReceiver(submit=inbox.submit, mailbox=MAILBOX, **given)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.close()


@pytest.fixture
async def receiver(inbox: Inbox) -> AsyncIterator[SmtpReceiver]:
    async with serving(inbox) as receiver:
        yield receiver


@asynccontextmanager
async def connected(receiver: SmtpReceiver) -> AsyncIterator[aiosmtplib.SMTP]:
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=receiver.port, start_tls=False, timeout=10, local_hostname="customer.example"
    )
    await client.connect()
    try:
        yield client
    finally:
        client.close()


async def send(
    receiver: SmtpReceiver, content: bytes = MAIL, *recipients: str, sender: str = "ana@customer.example"
) -> str:
    async with connected(receiver) as client:
        _, answer = await client.sendmail(sender, list(recipients or (OURS,)), content)
        return answer


async def test_a_mail_is_handed_over_with_its_envelope(receiver: SmtpReceiver, inbox: Inbox) -> None:
    await send(receiver, MAIL, OURS, "Service+token@Shop.example", sender="Ana@customer.example")
    [raw] = inbox.received
    assert (raw.source, raw.received_at, raw.body) == (Source.EMAIL, NOW, MAIL)
    assert raw.meta == {
        "mail_from": "Ana@customer.example",
        "rcpt_to": "service@shop.example,Service+token@Shop.example",
        "peer": "127.0.0.1",
    }
    assert parse_mail(raw, MAILBOX).sender.value == "ana@customer.example"


async def test_any_smtp_client_will_do(receiver: SmtpReceiver, inbox: Inbox) -> None:
    def send_plainly() -> None:
        with smtplib.SMTP("127.0.0.1", receiver.port, timeout=10) as client:
            assert client.sendmail("ana@customer.example", [OURS], MAIL) == {}

    await asyncio.to_thread(send_plainly)
    assert len(inbox.received) == 1


@pytest.mark.parametrize("state", ReceiptState)
async def test_whatever_is_safe_is_acknowledged(receiver: SmtpReceiver, inbox: Inbox, state: ReceiptState) -> None:
    inbox.state = state
    assert (await send(receiver)).startswith("2.0.0")


async def test_nothing_is_acknowledged_before_it_is_safe(receiver: SmtpReceiver, inbox: Inbox) -> None:
    inbox.gate.clear()
    async with connected(receiver) as client, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(client.sendmail("ana@customer.example", [OURS], MAIL))
        done, _ = await asyncio.wait([sending], timeout=0.1)
        assert not done
        inbox.gate.set()
    assert sending.result()[1].startswith("2.0.0")


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("disk full"), RuntimeError("a mistake of ours")])
async def test_what_is_not_safe_stays_with_the_sender(receiver: SmtpReceiver, inbox: Inbox, error: Exception) -> None:
    inbox.error = error
    async with connected(receiver) as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await client.sendmail("ana@customer.example", [OURS], MAIL)
        assert (refused.value.code, refused.value.message) == (451, "4.3.0 Try again later")
        inbox.error = None
        await client.sendmail("ana@customer.example", [OURS], MAIL)
    assert len(inbox.received) == 1


@pytest.mark.parametrize(
    "recipient",
    ["eve@evil.example", "services@shop.example", "service@shop.example.evil.example", "sales@shop.example", "service"],
)
async def test_mail_for_others_is_refused(receiver: SmtpReceiver, inbox: Inbox, recipient: str) -> None:
    async with connected(receiver) as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await client.sendmail("ana@customer.example", [recipient], MAIL)
        [error] = refused.value.recipients
        assert (error.code, error.message[:5]) == (550, "5.1.1")
        # One of ours beside it is taken, and it alone.
        await client.sendmail("ana@customer.example", [recipient, OURS], MAIL)
    assert inbox.received[0].meta["rcpt_to"] == OURS


async def test_a_notification_without_a_sender_is_taken(receiver: SmtpReceiver, inbox: Inbox) -> None:
    await send(receiver, sender="")
    assert inbox.received[0].meta["mail_from"] == ""


@pytest.mark.parametrize(
    "body",
    [
        b".\r\n",
        b"..\r\n.x\r\n",
        b"\r\n.\nQUIT\r\n",  # a bare line end closes nothing: no second mail can be smuggled in
        b"\n.\r\nMAIL FROM:<eve@evil.example>\r\n",
        b"x" * 50_000 + b"\r\n",  # a line over 998 octets is a broken sender's, not a lost mail
        b"a line that ends with .\r\n" * 2_000,
        b"\x00\xff\r\n",
    ],
)
async def test_the_content_arrives_byte_for_byte(receiver: SmtpReceiver, inbox: Inbox, body: bytes) -> None:
    async with connected(receiver) as client:
        await client.mail("ana@customer.example")
        await client.rcpt(OURS)
        await client.execute_command(b"DATA")
        assert client.protocol is not None
        content = b".X: y\r\n" + MAIL + body
        client.protocol.write(b"." + content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert (await client.protocol.read_response(10)).code == 250
        await client.noop()
    assert [raw.body for raw in inbox.received] == [content]


@pytest.mark.parametrize("content", [b"", b"\r\n", b".\r\n"])
async def test_an_empty_mail_ends_where_it_ends(receiver: SmtpReceiver, inbox: Inbox, content: bytes) -> None:
    await send(receiver, content or b"\r\n")
    assert len(inbox.received) == 1
    async with connected(receiver) as client:
        await client.mail("ana@customer.example")
        await client.rcpt(OURS)
        await client.execute_command(b"DATA")
        assert client.protocol is not None
        client.protocol.write(b".\r\n")
        assert (await client.protocol.read_response(10)).code == 250
    assert inbox.received[1].body == b""


async def test_too_much_is_refused_and_the_connection_goes_on(receiver: SmtpReceiver, inbox: Inbox) -> None:
    big = MAIL + b"x" * 998 + b"\r\n"
    async with connected(receiver) as client:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as told:
            await client.mail("ana@customer.example", options=["SIZE=100001"])
        await client.mail("ana@customer.example")
        await client.rcpt(OURS)
        with pytest.raises(aiosmtplib.SMTPDataError) as found:
            await client.data(MAIL + (b"x" * 998 + b"\r\n") * 101)
        for error in (told.value, found.value):
            assert (error.code, error.message[:5]) == (552, "5.3.4")
        await client.sendmail("ana@customer.example", [OURS], big)
    assert len(inbox.received) == 1


async def test_what_fits_exactly_is_taken(receiver: SmtpReceiver, inbox: Inbox) -> None:
    content = MAIL + b"x" * (100_000 - len(MAIL) - 2) + b"\r\n"
    await send(receiver, content)
    assert inbox.received[0].body == content


async def test_it_says_nothing_of_itself_or_of_who_is_here(receiver: SmtpReceiver) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    assert await reader.readline() == b"220 shop.example ESMTP\r\n"
    answers = []
    for command in ("EHLO x", "VRFY service", "VRFY nobody", f"VRFY {OURS}", "EXPN service"):
        writer.write(f"{command}\r\n".encode())
        answers.append(await read_answer(reader))
    assert b"AUTH" not in answers[0]
    assert len(set(answers[1:4])) == 1
    assert answers[1].startswith(b"252")
    assert answers[4].startswith(b"502")
    writer.close()
    await writer.wait_closed()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    answer = b""
    while not answer.splitlines() or answer.splitlines()[-1][3:4] != b" ":
        answer += await reader.readline()
    return answer


async def test_the_order_of_commands_is_kept(receiver: SmtpReceiver, inbox: Inbox) -> None:
    async with connected(receiver) as client:
        assert (await client.execute_command(b"DATA")).code == 503
        await client.ehlo()
        assert (await client.execute_command(b"DATA")).code == 503
        await client.mail("ana@customer.example")
        assert (await client.execute_command(b"DATA")).code == 503
        await client.rcpt(OURS)
        assert (await client.execute_command(b"DATA", b"now")).code == 501
    assert inbox.received == []


async def test_recipients_are_counted(receiver: SmtpReceiver) -> None:
    async with connected(receiver) as client:
        await client.mail("ana@customer.example")
        for number in range(100):
            await client.rcpt(f"service+{number}@shop.example")
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refused:
            await client.rcpt(OURS)
        assert refused.value.code == 452


async def test_one_connection_too_many_is_asked_to_come_later(inbox: Inbox) -> None:
    async with serving(inbox, max_connections=1) as receiver:
        async with connected(receiver):
            with pytest.raises(aiosmtplib.SMTPConnectResponseError) as refused:
                await send(receiver)
            assert refused.value.code == 421
        while not inbox.received:  # the place is free once the server has seen the first one go
            try:
                await send(receiver)
            except aiosmtplib.SMTPConnectResponseError:
                await asyncio.sleep(0.005)


async def test_who_says_nothing_is_hung_up_on(inbox: Inbox) -> None:
    async with serving(inbox, command_timeout_s=0.05) as receiver:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"220")
        writer.close()
        await writer.wait_closed()


async def test_starttls_is_offered_when_there_is_a_certificate(inbox: Inbox, tmp_path: Path) -> None:
    async with serving(inbox, tls_context=server_context(tmp_path)) as receiver:
        client = aiosmtplib.SMTP(
            hostname="localhost", port=receiver.port, start_tls=True, timeout=10, tls_context=trusting_context(tmp_path)
        )
        await client.connect()
        assert isinstance(client.get_transport_info("sslcontext"), ssl.SSLContext)
        await client.sendmail("ana@customer.example", [OURS], MAIL)
        assert not client.supports_extension("auth")
        await client.quit()
    assert len(inbox.received) == 1


async def test_without_a_certificate_starttls_is_not_offered(receiver: SmtpReceiver) -> None:
    async with connected(receiver) as client:
        await client.ehlo()
        assert not client.supports_extension("starttls")


async def test_a_mail_whose_sender_hangs_up_before_the_answer_is_stored_all_the_same(inbox: Inbox) -> None:
    inbox.gate.clear()
    async with serving(inbox, max_connections=1) as receiver:
        _, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        for line in (b"EHLO x", b"MAIL FROM:<ana@customer.example>", b"RCPT TO:<service@shop.example>", b"DATA"):
            writer.write(line + b"\r\n")
        writer.write(MAIL + b".\r\n")
        await inbox.entered.wait()
        writer.transport.abort()
        async with asyncio.timeout(10):
            while await is_full(receiver):  # until the server has seen the sender go
                await asyncio.sleep(0.005)
        inbox.gate.set()
    assert [raw.body for raw in inbox.received] == [MAIL]  # closing has waited for it


async def is_full(receiver: SmtpReceiver) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    greeting = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return greeting.startswith(b"421")


async def test_a_hostile_envelope_is_kept_as_every_store_takes_it(receiver: SmtpReceiver, inbox: Inbox) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    await reader.readline()
    for line in (
        b"EHLO x",
        b"MAIL FROM:<a\x00na\xff@customer.example> SMTPUTF8",
        b"RCPT TO:<service+\x00\xff@shop.example>",
        b"DATA",
        MAIL + b".",
    ):
        writer.write(line + b"\r\n")
        assert (await read_answer(reader))[:1] in b"23"
    writer.close()
    await writer.wait_closed()
    meta = inbox.received[0].meta
    assert "\x00" not in "".join(meta.values())
    assert "".join(meta.values()).encode()
    assert meta["mail_from"].startswith("ana")


async def test_close_answers_for_what_it_has_and_hangs_up(inbox: Inbox) -> None:
    inbox.gate.clear()
    async with serving(inbox) as receiver, connected(receiver) as idle, connected(receiver) as client:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(client.sendmail("ana@customer.example", [OURS], MAIL))
            await inbox.entered.wait()
            closing = tasks.create_task(receiver.close())
            done, _ = await asyncio.wait([closing], timeout=0.05)
            assert not done
            inbox.gate.set()
        assert sending.result()[1].startswith("2.0.0")
        async with asyncio.timeout(10):
            while idle.is_connected:
                await asyncio.sleep(0.005)
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await send(receiver)
