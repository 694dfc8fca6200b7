"""The load: signed webhooks over a fixed number of connections, one request at a time on each, loopback only.

A raw protocol writes requests that were built before the clock starts, so that the load costs little of the machine it
shares with the server. It ends by itself. Run as a process of its own: `python -m benchmarks.programs.load PLAN`
prints a `LoadResult` as JSON.

Without `rate_per_s` every answer is followed by the next request (closed loop). With it, requests fall due at random
moments at that mean rate (Poisson), whatever the server does (open loop); latency counts from when a request was due,
so that a server which makes others wait can't hide it.
"""

import asyncio
import contextlib
import random
import re
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec
import uvloop

from benchmarks.latency import Latency, summarise
from benchmarks.machine import cpu_s
from benchmarks.waiting import until
from benchmarks.webhooks import build_post, find_serial, message_fields
from benchmarks.websocket import WebSocketClient, handshake

_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *(\d+)")
_TICK_S = 0.001
_LEAVE_S = 15.0
_GREET_TIMEOUT_S = 60.0
_MOST_S = 120.0
_FRESH_EVERY = 20  # one message in twenty comes from a number that never wrote before

Prepared = tuple[int, bool, bytes]  # its number, whether an agent looks at its sender, the request


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    url: str  # what is signed
    auth_token: str
    account_sid: str
    server_pid: int
    series: int  # keeps the runs against one database apart
    senders: int = 2000
    greets: bool = True  # every sender writes once before the clock starts
    connections: int = 64
    warm_s: float = 2.0
    measure_s: float = 8.0
    most: int = 100_000  # requests that are prepared; the run ends early when they are used up
    rate_per_s: float | None = None
    live_token: str = ""
    live: Sequence[Sequence[str]] = ()  # the conversations that each agent's socket looks at


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in the measured time, and how many were acknowledged in all."""

    per_s: float
    acknowledged: int
    refused: int
    ack: Latency
    shown: Latency
    unseen: int  # messages of senders who are looked at, that no socket brought
    server_cpu_us: float  # the server's processor time for each acknowledged message


class _Connection(asyncio.Protocol):
    __slots__ = ("_buffer", "_load", "began_at", "is_measured", "transport")

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = b""
        self.began_at = 0.0
        self.is_measured = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if length is None or len(data) < end + 4 + int(length[1]):
            self._buffer = data
            return
        self._buffer = b""
        self._load.note_answer(self, data[9:12] == b"200")

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.note_lost("The server closed a connection.")


@dataclass(slots=True)
class Load:
    """One run: the connections, what is still to be sent, and what was seen."""

    plan: LoadPlan
    greetings: deque[Prepared]
    requests: Iterator[Prepared]
    idle: deque[_Connection] = field(default_factory=deque)
    latencies: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    due: deque[float] = field(default_factory=deque)
    posted: dict[int, float] = field(default_factory=dict)
    measured: int = 0
    acknowledged: int = 0
    refused: int = 0
    in_flight: int = 0
    begin: float = float("inf")
    end: float = float("inf")
    is_closed_loop: bool = False
    is_over: bool = False
    failure: str | None = None

    def send_next(self, connection: _Connection, began_at: float) -> None:
        request = self.greetings.popleft() if self.greetings else next(self.requests, None)
        if request is None:
            self.is_over = True
            self.end = min(self.end, began_at)
            self.idle.append(connection)
            return
        serial, is_known, data = request
        connection.began_at = began_at
        connection.is_measured = self.begin <= began_at < self.end
        if connection.is_measured and is_known and self.plan.live:
            self.posted[serial] = began_at
        self.in_flight += 1
        connection.transport.write(data)

    def note_answer(self, connection: _Connection, is_taken: bool) -> None:
        now = time.monotonic()
        self.in_flight -= 1
        self.acknowledged += is_taken
        self.refused += not is_taken
        self.measured += is_taken and self.begin <= now < self.end
        if connection.is_measured:
            self.latencies.append(now - connection.began_at)
        if self.greetings or (self.is_closed_loop and now < self.end):
            self.send_next(connection, now)
        elif self.due:
            self.send_next(connection, self.due.popleft())
        else:
            self.idle.append(connection)

    def note_lost(self, what: str) -> None:
        if not self.is_over:
            self.is_over = True
            self.failure = what

    def note_frame(self, payload: bytes) -> None:
        now = time.monotonic()
        if b"message.received" in payload and (serial := find_serial(payload)) is not None:
            posted_at = self.posted.pop(serial, None)
            if posted_at is not None:
                self.shown.append(now - posted_at)

    def begin_measuring(self) -> None:
        self.begin = time.monotonic() + self.plan.warm_s
        self.end = self.begin + self.plan.measure_s

    async def greet(self) -> None:
        """Have every sender write once."""
        for _ in range(min(len(self.greetings), len(self.idle))):
            self.send_next(self.idle.popleft(), time.monotonic())
        await until(lambda: not self.in_flight or self.is_over, timeout_s=_GREET_TIMEOUT_S)

    async def run_closed(self) -> None:
        self.is_closed_loop = True
        self.begin_measuring()
        while self.idle and not self.is_over:
            self.send_next(self.idle.popleft(), time.monotonic())
        await until(lambda: time.monotonic() >= self.end or self.is_over, timeout_s=_MOST_S)
        self.is_closed_loop = False

    async def run_paced(self, rate_per_s: float) -> None:
        chance = random.Random(self.plan.series)
        self.begin_measuring()
        next_at = time.monotonic()
        while next_at < self.end and not self.is_over:
            now = time.monotonic()
            while next_at <= now:
                if self.idle:
                    self.send_next(self.idle.popleft(), next_at)
                else:
                    self.due.append(next_at)
                next_at += chance.expovariate(rate_per_s)
            await asyncio.sleep(_TICK_S)

    async def settle(self) -> None:
        """Wait, within bounds, for what is under way: answers and frames."""
        with contextlib.suppress(TimeoutError):
            await until(self._is_done, timeout_s=_LEAVE_S)
        self.is_over = True

    def _is_done(self) -> bool:
        return self.failure is not None or not (self.in_flight or self.due or self.posted)


def prepare(plan: LoadPlan, first: int, count: int) -> list[Prepared]:
    """Return signed requests; the same plan gives the same ones."""
    chance = random.Random(plan.series)
    made = []
    for number in range(first, first + count):
        serial = plan.series * 10_000_000 + number
        if number < plan.senders:
            sender = number
        elif number % _FRESH_EVERY == 0:
            sender = plan.series * 1_000_000 + number
        else:
            sender = chance.randrange(plan.senders)
        fields = message_fields(serial, sender, plan.account_sid)
        made.append((serial, sender < plan.senders, build_post(plan.url, fields, plan.auth_token)))
    return made


async def _look_on(load: Load) -> list[WebSocketClient]:
    """Open the agents' sockets and subscribe; frames go to `load`."""
    plan, loop = load.plan, asyncio.get_running_loop()
    headers = {"Authorization": f"Bearer {plan.live_token}"}
    subscribed: asyncio.Queue[None] = asyncio.Queue()

    def on_text(payload: bytes) -> None:
        if b'"subscribed"' in payload:
            subscribed.put_nowait(None)
        load.note_frame(payload)

    def on_end(reason: str) -> None:
        load.note_lost(f"An agent's socket ended: {reason}")

    def open_socket() -> WebSocketClient:
        return WebSocketClient(handshake(f"127.0.0.1:{plan.port}", "/v1/live", headers), on_text, on_end)

    sockets = []
    for conversations in plan.live:
        _, socket = await loop.create_connection(open_socket, "127.0.0.1", plan.port)
        await socket.opened
        # Nobody has that many events: the server takes it as "what comes from here on".
        socket.send(msgspec.json.encode({"subscribe": dict.fromkeys(conversations, 2**31 - 1)}))
        async with asyncio.timeout(_LEAVE_S):
            await subscribed.get()
        sockets.append(socket)
    return sockets


async def run_load(plan: LoadPlan) -> LoadResult:
    greetings = prepare(plan, 0, plan.senders if plan.greets else 0)
    requests = prepare(plan, plan.senders, plan.most)
    load = Load(plan, deque(greetings), iter(requests))
    loop = asyncio.get_running_loop()
    for _ in range(plan.connections):
        _, connection = await loop.create_connection(lambda: _Connection(load), "127.0.0.1", plan.port)
        load.idle.append(connection)
    await load.greet()
    sockets = await _look_on(load)
    cpu_before, acknowledged_before = cpu_s(plan.server_pid), load.acknowledged
    if plan.rate_per_s is None:
        await load.run_closed()
    else:
        await load.run_paced(plan.rate_per_s)
    await load.settle()
    if load.failure is not None:
        raise RuntimeError(load.failure)
    used_s, acknowledged = cpu_s(plan.server_pid) - cpu_before, load.acknowledged - acknowledged_before
    for socket in sockets:
        socket.transport.close()
    for connection in load.idle:
        connection.transport.close()
    seconds = load.end - load.begin
    return LoadResult(
        per_s=load.measured / seconds if seconds > 0 else 0.0,
        acknowledged=load.acknowledged,
        refused=load.refused,
        ack=summarise(load.latencies),
        shown=summarise(load.shown),
        unseen=len(load.posted),
        server_cpu_us=1e6 * used_s / max(1, acknowledged),
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        result = loop_runner.run(run_load(msgspec.json.decode(sys.argv[1], type=LoadPlan)))
    print(msgspec.json.encode(result).decode())
