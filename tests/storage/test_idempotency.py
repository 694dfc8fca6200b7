"""Claims on idempotency keys, on both databases."""

from datetime import UTC, datetime, timedelta

from storage.database import Database, Transaction
from storage.idempotency import (
    KeyedRequest,
    StoredAnswer,
    claim_key,
    delete_keys_before,
    release_key,
    renew_claim,
    save_answer,
)

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
REQUEST = KeyedRequest(principal="agent:1", key="k", fingerprint="f" * 64)


async def claim(database: Database, at: datetime = NOW) -> StoredAnswer | None:
    return await database.write(lambda tx: claim_key(tx, REQUEST, at))


async def test_a_claim_stands_in_the_way_of_the_next(database: Database) -> None:
    assert await claim(database) is None
    earlier = await claim(database, LATER)
    assert earlier == StoredAnswer(fingerprint="f" * 64, status=None, response=None, created_at=NOW)


async def test_an_answer_is_found_byte_for_byte(database: Database) -> None:
    await claim(database)
    await database.write(lambda tx: save_answer(tx, REQUEST, status=201, response=b'{"\xc3\xa9":1}'))
    earlier = await claim(database)
    assert earlier is not None
    assert (earlier.status, earlier.response) == (201, b'{"\xc3\xa9":1}')


async def test_a_claim_in_a_transaction_that_failed_never_was(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        assert await claim_key(tx, REQUEST, NOW) is None
        raise LookupError

    try:
        await database.write(work)
    except LookupError:
        pass
    assert await claim(database) is None


async def test_a_claim_is_taken_over_by_one_only(database: Database) -> None:
    await claim(database)
    assert await database.write(lambda tx: renew_claim(tx, REQUEST, stale=NOW, now=LATER)) is True
    assert await database.write(lambda tx: renew_claim(tx, REQUEST, stale=NOW, now=LATER)) is False


async def test_an_answered_claim_is_not_given_up(database: Database) -> None:
    await claim(database)
    await database.write(lambda tx: save_answer(tx, REQUEST, status=204, response=b""))
    await database.write(lambda tx: release_key(tx, REQUEST))
    assert await claim(database) is not None


async def test_a_claim_that_was_given_up_is_free(database: Database) -> None:
    await claim(database)
    await database.write(lambda tx: release_key(tx, REQUEST))
    assert await claim(database) is None


async def test_old_keys_are_deleted(database: Database) -> None:
    await claim(database)
    assert await database.write(lambda tx: delete_keys_before(tx, before=NOW, limit=10)) == 0
    assert await claim(database) is not None
    assert await database.write(lambda tx: delete_keys_before(tx, before=LATER, limit=10)) == 1
    assert await claim(database) is None
