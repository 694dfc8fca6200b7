"""What is e-mail's own on the way out: refusals in detail, connections that are kept, log-in and encryption.

What it has in common with the other channels stands in test_contract.py.
"""

import asyncio
import re
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.contract import Channel
from channels.email.adapter import EmailChannel
from channels.email.build import build_mail
from channels.email.connection import ConnectionPool, parse_smtp_url
from channels.email.replies import refusal
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import OutboundAttachment, OutboundMessage
from gateway.sandbox.smtp import SmtpPeer
from gateway.sandbox.smtp_ledger import Fault, Kind
from tests.support.mail import MAILBOX, NOW, outbound, parse, read_built, server_context, trusting_context

PASSWORD = "p@ss w0rd/of:the shop"
QUOTED_PASSWORD = "p%40ss%20w0rd%2Fof%3Athe%20shop"
ANA = "ana@customer.example"


@pytest.fixture
async def peer() -> AsyncIterator[SmtpPeer]:
    async with SmtpPeer() as peer:
        yield peer


@pytest.fixture
async def channel(peer: SmtpPeer) -> AsyncIterator[EmailChannel]:
    channel = EmailChannel(MAILBOX, peer.url, now=lambda: NOW)
    yield channel
    await channel.close()


async def failure(channel: EmailChannel, message: OutboundMessage | None = None) -> SendError:
    message = message or outbound()
    with pytest.raises(SendError) as raised:
        await channel.send(message, 0)
    error = raised.value
    shown = "".join(traceback.format_exception(error)) + f"{error!r} {vars(error)} {channel!r}"
    for secret in (PASSWORD, QUOTED_PASSWORD, MAILBOX.reply_secret.decode(), message.recipient.value):
        assert secret not in shown
    assert error.reason
    return error


def test_it_is_the_e_mail_channel(channel: EmailChannel) -> None:
    as_channel: Channel = channel
    assert as_channel.name is ChannelName.EMAIL
    capabilities = as_channel.capabilities
    assert (capabilities.has_html, capabilities.has_subject, capabilities.can_list_sent) == (True, True, False)
    assert not capabilities.sends_attachments_as_links
    assert capabilities.max_attachment_bytes >= 10_000_000
    text = "A sentence. " * 1000
    assert as_channel.split(text) == (text,)


async def test_the_server_gets_exactly_what_was_built(channel: EmailChannel, peer: SmtpPeer) -> None:
    message = outbound(".\r\n.hidden\n..dots\n", cc=("bea@customer.example",), html="<p>x</p>")
    result = await channel.send(message, 0)
    assert result.status is MessageStatus.SENT
    assert result.external_id == f"{message.id}.0@shop.example"
    [mail] = peer.mails
    assert (mail.mail_from, mail.rcpt_tos) == ("service@shop.example", [ANA, "bea@customer.example"])
    assert mail.content == build_mail(message, 0, MAILBOX, NOW).content


async def test_a_big_file_arrives_whole(channel: EmailChannel, peer: SmtpPeer) -> None:
    content = bytes(range(256)) * 12_000
    file = OutboundAttachment(filename="a.bin", content_type="application/zip", content=content, url=None)
    await channel.send(outbound(attachments=(file,)), 0)
    [attached] = read_built(peer.mails[0].content).iter_attachments()
    assert attached.get_content() == content


async def test_a_mail_that_comes_back_in_is_the_same_one_each_time(channel: EmailChannel, peer: SmtpPeer) -> None:
    message = outbound()
    await channel.send(message, 0)
    await channel.send(message, 0)
    first, again = (parse(mail.content).dedupe_key for mail in peer.mails)
    await channel.send(outbound(), 0)
    assert first == again != parse(peer.mails[2].content).dedupe_key


@pytest.mark.parametrize(
    ("reply", "action", "code"),
    [
        ("450 4.2.1 Greylisted, try later", SendAction.RETRY, "450 4.2.1"),
        ("452 Too many recipients", SendAction.RETRY, "452"),
        ("550 5.1.1 Unknown mailbox ana@customer.example", SendAction.FLAG_ADDRESS, "550 5.1.1"),
        ("550 5.2.1 Disabled", SendAction.FLAG_ADDRESS, "550 5.2.1"),
        ("556 5.1.10 Null MX", SendAction.FLAG_ADDRESS, "556 5.1.10"),
        ("550 No", SendAction.FAIL, "550"),
        ("552 5.2.2 Mailbox full", SendAction.FAIL, "552 5.2.2"),
        ("554 5.7.1 Relay access denied", SendAction.FAIL, "554 5.7.1"),
        ("530 5.7.0 Must issue a STARTTLS command first", SendAction.STOP_CHANNEL, "530 5.7.0"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.REFUSE_DATA])
async def test_a_refusal_is_understood_and_the_next_mail_uses_the_same_connection(
    channel: EmailChannel, peer: SmtpPeer, kind: Kind, reply: str, action: SendAction, code: str
) -> None:
    peer.faults.add(Fault(kind=kind, reply=reply))
    error = await failure(channel)
    assert (error.action, error.code) == (action, code)
    assert peer.mails == []
    await channel.send(outbound(), 0)
    assert (len(peer.mails), peer.connections) == (1, 1)


@pytest.mark.parametrize("code", [450, 550, 999, 200])
def test_every_refusal_is_an_error_without_the_server_s_words(code: int) -> None:
    error = refusal(code, "Something about ana@customer.example")
    assert ANA not in f"{error} {error.code}"


async def test_421_is_tried_again_on_another_connection(channel: EmailChannel, peer: SmtpPeer) -> None:
    peer.faults.add(Fault(kind=Kind.REFUSE, reply="421 4.3.2 Shutting down"))
    assert (await failure(channel)).action is SendAction.RETRY
    await channel.send(outbound(), 0)
    assert (len(peer.mails), peer.connections) == (1, 2)
    # On a connection that was kept, it only means that the server has had enough of it.
    peer.faults.add(Fault(kind=Kind.REFUSE, reply="421 4.3.2 Too many mails on this connection"))
    await channel.send(outbound(), 0)
    assert (len(peer.mails), peer.connections) == (2, 3)


async def test_a_kept_connection_that_the_server_has_closed_is_replaced(channel: EmailChannel, peer: SmtpPeer) -> None:
    await channel.send(outbound(), 0)
    peer.hang_up()
    await channel.send(outbound(), 0)
    assert (len(peer.mails), peer.connections) == (2, 2)


async def test_a_drop_before_the_content_is_harmless(channel: EmailChannel, peer: SmtpPeer) -> None:
    peer.faults.add(Fault(kind=Kind.DROP_BEFORE))
    error = await failure(channel)
    assert (error.action, error.code) == (SendAction.RETRY, "closed")
    await channel.send(outbound(), 0)
    # A kept connection is replaced without a word: nothing of the mail had left.
    peer.faults.add(Fault(kind=Kind.DROP_BEFORE))
    await channel.send(outbound(), 0)
    assert len(peer.mails) == 2


@pytest.mark.parametrize("kind", [Kind.DROP_AFTER, Kind.LOSE])
async def test_a_drop_after_the_content_leaves_it_in_doubt(channel: EmailChannel, peer: SmtpPeer, kind: Kind) -> None:
    await channel.send(outbound(), 0)
    peer.faults.add(Fault(kind=kind))
    error = await failure(channel)
    assert error.action is SendAction.IN_DOUBT
    # It was sent once, whatever became of it: never again by itself, not even on a connection that was kept.
    assert len(peer.mails) == (2 if kind is Kind.DROP_AFTER else 1)
    await channel.send(outbound(), 0)


async def test_a_slow_answer_to_the_content_is_waited_for_longer_than_one_to_a_command(peer: SmtpPeer) -> None:
    channel = EmailChannel(MAILBOX, peer.url, envelope_timeout_s=1.0)
    peer.faults.add(Fault(kind=Kind.SLOW, delay_s=1.2))
    assert (await channel.send(outbound(), 0)).status is MessageStatus.SENT
    await channel.close()


async def test_a_server_that_says_nothing_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = EmailChannel(MAILBOX, f"smtp://127.0.0.1:{silent.getsockname()[1]}", envelope_timeout_s=0.1)
        assert (await failure(channel)).action is SendAction.RETRY


async def test_a_refused_copy_does_not_keep_the_answer_back(channel: EmailChannel, peer: SmtpPeer) -> None:
    peer.faults.add(Fault(kind=Kind.REFUSE, to="bea@*"))
    await channel.send(outbound(cc=("bea@customer.example", "carl@customer.example")), 0)
    assert peer.mails[0].rcpt_tos == [ANA, "carl@customer.example"]


async def test_an_international_mailbox_is_said_to_a_server_that_knows_it(peer: SmtpPeer) -> None:
    message = outbound(recipient=Address(kind=AddressKind.EMAIL, value="josé@customer.example"))
    channel = EmailChannel(MAILBOX, peer.url)
    await channel.send(message, 0)
    assert peer.mails[0].rcpt_tos == ["josé@customer.example"]
    await channel.close()
    async with SmtpPeer(has_smtputf8=False) as old:
        channel = EmailChannel(MAILBOX, old.url)
        assert (await failure(channel, message)).action is SendAction.FAIL
        await channel.send(outbound(), 0)
        assert len(old.mails) == 1
        await channel.close()


# Connections


async def test_connections_are_few_and_used_again(channel: EmailChannel, peer: SmtpPeer) -> None:
    await asyncio.gather(*(channel.send(outbound(), 0) for _ in range(100)))
    assert len({re.search(rb"Message-ID: <(\S+)>", mail.content) for mail in peer.mails}) == 100
    assert 1 <= peer.connections <= 10


async def test_an_idle_connection_is_closed(peer: SmtpPeer) -> None:
    server = parse_smtp_url(peer.url)
    pool = ConnectionPool(server, local_hostname="shop.example", timeout_s=5, idle_s=0.02)
    async with pool.lend() as connection:
        connection.is_clean = True
        smtp = connection.smtp
    assert pool.idle_count == 1
    while pool.idle_count:
        await asyncio.sleep(0.005)
    assert not smtp.is_connected


async def test_with_all_connections_busy_a_message_waits_without_being_counted(peer: SmtpPeer) -> None:
    channel = EmailChannel(MAILBOX, peer.url, envelope_timeout_s=2.0)
    peer.faults.add(Fault(kind=Kind.HANG, times=10))
    async with asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(channel.send(outbound(), 0)) for _ in range(10)]
        while len(peer.mails) < 10:
            await asyncio.sleep(0.005)
        error = await failure(channel)
        assert (error.action, error.code) == (SendAction.WAIT, "busy")
        for task in hanging:
            task.cancel()
    await channel.send(outbound(), 0)
    await channel.close()


async def test_close_takes_leave_of_the_server(channel: EmailChannel, peer: SmtpPeer) -> None:
    await channel.send(outbound(), 0)
    await channel.close()
    await channel.send(outbound(), 0)
    assert peer.connections == 2


# Log-in and encryption


async def test_it_logs_in_and_encrypts(tmp_path: Path) -> None:
    async with SmtpPeer(login=("shop", PASSWORD), tls_context=server_context(tmp_path)) as peer:
        url = f"smtp+starttls://shop:{QUOTED_PASSWORD}@localhost:{peer.port}"
        channel = EmailChannel(MAILBOX, url, tls_context=trusting_context(tmp_path))
        await channel.send(outbound(), 0)
        assert len(peer.mails) == 1
        await channel.close()


async def test_a_certificate_that_nobody_vouches_for_stops_the_channel(tmp_path: Path) -> None:
    async with SmtpPeer(tls_context=server_context(tmp_path)) as peer:
        url = f"smtp+starttls://localhost:{peer.port}"
        channel = EmailChannel(MAILBOX, url, tls_context=ssl.create_default_context())
        error = await failure(channel)
        assert (error.action, error.code) == (SendAction.STOP_CHANNEL, "tls")
        assert peer.mails == []


@pytest.mark.parametrize("url", ["smtp+starttls://127.0.0.1:{port}", "smtp://shop:secret@127.0.0.1:{port}"])
async def test_what_the_server_does_not_offer_stops_the_channel(peer: SmtpPeer, url: str) -> None:
    channel = EmailChannel(MAILBOX, url.format(port=peer.port))
    assert (await failure(channel)).action is SendAction.STOP_CHANNEL
    assert peer.mails == []


@pytest.mark.parametrize("url", ["http://user:secret@x", "smtp://", "smtp:///x", "secret", "SMTPX://user:secret@x"])
def test_another_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP URL") as raised:
        parse_smtp_url(url)
    assert "secret" not in str(raised.value)


def test_the_url_says_where_and_how() -> None:
    server = parse_smtp_url(f"smtps://us%40er:{QUOTED_PASSWORD}@mail.example")
    assert (server.scheme, server.host, server.port) == ("smtps", "mail.example", 465)
    assert (server.user, server.password) == ("us@er", PASSWORD)
    assert PASSWORD not in repr(server)
    assert parse_smtp_url("smtp+starttls://[::1]:2525").host == "::1"


async def test_an_smtp_server_can_t_be_asked(channel: EmailChannel) -> None:
    with pytest.raises(SendError):
        await channel.list_sent(ANA, NOW)
