"""Many small writes that wait at the same time share one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from gateway.workers.run_item import Done, run_item

Item = TypeVar("Item")
Result = TypeVar("Result")

_RETRY_PAUSE_S = (0.1, 2.0)


class GroupCommit(Generic[Item, Result]):
    """Collects items while the transaction before them runs, then writes them all in one.

    `write` returns one result for each item, in order. It is tried again until the database is back: what waits here
    has happened already (bytes have left), so it has to be written down.
    """

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, task: str, most: int) -> None:
        self._write = write
        self._task = task
        self._most = most
        self._queue: asyncio.Queue[tuple[Item, asyncio.Future[Result | None]]] = asyncio.Queue()

    async def submit(self, item: Item) -> Result | None:
        """Return the item's result once it is committed; None when it alone could not be written (it is logged)."""
        done: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((item, done))
        return await done

    async def run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._settle(batch)

    async def _settle(self, batch: Sequence[tuple[Item, "asyncio.Future[Result | None]"]]) -> None:
        pause_s = _RETRY_PAUSE_S[0]
        while True:
            outcome = await run_item(lambda: self._write([item for item, _ in batch]), task=self._task)
            if isinstance(outcome, Done):
                for (_, done), result in zip(batch, outcome.value, strict=True):
                    if not done.done():
                        done.set_result(result)
                return
            if not outcome.is_away:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RETRY_PAUSE_S[1])
        if len(batch) > 1:
            for item in batch:
                await self._settle([item])
        elif not batch[0][1].done():
            batch[0][1].set_result(None)
