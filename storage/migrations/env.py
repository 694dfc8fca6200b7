"""Alembic's way in. `storage.migrate` runs it and hands it a connection that is already in a transaction."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection

from storage.tables import UtcDateTime, message_search, metadata


def render_item(kind: str, item: object, autogen: AutogenContext) -> str | Literal[False]:
    # A revision says what the database had at its time, so it must not lean on our own, changing code.
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    # SQLite's search index has no words in SQLAlchemy, and tables of its own making: its revision is written by hand.
    return kind != "table" or name is None or not name.startswith(message_search.name)


def include_object(_item: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return include_name(name, kind, None)


connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_item=render_item,
    include_name=include_name,
    include_object=include_object,
    # SQLite alters a table by copying it, in a batch; where every table is new there is nothing to alter.
    render_as_batch=not context.config.attributes.get("is_first_draft", False),
    transactional_ddl=True,  # true of both databases, since we begin SQLite's transactions ourselves
)
with context.begin_transaction():
    context.run_migrations()
