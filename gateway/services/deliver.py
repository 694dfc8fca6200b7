"""Take due messages out of the outbox, ready to be handed to their channels, and write down how that went."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.domain.contact import ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import SendAction, SendError
from gateway.services.journey import IN_DOUBT_REASON, DoubtPolicy, Outcome, advance
from storage import deliveries, outbox
from storage.database import Transaction
from storage.deliveries import Part, StatusChange
from storage.events import NewEvent, append_events
from storage.outbound import OutboundContent, load_contents
from storage.outbox import Claimed
from storage.replies import end_waiting

_BACKOFF_FIRST_S = 2.0
_BACKOFF_MOST_S = 600.0
_WAIT_FIRST_S = 1.0
_WAIT_MOST_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A leased message with what is left of it to send."""

    claimed: Claimed
    content: OutboundContent
    parts: tuple[str, ...]  # all of them; `unsent` are the numbers still to go
    unsent: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt at one part ended: `error` is None when the channel took it."""

    ready: Ready
    part: int
    status: MessageStatus
    external_id: str | None = None
    error: SendError | None = None


async def claim_ready(
    tx: Transaction,
    *,
    limit: int,
    lease_s: float,
    local_channels: frozenset[ChannelName],
    doubt: DoubtPolicy,
    now: datetime,
) -> list[Ready]:
    """Lease due messages, each checked again for what can have changed while it waited.

    A part that bears an attempt mark from a worker that died is in doubt; a suppressed address is not written to.
    """
    claimed = await outbox.claim(tx, now=now, lease_s=lease_s, limit=limit)
    if not claimed:
        return []
    ids = [item.message_id for item in claimed]
    found = await deliveries.lock_parts(tx, ids)
    contents = await load_contents(tx, ids)
    suppressed = await deliveries.find_suppressed(tx, {content.recipient for content in contents.values()})
    ready, outcomes, broken = [], [], []
    for item in claimed:
        parts, content = found.get(item.message_id), contents.get(item.message_id)
        if parts is None:
            broken.append(item)
            continue
        unsent = tuple(part.part for part in parts if part.status is MessageStatus.QUEUED)
        if content is None:
            outcomes.append(_refused(item, unsent, "Its address is gone."))
        elif (reason := suppressed.get(content.recipient)) is not None:
            outcomes.append(_refused(item, unsent, reason))
        elif (doubtful := _find_doubtful(item, parts, local_channels)) is not None:
            outcomes.append(
                Outcome(
                    message_id=item.message_id,
                    part=doubtful.part,
                    status=MessageStatus.UNKNOWN,
                    error=IN_DOUBT_REASON,
                )
            )
        elif not unsent:
            outcomes.append(Outcome(message_id=item.message_id, part=0, status=parts[0].status))
        else:
            texts = tuple(part.text for part in parts)
            ready.append(Ready(claimed=item, content=content, parts=texts, unsent=unsent))
    if outcomes:
        await advance(tx, outcomes, doubt, now)
    if broken:
        await _give_up(tx, broken, now)
    return ready


async def _give_up(tx: Transaction, broken: Sequence[Claimed], now: datetime) -> None:
    """Fail messages without a single part, which no service of ours writes: they must not hold up the others."""
    reason = "It has no parts to send."
    ids = [item.message_id for item in broken]
    await outbox.remove(tx, ids)
    failed = [StatusChange(message_id=id_, status=MessageStatus.FAILED, error=reason) for id_ in ids]
    await deliveries.update_statuses(tx, failed)
    events = [
        NewEvent(
            conversation_id=item.conversation_id,
            type=EventType.MESSAGE_STATUS,
            at=now,
            message_id=item.message_id,
            data={"status": MessageStatus.FAILED, "error": reason},
        )
        for item in broken
    ]
    await append_events(tx, events)


def _find_doubtful(item: Claimed, parts: Sequence[Part], local_channels: frozenset[ChannelName]) -> Part | None:
    if item.channel in local_channels:
        return None
    started = (p for p in parts if p.status is MessageStatus.QUEUED and p.attempt_started_at is not None)
    return next(started, None)


def _refused(item: Claimed, unsent: Sequence[int], reason: str) -> Outcome:
    part = unsent[0] if unsent else 0
    return Outcome(message_id=item.message_id, part=part, status=MessageStatus.FAILED, error=reason)


async def mark_started(
    tx: Transaction, starting: Sequence[tuple[Ready, int]], *, lease_s: float, now: datetime
) -> list[bool]:
    """Write the attempt marks just before the bytes leave; False where the lease was lost, so nothing may leave."""
    leases = {ready.claimed.message_id: ready.claimed.lease_id for ready, _ in starting}
    held = await outbox.extend_leases(tx, leases, until=now + timedelta(seconds=lease_s))
    parts = [(r.claimed.message_id, part) for r, part in starting if r.claimed.message_id in held]
    if parts:
        await deliveries.mark_attempts(tx, parts, now)
    return [ready.claimed.message_id in held for ready, _ in starting]


async def record_attempts(
    tx: Transaction, attempts: Sequence[Attempt], *, max_attempts: int, doubt: DoubtPolicy, now: datetime
) -> list[bool]:
    """Write down how attempts ended; False where the lease was lost before the attempt failed, so it does not count.

    A failure of a worker that lost its message must not undo what the one that has it now is doing. A success counts
    whoever tells it: those bytes have arrived.
    """
    failed = {a.ready.claimed.message_id: a.ready.claimed.lease_id for a in attempts if a.error is not None}
    held = await outbox.lock_leases(tx, failed) if failed else set()
    counts = [attempt.error is None or attempt.ready.claimed.message_id in held for attempt in attempts]
    counted = [attempt for attempt, counts_ in zip(attempts, counts, strict=True) if counts_]
    if not counted:
        return counts
    outcomes = [_outcome(attempt, max_attempts) for attempt in counted]
    await advance(tx, outcomes, doubt, now)
    retries, answered = [], set()
    for attempt, outcome in zip(counted, outcomes, strict=True):
        if attempt.error is None:
            if attempt.ready.content.is_scheduled:
                answered.add(attempt.ready.claimed.conversation_id)
            continue
        if outcome.status is MessageStatus.QUEUED:
            retries.append(_retry(attempt, attempt.error, now))
        await _heed(tx, attempt, attempt.error, now)
    if retries:
        await outbox.postpone(tx, retries)
    if answered:
        await end_waiting(tx, answered)
    return counts


def _outcome(attempt: Attempt, max_attempts: int) -> Outcome:
    error = attempt.error
    message_id = attempt.ready.claimed.message_id
    if error is None:
        return Outcome(message_id=message_id, part=attempt.part, status=attempt.status, external_id=attempt.external_id)
    is_last = attempt.ready.claimed.attempts + 1 >= max_attempts
    if error.action is SendAction.IN_DOUBT:
        status = MessageStatus.UNKNOWN
    elif error.action is SendAction.WAIT or (error.action is SendAction.RETRY and not is_last):
        status = MessageStatus.QUEUED
    else:
        status = MessageStatus.FAILED
    return Outcome(
        message_id=message_id,
        part=attempt.part,
        status=status,
        error_code=error.code,
        error=error.reason,
        is_attempt_over=status is not MessageStatus.UNKNOWN,
    )


def _retry(attempt: Attempt, error: SendError, now: datetime) -> outbox.Retry:
    claimed = attempt.ready.claimed
    is_counted = error.action is SendAction.RETRY
    if is_counted:
        backoff_s = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2 ** min(claimed.attempts, 16))
    else:
        backoff_s = min(_WAIT_MOST_S, _WAIT_FIRST_S * 2 ** min(claimed.waits, 16))
    wait_s = max(error.retry_after_s or 0.0, backoff_s)
    jittered_s = wait_s * random.uniform(1.0, 1.2)  # noqa: S311  spreads load, keeps no secret
    return outbox.Retry(
        message_id=claimed.message_id,
        lease_id=claimed.lease_id,
        due_at=now + timedelta(seconds=jittered_s),
        is_counted=is_counted,
    )


async def _heed(tx: Transaction, attempt: Attempt, error: SendError, now: datetime) -> None:
    """Remember what a refusal says of the address."""
    if error.action is SendAction.SUPPRESS:
        await deliveries.suppress(tx, attempt.ready.content.recipient, error.reason, now)
    elif error.action is SendAction.FLAG_ADDRESS:
        journey = (await deliveries.lock_journeys(tx, [attempt.ready.claimed.message_id])).popitem()[1]
        if journey.address_id is not None:
            await deliveries.flag_address(tx, journey.address_id, error.reason)
