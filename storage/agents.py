"""The people who answer, and what their log-in hangs on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.agent import Agent, Role
from gateway.domain.errors import Conflict, NotFound
from storage.database import Transaction
from storage.tables import agents


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a password is checked against, and how often that went wrong in a row."""

    agent: Agent
    password_hash: str
    failed_logins: int
    locked_until: datetime | None


def agent_from_row(row: Row[Any]) -> Agent:
    return Agent(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        languages=tuple(row.languages),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


async def insert_agent(tx: Transaction, agent: Agent, password_hash: str) -> None:
    """Add an agent, whose e-mail address nobody else may have.

    Raises:
        Conflict: somebody has it already.
    """
    values = {
        "id": agent.id,
        "email": agent.email,
        "name": agent.name,
        "role": agent.role.value,
        "languages": list(agent.languages),
        "password_hash": password_hash,
        "created_at": agent.created_at,
        "disabled_at": agent.disabled_at,
    }
    try:
        await tx.conn.execute(insert(agents).values(values))
    except IntegrityError:
        raise Conflict("An agent has this e-mail address already.") from None


async def list_agents(conn: AsyncConnection) -> list[Agent]:
    return [agent_from_row(row) for row in await conn.execute(select(agents).order_by(agents.c.email))]


async def load_agent(conn: AsyncConnection, agent_id: str) -> Agent:
    """Return the agent with this id, disabled or not.

    Raises:
        NotFound: there is none.
    """
    row = (await conn.execute(select(agents).where(agents.c.id == agent_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such agent.")
    return agent_from_row(row)


async def find_agent(conn: AsyncConnection, email: str) -> Agent | None:
    row = (await conn.execute(select(agents).where(agents.c.email == email))).one_or_none()
    return None if row is None else agent_from_row(row)


async def lock_credentials(tx: Transaction, email: str) -> Credentials | None:
    """Return what this agent's password is checked against, and hold the row until the commit."""
    query = select(agents).where(agents.c.email == email).with_for_update()
    row = (await tx.conn.execute(query)).one_or_none()
    if row is None:
        return None
    return Credentials(
        agent=agent_from_row(row),
        password_hash=row.password_hash,
        failed_logins=row.failed_logins,
        locked_until=row.locked_until,
    )


async def save_attempts(tx: Transaction, agent_id: str, *, failed_logins: int, locked_until: datetime | None) -> None:
    await tx.conn.execute(
        update(agents).where(agents.c.id == agent_id).values(failed_logins=failed_logins, locked_until=locked_until)
    )


async def save_password(tx: Transaction, agent_id: str, password_hash: str) -> None:
    await tx.conn.execute(update(agents).where(agents.c.id == agent_id).values(password_hash=password_hash))


async def save_disabled(tx: Transaction, agent_id: str, at: datetime) -> None:
    await tx.conn.execute(update(agents).where(agents.c.id == agent_id).values(disabled_at=at))
