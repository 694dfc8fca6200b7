"""The schema: one place that says what is kept. Migrations build it; a test holds the two together."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time: `timestamptz` on PostgreSQL, sortable text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return value.astimezone(UTC).replace(tzinfo=None)
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        time: datetime = value
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


# Deterministic names, so that migrations can drop what they made.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = Uuid(as_uuid=False)
Data = JSON().with_variant(JSONB(), "postgresql")


def _id() -> Column[str]:
    return Column("id", Id, primary_key=True)


def _ref(name: str, target: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Id, ForeignKey(f"{target}.id"), nullable=nullable)


contacts = Table(
    "contacts",
    metadata,
    _id(),
    Column("name", Text),
    Column("language", String(35)),
    Column("attributes", Data, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    _ref("merged_into_id", "contacts", nullable=True),
    Index(None, "merged_into_id"),
)

addresses = Table(
    "addresses",
    metadata,
    _id(),
    _ref("contact_id", "contacts"),
    Column("kind", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("display_name", Text),
    Column("verified_at", UtcDateTime),
    Column("identified_at", UtcDateTime),  # visitor: the shop's signed identity was shown
    Column("last_inbound_at", UtcDateTime),
    Column("undeliverable_reason", Text),
    Column("chat_seq", Integer, nullable=False, server_default="0"),  # visitor: counts this chat's own messages
    Column("seen_chat_seq", Integer, nullable=False, server_default="0"),  # visitor: an agent has looked up to here
    Column("merged_from_id", Id),  # the contact that a merge took it from; unmerge gives it back
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("value", "kind"),  # value first: look-ups bring values of several kinds at once
    Index(None, "contact_id"),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    _id(),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("languages", Data, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("failed_logins", Integer, nullable=False, server_default="0"),
    Column("locked_until", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 of the cookie
    _ref("agent_id", "agents"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("live_at", UtcDateTime),  # when a live socket of this session was last known to be open
    Index(None, "agent_id"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),  # SHA-256
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # SHA-256 of method, path and body
    Column("status", Integer),
    Column("response", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

conversations = Table(
    "conversations",
    metadata,
    _id(),
    _ref("contact_id", "contacts"),
    Column("status", String(16), nullable=False),
    Column("queue", String(64), nullable=False),
    _ref("assignee_id", "agents", nullable=True),
    Column("topic", String(64)),
    Column("language", String(35)),
    Column("channel", String(16), nullable=False),  # the one the customer last used
    _ref("address_id", "addresses", nullable=True),  # the address the customer last used
    Column("subject", Text),
    Column("preview", Text),
    Column("last_seq", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_message_at", UtcDateTime, nullable=False),
    Column("waiting_since", UtcDateTime),  # the first customer message that has no answer yet
    Column("due_at", UtcDateTime),
    Column("snoozed_until", UtcDateTime),
    Column("resolved_at", UtcDateTime),
    _ref("previous_id", "conversations", nullable=True),
    _ref("joined_into_id", "conversations", nullable=True),
    Column("merged_from_id", Id),  # the contact that a merge took it from; unmerge may give it back
    # One episode at a time: at most one conversation per contact that is not resolved.
    Index(
        "uq_conversations_contact_id_unresolved",
        "contact_id",
        unique=True,
        sqlite_where=text("status <> 'resolved'"),
        postgresql_where=text("status <> 'resolved'"),
    ),
    Index(None, "contact_id", "created_at"),
    Index(None, "status", "last_message_at", "id"),
    Index(None, "status", "queue", "last_message_at", "id"),
    Index(None, "status", "assignee_id", "last_message_at", "id"),
    Index(None, "last_message_at", "id"),
    # What "next" takes from: few rows, however many conversations there are.
    Index(
        "ix_conversations_queue_waiting_since_untaken",
        "queue",
        "waiting_since",
        "id",
        sqlite_where=text("status = 'open' AND assignee_id IS NULL AND waiting_since IS NOT NULL"),
        postgresql_where=text("status = 'open' AND assignee_id IS NULL AND waiting_since IS NOT NULL"),
    ),
)

messages = Table(
    "messages",
    metadata,
    _id(),
    _ref("conversation_id", "conversations"),
    _ref("contact_id", "contacts"),
    _ref("address_id", "addresses", nullable=True),
    Column("seq", Integer, nullable=False),
    Column("chat_seq", Integer),
    Column("direction", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("author_kind", String(16), nullable=False),
    Column("author_id", Text),
    Column("author_name", Text),
    Column("subject", Text),
    Column("text", Text, nullable=False),
    Column("html", Text),
    Column("language", String(35)),
    Column("topics", Data, nullable=False),
    Column("status", String(16), nullable=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("external_id", Text),
    Column("reply_to_id", Id),
    Column("cc", Data, nullable=False),
    Column("extra", Data, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("template", Text),
    Column("at", UtcDateTime, nullable=False),  # stamped at the edge; the timeline sorts by it
    Column("send_at", UtcDateTime),
    UniqueConstraint("conversation_id", "seq"),
    Index(None, "external_id"),
    Index(None, "contact_id", "at"),
    Index(
        "ix_messages_address_id_chat_seq",
        "address_id",
        "chat_seq",
        unique=True,
        sqlite_where=text("chat_seq IS NOT NULL"),
        postgresql_where=text("chat_seq IS NOT NULL"),
    ),
)

# The dedupe key of every inbound item, written in the transaction that stores what it led to.
inbound_keys = Table(
    "inbound_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("message_id", Id, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "at"),  # what is swept by age; it grows at its end, so it costs a batch next to nothing
)

attachments = Table(
    "attachments",
    metadata,
    _id(),
    _ref("message_id", "messages", nullable=True),  # null: uploaded, not sent yet
    Column("owner", Text),  # who uploaded it: "agent:<id>", "token:<id>" or "visitor:<id>"; null for inbound ones
    Column("position", Integer, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("content_id", Text),
    Column("is_inline", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("sha256", String(64)),
    Column("size", Integer),
    Column("source_url", Text),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('ready', 'pending', 'failed')", name="state"),
    Index(None, "message_id", "position"),
    Index(None, "sha256"),
    Index(
        "ix_attachments_created_at_unattached",
        "created_at",
        sqlite_where=text("message_id IS NULL"),
        postgresql_where=text("message_id IS NULL"),
    ),
)

# What `q` searches. The numbers rise as texts come in, so the newest come first. On SQLite an FTS5 table, which a
# migration makes (SQLAlchemy has no words for it), indexes the tokens of this one through triggers.
message_search = Table(
    "message_search",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("conversation_id", Id, nullable=False),
    Column("message_id", Id),  # null: a note
    Column("at", UtcDateTime, nullable=False),
    Column("tokens", Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
    Index(None, "conversation_id"),
    Index(None, "tokens", postgresql_using="gin").ddl_if(dialect="postgresql"),
)

events = Table(
    "events",
    metadata,
    _id(),
    _ref("conversation_id", "conversations"),
    Column("seq", Integer, nullable=False),
    Column("type", String(32), nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", Text),
    Column("message_id", Id),
    Column("data", Data, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("conversation_id", "seq"),
)

drafts = Table(
    "drafts",
    metadata,
    Column("conversation_id", Id, ForeignKey("conversations.id"), primary_key=True),
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    Column("text", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# What waits to be sent: a row lives from the reply until the last part was taken, refused or left in doubt.
outbox = Table(
    "outbox",
    metadata,
    Column("message_id", Id, ForeignKey("messages.id"), primary_key=True),
    Column("conversation_id", Id, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("order_at", UtcDateTime, nullable=False),  # its place among the messages of its conversation and channel
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("lease_id", Id),
    Column("attempts", Integer, nullable=False),
    Column("waits", Integer, nullable=False),  # how often the provider said "later"; no attempts
    Index(None, "due_at"),
    Index(None, "conversation_id", "channel", "order_at", "message_id"),
)

# One row for each provider message; the journey of the whole message is folded from its parts.
deliveries = Table(
    "deliveries",
    metadata,
    Column("message_id", Id, ForeignKey("messages.id"), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("external_id", Text),
    Column("attempt_started_at", UtcDateTime),  # group-committed just before the bytes leave
    Column("attempts", Integer, nullable=False),
    Column("error_code", Text),
    Column("error", Text),
    Column("updated_at", UtcDateTime, nullable=False),
    Index(None, "external_id"),
)

delivery_reports = Table(
    "delivery_reports",
    metadata,
    Column("message_id", Id, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("external_id", Text),
    Column("error_code", Text),
    Column("at", UtcDateTime, nullable=False),
)

# Everything that falls due: media to fetch, snoozes to end, attempts in doubt to look up.
jobs = Table(
    "jobs",
    metadata,
    _id(),
    Column("kind", String(32), nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("data", Data, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("parked_at", UtcDateTime),  # given up; shown to operators
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("kind", "subject_id"),
    Index(
        "ix_jobs_due_at_waiting",
        "due_at",
        sqlite_where=text("parked_at IS NULL"),
        postgresql_where=text("parked_at IS NULL"),
    ),
)

quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    Column("source", String(32), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("meta", Data, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("replayed_at", UtcDateTime),
    Index(
        "ix_quarantine_id_waiting",
        "id",
        sqlite_where=text("replayed_at IS NULL"),
        postgresql_where=text("replayed_at IS NULL"),
    ),
    Index(
        "ix_quarantine_replayed_at_done",
        "replayed_at",
        sqlite_where=text("replayed_at IS NOT NULL"),
        postgresql_where=text("replayed_at IS NOT NULL"),
    ),
)

orders = Table(
    "orders",
    metadata,
    _id(),
    _ref("contact_id", "contacts"),
    Column("external_id", Text, nullable=False, unique=True),
    Column("number", Text, nullable=False),
    Column("status", String(32), nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("total_amount", Text, nullable=False),  # a decimal, as text: no float touches money
    Column("total_currency", String(3), nullable=False),
    Column("items", Data, nullable=False),
    Index(None, "contact_id", "placed_at"),
    Index(None, "number"),
)

shipments = Table(
    "shipments",
    metadata,
    _id(),
    _ref("order_id", "orders"),
    Column("external_id", Text, nullable=False, unique=True),
    Column("status", String(32), nullable=False),
    Column("carrier", Text),
    Column("tracking_number", Text),
    Column("tracking_url", Text),
    Column("expected_on", String(10)),  # ISO date
    Index(None, "order_id"),
)

refunds = Table(
    "refunds",
    metadata,
    _id(),
    _ref("order_id", "orders"),
    Column("external_id", Text, nullable=False, unique=True),
    Column("status", String(32), nullable=False),
    Column("amount", Text, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("method", Text),
    Column("started_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Index(None, "order_id"),
)
