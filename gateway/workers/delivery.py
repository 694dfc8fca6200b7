"""The delivery worker: leases due messages, hands each to its channel, and writes down how it went.

Two marks guard against sending twice: the lease, and the attempt mark that is committed just before the bytes leave.
A message whose lease runs out without the mark is simply claimed again; with the mark its fate is unknown, and nothing
is sent until the provider, a callback or a person has said what became of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from channels.contract import Channel
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus, SendResult
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import OutboundMessage
from gateway.services.deliver import Attempt, Ready, claim_ready, mark_started, record_attempts
from gateway.services.journey import IN_DOUBT_REASON, DoubtPolicy
from gateway.workers.group_commit import GroupCommit
from gateway.workers.run_item import Done, run_item
from storage.database import Database, Transaction
from storage.live.contract import LiveBus

log = structlog.get_logger(__name__)

_IDLE_S = 1.0
_CLAIM_PAUSE_S = 0.005
_GATHER_S = 0.05
_AWAY_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLimits:
    lease_s: float
    max_attempts: int
    concurrency: int  # messages on their way at once in this process
    send_timeout_s: float = 30.0  # over any channel's own time-outs


class DeliveryWorker:
    def __init__(
        self,
        *,
        db: Database,
        bus: LiveBus,
        channels: Mapping[ChannelName, Channel],
        compose: Callable[[Ready], Awaitable[OutboundMessage]],
        limits: DeliveryLimits,
        doubt: DoubtPolicy,
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._bus = bus
        self._channels = channels
        self._compose = compose
        self._limits = limits
        self._doubt = doubt
        self._now = now
        self._local = frozenset(name for name, channel in channels.items() if channel.capabilities.is_local)
        self._free = limits.concurrency
        self._wake = asyncio.Event()
        self._marks = GroupCommit(self._write_marks, task="delivery.mark", most=limits.concurrency)
        self._results = GroupCommit(self._write_results, task="delivery.record", most=limits.concurrency)
        self._is_closing = False

    async def run(self) -> None:
        """Work until cancelled; any number of processes may do so at once."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._marks.run())
            tasks.create_task(self._results.run())
            tasks.create_task(self._listen())
            while True:
                await self._gather_slots()
                self._wake.clear()
                ready = await self._claim()
                for item in ready:
                    self._free -= 1
                    tasks.create_task(self._deliver(item))
                await self._rest(len(ready))

    async def drain(self) -> None:
        """Claim nothing more and return when what is on its way has been written down."""
        self._is_closing = True
        while self._free < self._limits.concurrency:
            self._wake.clear()
            await self._wake.wait()

    async def _listen(self) -> None:
        with self._bus.subscribe("outbox") as notices:
            while True:
                await notices.next()
                self._wake.set()

    async def _gather_slots(self) -> None:
        """Wait a moment until many are free, so that claims stay batches; slow sends never hold up the others."""
        few = max(1, self._limits.concurrency // 4)
        try:
            async with asyncio.timeout(_GATHER_S):
                while self._free < few:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return

    async def _rest(self, claimed: int) -> None:
        if claimed:
            return
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._wake.wait()
        except TimeoutError:
            return
        if self._free < self._limits.concurrency:
            await asyncio.sleep(_CLAIM_PAUSE_S)  # what is done now has others close behind it

    async def _claim(self) -> list[Ready]:
        if self._free <= 0 or self._is_closing:
            return []
        limit = self._free

        async def work(tx: Transaction) -> list[Ready]:
            return await claim_ready(
                tx,
                limit=limit,
                lease_s=self._limits.lease_s,
                local_channels=self._local,
                doubt=self._doubt,
                now=self._now(),
            )

        outcome = await run_item(lambda: self._db.write(work), task="delivery.claim")
        if isinstance(outcome, Done):
            return outcome.value
        await asyncio.sleep(_AWAY_PAUSE_S)
        return []

    async def _deliver(self, ready: Ready) -> None:
        try:
            composed = await self._compose_once(ready)
            if isinstance(composed, SendError):
                await self._results.submit(_failed(ready, ready.unsent[0], composed))
                return
            for part in ready.unsent:
                if not await self._deliver_part(ready, part, composed):
                    break
        finally:
            self._free += 1
            self._wake.set()

    async def _compose_once(self, ready: Ready) -> OutboundMessage | SendError:
        channel = ready.claimed.channel
        if channel not in self._channels:
            return SendError(SendAction.STOP_CHANNEL, f"The channel {channel} is not set up.")

        async def compose() -> OutboundMessage:
            # Whoever reads the files for longer loses the message to another worker before it could be sent.
            async with asyncio.timeout(self._limits.lease_s / 2):
                return await self._compose(ready)

        composed = await run_item(compose, task="delivery.compose", message=ready.claimed.message_id)
        if isinstance(composed, Done):
            return composed.value
        return SendError(SendAction.RETRY if composed.is_away else SendAction.FAIL, "Its files could not be read.")

    async def _deliver_part(self, ready: Ready, part: int, message: OutboundMessage) -> bool:
        """Send one part; True when it was taken, so that the next may follow."""
        if not await self._marks.submit((ready, part)):
            log.warning("delivery.lease_lost", message=message.id)
            return False
        attempt = await self._attempt(ready, part, message)
        return await self._results.submit(attempt) is True and attempt.error is None

    async def _attempt(self, ready: Ready, part: int, message: OutboundMessage) -> Attempt:
        channel = self._channels[message.channel]

        async def send() -> SendResult | SendError:
            try:
                async with asyncio.timeout(self._limits.send_timeout_s):
                    return await channel.send(message, part)
            except SendError as error:
                return error

        sent = await run_item(send, task="delivery.send", message=message.id, channel=message.channel)
        if not isinstance(sent, Done):
            # Our own fault after the mark: nobody knows how far the bytes came.
            return _failed(ready, part, SendError(SendAction.IN_DOUBT, IN_DOUBT_REASON))
        if isinstance(sent.value, SendError):
            return _failed(ready, part, sent.value)
        return Attempt(ready=ready, part=part, status=sent.value.status, external_id=sent.value.external_id)

    async def _write_marks(self, starting: Sequence[tuple[Ready, int]]) -> list[bool]:
        async def work(tx: Transaction) -> list[bool]:
            return await mark_started(tx, starting, lease_s=self._limits.lease_s, now=self._now())

        return await self._db.write(work)

    async def _write_results(self, attempts: Sequence[Attempt]) -> list[bool]:
        async def work(tx: Transaction) -> list[bool]:
            return await record_attempts(
                tx, attempts, max_attempts=self._limits.max_attempts, doubt=self._doubt, now=self._now()
            )

        return await self._db.write(work)


def _failed(ready: Ready, part: int, error: SendError) -> Attempt:
    return Attempt(ready=ready, part=part, status=MessageStatus.QUEUED, error=error)
