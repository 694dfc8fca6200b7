"""Try again what could not be handled."""

from datetime import datetime

from gateway.domain.errors import Conflict, NotFound
from gateway.services.receive import Receipt, Submit
from storage.database import Database
from storage.quarantine import load_quarantined, mark_replayed


async def replay(db: Database, submit: Submit, entry_id: str, now: datetime) -> Receipt:
    """Hand the entry to the intake once more; if it fails again it is a new entry, and this one is done.

    Twice at once is harmless: what the entry leads to has a dedupe key.

    Raises:
        NotFound: no such entry.
        Conflict: it was replayed already.
    """
    async with db.read() as conn:
        entry = await load_quarantined(conn, entry_id)
    if entry is None:
        raise NotFound("There is no such entry.")
    if entry.replayed_at is not None:
        raise Conflict("It was replayed already.")
    receipt = await submit(entry.raw)
    await db.write(lambda tx: mark_replayed(tx, entry_id, now))
    return receipt
