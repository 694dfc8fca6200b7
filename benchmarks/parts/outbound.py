"""Outbound: replies that wait in the outbox, handed to the provider as fast as one process can."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import aiohttp
import asyncpg
import msgspec

from benchmarks.figures import Figure
from benchmarks.launch import ACCOUNT_SID, AUTH_TOKEN, Stage, pid_of
from benchmarks.machine import cpu_s
from benchmarks.programs.smtp_sink import SinkResult
from benchmarks.seed import queue_replies
from benchmarks.waiting import until_found
from gateway.domain.contact import ChannelName
from gateway.sandbox.twilio_callbacks import CallbackMode
from tests.support.ports import free_port

_CUSTOMERS = 1_000
_REPLIES = 5_000
_TIMEOUT_S = 120
_LOOK_EVERY_S = 0.1
_WAITING = "SELECT count(*) FROM outbox"
_UNDELIVERED = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND status <> 'delivered'"
_STATES = "SELECT status, count(*) FROM messages WHERE direction = 'outbound' GROUP BY status"
_UNSENT = "SELECT count(*) FROM messages WHERE direction = 'outbound' AND status NOT IN ('sent', 'delivered')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """`ended_at`: when nothing was left (Unix time); `cpu_us`: the gateway's processor time for each message."""

    ended_at: float
    cpu_us: float


async def measure_sms(stage: Stage) -> list[Figure]:
    template = stage.postgres.create_database("sms")
    await queue_replies(template, ChannelName.SMS, customers=_CUSTOMERS, replies=_REPLIES)
    plain_per_s, plain, _ = await _send_sms(stage, CallbackMode.NONE)
    taken_per_s, reported, last_per_s = await _send_sms(stage, CallbackMode.ORDERED)
    note = f"{_REPLIES:,} replies in {_CUSTOMERS:,} conversations; between the first and the last that was accepted"
    return [
        _figure("sms", "accepted by the stand-in, no callbacks", plain_per_s, "/s", at_least=1000, note=note),
        _figure("sms", "processor time, no callbacks", plain.cpu_us, "µs each"),
        _figure("sms", "accepted by the stand-in, with callbacks", taken_per_s, "/s"),
        _figure("sms", "sent and both reports folded", last_per_s, "/s"),
        _figure("sms", "processor time with two callbacks each", reported.cpu_us, "µs each"),
    ]


async def measure_email(stage: Stage) -> list[Figure]:
    template = stage.postgres.create_database("email")
    await queue_replies(template, ChannelName.EMAIL, customers=_CUSTOMERS, replies=_REPLIES)
    port = free_port()
    with stage.program("benchmarks.programs.smtp_sink", str(port), port=port) as sink:
        emptied = await _empty(stage, "email", {"GATEWAY_EMAIL__SMTP_URL": f"smtp://127.0.0.1:{port}"}, _UNSENT)
        sink.process.terminate()
        taken = await sink.result(SinkResult, timeout_s=10)
    if taken.mails != _REPLIES:
        raise RuntimeError(f"{_REPLIES} mails were to be sent, and {taken.mails} came.")
    note = f"{taken.mean_bytes:,.0f} bytes each on {taken.connections} connections, built and sent, no DKIM"
    return [
        _figure("email", "accepted by a sink", (taken.mails - 1) / taken.seconds, "/s", at_least=600, note=note),
        _figure("email", "processor time", emptied.cpu_us, "µs each"),
    ]


def _figure(part: str, name: str, value: float, unit: str, *, at_least: float | None = None, note: str = "") -> Figure:
    return Figure(part=part, name=name, value=value, unit=unit, at_least=at_least, note=note)


async def _send_sms(stage: Stage, callbacks: CallbackMode) -> tuple[float, Emptied, float]:
    """Return messages accepted a second, what it took, and messages a second until all was done and reported."""
    port = free_port()
    arguments = ("--port", str(port), "--account-sid", ACCOUNT_SID, "--auth-token", AUTH_TOKEN)
    with stage.program("gateway.sandbox.twilio", *arguments, "--callbacks", callbacks, port=port):
        url = f"http://127.0.0.1:{port}"
        done = _UNSENT if callbacks is CallbackMode.NONE else _UNDELIVERED
        emptied = await _empty(stage, "sms", {"GATEWAY_TWILIO__API_URL": url}, done, run=callbacks)
        accepted = await _accepted_at(url)
    if len(accepted) != _REPLIES:
        raise RuntimeError(f"{_REPLIES} messages were to be sent, and {len(accepted)} came.")
    first, last = min(accepted), max(accepted)
    per_s = (_REPLIES - 1) / (last - first).total_seconds()
    return per_s, emptied, _REPLIES / (emptied.ended_at - first.timestamp())


async def _empty(stage: Stage, kind: str, settings: Mapping[str, str], left: str, *, run: str = "run") -> Emptied:
    """Start a gateway on a copy of the prepared database and wait until `left` counts nothing."""
    database = stage.postgres.create_database(f"{kind}-{run}", template=kind)
    async with stage.gateway(f"{kind}-{run}", {"GATEWAY_DATABASE_URL": database, **settings}) as gateway:
        conn = await asyncpg.connect(database.replace("+asyncpg", ""))

        async def is_empty() -> bool:
            return not await conn.fetchval(left) and not await conn.fetchval(_WAITING)

        await gateway.start()
        cpu_before = cpu_s(pid_of(gateway))
        try:
            await until_found(is_empty, timeout_s=_TIMEOUT_S, look_every_s=_LOOK_EVERY_S)
        except TimeoutError:
            states = [tuple(row) for row in await conn.fetch(_STATES)]
            raise RuntimeError(f"Not done after {_TIMEOUT_S} s: {states}") from None
        finally:
            await conn.close()
        return Emptied(ended_at=time.time(), cpu_us=1e6 * (cpu_s(pid_of(gateway)) - cpu_before) / _REPLIES)


class _Taken(msgspec.Struct):
    created_at: datetime


async def _accepted_at(url: str) -> list[datetime]:
    """Return when the stand-in took each message."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/_ledger") as answer:
        return [taken.created_at for taken in msgspec.json.decode(await answer.read(), type=list[_Taken])]
