"""What customers chose for themselves, where nothing stands yet."""

from collections.abc import Mapping

from sqlalchemy import bindparam, select, update

from storage.database import Transaction
from storage.sets import member_of
from storage.tables import contacts, conversations

_FILL_LANGUAGE = (
    update(contacts)
    .where(contacts.c.id == bindparam("row"), contacts.c.language.is_(None))
    .values(language=bindparam("chosen"))
)
_SET_TOPIC = update(conversations).where(conversations.c.id == bindparam("row")).values(topic=bindparam("chosen"))


async def fill_languages(tx: Transaction, languages: Mapping[str, str]) -> None:
    """Give each of these contacts its language, unless it has one."""
    without = select(contacts.c.id).where(member_of(tx.conn, contacts.c.id, languages), contacts.c.language.is_(None))
    rows = [{"row": id_, "chosen": languages[id_]} for id_ in sorted((await tx.conn.execute(without)).scalars())]
    if rows:
        await tx.conn.execute(_FILL_LANGUAGE, rows)


async def fill_topics(tx: Transaction, topics: Mapping[str, str]) -> set[str]:
    """Give each of these locked conversations its topic, unless it has one; return those that had none."""
    without = select(conversations.c.id).where(
        member_of(tx.conn, conversations.c.id, topics), conversations.c.topic.is_(None)
    )
    found = set((await tx.conn.execute(without)).scalars())
    if found:
        await tx.conn.execute(_SET_TOPIC, [{"row": id_, "chosen": topics[id_]} for id_ in sorted(found)])
    return found
