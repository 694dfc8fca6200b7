"""How often somebody may guess: counts of failures in memory, for what has no row to count in.

Counted are client addresses and e-mail addresses that no agent has; agents' own failures are counted in the database.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from gateway.domain.errors import TooManyRequests

# The fifth failure in a row locks for half a minute, each one after it for twice as long, up to a quarter of an hour:
# about a hundred guesses a day, and nobody can keep a colleague out for long.
_FREE_FAILURES = 5
_FIRST_LOCK = timedelta(seconds=30)
_LONGEST_LOCK = timedelta(minutes=15)
_FORGET_AFTER = timedelta(hours=24)


def lock_after(failures: int) -> timedelta:
    """Return how long to refuse after this many failures in a row."""
    if failures < _FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - _FREE_FAILURES, 10)
    return min(_FIRST_LOCK * (1 << doublings), _LONGEST_LOCK)


@dataclass(slots=True)
class _Count:
    failures: int
    locked_until: datetime
    last_at: datetime


class Attempts:
    """Failures by key; the keys least recently seen are forgotten first, so its size is bounded.

    `allowance` failures are free before the schedule of `lock_after` begins (many people share one client address).
    """

    def __init__(self, *, allowance: int = 0, max_keys: int = 10_000) -> None:
        self._allowance = allowance
        self._max_keys = max_keys
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def begin(self, key: str, now: datetime) -> None:
        """Count an attempt as failed before it is made, so that guesses made at once are not free.

        Raises:
            TooManyRequests: this key is locked.
        """
        count = self._counts.get(key)
        if count is None or now - count.last_at > _FORGET_AFTER:
            count = self._counts[key] = _Count(failures=0, locked_until=now, last_at=now)
        self._counts.move_to_end(key)
        if count.locked_until > now:
            raise too_many(count.locked_until - now)
        count.failures += 1
        count.last_at = now
        count.locked_until = now + lock_after(count.failures - self._allowance)
        if len(self._counts) > self._max_keys:
            self._counts.popitem(last=False)

    def succeed(self, key: str) -> None:
        self._counts.pop(key, None)


def too_many(wait: timedelta) -> TooManyRequests:
    return TooManyRequests("Too many attempts failed: wait a while.", retry_after_s=wait.total_seconds())


def client_key(address: str) -> str:
    """Return what one client counts as: its IPv4 address, or the /64 network that an IPv6 client has to itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else str(ip_network((parsed, 64), strict=False))
    return str(parsed)
