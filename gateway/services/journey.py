"""What becomes of outbound messages: the one place that moves parts and messages forward.

Attempts (from the delivery worker) and reports (from the providers) both end here, in any order and any number; the
state is the maximum of what was said, so every permutation ends alike.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from gateway.domain.contact import ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import DeliveryReport, MessageStatus, fold_parts, fold_status
from storage import deliveries, outbox
from storage.database import Transaction
from storage.deliveries import Journey, Part, StatusChange
from storage.events import NewEvent, append_events
from storage.jobs import JobKind, NewJob, add_jobs
from storage.live.contract import Notice
from storage.messages import take_chat_seq

_GONE = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ})
_STOPPED = frozenset({MessageStatus.UNKNOWN, MessageStatus.FAILED})
IN_DOUBT_REASON = "It may or may not have arrived: the provider's answer was lost."


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt or a report said about one part. `is_attempt_over` clears the mark, so it can be tried again."""

    message_id: str
    part: int
    status: MessageStatus
    external_id: str | None = None
    error_code: str | None = None
    error: str | None = None
    is_attempt_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtPolicy:
    """What is done about a message of which nobody says that it arrived.

    An attempt in doubt is looked up at its provider, on channels where it can be; an answer in the chat that the
    visitor does not take goes out another way.
    """

    lookup_channels: frozenset[ChannelName]
    callback_wait: timedelta  # a callback may still settle it
    hand_over_after: timedelta | None = None  # when an answer in the chat that nobody took goes another way


async def advance(
    tx: Transaction, outcomes: Sequence[Outcome], doubt: DoubtPolicy, now: datetime
) -> dict[str, MessageStatus]:
    """Fold the outcomes into parts and messages, with their events; return the new state of each message."""
    journeys = await deliveries.lock_journeys(tx, {outcome.message_id for outcome in outcomes})
    return await _advance(tx, journeys, outcomes, doubt, now)


async def _advance(
    tx: Transaction,
    journeys: Mapping[str, Journey],
    outcomes: Sequence[Outcome],
    doubt: DoubtPolicy,
    now: datetime,
) -> dict[str, MessageStatus]:
    by_message: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_message[outcome.message_id].append(outcome)
    changed: list[Part] = []
    turned: list[tuple[Journey, StatusChange]] = []
    states: dict[str, MessageStatus] = {}
    finished: list[str] = []
    for message_id, journey in journeys.items():
        parts = {part.part: part for part in journey.parts}
        for outcome in by_message[message_id]:
            parts[outcome.part] = _fold(parts[outcome.part], outcome)
        changed += [parts[outcome.part] for outcome in by_message[message_id]]
        states[message_id] = status = _message_status(journey, parts.values())
        if status is not journey.status:
            turned.append((journey, _status_change(message_id, status, parts.values())))
        is_all_gone = all(part.status is not MessageStatus.QUEUED for part in parts.values())
        if is_all_gone or status in _STOPPED:
            finished.append(message_id)
        elif journey.status in _STOPPED:
            await _send_rest(tx, journey, now)
    await deliveries.update_parts(tx, changed, now)
    if finished:
        await outbox.remove(tx, finished)
    await _announce(tx, turned, doubt, now)
    return states


def _fold(part: Part, outcome: Outcome) -> Part:
    is_of_earlier_attempt = bool(outcome.external_id and part.external_id) and outcome.external_id != part.external_id
    if is_of_earlier_attempt and outcome.status not in _GONE:
        return part  # that attempt's arrival counts, its failure doesn't
    status = fold_status(part.status, outcome.status)
    is_news = status is outcome.status
    return replace(
        part,
        status=status,
        external_id=outcome.external_id or part.external_id,
        attempt_started_at=None if outcome.is_attempt_over else part.attempt_started_at,
        error_code=outcome.error_code if is_news else part.error_code,
        error=outcome.error if is_news else part.error,
    )


def _message_status(journey: Journey, parts: Collection[Part]) -> MessageStatus:
    status = fold_parts(part.status for part in parts)
    if status is MessageStatus.QUEUED and journey.status is MessageStatus.SCHEDULED:
        return MessageStatus.SCHEDULED
    return MessageStatus.CANCELLED if journey.status is MessageStatus.CANCELLED else status


def _status_change(message_id: str, status: MessageStatus, parts: Collection[Part]) -> StatusChange:
    blamed = next((part for part in parts if part.status is status and part.error), None)
    if blamed is None:
        return StatusChange(message_id=message_id, status=status)
    return StatusChange(message_id=message_id, status=status, error_code=blamed.error_code, error=blamed.error)


async def _send_rest(tx: Transaction, journey: Journey, now: datetime) -> None:
    """The part that held it up has been settled: what stands behind it may go."""
    waiting = outbox.Waiting(
        message_id=journey.message_id,
        conversation_id=journey.conversation_id,
        channel=journey.channel,
        order_at=journey.at,
        due_at=now,
    )
    await outbox.enqueue(tx, [waiting])


async def _announce(
    tx: Transaction, turned: Sequence[tuple[Journey, StatusChange]], doubt: DoubtPolicy, now: datetime
) -> None:
    if not turned:
        return
    await deliveries.update_statuses(tx, [change for _, change in turned])
    # Addresses before conversations, in id order: as the intake takes them, so the two never wait for each other.
    await _show_in_chats(tx, turned)
    await append_events(
        tx,
        [
            NewEvent(
                conversation_id=journey.conversation_id,
                type=EventType.MESSAGE_STATUS,
                at=now,
                message_id=journey.message_id,
                data=_status_data(change),
            )
            for journey, change in turned
        ],
    )
    followups = []
    for journey, change in turned:
        if change.status is MessageStatus.UNKNOWN and journey.channel in doubt.lookup_channels:
            due_at = now + doubt.callback_wait
            followups.append(NewJob(kind=JobKind.RECONCILE, subject_id=journey.message_id, due_at=due_at))
        if change.status is MessageStatus.SENT:
            tx.notices.append(Notice(topic=f"contact:{journey.contact_id}", body=b"{}"))
            if journey.channel is ChannelName.WEBCHAT and doubt.hand_over_after is not None:
                due_at = now + doubt.hand_over_after
                followups.append(NewJob(kind=JobKind.HAND_OVER, subject_id=journey.message_id, due_at=due_at))
    await add_jobs(tx, followups, now)


def _status_data(change: StatusChange) -> dict[str, str]:
    data = {"status": str(change.status)}
    if change.error is not None:
        data["error"] = change.error
    if change.error_code is not None:
        data["error_code"] = change.error_code
    return data


async def _show_in_chats(tx: Transaction, turned: Sequence[tuple[Journey, StatusChange]]) -> None:
    """In web chat a message is sent by being stored: it gets its number in the visitor's own chat."""
    shown = [
        (journey.address_id, journey.message_id)
        for journey, change in turned
        if journey.channel is ChannelName.WEBCHAT
        and journey.address_id is not None
        and change.status is MessageStatus.SENT
    ]
    for address_id, message_id in sorted(shown):
        chat_seq = await take_chat_seq(tx, address_id)
        await deliveries.set_chat_seq(tx, message_id, chat_seq)
        tx.notices.append(Notice(topic=f"visitor:{address_id}", body=msgspec.json.encode({"seq": chat_seq})))


async def record_reports(
    tx: Transaction, reports: Sequence[DeliveryReport], doubt: DoubtPolicy, now: datetime
) -> list[bool]:
    """Store what providers said and fold it in; return for each report whether it speaks of a message of ours.

    One that doesn't changes nothing, and the others are recorded all the same.
    """
    targets = await _find_targets(tx, reports)
    journeys = await deliveries.lock_journeys(tx, {target[0] for target in targets if target is not None})
    named = [
        (*target, report)
        for target, report in zip(targets, reports, strict=True)
        if target is not None and _has_part(journeys, *target)
    ]
    if named:
        await _fold_in(tx, named, journeys, doubt, now)
    return [target is not None and _has_part(journeys, *target) for target in targets]


async def _find_targets(tx: Transaction, reports: Sequence[DeliveryReport]) -> list[tuple[str, int] | None]:
    """Return the message and part that each report names, by our id or by its provider's."""
    unnamed = {report.external_id for report in reports if report.message_id is None and report.external_id}
    found = await deliveries.find_reported(tx, unnamed) if unnamed else {}
    return [
        found.get(report.external_id or "") if report.message_id is None else (report.message_id, report.part)
        for report in reports
    ]


def _has_part(journeys: Mapping[str, Journey], message_id: str, part: int) -> bool:
    return message_id in journeys and 0 <= part < len(journeys[message_id].parts)


async def _fold_in(
    tx: Transaction,
    named: Sequence[tuple[str, int, DeliveryReport]],
    journeys: Mapping[str, Journey],
    doubt: DoubtPolicy,
    now: datetime,
) -> None:
    await deliveries.insert_reports(tx, named)
    for message_id, _, report in named:
        address = journeys[message_id].address
        if report.suppress and address is not None:
            await deliveries.suppress(tx, address, report.error or "The customer opted out.", now)
    outcomes = [
        Outcome(
            message_id=message_id,
            part=part,
            status=report.status,
            external_id=report.external_id,
            error_code=report.error_code,
            error=report.error,
        )
        for message_id, part, report in named
    ]
    spoken_of = {message_id: journeys[message_id] for message_id, _, _ in named}
    await _advance(tx, spoken_of, outcomes, doubt, now)
