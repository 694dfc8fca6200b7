"""The SMTP peer keeps what it takes, also when it is killed, and goes wrong only as told."""

import asyncio
import json
import signal
import smtplib
import sys
from pathlib import Path

import pytest

from gateway.sandbox.smtp import SmtpPeer
from gateway.sandbox.smtp_ledger import Fault, Kind, read_ledger
from tests.support.ports import free_port, wait_until_listening
from tests.support.processes import start_process, stop_process

MAIL = b"Subject: x\r\n\r\nHello\r\n.dot\r\n"
ROOT = Path(__file__).parents[2]


def send(port: int, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        return client.sendmail("shop@shop.example", recipients or ("ana@customer.example",), MAIL)


async def test_every_mail_is_kept_as_it_came() -> None:
    async with SmtpPeer() as peer:
        await asyncio.to_thread(send, peer.port, "ana@customer.example", "bea@customer.example")
        [mail] = peer.mails
    assert mail.mail_from == "shop@shop.example"
    assert mail.rcpt_tos == ["ana@customer.example", "bea@customer.example"]
    assert mail.content == MAIL


async def test_a_fault_meets_whom_it_was_meant_for_and_is_used_up() -> None:
    async with SmtpPeer() as peer:
        peer.faults.add(Fault(kind=Kind.REFUSE, to="gone@*", reply="451 4.3.0 Later"))
        refused = await asyncio.to_thread(send, peer.port, "ana@customer.example", "gone@customer.example")
        assert refused["gone@customer.example"][0] == 451
        assert await asyncio.to_thread(send, peer.port, "ana@customer.example", "gone@customer.example") == {}
        assert [len(mail.rcpt_tos) for mail in peer.mails] == [1, 2]


@pytest.mark.parametrize(("kind", "kept"), [(Kind.DROP_BEFORE, 0), (Kind.DROP_AFTER, 1), (Kind.LOSE, 0)])
async def test_a_dropped_connection_says_nothing_of_what_was_kept(kind: Kind, kept: int) -> None:
    async with SmtpPeer() as peer:
        peer.faults.add(Fault(kind=kind))
        with pytest.raises(smtplib.SMTPServerDisconnected):
            await asyncio.to_thread(send, peer.port)
        assert len(peer.mails) == kept


def test_as_a_process_of_its_own_it_loses_nothing_when_killed(tmp_path: Path) -> None:
    ledger, port = tmp_path / "ledger.jsonl", free_port()
    fault = json.dumps({"kind": "refuse", "to": "gone@*", "times": None})
    command = [
        sys.executable,
        "-m",
        "gateway.sandbox.smtp",
        "--port",
        str(port),
        "--ledger",
        str(ledger),
        "--fault",
        fault,
    ]
    for round_number in (1, 2):
        process = start_process(command, log=tmp_path / "log", cwd=ROOT)
        wait_until_listening(port)
        send(port)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(port, "gone@customer.example")
        assert [mail.content for mail in read_ledger(ledger)] == [MAIL] * round_number
        stop_process(process, signal.SIGKILL)
    assert f"listening on smtp://127.0.0.1:{port}" in (tmp_path / "log").read_text()
