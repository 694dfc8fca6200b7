"""Agents log in and out and change their passwords.

An attempt is counted as failed before the password is looked at, and success takes the count back: guesses made at
once are counted like guesses made in a row. Whether an e-mail address is an agent's shows neither in the answer nor in
the time it takes.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.domain.agent import Agent
from gateway.domain.errors import BadInput, InputError, Unauthenticated
from gateway.services.attempts import Attempts, lock_after, too_many
from gateway.services.passwords import Passwords, check_password
from gateway.services.tokens import hash_secret, new_secret
from storage import agents, sessions
from storage.agents import Credentials
from storage.database import Database, Transaction
from storage.sessions import Session

# OWASP Session Management Cheat Sheet (2025): both an idle and an absolute time-out. A shift and its breaks fit into
# the one, a week into the other.
IDLE_TIMEOUT = timedelta(hours=12)
ABSOLUTE_TIMEOUT = timedelta(days=7)
_RENEW_AFTER = timedelta(minutes=30)  # not at every request: each renewal is a write

# A whole office may stand behind one address.
_FAILURES_PER_CLIENT = 20


@dataclass(frozen=True, slots=True)
class LoginGuard:
    """What keeps guessing slow; one for the process."""

    passwords: Passwords = field(default_factory=Passwords)
    clients: Attempts = field(default_factory=lambda: Attempts(allowance=_FAILURES_PER_CLIENT))
    strangers: Attempts = field(default_factory=Attempts)  # e-mail addresses that no agent has


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    agent: Agent
    cookie: str
    expires_at: datetime  # at the latest


async def log_in(db: Database, guard: LoginGuard, *, email: str, password: str, client: str, now: datetime) -> LoggedIn:
    """Return a new session; `client` is what the client counts as (`client_key`).

    Raises:
        Unauthenticated: no such agent, a wrong password, or a disabled agent; which one is not said.
        TooManyRequests: the agent or the client is locked out.
    """
    guard.clients.begin(client, now)
    known = await check_agents_password(db, guard, email=email, password=password, now=now)
    guard.clients.succeed(client)
    rehashed = await guard.passwords.hash(password) if guard.passwords.is_outdated(known.password_hash) else None

    async def begin(tx: Transaction) -> LoggedIn:
        current = await agents.lock_credentials(tx, known.agent.email)
        if current is None or current.agent.disabled_at or current.password_hash != known.password_hash:
            raise _wrong()
        if rehashed is not None:
            await agents.save_password(tx, known.agent.id, rehashed)
        return await begin_session(tx, known.agent, now)

    return await db.write(begin)


async def begin_session(tx: Transaction, agent: Agent, now: datetime) -> LoggedIn:
    """Return a new session of an agent who has proved who they are."""
    cookie = new_secret()
    await sessions.delete_expired_sessions(tx, now)
    await sessions.insert_session(
        tx, token_hash=hash_secret(cookie), agent_id=agent.id, now=now, expires_at=now + IDLE_TIMEOUT
    )
    return LoggedIn(agent=agent, cookie=cookie, expires_at=now + ABSOLUTE_TIMEOUT)


async def check_agents_password(
    db: Database, guard: LoginGuard, *, email: str, password: str, now: datetime
) -> Credentials:
    """Return what the password was checked against, if it is right.

    Raises:
        Unauthenticated: it isn't, or there is nobody to check it for.
        TooManyRequests: too many attempts failed.
    """
    email = normalise_email(email)

    async def count_attempt(tx: Transaction) -> Credentials | None:
        known = await agents.lock_credentials(tx, email)
        if known is None:
            return None
        if known.locked_until is not None and known.locked_until > now:
            raise too_many(known.locked_until - now)
        failures = known.failed_logins + 1
        await agents.save_attempts(tx, known.agent.id, failed_logins=failures, locked_until=now + lock_after(failures))
        return known

    known = await db.write(count_attempt)
    if known is None:
        guard.strangers.begin(email, now)
    stored = known.password_hash if known is not None and known.agent.disabled_at is None else None
    if not await guard.passwords.verify(stored, password) or known is None:
        raise _wrong()
    agent_id = known.agent.id

    async def forgive(tx: Transaction) -> None:
        await agents.save_attempts(tx, agent_id, failed_logins=0, locked_until=None)

    await db.write(forgive)
    return known


async def change_password(
    db: Database, guard: LoginGuard, *, agent: Agent, session: str | None, current: str, new: str, now: datetime
) -> None:
    """Set an agent's own password and end their sessions, all but the one whose token hash is `session`.

    Raises:
        BadInput: `current` is wrong, or `new` is too short or too long.
        TooManyRequests: too many attempts failed.
    """
    check_password(new, "$.new")
    try:
        await check_agents_password(db, guard, email=agent.email, password=current, now=now)
    except Unauthenticated:
        message = "This is not your password."
        raise BadInput(message, (InputError(path="$.current", message=message),)) from None
    hashed = await guard.passwords.hash(new)

    async def save(tx: Transaction) -> None:
        await agents.save_password(tx, agent.id, hashed)
        await sessions.end_sessions(tx, agent.id, keep=session)

    await db.write(save)


async def resume_session(db: Database, cookie: str, now: datetime) -> Session:
    """Return the session of a cookie and, now and then, put its end off.

    Raises:
        Unauthenticated: there is none, or not any more.
    """
    async with db.read() as conn:
        session = await sessions.find_session(conn, hash_secret(cookie), now)
    if session is None:
        raise Unauthenticated("The session has ended: log in again.")
    renewed = min(now + IDLE_TIMEOUT, session.created_at + ABSOLUTE_TIMEOUT)
    if renewed - session.expires_at >= _RENEW_AFTER:

        async def extend(tx: Transaction) -> None:
            await sessions.extend_session(tx, session.token_hash, renewed)

        await db.write(extend)
    return session


def normalise_email(email: str) -> str:
    """Return an agent's e-mail address as it is kept and looked up."""
    return email.strip().lower()


def _wrong() -> Unauthenticated:
    return Unauthenticated("E-mail address or password is wrong.")
