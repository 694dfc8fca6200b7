"""Statements over sets whose text does not depend on the set's size, so that each is planned once and cached."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from sqlalchemy import ARRAY, Column, ColumnElement, Table, Uuid, any_, delete, func, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def member_of(conn: AsyncConnection, column: Column[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a text or id column is one of `values`."""
    wanted = list(values)
    if conn.dialect.name == "postgresql":
        return column == any_(literal(wanted, ARRAY(column.type)))
    if isinstance(column.type, Uuid):
        wanted = [value.replace("-", "") for value in wanted]
    listed = func.json_each(msgspec.json.encode(wanted).decode()).table_valued("value")
    return column.in_(select(listed.c.value))


def insert_or_ignore(conn: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that leaves a row which breaks a unique key as it stands."""
    if conn.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


async def delete_oldest(conn: AsyncConnection, at: Column[datetime], *, before: datetime, limit: int) -> int:
    """Delete the rows of the table of `at` (an indexed column) that are oldest, up to `limit`; return how many went.

    What somebody else holds is left for the next time.
    """
    keys = list(at.table.primary_key)
    oldest = select(*keys).where(at < before).order_by(at).limit(limit).with_for_update(skip_locked=True).cte()
    query = delete(at.table).where(tuple_(*keys).in_(select(oldest))).returning(keys[0])
    return len((await conn.execute(query)).all())
