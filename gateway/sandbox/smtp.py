"""An SMTP peer that takes any mail and keeps it: the shop's outgoing mail server in demo mode and in tests.

As a process of its own: `python -m gateway.sandbox.smtp --port N --ledger FILE [--fault JSON]...`, so that it outlives
a gateway that is killed. A fault is an object of `Fault`'s fields, e.g. `{"kind": "refuse", "to": "gone@*"}`.
"""

import argparse
import asyncio
import logging
import signal
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.sandbox.instructions import Instructions
from gateway.sandbox.smtp_ledger import Fault, KeptMail, Kind, Ledger

_AT_DATA = {Kind.REFUSE_DATA, Kind.SLOW, Kind.DROP_AFTER, Kind.LOSE, Kind.HANG}


class SmtpPeer:
    """Serves on the running loop while it is entered. With `login`, it wants that user and password first."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ledger: Path | None = None,
        login: tuple[str, str] | None = None,
        tls_context: ssl.SSLContext | None = None,
        has_smtputf8: bool = True,
    ) -> None:
        self.faults = Instructions[Fault]()
        self.connections = 0  # how many were ever opened
        self._ledger = Ledger(ledger)
        self._handler = _Handler(self.faults, self._ledger)
        self._host, self._port = host, port
        self._login = login
        self._tls_context = tls_context
        self._has_smtputf8 = has_smtputf8
        self._server: asyncio.Server | None = None

    @property
    def mails(self) -> list[KeptMail]:
        return self._ledger.mails

    @property
    def port(self) -> int:
        if self._server is None or not self._server.sockets:
            return self._port
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    @property
    def url(self) -> str:
        return f"smtp://{self._host}:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(self._open_session, self._host, self._port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.hang_up()
            await self._server.wait_closed()
            self._server = None
        self._ledger.close()

    def hang_up(self) -> None:
        """Close every connection, as a server does that is restarted."""
        for session in list(self._handler.sessions):
            session.drop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _open_session(self) -> asyncio.Protocol:
        self.connections += 1
        return _PeerSession(
            self._handler,
            hostname="peer.invalid",
            ident="ESMTP",
            enable_SMTPUTF8=self._has_smtputf8,
            tls_context=self._tls_context,
            auth_required=self._login is not None,
            auth_require_tls=self._tls_context is not None,
            authenticator=self._check_login,
            auth_exclude_mechanism=() if self._login else ("LOGIN", "PLAIN"),
            loop=asyncio.get_running_loop(),
        )

    def _check_login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(errors="replace"), data.password.decode(errors="replace"))
        return AuthResult(success=given == self._login, handled=False)


class _Handler:
    """aiosmtpd's hooks: what is kept, and what goes wrong because it was asked for."""

    def __init__(self, faults: Instructions[Fault], ledger: Ledger) -> None:
        self.sessions: set[_PeerSession] = set()
        self.faults = faults
        self._ledger = ledger

    async def handle_RCPT(  # noqa: N802  the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self.faults.take(address, kinds={Kind.REFUSE})
        if fault is not None:
            return fault.reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self.faults.take(*envelope.rcpt_tos, kinds=_AT_DATA)
        kind = fault.kind if fault else None
        if fault is not None and kind is Kind.REFUSE_DATA:
            return fault.reply
        content = envelope.content
        if kind is not Kind.LOSE:
            self._ledger.add(
                KeptMail(
                    mail_from=envelope.mail_from or "",
                    rcpt_tos=list(envelope.rcpt_tos),
                    content=content if isinstance(content, bytes) else b"",
                    at=datetime.now(UTC),
                )
            )
        if kind in {Kind.DROP_AFTER, Kind.LOSE} and isinstance(server, _PeerSession):
            server.drop()
        if kind in {Kind.DROP_AFTER, Kind.LOSE, Kind.HANG}:
            await asyncio.Event().wait()  # until the connection is gone, which cancels this
        if fault is not None and kind is Kind.SLOW:
            await asyncio.sleep(fault.delay_s)
        return "250 2.0.0 Kept"


class _PeerSession(SMTP):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.event_handler.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.sessions.discard(self)
        super().connection_lost(error)

    def drop(self) -> None:
        if self.transport is not None:
            self.transport.close()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  the library's name
        recipients = self.envelope.rcpt_tos if self.envelope else []
        if self.event_handler.faults.take(*recipients, kinds={Kind.DROP_BEFORE}):
            self.drop()
            return
        await super().smtp_DATA(arg)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gateway.sandbox.smtp", description="An SMTP peer that keeps every mail.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--ledger", type=Path, help="a file that keeps every mail, written before the answer")
    parser.add_argument("--fault", action="append", default=[], help="what goes wrong, as JSON; may be repeated")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    peer = SmtpPeer(host=arguments.host, port=arguments.port, ledger=arguments.ledger)
    for fault in arguments.fault:
        peer.faults.add(msgspec.json.decode(fault, type=Fault))
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with peer:
        sys.stdout.write(f"listening on {peer.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    asyncio.run(_serve(_arguments()))
