"""Find out what became of an attempt in doubt, without ever sending twice on a guess.

A callback has a while to settle it. Then the provider is asked what it sent to that recipient since: one match is the
message; two empty answers a good while apart mean that it never arrived, and it is sent again; several matches leave
it unknown, for a person to decide (architecture.md, "Unknown is a state").
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channels.contract import Channel
from gateway.domain.contact import ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import MessageStatus, SentRecord
from gateway.services.journey import DoubtPolicy, Outcome, advance
from storage import deliveries, outbox
from storage.database import Database, Transaction
from storage.deliveries import Journey, Part, StatusChange
from storage.events import NewEvent, append_events
from storage.jobs import Job, lock_job

# The provider's clock and ours differ, and its listing gives whole seconds.
_CLOCK_SLACK = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The job is not done: run it again at `due_at`, with `data` as what is known by then."""

    due_at: datetime
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    db: Database
    channels: Mapping[ChannelName, Channel]
    doubt: DoubtPolicy
    relist: timedelta  # how far apart two empty listings must lie before it is sent again

    async def reconcile(self, job: Job, now: datetime) -> Again | None:
        """Look the job's message up; None when nothing is left to do.

        Raises:
            SendError: the provider could not be asked.
        """
        journey, part = await self._find_doubtful(job.subject_id)
        if journey is None or part is None or journey.address is None:
            return None
        since = (part.attempt_started_at or journey.at) - _CLOCK_SLACK
        listed = await self.channels[journey.channel].list_sent(journey.address.value, since)
        return await self.db.write(lambda tx: self._settle(tx, job, listed, now))

    async def _find_doubtful(self, message_id: str) -> tuple[Journey | None, Part | None]:
        async def work(tx: Transaction) -> tuple[Journey | None, Part | None]:
            return await _doubtful(tx, message_id)

        return await self.db.write(work)

    async def _settle(self, tx: Transaction, job: Job, listed: list[SentRecord], now: datetime) -> Again | None:
        journey, part = await _doubtful(tx, job.subject_id)
        # Sent again by hand meanwhile: what was listed says nothing of the attempt that is in doubt now.
        if journey is None or part is None or not await lock_job(tx, job):
            return None
        matches = [record for record in listed if _same_words(record.text, part.text)]
        bound = await deliveries.list_external_ids(tx, {record.external_id for record in matches})
        matches = [record for record in matches if record.external_id not in bound]
        if len(matches) == 1:
            found = Outcome(
                message_id=journey.message_id,
                part=part.part,
                status=matches[0].status,
                external_id=matches[0].external_id,
            )
            await advance(tx, [found], self.doubt, now)
            return None
        if matches:
            return None
        if not job.data.get("was_empty"):
            return Again(due_at=now + self.relist, data={"was_empty": True})
        await _send_again(tx, journey, part, now)
        return None


async def _doubtful(tx: Transaction, message_id: str) -> tuple[Journey | None, Part | None]:
    journey = (await deliveries.lock_journeys(tx, [message_id])).get(message_id)
    if journey is None or journey.status is not MessageStatus.UNKNOWN:
        return None, None
    return journey, next((part for part in journey.parts if part.status is MessageStatus.UNKNOWN), None)


def _same_words(listed: str, ours: str) -> bool:
    # The provider trims and may fold white space; it does not change words.
    return listed.split() == ours.split()


async def _send_again(tx: Transaction, journey: Journey, part: Part, now: datetime) -> None:
    fresh = replace(part, status=MessageStatus.QUEUED, attempt_started_at=None, error=None, error_code=None)
    await deliveries.update_parts(tx, [fresh], now)
    await deliveries.update_statuses(tx, [StatusChange(message_id=journey.message_id, status=MessageStatus.QUEUED)])
    waiting = outbox.Waiting(
        message_id=journey.message_id,
        conversation_id=journey.conversation_id,
        channel=journey.channel,
        order_at=journey.at,
        due_at=now,
    )
    await outbox.enqueue(tx, [waiting])
    event = NewEvent(
        conversation_id=journey.conversation_id,
        type=EventType.MESSAGE_RESENT,
        at=now,
        message_id=journey.message_id,
        data={"reason": "The provider knows of no such message: the attempt in doubt never arrived."},
    )
    await append_events(tx, [event])
