"""Adding agents, and what keeps their passwords safe."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher

from gateway.domain.agent import Role
from gateway.domain.errors import BadInput, Conflict, NotFound, TooManyRequests, Unauthenticated
from gateway.services.agents import add_agent, disable_agent, reset_password
from gateway.services.attempts import Attempts, client_key, lock_after
from gateway.services.login import LoginGuard, log_in
from gateway.services.passwords import Passwords
from storage.agents import lock_credentials
from storage.database import Database
from tests.support.api import PASSWORD, quick_passwords

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


async def add(
    database: Database, email: str = "ana@shop.example", *, password: str = PASSWORD, name: str = "Ana"
) -> None:
    await add_agent(
        database,
        quick_passwords(),
        email=email,
        name="Ana",
        role=Role.AGENT,
        languages=["en", "pt-BR"],
        password=password,
        now=NOW,
    )


async def stored_hash(database: Database) -> str:
    known = await database.write(lambda tx: lock_credentials(tx, "ana@shop.example"))
    assert known is not None
    return known.password_hash


async def test_a_password_is_kept_as_argon2id(database: Database) -> None:
    await add(database)
    assert (await stored_hash(database)).startswith("$argon2id$")


async def test_an_address_is_taken_however_it_is_written(database: Database) -> None:
    await add(database)
    with pytest.raises(Conflict):
        await add(database, " ANA@shop.Example ")


async def test_all_that_is_wrong_with_an_agent_is_said_at_once(database: Database) -> None:
    with pytest.raises(BadInput) as caught:
        await add_agent(
            database,
            quick_passwords(),
            email="no address",
            name=" ",
            role=Role.AGENT,
            languages=["en", "not a language"],
            password=PASSWORD,
            now=NOW,
        )
    assert [error.path for error in caught.value.errors] == ["$.email", "$.name", "$.languages[1]"]
    with pytest.raises(BadInput):
        await add(database, password="short")


async def test_nobody_can_not_be_disabled_or_given_a_password(database: Database) -> None:
    with pytest.raises(NotFound):
        await disable_agent(database, email="nobody@shop.example", now=NOW)
    with pytest.raises(NotFound):
        await reset_password(database, quick_passwords(), email="nobody@shop.example", password=PASSWORD)


async def test_a_hash_of_older_parameters_is_renewed_when_its_agent_logs_in(database: Database) -> None:
    await add(database)
    before = await stored_hash(database)
    guard = LoginGuard(passwords=Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)))
    await log_in(database, guard, email="ana@shop.example", password=PASSWORD, client="c", now=NOW)
    after = await stored_hash(database)
    assert "t=1" in before
    assert "t=2" in after
    await log_in(database, guard, email="ana@shop.example", password=PASSWORD, client="c", now=NOW)
    assert await stored_hash(database) == after


async def test_an_unknown_address_takes_as_long_as_a_wrong_password(database: Database) -> None:
    guard = LoginGuard(passwords=Passwords(PasswordHasher(time_cost=4, memory_cost=32 * 1024, parallelism=1)))
    await add(database)

    async def took(email: str) -> float:
        began = time.perf_counter()
        with pytest.raises(Unauthenticated):
            await log_in(database, guard, email=email, password="wrong password", client="c", now=NOW)
        return time.perf_counter() - began

    await reset_password(database, guard.passwords, email="ana@shop.example", password=PASSWORD)
    await took("warm-up@shop.example")
    known = min([await took("ana@shop.example") for _ in range(3)])
    unknown = min([await took(f"nobody{n}@shop.example") for n in range(3)])
    # Without the hash of nobody it would be a tenth of it; the machine's noise is well inside a half.
    assert unknown > known / 2


async def test_hashing_leaves_the_event_loop_free() -> None:
    passwords = Passwords(PasswordHasher(time_cost=8, memory_cost=64 * 1024, parallelism=1))
    ticks = 0

    async def tick(done: asyncio.Event) -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            await asyncio.sleep(0)

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(tick(done))
        await passwords.hash(PASSWORD)
        done.set()
    assert ticks > 10


async def test_more_log_ins_than_the_machine_can_take_are_turned_away() -> None:
    passwords = quick_passwords()
    answers = await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(40)), return_exceptions=True)
    turned_away = [answer for answer in answers if isinstance(answer, TooManyRequests)]
    assert len(turned_away) == 8
    assert await passwords.verify(await passwords.hash(PASSWORD), PASSWORD)


async def test_what_is_no_hash_verifies_nothing() -> None:
    passwords = quick_passwords()
    assert not await passwords.verify("no hash", PASSWORD)
    assert not await passwords.verify(None, PASSWORD)


def test_a_lock_begins_with_the_fifth_failure_doubles_and_has_an_end() -> None:
    seconds = [lock_after(failures).total_seconds() for failures in range(14)]
    assert seconds == [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900, 900]
    assert lock_after(100_000) == timedelta(minutes=15)


def test_counts_are_bounded_and_forgotten_after_a_day() -> None:
    attempts = Attempts(max_keys=3)
    for _ in range(5):
        attempts.begin("a", NOW)
    with pytest.raises(TooManyRequests) as caught:
        attempts.begin("a", NOW)
    assert caught.value.retry_after_s == 30
    attempts.begin("a", NOW + timedelta(hours=25))
    for key in "bcd":
        attempts.begin(key, NOW)
    assert len(attempts._counts) == 3


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_client_counts_by_what_it_has_to_itself(address: str, key: str) -> None:
    assert client_key(address) == key
