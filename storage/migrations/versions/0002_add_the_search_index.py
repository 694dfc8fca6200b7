"""Add the search index. Written by hand: SQLAlchemy has no words for FTS5, and no draft would bring it back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# An external content table (sqlite.org, FTS5, section 4.4.3). The tokens come ready-made, with a space between:
# `ascii` leaves every character beyond ASCII alone, and without positions the index is a third of the size.
_SQLITE = (
    """
    CREATE VIRTUAL TABLE message_search_fts USING fts5(
        tokens, content='message_search', content_rowid='id', tokenize='ascii', detail=none, columnsize=0
    )
    """,
    """
    CREATE TRIGGER message_search_added AFTER INSERT ON message_search BEGIN
        INSERT INTO message_search_fts (rowid, tokens) VALUES (new.id, new.tokens);
    END
    """,
    """
    CREATE TRIGGER message_search_removed AFTER DELETE ON message_search BEGIN
        INSERT INTO message_search_fts (message_search_fts, rowid, tokens) VALUES ('delete', old.id, old.tokens);
    END
    """,
)


def upgrade() -> None:
    op.create_table(
        "message_search",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("message_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokens", sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_search")),
    )
    op.create_index(op.f("ix_message_search_conversation_id"), "message_search", ["conversation_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(op.f("ix_message_search_tokens"), "message_search", ["tokens"], postgresql_using="gin")
        return
    for statement in _SQLITE:
        op.execute(statement)
