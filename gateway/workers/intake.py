"""The intake: everything that comes in is safe before it is acknowledged.

A worker takes whatever is waiting and handles it in one transaction (group commit). An item that spoils its batch is
found by halving the batch, and goes to quarantine. While the database is away (or does not answer in time), or the
intake is full, items go to the spool, and everything after them too, until the spool has been replayed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from gateway.domain.message import RawInbound
from gateway.services.intake import Arrival, Refused
from gateway.services.receive import Receipt, ReceiptState
from gateway.workers.run_item import Done, Failed, run_item
from gateway.workers.spool import Spool

T = TypeVar("T")
log = structlog.get_logger(__name__)

_BATCH_ITEMS = 128
_WAITING_ITEMS = 4096
# Twilio gives up after 15 s (Webhook connection overrides, 2026-11); closing a connection that hangs takes 2 s, and
# the spool must have its turn.
_ANSWER_S = 9.0
_REPLAY_STEP_S = 30.0  # nobody waits for an answer; a slow step must not be begun again and again
_REPLAY_PAUSE_S = (0.2, 3.0)
# Parsing more than this takes over a millisecond, so it leaves the event loop.
_OFF_LOOP_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSteps:
    """What the intake does with an item, handed in by the composition root."""

    parse: Callable[[RawInbound], Arrival]  # pure; raises ParseFailure
    store_files: Callable[[Arrival], Awaitable[Arrival]]  # bytes into the blob store; idempotent
    record: Callable[[Sequence[Arrival]], Awaitable[list[Receipt | Refused]]]  # one transaction for all
    quarantine: Callable[[RawInbound, str], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    raw: RawInbound
    arrival: Arrival
    receipt: asyncio.Future[Receipt]
    deadline: float  # in the loop's time: then the database has had its chance


class Intake:
    """`answer_s`: how long an item may take to reach the database before it goes to the spool.

    `workers`: transactions at once. Two let the process read requests while PostgreSQL works; SQLite has one writer.
    """

    def __init__(self, steps: IntakeSteps, spool: Spool, *, answer_s: float = _ANSWER_S, workers: int = 1) -> None:
        self._workers = workers
        self._steps = steps
        self._spool = spool
        self._answer_s = answer_s
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(_WAITING_ITEMS)
        self._in_hand: list[list[_Waiting]] = []  # each worker's batch
        self._is_closed = False

    @property
    def spooled_bytes(self) -> int:
        return self._spool.size

    async def submit(self, raw: RawInbound) -> Receipt:
        """Return once the item is safe: committed, a known duplicate, in quarantine or in the spool.

        Raises:
            OSError: neither the database nor the disk took it; it must not be acknowledged.
            ValueError: the database did not take it, and it can't be written down.
        """
        if self._must_spool():
            return await self._to_spool(raw)
        deadline = _now() + self._answer_s
        prepared = await self._prepare(raw, deadline)
        if isinstance(prepared, Receipt):
            return prepared
        if self._must_spool():  # it may have turned while the item was prepared
            return await self._to_spool(raw)
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(raw, prepared, receipt, deadline))
        return await receipt

    def _must_spool(self) -> bool:
        return self._is_closed or not self._spool.is_empty or self._queue.full()

    async def _to_spool(self, raw: RawInbound) -> Receipt:
        await self._spool.append(raw)
        return Receipt(state=ReceiptState.SPOOLED)

    async def _prepare(self, raw: RawInbound, deadline: float) -> Arrival | Receipt:
        """Return the item understood, with its files stored, or what became of it instead."""

        async def understand() -> Arrival:
            async with asyncio.timeout_at(deadline):
                return await self._steps.store_files(await self._parse(raw))

        outcome = await run_item(understand, task="intake.prepare", source=raw.source)
        if isinstance(outcome, Done):
            return outcome.value
        if outcome.is_away:
            return await self._to_spool(raw)
        return await self._to_quarantine(raw, outcome, deadline)

    async def _parse(self, raw: RawInbound) -> Arrival:
        if len(raw.body) > _OFF_LOOP_BYTES:
            return await asyncio.to_thread(self._steps.parse, raw)
        return self._steps.parse(raw)

    async def _to_quarantine(self, raw: RawInbound, failed: Failed, deadline: float) -> Receipt:
        outcome = await self._quarantine(raw, failed, deadline)
        return outcome.value if isinstance(outcome, Done) else await self._to_spool(raw)

    async def _quarantine(self, raw: RawInbound, failed: Failed, deadline: float) -> Done[Receipt] | Failed:
        async def quarantine() -> Receipt:
            async with asyncio.timeout_at(deadline):
                return await self._steps.quarantine(raw, failed.reason)

        return await run_item(quarantine, task="intake.quarantine", source=raw.source)

    async def run(self) -> None:
        """Work until cancelled; run it once per process."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._workers):
                tasks.create_task(self._work())
            tasks.create_task(self._replay())

    async def _work(self) -> None:
        batch: list[_Waiting] = []
        self._in_hand.append(batch)
        while True:
            batch.append(await self._queue.get())
            while len(batch) < _BATCH_ITEMS and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._handle(tuple(batch))
            for _ in batch:
                self._queue.task_done()
            batch.clear()

    async def _handle(self, batch: Sequence[_Waiting]) -> None:
        if not self._spool.is_empty:
            await self._spool_all(batch)
            return
        deadline = min(item.deadline for item in batch)
        outcome = await self._record([item.arrival for item in batch], deadline)
        if isinstance(outcome, Done):
            async with asyncio.TaskGroup() as tasks:
                for item, became in zip(batch, outcome.value, strict=True):
                    if isinstance(became, Receipt):
                        _settle(item, became)
                    else:
                        putting_away = self._to_quarantine(item.raw, _failed(item.raw, became), deadline)
                        tasks.create_task(_settle_by(item, putting_away))
        elif outcome.is_away:
            await self._spool_all(batch)
        elif len(batch) == 1:
            await _settle_by(batch[0], self._to_quarantine(batch[0].raw, outcome, deadline))
        else:
            for half in _halves(batch):
                await self._handle(half)

    async def _record(self, arrivals: Sequence[Arrival], deadline: float) -> Done[list[Receipt | Refused]] | Failed:
        async def record() -> list[Receipt | Refused]:
            async with asyncio.timeout_at(deadline):
                return await self._steps.record(arrivals)

        return await run_item(record, task="intake.record", items=str(len(arrivals)))

    async def _spool_all(self, batch: Sequence[_Waiting]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for item in batch:
                tasks.create_task(_settle_by(item, self._to_spool(item.raw)))

    async def _replay(self) -> None:
        pause_s = _REPLAY_PAUSE_S[0]
        while True:
            await self._spool.has_records.wait()
            # A disk that fails now may be well again later: the loop goes on.
            outcome = await run_item(self._replay_some, task="intake.replay")
            if isinstance(outcome, Done) and outcome.value:
                pause_s = _REPLAY_PAUSE_S[0]
                continue
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _REPLAY_PAUSE_S[1])

    async def _replay_some(self) -> bool:
        """Handle the oldest spooled items; False when the database is still away.

        Raises:
            OSError: the spool can't be read, or what is refused can't be laid aside.
        """
        items, offset = await self._spool.read(_BATCH_ITEMS)
        if not items:
            return False
        arrivals, parked = [], []
        for raw in items:
            understood = await run_item(partial(self._understand_again, raw), task="intake.prepare", source=raw.source)
            if isinstance(understood, Done):
                arrivals.append((raw, understood.value))
            elif understood.is_away:
                return False
            else:
                parked.append((raw, understood))
        if not await self._record_spooled(arrivals):
            return False
        for raw, failed in parked:
            if not await self._put_away(raw, failed):
                return False
        await self._spool.advance(offset)
        log.info("spool.replayed", items=len(items), left_bytes=self._spool.size)
        return True

    async def _understand_again(self, raw: RawInbound) -> Arrival:
        # An item that takes long to parse would take as long the next time: only what may be away is timed.
        arrival = await self._parse(raw)
        async with asyncio.timeout(_REPLAY_STEP_S):
            return await self._steps.store_files(arrival)

    async def _record_spooled(self, items: Sequence[tuple[RawInbound, Arrival]]) -> bool:
        if not items:
            return True
        outcome = await self._record([arrival for _, arrival in items], _now() + _REPLAY_STEP_S)
        if isinstance(outcome, Done):
            for (raw, _), became in zip(items, outcome.value, strict=True):
                if isinstance(became, Refused) and not await self._put_away(raw, _failed(raw, became)):
                    return False
            return True
        if outcome.is_away:
            return False
        if len(items) == 1:
            return await self._put_away(items[0][0], outcome)
        for half in _halves(items):
            if not await self._record_spooled(half):
                return False
        return True

    async def _put_away(self, raw: RawInbound, failed: Failed) -> bool:
        """Quarantine a spooled item; what even the quarantine refuses must not stand before all others for ever."""
        outcome = await self._quarantine(raw, failed, _now() + _REPLAY_STEP_S)
        if isinstance(outcome, Failed) and not outcome.is_away:
            await self._spool.refuse(raw)
            log.error("spool.refused", source=raw.source, reason=outcome.reason)
            return True
        return isinstance(outcome, Done)

    async def drain(self) -> None:
        """Take nothing new into memory and return when what waits there is handled."""
        self._is_closed = True
        await self._queue.join()

    async def spool_rest(self) -> None:
        """Spool what still waits in memory when there is no more time to drain.

        What the database is busy with is spooled too: nobody can tell whether it will be committed, and twice is once.
        """
        rest = [item for batch in self._in_hand for item in batch if not item.receipt.done()]
        while not self._queue.empty():
            rest.append(self._queue.get_nowait())
            self._queue.task_done()
        await self._spool_all(rest)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _failed(raw: RawInbound, refused: Refused) -> Failed:
    log.warning("intake.refused", source=raw.source)
    return Failed(reason=refused.reason, is_away=False)


def _halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]


async def _settle_by(item: _Waiting, work: Awaitable[Receipt]) -> None:
    try:
        _settle(item, await work)
    except (OSError, ValueError) as error:  # no disk took it: its sender is told, the others are not concerned
        if not item.receipt.done():
            item.receipt.set_exception(error)


def _settle(item: _Waiting, receipt: Receipt) -> None:
    # The sender may have hung up while it waited; its item is safe all the same.
    if not item.receipt.done():
        item.receipt.set_result(receipt)
