"""How much waits in each view and queue: counted no further than a person can use, by ranges of indexes."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.conversation import ConversationStatus
from storage.tables import conversations

# "99+" says all that a higher figure would; what lies behind is not looked at.
MOST_COUNTED = 99
_C = conversations.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    count: int
    is_more: bool


def counts_query(agent_id: str | None, queues: Iterable[str]) -> Select[str, int]:
    """Return the query of all counts; a test holds it to the indexes."""
    is_open = _C.status == ConversationStatus.OPEN
    ranges: dict[str, tuple[ColumnElement[bool], ...]] = {
        "view:unassigned": (is_open, _C.assignee_id.is_(None)),
        "view:all": (is_open,),
        "view:snoozed": (_C.status == ConversationStatus.SNOOZED,),
        **{f"queue:{queue}": (is_open, _C.queue == queue) for queue in queues},
    }
    if agent_id is not None:
        ranges["view:mine"] = (is_open, _C.assignee_id == agent_id)
    parts = [_bounded(name, conditions) for name, conditions in ranges.items()]
    counted = union_all(*parts).subquery()
    return select(counted.c.name, counted.c.total)


def _bounded(name: str, conditions: tuple[ColumnElement[bool], ...]) -> Select[str, int]:
    # Ordered as the index is, so that no planner reads the range whole to find its first hundred.
    order = (_C.last_message_at.desc(), _C.id.desc())
    some = select(_C.id).where(*conditions).order_by(*order).limit(MOST_COUNTED + 1).subquery()
    return select(literal(name).label("name"), func.count().label("total")).select_from(some)


async def count_views(conn: AsyncConnection, *, agent_id: str | None, queues: Iterable[str]) -> dict[str, Count]:
    """Return the counts of open conversations by `view:<id>` and `queue:<id>`, in one statement."""
    rows = await conn.execute(counts_query(agent_id, queues))
    return {row.name: Count(count=min(row.total, MOST_COUNTED), is_more=row.total > MOST_COUNTED) for row in rows}
