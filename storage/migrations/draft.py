"""Draft the next revision from storage/tables.py: `python -m storage.migrations.draft "Say what changes."`

The draft is the difference between what the revisions build and what the tables say. Read it before you keep it:
renamed columns look like a dropped and a new one, and data does not move by itself. With `--replace 0001` that
revision is drafted anew, and the later ones stay as they are (only while no installation has it).
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from sqlalchemy import Connection

from storage.database import sqlite_url
from storage.migrate import VERSIONS, alembic_config, head_revision, migrate, migration_engine


async def draft(message: str, number: str) -> None:
    """Write the file of revision `number` into `versions/`; the newest there must be the one before."""
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite_url(Path(folder) / "empty.sqlite")
        await migrate(url)
        engine = migration_engine(url)
        async with engine.begin() as conn:
            await conn.run_sync(_write_revision, message, number)
        await engine.dispose()


@contextmanager
def set_aside(number: str) -> Iterator[None]:
    """Take revision `number` away, and the later ones for as long as the block runs."""
    with tempfile.TemporaryDirectory(dir=VERSIONS.parent) as folder:
        aside = [path.rename(Path(folder, path.name)) for path in VERSIONS.glob("[0-9]*.py") if path.name[:4] >= number]
        try:
            yield
        finally:
            for path in aside:
                if path.name[:4] != number:
                    path.rename(VERSIONS / path.name)


def _write_revision(connection: Connection, message: str, number: str) -> None:
    config = alembic_config(connection)
    config.attributes["is_first_draft"] = number == "0001"
    command.revision(config, message=message, autogenerate=True, rev_id=number)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draft the next revision from storage/tables.py.")
    parser.add_argument("message", help="what it changes, as one sentence")
    parser.add_argument("--replace", metavar="NUMBER", help="draft this revision anew, as `0001`")
    options = parser.parse_args()
    if options.replace is None:
        asyncio.run(draft(options.message, f"{int(head_revision() or 0) + 1:04d}"))
    else:
        with set_aside(options.replace):
            asyncio.run(draft(options.message, options.replace))


if __name__ == "__main__":
    main()
