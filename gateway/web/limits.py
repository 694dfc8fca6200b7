"""How much one visitor, or one client address, may ask of us: token buckets in this process."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MAX_KEYS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` at once, then `per_s` each second."""

    per_s: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLimits:
    """What one visitor and one client address (an office, a mobile network's gateway) may ask of a process."""

    sockets_per_address: int = 1_000
    sockets: Rate = Rate(per_s=50, burst=500)  # opened, per address
    frames: Rate = Rate(per_s=10, burst=60)  # per visitor
    messages: Rate = Rate(per_s=1, burst=20)  # per visitor
    messages_per_address: Rate = Rate(per_s=50, burst=500)
    uploads: Rate = Rate(per_s=0.5, burst=20)  # per visitor
    upload_bytes: int = 10 * 1024 * 1024
    # A transcript goes to whatever mailbox a visitor names: too few to be a nuisance to anybody.
    transcripts: Rate = Rate(per_s=1 / 600, burst=3)  # per visitor
    transcripts_per_address: Rate = Rate(per_s=1 / 60, burst=20)
    transcripts_per_mailbox: Rate = Rate(per_s=1 / 3600, burst=5)


class Buckets:
    """One bucket for each key; the keys least recently seen are forgotten first, so its size is bounded.

    `clock` counts seconds, from anywhere.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float], *, max_keys: int = _MAX_KEYS) -> None:
        self._rate = rate
        self._clock = clock
        self._max_keys = max_keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was

    def take(self, key: str) -> bool:
        """Take one from the bucket of `key`; False: it is empty."""
        now = self._clock()
        level, at = self._levels.get(key, (float(self._rate.burst), now))
        level = min(self._rate.burst, level + (now - at) * self._rate.per_s)
        is_allowed = level >= 1
        self._levels[key] = (level - 1 if is_allowed else level, now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._max_keys:
            self._levels.popitem(last=False)
        return is_allowed
