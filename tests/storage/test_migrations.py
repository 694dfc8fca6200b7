"""The revisions build exactly what storage/tables.py says, on both databases, however often and by whomever."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage import migrate as module
from storage.migrate import SchemaTooNew, current_revision, head_revision, migrate, migration_engine
from storage.tables import metadata

T = TypeVar("T")

# The search index of SQLite has no words in SQLAlchemy: its revision is all that says what it is.
_SQLITE_SCHEMA = (
    "SELECT type, name, sql FROM sqlite_master"
    " WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'message\\_search\\_%' ESCAPE '\\' AND sql IS NOT NULL"
)
_POSTGRESQL_SCHEMA = (
    "SELECT tablename, indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass",
    "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
)


async def run_at(url: str, work: Callable[[Connection], T]) -> T:
    engine = migration_engine(url)
    try:
        async with engine.begin() as conn:
            return await conn.run_sync(work)
    finally:
        await engine.dispose()


def read_schema(connection: Connection) -> set[tuple[object, ...]]:
    if connection.dialect.name == "postgresql":
        return {tuple(row) for query in _POSTGRESQL_SCHEMA for row in connection.execute(text(query))}
    # A table's columns and constraints stand on lines of their own, but not always in the same order.
    return {
        (row.type, row.name, *sorted(line.strip(" \t,") for line in row.sql.splitlines()))
        for row in connection.execute(text(_SQLITE_SCHEMA))
    }


def rebuild_from_metadata(connection: Connection) -> None:
    metadata.drop_all(connection)
    metadata.create_all(connection)


def is_in_words_of_sqlalchemy(_item: object, name: str | None, *_rest: object) -> bool:
    return name is None or not name.startswith("message_search")


async def test_autogenerate_finds_nothing_to_change_after_an_upgrade(database_url: str) -> None:
    def compare(connection: Connection) -> list[object]:
        options = {"compare_server_default": True, "include_object": is_in_words_of_sqlalchemy}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    assert await run_at(database_url, compare) == []


async def test_migrated_schema_is_the_one_of_the_tables_to_the_letter(database_url: str) -> None:
    migrated = await run_at(database_url, read_schema)
    await run_at(database_url, rebuild_from_metadata)
    assert migrated == await run_at(database_url, read_schema)
    assert any("uq_conversations_contact_id_unresolved" in row for row in migrated)


async def test_upgrading_again_changes_nothing(empty_database_url: str) -> None:
    await migrate(empty_database_url)
    first = await run_at(empty_database_url, read_schema)
    await migrate(empty_database_url)
    assert await run_at(empty_database_url, read_schema) == first


async def test_upgrades_that_run_at_the_same_time_leave_one_schema(empty_database_url: str) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(migrate(empty_database_url))
    assert await current_revision(empty_database_url) == head_revision()


async def test_an_empty_database_has_no_revision_and_a_migrated_one_the_newest(empty_database_url: str) -> None:
    assert await current_revision(empty_database_url) is None
    await migrate(empty_database_url)
    assert await current_revision(empty_database_url) == head_revision()


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(database_url: str) -> None:
    def age(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await run_at(database_url, age)
    with pytest.raises(SchemaTooNew, match="9999"):
        await migrate(database_url)
    assert await current_revision(database_url) == "9999"


def test_the_newest_file_is_the_head_that_alembic_sees() -> None:
    script = ScriptDirectory(str(module.VERSIONS.parent))
    assert script.get_heads() == [head_revision()]
