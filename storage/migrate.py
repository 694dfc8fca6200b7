"""Bringing a database up to the schema of this code. Alembic is imported only when there is something to do."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, event, inspect, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from gateway.domain.errors import GatewayError

if TYPE_CHECKING:
    from alembic.config import Config

VERSIONS = Path(__file__).parent / "migrations" / "versions"

# Any number will do that nobody else uses as an advisory lock in the same database.
_LOCK_KEY = 0x67617465


class SchemaTooNew(GatewayError):
    """The database was upgraded by a newer version of this software."""


def head_revision() -> str | None:
    """Return the newest revision of this code: file names begin with their number (a test holds Alembic to it)."""
    return max((path.name[:4] for path in VERSIONS.glob("[0-9]*.py")), default=None)


async def current_revision(url: str) -> str | None:
    """Return the revision that the database at `url` is at; None: it is empty."""
    engine = migration_engine(url)
    try:
        async with engine.begin() as conn:
            return await conn.run_sync(_read_revision)
    finally:
        await engine.dispose()


async def migrate(url: str) -> None:
    """Upgrade the database at `url` to this code's schema, in one transaction; several may try at once.

    Raises:
        SchemaTooNew: it is already past what this code knows.
    """
    engine = migration_engine(url)
    try:
        async with engine.begin() as conn:
            if engine.dialect.name == "postgresql":
                await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            await conn.run_sync(_upgrade)
    finally:
        await engine.dispose()


def alembic_config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415  a start that finds the schema right must not pay for it

    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.attributes["connection"] = connection
    return config


def migration_engine(url: str) -> AsyncEngine:
    """Return an engine for one migration: no time limit for statements, and SQLite without foreign keys.

    SQLite alters a table by building another in its place, and asks for foreign keys to be off meanwhile
    (sqlite.org, "Making Other Kinds Of Table Schema Changes").
    """
    engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
    if make_url(url).get_backend_name() == "sqlite":
        Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "synchronous=FULL", "foreign_keys=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    # SQLite waits for nobody here (sqlite.org, "Write-Ahead Logging", 2026): whoever holds the file is another upgrade,
    # which has set the mode, and the file keeps it.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _upgrade(connection: Connection) -> None:
    current, head = _read_revision(connection), head_revision()
    if current == head:
        return
    if current is not None and (head is None or current > head):
        raise SchemaTooNew(f"The database is at revision {current}; this version knows up to {head}.")
    from alembic import command  # noqa: PLC0415  see alembic_config

    command.upgrade(alembic_config(connection), "head")
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise GatewayError("The upgrade would leave rows that refer to nothing; nothing was changed.")
