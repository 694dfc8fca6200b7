"""Waiting for what another process does, which nobody can tell us of: by looking."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(is_so: Callable[[], bool], *, timeout_s: float, look_every_s: float = 0.05) -> None:
    """Return once `is_so`.

    Raises:
        TimeoutError: it was not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not is_so():  # noqa: ASYNC110  see above
            await asyncio.sleep(look_every_s)


async def until_found(is_found: Callable[[], Awaitable[bool]], *, timeout_s: float, look_every_s: float) -> None:
    """Return once `is_found`, which has to ask somebody.

    Raises:
        TimeoutError: it was not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not await is_found():  # noqa: ASYNC110  see above
            await asyncio.sleep(look_every_s)
