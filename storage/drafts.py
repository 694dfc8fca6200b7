"""What an agent has typed and not sent: one draft for each agent and conversation, the last word counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database import Transaction
from storage.tables import drafts


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    text: str
    updated_at: datetime


async def find_draft(conn: AsyncConnection, conversation_id: str, agent_id: str) -> Draft | None:
    query = select(drafts).where(drafts.c.conversation_id == conversation_id, drafts.c.agent_id == agent_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Draft(text=row.text, updated_at=row.updated_at)


async def save_draft(tx: Transaction, conversation_id: str, agent_id: str, text: str, now: datetime) -> None:
    """Keep the text in place of the one before; the conversation must exist."""
    row = {"conversation_id": conversation_id, "agent_id": agent_id, "text": text, "updated_at": now}
    insert = postgresql.insert(drafts) if tx.is_postgresql else sqlite.insert(drafts)
    await tx.conn.execute(
        insert.values(row).on_conflict_do_update(
            index_elements=[drafts.c.conversation_id, drafts.c.agent_id], set_={"text": text, "updated_at": now}
        )
    )


async def delete_draft(tx: Transaction, conversation_id: str, agent_id: str) -> None:
    await tx.conn.execute(
        delete(drafts).where(drafts.c.conversation_id == conversation_id, drafts.c.agent_id == agent_id)
    )
