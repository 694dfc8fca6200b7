"""Runs the gateway and kills it, as `kill -9` would, at one step: before or after the nth call of a function.

    python -m tests.support.crash_at gateway.workers.delivery:mark_started:after:1 serve

The step is named where it is called from, so that the product's own code stays as it is and knows nothing of this.
"""

import functools
import importlib
import itertools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any


def crash_at(step: str) -> None:
    module_name, path, when, nth = step.split(":")
    owner: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for attribute in outer:
        owner = getattr(owner, attribute)
    setattr(owner, name, _fuse(getattr(owner, name), when, int(nth)))


def _fuse(function: Callable[..., Awaitable[object]], when: str, nth: int) -> Callable[..., Awaitable[object]]:
    calls = itertools.count(1)

    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> object:
        is_time = next(calls) == nth
        if is_time and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = await function(*args, **kwargs)
        if is_time and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapper


if __name__ == "__main__":
    crash_at(sys.argv[1])
    from gateway.cli import main

    sys.exit(main(sys.argv[2:]))
