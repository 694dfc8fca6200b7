"""Whether an agent is at the desk now, known to every process through the database."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from storage import presence
from storage.database import Database

# Three rounds of the live sockets' check: who misses one, as while a page is loaded anew, is still there.
_LIVE_FOR = timedelta(seconds=45)
_KEPT_S = 5.0


@dataclass(slots=True, kw_only=True)
class Presence:
    """Asks the database at most once in `kept_s`: visitors ask at every message, agents come and go by the minute."""

    db: Database
    now: Callable[[], datetime]
    kept_s: float = _KEPT_S
    _asked_at: float = field(default=float("-inf"), init=False)
    _found: bool = field(default=False, init=False)

    async def is_anyone_there(self) -> bool:
        """True while an agent has a page of the inbox open.

        Raises:
            Unavailable: the database is away.
        """
        if time.monotonic() - self._asked_at >= self.kept_s:
            now = self.now()
            async with self.db.read() as conn:
                self._found = await presence.is_anyone_live(conn, since=now - _LIVE_FOR, now=now)
            self._asked_at = time.monotonic()
        return self._found
