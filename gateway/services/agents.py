"""The shop's operators add, list and disable agents and reset their passwords."""

import re
from collections.abc import Sequence
from datetime import datetime

from gateway.domain.agent import Agent, Role
from gateway.domain.errors import BadInput, InputError, NotFound
from gateway.domain.ids import new_id
from gateway.services.login import normalise_email
from gateway.services.passwords import Passwords, check_password
from storage import agents, sessions
from storage.database import Database, Transaction

_EMAIL = re.compile(r"[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+")
# BCP 47 (RFC 5646, section 2.1), loosely: subtags of 1 to 8 letters and digits.
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


async def add_agent(
    db: Database,
    passwords: Passwords,
    *,
    email: str,
    name: str,
    role: Role,
    languages: Sequence[str],
    password: str,
    now: datetime,
) -> Agent:
    """Add an agent who can log in from now on.

    Raises:
        BadInput: with all that is wrong with them.
        Conflict: an agent has this e-mail address already.
    """
    agent = Agent(
        id=new_id(),
        email=normalise_email(email),
        name=name.strip(),
        role=role,
        languages=tuple(languages),
        created_at=now,
    )
    _check(agent)
    check_password(password, "$.password")
    hashed = await passwords.hash(password)

    async def save(tx: Transaction) -> None:
        await agents.insert_agent(tx, agent, hashed)

    await db.write(save)
    return agent


async def disable_agent(db: Database, *, email: str, now: datetime) -> Agent:
    """Keep an agent out from now on and end their sessions.

    Raises:
        NotFound: there is no such agent.
    """

    async def save(tx: Transaction) -> Agent:
        agent = await _find(tx, email)
        await agents.save_disabled(tx, agent.id, now)
        await sessions.end_sessions(tx, agent.id)
        return agent

    return await db.write(save)


async def reset_password(db: Database, passwords: Passwords, *, email: str, password: str) -> Agent:
    """Set an agent's password, end their sessions and lift a lock-out.

    Raises:
        NotFound: there is no such agent.
        BadInput: the password is too short or too long.
    """
    check_password(password, "$.password")
    hashed = await passwords.hash(password)

    async def save(tx: Transaction) -> Agent:
        agent = await _find(tx, email)
        await agents.save_password(tx, agent.id, hashed)
        await agents.save_attempts(tx, agent.id, failed_logins=0, locked_until=None)
        await sessions.end_sessions(tx, agent.id)
        return agent

    return await db.write(save)


async def _find(tx: Transaction, email: str) -> Agent:
    known = await agents.lock_credentials(tx, normalise_email(email))
    if known is None:
        raise NotFound("There is no agent with this e-mail address.")
    return known.agent


def _check(agent: Agent) -> None:
    errors = []
    if not _EMAIL.fullmatch(agent.email):
        errors.append(InputError(path="$.email", message="This is not an e-mail address."))
    if not agent.name or "\x00" in agent.name:
        errors.append(InputError(path="$.name", message="An agent has a name."))
    for position, language in enumerate(agent.languages):
        if not _LANGUAGE.fullmatch(language):
            errors.append(InputError(path=f"$.languages[{position}]", message="This is not a BCP 47 language."))
    if errors:
        raise BadInput("This agent can't be added.", tuple(errors))
