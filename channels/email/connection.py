"""Connections to the shop's outgoing mail server: opened when needed, used again, closed when idle."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import unquote, urlsplit

import aiosmtplib

from gateway.domain.errors import SendAction, SendError

Scheme = Literal["smtp", "smtps", "smtp+starttls"]
_PORTS: dict[Scheme, int] = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_MAX_CONNECTIONS = 10
_BUSY_S = 2.0
_IDLE_S = 20.0  # under the five minutes that a server has to wait (RFC 5321 4.5.3.2.7), and what busy ones really do


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """Where mail goes out. `smtp` is never encrypted, `smtp+starttls` always."""

    scheme: Scheme
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Read `smtp://user:pass@host:port`, `smtps://`, `smtp+starttls://`.

    Raises:
        ValueError: it is none of these. The message never quotes the URL: it may hold a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in get_args(Scheme) or not parts.hostname:
        raise ValueError("The SMTP URL must begin with smtp://, smtps:// or smtp+starttls:// and name a host.")
    scheme = cast(Scheme, parts.scheme)
    return SmtpServer(
        scheme=scheme,
        host=parts.hostname,
        port=parts.port or _PORTS[scheme],
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


@dataclass(slots=True)
class Connection:
    """A greeted connection. `is_clean`: between two mails, so that the next one may use it."""

    smtp: aiosmtplib.SMTP
    is_reused: bool = False
    is_clean: bool = False

    async def write_data(self, content: bytes, timeout_s: float) -> aiosmtplib.SMTPResponse:
        """Send a message whose DATA was accepted; `content` begins with a header and has CRLF line ends to its end."""
        protocol = self.smtp.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("The connection was lost.")
        protocol.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")  # RFC 5321 4.5.2
        return await protocol.read_response(timeout=timeout_s)


class ConnectionPool:
    """At most ten connections; whoever needs an eleventh waits."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        local_hostname: str,
        timeout_s: float,
        tls_context: ssl.SSLContext | None = None,
        idle_s: float = _IDLE_S,
    ) -> None:
        self._server = server
        self._local_hostname = local_hostname
        self._timeout_s = timeout_s
        self._tls_context = tls_context
        self._idle_s = idle_s
        self._places = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._idle: list[tuple[aiosmtplib.SMTP, asyncio.TimerHandle]] = []

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    @asynccontextmanager
    async def lend(self, *, is_fresh: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection; one that does not come back clean is closed.

        Raises:
            SendError: none could be opened.
        """
        try:
            async with asyncio.timeout(self._timeout_s / 2):
                await self._places.acquire()
        except TimeoutError:
            raise SendError(
                SendAction.WAIT, "All connections to our mail server are busy.", code="busy", retry_after_s=_BUSY_S
            ) from None
        try:
            idle = None if is_fresh else self._take_idle()
            connection = Connection(idle or await self._open(), is_reused=idle is not None)
            try:
                yield connection
            finally:
                if connection.is_clean and connection.smtp.is_connected:
                    self._put_idle(connection.smtp)
                else:
                    connection.smtp.close()
        finally:
            self._places.release()

    async def close(self) -> None:
        """Take leave of the server on what is idle; what is in use is closed by whoever uses it."""
        idle, self._idle = self._idle, []
        for smtp, timer in idle:
            timer.cancel()
            try:
                await smtp.quit(timeout=1)
            except (aiosmtplib.SMTPException, OSError):
                smtp.close()

    def _take_idle(self) -> aiosmtplib.SMTP | None:
        while self._idle:
            smtp, timer = self._idle.pop()
            timer.cancel()
            if smtp.is_connected:
                return smtp
        return None

    def _put_idle(self, smtp: aiosmtplib.SMTP) -> None:
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._drop, smtp)
        self._idle.append((smtp, timer))

    def _drop(self, smtp: aiosmtplib.SMTP) -> None:
        self._idle = [(other, timer) for other, timer in self._idle if other is not smtp]
        smtp.close()

    async def _open(self) -> aiosmtplib.SMTP:
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "smtp+starttls",
            local_hostname=self._local_hostname,
            timeout=self._timeout_s,
            tls_context=self._tls_context,
        )
        try:
            await smtp.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _refused_login(error.code) from None
        except aiosmtplib.SMTPResponseException as error:
            raise SendError(
                SendAction.RETRY, "Our mail server does not take connections now.", code=str(error.code)
            ) from None
        except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, TimeoutError, OSError) as error:
            if any(isinstance(found, ssl.SSLCertVerificationError) for found in (error, error.__cause__)):
                raise SendError(
                    SendAction.STOP_CHANNEL, "Our mail server's certificate is not to be trusted.", code="tls"
                ) from None
            raise SendError(SendAction.RETRY, "Our mail server can't be reached.", code="connect") from None
        except aiosmtplib.SMTPException:
            # STARTTLS or AUTH is asked for, and the server offers neither.
            raise SendError(
                SendAction.STOP_CHANNEL,
                "Our mail server does not offer the log-in or encryption asked for.",
                code="setup",
            ) from None
        return smtp


def _refused_login(code: int) -> SendError:
    if 400 <= code < 500:  # RFC 4954 section 6: 454, a temporary failure
        return SendError(SendAction.RETRY, "Our mail server can't check the log-in now.", code=str(code))
    return SendError(SendAction.STOP_CHANNEL, "Our mail server refused the log-in.", code=str(code))
