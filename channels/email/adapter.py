"""E-mail out, over SMTP."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime

import aiosmtplib
import structlog

from channels.contract import Capabilities
from channels.email.build import BuiltMail, build_mail
from channels.email.connection import Connection, ConnectionPool, parse_smtp_url
from channels.email.mailbox import Mailbox
from channels.email.replies import refusal
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import SendResult, SentRecord
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import OutboundMessage

log = structlog.get_logger(__name__)

_MAX_ATTACHMENT_BYTES = 18 * 1024 * 1024  # base64 makes 25 MB of it, what most servers take
_OFF_LOOP_BYTES = 64 * 1024  # more than this takes over a millisecond to encode
# Together under the 30 s that a delivery worker waits for any channel.
_ENVELOPE_TIMEOUT_S = 10.0  # with the wait for a connection, and with a second one where the first was closed
_DATA_TIMEOUT_S = 18.0
_START_INPUT = 354
_UNAVAILABLE = 421


class _ConnectionGone(Exception):
    """The server had closed a connection that we used again; nothing of the mail was sent."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EmailChannel:
    """Sends each message once per call, over connections that are kept.

    Nothing is sent twice here: the one thing done again is the envelope, when a kept connection turns out to be closed.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        smtp_url: str,
        *,
        now: Callable[[], datetime] = _utc_now,
        tls_context: ssl.SSLContext | None = None,
        envelope_timeout_s: float = _ENVELOPE_TIMEOUT_S,
        data_timeout_s: float = _DATA_TIMEOUT_S,
    ) -> None:
        self._mailbox = mailbox
        self._now = now
        self._envelope_timeout_s = envelope_timeout_s
        self._data_timeout_s = data_timeout_s
        self._pool = ConnectionPool(
            parse_smtp_url(smtp_url),
            local_hostname=mailbox.domain,
            timeout_s=envelope_timeout_s,
            tls_context=tls_context,
        )

    @property
    def name(self) -> ChannelName:
        return ChannelName.EMAIL

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(has_html=True, has_subject=True, max_attachment_bytes=_MAX_ATTACHMENT_BYTES)

    def split(self, text: str) -> tuple[str, ...]:
        """Return the text: a mail takes all of it."""
        return (text,)

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        """Hand the mail to our server, which takes it or says why not.

        Raises:
            SendError: with the action that follows.
        """
        if sum(len(attachment.content or b"") for attachment in message.attachments) > _OFF_LOOP_BYTES:
            mail = await asyncio.to_thread(build_mail, message, part, self._mailbox, self._now())
        else:
            mail = build_mail(message, part, self._mailbox, self._now())
        deadline = asyncio.get_running_loop().time() + self._envelope_timeout_s
        try:
            await self._transfer(mail, message.id, deadline, is_fresh=False)
        except _ConnectionGone:
            await self._transfer(mail, message.id, deadline, is_fresh=True)
        return SendResult(external_id=mail.message_id)

    async def list_sent(self, recipient: str, since: datetime) -> list[SentRecord]:
        """An SMTP server can't be asked what it has sent.

        Raises:
            SendError: always.
        """
        raise SendError(SendAction.FAIL, "A mail server can't say what it has sent.")

    async def close(self) -> None:
        """Close what is idle."""
        await self._pool.close()

    async def _transfer(self, mail: BuiltMail, message_id: str, deadline: float, *, is_fresh: bool) -> None:
        try:
            async with asyncio.timeout_at(deadline) as envelope_time:
                async with self._pool.lend(is_fresh=is_fresh) as connection:
                    await self._begin(connection, mail, message_id)
                    envelope_time.reschedule(None)
                    await self._finish(connection, mail)
        except TimeoutError:
            raise SendError(SendAction.RETRY, "Our mail server did not answer in time.", code="timeout") from None

    async def _begin(self, connection: Connection, mail: BuiltMail, message_id: str) -> None:
        """Say the envelope and DATA; until here nothing is sent, whatever happens."""
        smtp = connection.smtp
        try:
            await _say_envelope(smtp, mail, message_id)
            reply = await smtp.execute_command(b"DATA")
        except aiosmtplib.SMTPResponseException as error:
            await _reset(connection)
            if connection.is_reused and error.code == _UNAVAILABLE:
                raise _ConnectionGone from None
            raise refusal(error.code, error.message) from None
        except aiosmtplib.SMTPTimeoutError:
            raise SendError(SendAction.RETRY, "Our mail server did not answer in time.", code="timeout") from None
        except (aiosmtplib.SMTPException, OSError):
            if connection.is_reused:
                raise _ConnectionGone from None
            raise SendError(SendAction.RETRY, "Our mail server closed the connection.", code="closed") from None
        if reply.code != _START_INPUT:
            await _reset(connection)
            raise refusal(reply.code, reply.message)

    async def _finish(self, connection: Connection, mail: BuiltMail) -> None:
        """Send the content. From the first byte on only the server's answer can say what became of it."""
        try:
            reply = await connection.write_data(mail.content, self._data_timeout_s)
        except aiosmtplib.SMTPResponseException:
            raise _in_doubt("The mail server's answer could not be understood.") from None
        except aiosmtplib.SMTPTimeoutError:
            raise _in_doubt("The mail server took the message and did not say whether it keeps it.") from None
        except (aiosmtplib.SMTPException, OSError):
            raise _in_doubt("The connection broke while the mail server took the message.") from None
        connection.is_clean = reply.code != _UNAVAILABLE
        if not 200 <= reply.code < 300:
            raise refusal(reply.code, reply.message)


def _in_doubt(reason: str) -> SendError:
    return SendError(SendAction.IN_DOUBT, reason, code="in_doubt")


async def _say_envelope(smtp: aiosmtplib.SMTP, mail: BuiltMail, message_id: str) -> None:
    options, encoding = [], "ascii"
    if smtp.is_ehlo_or_helo_needed:
        await smtp.ehlo()
    if mail.needs_utf8:
        if not smtp.supports_extension("smtputf8"):
            raise SendError(
                SendAction.FAIL, "The address needs a mail server that knows international addresses.", code="smtputf8"
            )
        options, encoding = ["SMTPUTF8", "BODY=8BITMIME"], "utf-8"  # RFC 6531 3.1
    await smtp.mail(mail.mail_from, options=options, encoding=encoding)
    await smtp.rcpt(mail.recipient, encoding=encoding)
    for copy in mail.copies:
        try:
            await smtp.rcpt(copy, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code == _UNAVAILABLE:
                raise
            # The one we answer gets the mail; that a copy was refused must not keep it back.
            log.warning("email.copy_refused", message=message_id, code=error.code)


async def _reset(connection: Connection) -> None:
    """Make the connection ready for the next mail after a refusal; where that fails it is closed."""
    if not connection.smtp.is_connected:
        return
    try:
        await connection.smtp.rset()
    except (aiosmtplib.SMTPException, OSError):
        return
    connection.is_clean = True
