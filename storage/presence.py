"""Who is at their desk: the sessions whose live sockets are open, in whichever process.

Each process says so now and then, for all its sockets at once. What a process that died said last runs out by itself.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Transaction
from storage.sets import member_of
from storage.tables import agents, sessions


async def note_live(tx: Transaction, token_hashes: Iterable[str], now: datetime) -> None:
    """Note that these sessions have a live socket open."""
    await tx.conn.execute(
        update(sessions).where(member_of(tx.conn, sessions.c.token_hash, token_hashes)).values(live_at=now)
    )


async def is_anyone_live(conn: AsyncConnection, *, since: datetime, now: datetime) -> bool:
    """True where a session that goes on had a live socket open after `since`."""
    live = (
        select(sessions.c.token_hash)
        .join(agents, agents.c.id == sessions.c.agent_id)
        .where(sessions.c.live_at > since, sessions.c.expires_at > now, agents.c.disabled_at.is_(None))
    )
    return bool((await conn.execute(select(exists(live)))).scalar_one())
