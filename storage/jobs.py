"""Everything that falls due, in one table: claimed by lease, tried again after a failure, parked after the last."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.domain.ids import new_id
from storage.database import Transaction
from storage.live.contract import Notice
from storage.sets import insert_or_ignore, member_of
from storage.tables import jobs


class JobKind(StrEnum):
    FETCH_MEDIA = "fetch_media"  # subject: attachment
    RECONCILE = "reconcile"  # subject: message whose attempt is in doubt
    WAKE = "wake"  # subject: snoozed conversation
    HAND_OVER = "hand_over"  # subject: answer in the chat that the visitor has not taken yet


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    kind: JobKind
    subject_id: str
    due_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    kind: JobKind
    subject_id: str
    data: Mapping[str, Any]
    attempts: int  # this one included
    lease_until: datetime  # who holds a later one has taken it over


async def add_jobs(tx: Transaction, new: Sequence[NewJob], now: datetime) -> None:
    """Note down what falls due; one that stands already for the same kind and subject is left as it is.

    A look-up starts afresh instead: each attempt in doubt has its own time and its own looks at the provider.
    """
    if not new:
        return
    for is_afresh in (False, True):
        some = [job for job in new if (job.kind is JobKind.RECONCILE) is is_afresh]
        if some:
            await _insert(tx, some, now, is_afresh=is_afresh)
    tx.notices.append(Notice(topic="jobs", body=msgspec.json.encode({"due": min(job.due_at for job in new)})))


async def _insert(tx: Transaction, new: Sequence[NewJob], now: datetime, *, is_afresh: bool) -> None:
    rows = [
        {
            "id": new_id(),
            "kind": job.kind,
            "subject_id": job.subject_id,
            "data": dict(job.data),
            "due_at": job.due_at,
            "lease_until": None,
            "attempts": 0,
            "error": None,
            "parked_at": None,
            "created_at": now,
        }
        for job in new
    ]
    statement = _start_afresh(tx) if is_afresh else insert_or_ignore(tx.conn, jobs)
    await tx.conn.execute(statement, rows)


def _start_afresh(tx: Transaction) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that puts a standing job back to its start; whoever holds it has lost it."""
    statement = postgresql.insert(jobs) if tx.is_postgresql else sqlite.insert(jobs)
    fresh = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[jobs.c.kind, jobs.c.subject_id],
        set_={name: fresh[name] for name in ("data", "due_at", "lease_until", "attempts", "error", "parked_at")},
    )


async def remove_job(tx: Transaction, kind: JobKind, subject_id: str) -> None:
    """Take a job away, whoever holds it: what it was for has been settled otherwise."""
    await tx.conn.execute(delete(jobs).where(jobs.c.kind == kind, jobs.c.subject_id == subject_id))


async def claim_jobs(
    tx: Transaction, *, now: datetime, lease_s: float, limit: int, kinds: Collection[JobKind] = tuple(JobKind)
) -> list[Job]:
    """Lease what is due, of these kinds, and not leased; two workers never hold the same job at once.

    A job of a kind that this version doesn't know waits for one that does.
    """
    due = (
        select(jobs)
        .where(
            jobs.c.parked_at.is_(None),
            jobs.c.kind.in_(sorted(kinds)),
            jobs.c.due_at <= now,
            or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now),
        )
        .order_by(jobs.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = (await tx.conn.execute(due)).all()
    if not rows:
        return []
    until = now + timedelta(seconds=lease_s)
    await tx.conn.execute(
        update(jobs)
        .where(member_of(tx.conn, jobs.c.id, [row.id for row in rows]))
        .values(lease_until=until, attempts=jobs.c.attempts + 1)
    )
    return [
        Job(
            id=row.id,
            kind=JobKind(row.kind),
            subject_id=row.subject_id,
            data=row.data,
            attempts=row.attempts + 1,
            lease_until=until,
        )
        for row in rows
    ]


async def lock_job(tx: Transaction, job: Job) -> bool:
    """Lock a claimed job until the commit; False when it is gone, or another worker has it."""
    query = select(jobs.c.id).where(jobs.c.id == job.id, jobs.c.lease_until == job.lease_until).with_for_update()
    return (await tx.conn.execute(query)).first() is not None


async def finish_job(tx: Transaction, job: Job) -> bool:
    """Take a done job away; False when the lease was lost to another worker, whose result counts."""
    done = await tx.conn.execute(delete(jobs).where(jobs.c.id == job.id, jobs.c.lease_until == job.lease_until))
    return done.rowcount == 1


_RETURN = (
    update(jobs)
    .where(jobs.c.id == bindparam("row"), jobs.c.lease_until == bindparam("held"))
    .values(
        lease_until=None,
        due_at=bindparam("next_due"),
        data=bindparam("known"),
        error=bindparam("why"),
        parked_at=bindparam("parked"),
    )
)


async def retry_job(tx: Transaction, job: Job, *, due_at: datetime, data: Mapping[str, Any], error: str | None) -> None:
    """Run it again at `due_at`, with what is known by then."""
    row = {"row": job.id, "held": job.lease_until, "next_due": due_at, "known": dict(data), "why": error}
    await tx.conn.execute(_RETURN, {**row, "parked": None})


async def park_job(tx: Transaction, job: Job, *, now: datetime, error: str) -> None:
    """Give up; the job stays, visible to operators."""
    row = {"row": job.id, "held": job.lease_until, "next_due": now, "known": dict(job.data), "why": error}
    await tx.conn.execute(_RETURN, {**row, "parked": now})


async def release_job_leases(tx: Transaction) -> None:
    """Free what a killed process held; only where this process is known to be alone."""
    await tx.conn.execute(update(jobs).where(jobs.c.lease_until.is_not(None)).values(lease_until=None))
