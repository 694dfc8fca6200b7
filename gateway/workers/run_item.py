"""One place where the failure of a single item is contained, so that it can be counted, recorded and parked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from gateway.domain.errors import GatewayError, Unavailable

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class Failed:
    """`is_away`: the database or another resource of ours was away, so the item itself is not to blame."""

    reason: str
    is_away: bool


async def run_item(work: Callable[[], Awaitable[T]], *, task: str, **ids: str) -> Done[T] | Failed:
    """Run the work on one item and return what became of it; only cancellation passes through.

    `ids` go to the log. The reason names the error's class and, for errors of ours, its sentence: a foreign error's
    text may quote what a customer wrote.
    """
    try:
        return Done(await work())
    except (Unavailable, TimeoutError) as error:
        log.warning("item.away", task=task, error=type(error).__name__, **ids)
        return Failed(reason=str(error) or "It took too long.", is_away=True)
    except Exception as error:  # the boundary: whatever one item does wrong must not stop the others
        log.warning("item.failed", task=task, exc_info=error, **ids)
        name = type(error).__name__
        return Failed(reason=f"{name}: {error}" if isinstance(error, GatewayError) else name, is_away=False)
