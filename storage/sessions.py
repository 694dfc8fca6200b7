"""Agents' sessions: who is logged in, by the hash of their cookie."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.agent import Agent
from storage.agents import agent_from_row
from storage.database import Transaction
from storage.live.contract import Notice
from storage.tables import agents, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    token_hash: str  # SHA-256 of the cookie, hex
    agent: Agent
    created_at: datetime
    expires_at: datetime


async def insert_session(
    tx: Transaction, *, token_hash: str, agent_id: str, now: datetime, expires_at: datetime
) -> None:
    await tx.conn.execute(
        insert(sessions).values(token_hash=token_hash, agent_id=agent_id, created_at=now, expires_at=expires_at)
    )


async def find_session(conn: AsyncConnection, token_hash: str, now: datetime) -> Session | None:
    """Return the session, unless it has ended or its agent is disabled."""
    query = (
        select(agents, sessions.c.created_at.label("began_at"), sessions.c.expires_at)
        .join(agents, agents.c.id == sessions.c.agent_id)
        .where(sessions.c.token_hash == token_hash, sessions.c.expires_at > now, agents.c.disabled_at.is_(None))
    )
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    return Session(token_hash=token_hash, agent=agent_from_row(row), created_at=row.began_at, expires_at=row.expires_at)


async def extend_session(tx: Transaction, token_hash: str, expires_at: datetime) -> None:
    await tx.conn.execute(update(sessions).where(sessions.c.token_hash == token_hash).values(expires_at=expires_at))


async def end_session(tx: Transaction, token_hash: str) -> None:
    query = delete(sessions).where(sessions.c.token_hash == token_hash).returning(sessions.c.agent_id)
    announce_ended(tx, (await tx.conn.execute(query)).scalars())


async def end_sessions(tx: Transaction, agent_id: str, *, keep: str | None = None) -> None:
    """End the agent's sessions, all but the one whose token hash is `keep`."""
    query = delete(sessions).where(sessions.c.agent_id == agent_id)
    if keep is not None:
        query = query.where(sessions.c.token_hash != keep)
    await tx.conn.execute(query)
    announce_ended(tx, [agent_id])


async def delete_expired_sessions(tx: Transaction, now: datetime) -> None:
    await tx.conn.execute(delete(sessions).where(sessions.c.expires_at <= now))


def announce_ended(tx: Transaction, agent_ids: Iterable[str]) -> None:
    """Tell open sockets of these agents to prove again who they are."""
    for agent_id in agent_ids:
        body = msgspec.json.encode({"agent": agent_id, "sessions": "ended"})
        tx.notices.append(Notice(topic=f"agent:{agent_id}", body=body))
