"""The SMTP receiver: mail for our own addresses, answered 250 only once it is safe."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import AnyStr, cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from channels.email.mailbox import Mailbox
from gateway.domain.errors import Unavailable
from gateway.domain.message import RawInbound, Source
from gateway.domain.text import storable_text
from gateway.services.receive import Submit

log = structlog.get_logger(__name__)

_MAX_RECIPIENTS = 100  # RFC 5321 4.5.3.1.8
_MAX_CONNECTIONS = 100
_COMMAND_TIMEOUT_S = 300.0  # RFC 5321 4.5.3.2.7
_DRAIN_S = 5.0
_END = b".\r\n"
_TOO_BIG = "552 5.3.4 The message is too big"
_TRY_LATER = "451 4.3.0 Try again later"
# What the library says itself, with the enhanced codes that RFC 2034 asks for.
_SAID_BETTER = {"552 Error: message size exceeds fixed maximum message size": _TOO_BIG}


class SmtpReceiver:
    """Serves on the running loop. `now` stamps a mail when its last byte came."""

    def __init__(
        self,
        *,
        submit: Submit,
        mailbox: Mailbox,
        host: str,
        port: int,
        max_bytes: int,
        now: Callable[[], datetime],
        tls_context: ssl.SSLContext | None = None,
        max_connections: int = _MAX_CONNECTIONS,
        command_timeout_s: float = _COMMAND_TIMEOUT_S,
    ) -> None:
        self._handler = _Handler(submit, mailbox, now)
        self._hostname = mailbox.domain
        self._host, self._port = host, port
        self._max_bytes = max_bytes
        self._tls_context = tls_context
        self._max_connections = max_connections
        self._command_timeout_s = command_timeout_s
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on: the one asked for, or the one found where that was 0."""
        if self._server is None or not self._server.sockets:
            return self._port
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._open_session, self._host, self._port)
        log.info("smtp.listening", port=self.port)

    async def close(self) -> None:
        """Take no more connections, answer for the mails that are being stored, and hang up."""
        if self._server is None:
            return
        self._server.close()
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self._handler.wait_until_idle()
        except TimeoutError:
            log.warning("smtp.drain_timed_out")
        for session in list(self._handler.sessions):
            session.hang_up()
        await self._server.wait_closed()

    def _open_session(self) -> asyncio.Protocol:
        if len(self._handler.sessions) >= self._max_connections:
            log.warning("smtp.too_many_connections")
            return _Refusal()
        return _SmtpSession(
            self._handler,
            data_size_limit=self._max_bytes,
            enable_SMTPUTF8=True,
            hostname=self._hostname,
            ident="ESMTP",
            tls_context=self._tls_context,
            timeout=self._command_timeout_s,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _say_and_close(transport, b"421 4.3.2 Too many connections, try again later\r\n")


def _say_and_close(transport: asyncio.BaseTransport, reply: bytes) -> None:
    writable = cast(asyncio.WriteTransport, transport)  # uvloop's transports are none of asyncio's classes
    writable.write(reply)
    writable.close()


class _Handler:
    """aiosmtpd's hooks: whom we take mail for, and what happens to it."""

    def __init__(self, submit: Submit, mailbox: Mailbox, now: Callable[[], datetime]) -> None:
        self.sessions: set[_SmtpSession] = set()
        self._submit = submit
        self._mailbox = mailbox
        self._now = now
        self._storing = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    async def wait_until_idle(self) -> None:
        await self._is_idle.wait()

    async def handle_EHLO(  # noqa: N802  the library's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # The library offers AUTH without a mechanism where there is none; nobody logs in here.
        return [response for response in responses if not response.startswith("250-AUTH")]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self._mailbox.is_own(address):
            return "550 5.1.1 There is no such mailbox here"
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_VRFY(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str
    ) -> str:
        return "252 2.5.2 Send some mail and see"  # RFC 5321 7.3: tells nothing of who is here

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        raw = RawInbound(
            source=Source.EMAIL,
            received_at=self._now(),
            body=content if isinstance(content, bytes) else b"",
            meta={
                # The library says "<>" for the empty sender of a delivery notification (RFC 5321 4.5.5).
                "mail_from": storable_text((envelope.mail_from or "").removeprefix("<>")),
                "rcpt_to": ",".join(storable_text(address) for address in envelope.rcpt_tos),
                "peer": storable_text(str(session.peer[0])) if session.peer else "",
            },
        )
        with self._counted():  # until the answer is on its way
            # The library cancels its session when the sender hangs up; the mail came whole and is stored all the same.
            return await asyncio.shield(self._store(raw))

    async def _store(self, raw: RawInbound) -> str:
        with self._counted():
            try:
                receipt = await self._submit(raw)
            except (Unavailable, OSError) as error:
                log.warning("smtp.not_stored", error=type(error).__name__)
                return _TRY_LATER
            log.info("smtp.received", state=receipt.state, message=receipt.message_id)
            return "250 2.0.0 Stored"

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._storing += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self._storing -= 1
            if not self._storing:
                self._is_idle.set()

    async def handle_exception(self, error: Exception) -> str:
        """Whatever went wrong on our side, the sender keeps the mail and tries again."""
        log.error("smtp.failed", exc_info=error)
        return _TRY_LATER


class _SmtpSession(SMTP):
    """aiosmtpd's session, with a DATA that takes lines of any length and answers as RFC 2034 asks for.

    Broken senders write lines over 998 octets; refusing them would lose a customer's mail.
    """

    line_length_limit = 64 * 1024  # how much is read at a time, not how long a line may be

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.event_handler.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.sessions.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            _say_and_close(self.transport, b"421 4.3.2 Shutting down, try again later\r\n")

    async def push(self, status: AnyStr) -> None:
        if isinstance(status, str):
            await super().push(_SAID_BETTER.get(status, status))
        else:
            await super().push(status)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  the library's name
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no parameter")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._read_content()
        self._reset_timeout()
        if content is None:
            status = _TOO_BIG
        else:
            envelope.content = envelope.original_content = content
            status = await self._call_handler_hook("DATA")
        self.envelope = self._create_envelope()
        await self.push(status)

    async def _read_content(self) -> bytes | None:
        """Return what came until the line with a lone dot, None where that is too much.

        Only CRLF "." CRLF ends a message (RFC 5321 4.1.1.4): a server that also takes bare line ends lets a mail
        smuggle a second one in.
        """
        content = bytearray()
        is_too_big = False
        while not _is_whole(content):
            try:
                content += await self._reader.readuntil(_END)
            except asyncio.LimitOverrunError as overrun:
                content += await self._reader.read(overrun.consumed)
            self._reset_timeout()
            if len(content) > (self.data_size_limit or 0) + len(_END):
                is_too_big = True
                del content[: -2 - len(_END)]  # what is needed to see the end
        if is_too_big:
            return None
        del content[-len(_END) :]
        if content.startswith(b"."):
            del content[:1]
        return bytes(content).replace(b"\r\n.", b"\r\n")


def _is_whole(content: bytearray) -> bool:
    return content == _END or content.endswith(b"\r\n" + _END)
