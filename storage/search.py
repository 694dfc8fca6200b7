"""What `q` finds: the tokens of messages and notes in the database's own full-text index.

Written in sets by whoever stores messages, in the same transaction. Numbered as they come in, so both databases find
the newest first without sorting what is common: SQLite walks its index backwards, and PostgreSQL walks the newest rows
where a word is frequent and its GIN index where it is rare.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Insert,
    Select,
    Text,
    bindparam,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.tokens import QueryToken, index_tokens, query_tokens
from storage.database import Transaction
from storage.tables import Id, UtcDateTime, conversations, message_search

# How far back a search looks: so many messages that match, however few conversations they stand in.
MOST_MATCHES = 500

_FTS = table("message_search_fts", column("rowid"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """One text to be found; `message_id` is None for a note."""

    message_id: str | None
    conversation_id: str
    at: datetime
    text: str


def _insert_set() -> Insert:
    sets = (
        func.unnest(
            bindparam("conversation_ids", type_=ARRAY(Id)),
            bindparam("message_ids", type_=ARRAY(Id)),
            bindparam("times", type_=ARRAY(UtcDateTime(timezone=True))),
            bindparam("texts", type_=ARRAY(Text)),
        )
        .table_valued("conversation_id", "message_id", "at", "tokens")
        .render_derived()
    )
    lexemes = func.array_to_tsvector(func.string_to_array(sets.c.tokens, " "))
    rows = select(sets.c.conversation_id, sets.c.message_id, sets.c.at, lexemes)
    names = ["conversation_id", "message_id", "at", "tokens"]
    return insert(message_search).from_select(names, rows, include_defaults=False)


# PostgreSQL: one statement, its text the same for any number of rows.
_INSERT_SET = _insert_set()


async def index_messages(tx: Transaction, rows: Sequence[SearchRow]) -> None:
    """Make the texts findable; cheap enough for the way in (one statement for all)."""
    values = [(row, " ".join(tokens)) for row in rows if (tokens := index_tokens(row.text))]
    if not values:
        return
    if not tx.is_postgresql:
        await tx.conn.execute(
            insert(message_search),
            [
                {
                    "conversation_id": row.conversation_id,
                    "message_id": row.message_id,
                    "at": row.at,
                    "tokens": tokens,
                }
                for row, tokens in values
            ],
        )
        return
    await tx.conn.execute(
        _INSERT_SET,
        {
            "conversation_ids": [row.conversation_id for row, _ in values],
            "message_ids": [row.message_id for row, _ in values],
            "times": [row.at for row, _ in values],
            "texts": [tokens for _, tokens in values],
        },
    )


async def find_conversations(
    conn: AsyncConnection, text: str, *, filters: Sequence[ColumnElement[bool]] = (), limit: int
) -> list[str]:
    """Return the conversations in which something says `text`, the newest match first.

    `filters` are conditions on `conversations`. A text without a word or sign of any script finds nothing.
    """
    tokens = query_tokens(text)
    if not tokens:
        return []
    matches = _match_postgresql(tokens) if conn.dialect.name == "postgresql" else _match_sqlite(tokens)
    if filters:
        matches = matches.where(exists().where(conversations.c.id == message_search.c.conversation_id, *filters))
    rows = await conn.execute(matches.limit(MOST_MATCHES))
    return list(dict.fromkeys(row.conversation_id for row in rows))[:limit]


def _match_sqlite(tokens: Sequence[QueryToken]) -> Select[tuple[str]]:
    query = " AND ".join(f'"{token.text}"*' if token.is_prefix else f'"{token.text}"' for token in tokens)
    return (
        select(message_search.c.conversation_id)
        .select_from(_FTS.join(message_search, message_search.c.id == _FTS.c.rowid))
        .where(literal_column(_FTS.name).op("MATCH")(query))
        .order_by(_FTS.c.rowid.desc())
    )


def _match_postgresql(tokens: Sequence[QueryToken]) -> Select[tuple[str]]:
    query = " & ".join(f"'{token.text}':*" if token.is_prefix else f"'{token.text}'" for token in tokens)
    return (
        select(message_search.c.conversation_id)
        .where(message_search.c.tokens.op("@@")(cast(literal(query, Text), TSQUERY)))
        .order_by(message_search.c.id.desc())
    )


async def forget_conversation_texts(tx: Transaction, conversation_id: str) -> None:
    """Take everything that was said in a conversation out of the search."""
    await tx.conn.execute(delete(message_search).where(message_search.c.conversation_id == conversation_id))
