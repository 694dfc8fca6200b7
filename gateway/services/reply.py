"""Answer a customer: check the reply, store it with its outbox row, and take it back or send it again by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.domain.contact import CHANNEL_ADDRESSES, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import BadInput, Conflict, InputError, NotFound
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction
from gateway.services.receive import preview_of
from storage import deliveries, outbox, replies
from storage.database import Transaction
from storage.deliveries import StatusChange
from storage.events import Actor, NewEvent, append_events, number_events, store_events
from storage.jobs import JobKind, remove_job
from storage.messages import NewMessage, claim_uploads, insert_messages
from storage.replies import ReachableAddress, ReplyTarget
from storage.search import SearchRow, index_messages

MOST_TEXT = 50_000  # characters
MOST_FILES = 10  # Twilio: at most 10 media a message (error 21623)
_MOST_COPIES = 20
_FARTHEST = timedelta(days=365)
_RESENDABLE = frozenset({MessageStatus.FAILED, MessageStatus.UNKNOWN})

Split = Callable[[ChannelName, str], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an agent or a program wants to say; `channel` None is the one the customer last used."""

    text: str
    channel: ChannelName | None = None
    attachments: tuple[str, ...] = ()  # ids of uploads
    cc: tuple[str, ...] = ()  # mailboxes, e-mail only
    send_at: datetime | None = None
    hold_s: float = 0.0  # the time in which it can be taken back
    seen_seq: int | None = None  # the last number its author had seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who answers: an agent, or a program by its token. `owner` is whose uploads may be attached."""

    actor: Actor
    owner: str


async def reply(
    tx: Transaction, conversation_id: str, author: Author, wanted: Reply, *, split: Split, now: datetime
) -> str:
    """Store a reply and return its message id; it leaves when due.

    Raises:
        NotFound: no such conversation.
        BadInput: it can't be sent as it is; says why, with paths.
        Conflict: the customer or a colleague wrote since `seen_seq`.
    """
    target = await replies.lock_target(tx, conversation_id)
    if target is None:
        raise NotFound("There is no such conversation.")
    await _check_seen(tx, target, author, wanted)
    channel = wanted.channel or target.channel
    _check(wanted, channel, now)
    address = await _choose_address(tx, target, channel)
    message = await _store(tx, target, author, wanted, channel=channel, address=address, now=now)
    await _attach(tx, message.id, author, wanted.attachments)
    await deliveries.insert_parts(tx, message.id, split(channel, wanted.text), now)
    due_at = wanted.send_at or now + timedelta(seconds=wanted.hold_s)
    waiting = outbox.Waiting(
        message_id=message.id, conversation_id=target.id, channel=channel, order_at=due_at, due_at=due_at
    )
    await outbox.enqueue(tx, [waiting])
    preview = preview_of(wanted.text)
    await replies.note_reply(tx, target.id, seq=message.seq, preview=preview, now=now, is_answer=wanted.send_at is None)
    return message.id


async def _store(
    tx: Transaction,
    target: ReplyTarget,
    author: Author,
    wanted: Reply,
    *,
    channel: ChannelName,
    address: ReachableAddress,
    now: datetime,
) -> NewMessage:
    """Store the message with the event that announces it; the caller moves the conversation on to its number."""
    message_id = new_id()
    agent_id = author.actor.id if author.actor.kind is AuthorKind.AGENT else None
    status = MessageStatus.SCHEDULED if wanted.send_at else MessageStatus.QUEUED
    event = NewEvent(
        conversation_id=target.id,
        type=EventType.MESSAGE_QUEUED,
        at=now,
        actor=author.actor,
        message_id=message_id,
        data={"channel": channel, "preview": preview_of(wanted.text)},
    )
    numbered = number_events([event], {target.id: target.last_seq})
    await store_events(tx, numbered)
    message = NewMessage(
        id=message_id,
        conversation_id=target.id,
        contact_id=target.contact_id,
        address_id=address.id,
        seq=numbered[0].seq,
        direction=Direction.OUTBOUND,
        channel=channel,
        author_kind=author.actor.kind,
        author_id=author.actor.id,
        author_name=await replies.find_agent_name(tx, agent_id) if agent_id else None,
        text=wanted.text,
        subject=_subject(target.subject) if channel is ChannelName.EMAIL else None,
        status=status,
        at=now,
        cc=wanted.cc,
        send_at=wanted.send_at,
    )
    await insert_messages(tx, [message])
    row = SearchRow(message_id=message_id, conversation_id=target.id, at=now, text=wanted.text)
    await index_messages(tx, [row])
    return message


async def _check_seen(tx: Transaction, target: ReplyTarget, author: Author, wanted: Reply) -> None:
    if wanted.seen_seq is None:
        return
    newer = await replies.last_seq_by_others(tx, target.id, after_seq=wanted.seen_seq, author_id=author.actor.id)
    if newer is not None:
        raise Conflict(f"Somebody wrote meanwhile (number {newer}). Read it, then send again.")


def _check(wanted: Reply, channel: ChannelName, now: datetime) -> None:
    mistakes = []
    if not wanted.text.strip() and not wanted.attachments:
        mistakes.append(InputError(path="$.text", message="Write something, or attach a file."))
    if len(wanted.text) > MOST_TEXT:
        mistakes.append(InputError(path="$.text", message=f"At most {MOST_TEXT} characters."))
    if len(wanted.attachments) > MOST_FILES:
        mistakes.append(InputError(path="$.attachments", message=f"At most {MOST_FILES} files."))
    if wanted.cc and channel is not ChannelName.EMAIL:
        mistakes.append(InputError(path="$.cc", message="Only e-mail has copies."))
    if len(wanted.cc) > _MOST_COPIES:
        mistakes.append(InputError(path="$.cc", message=f"At most {_MOST_COPIES} mailboxes."))
    if wanted.send_at is not None and wanted.hold_s:
        mistakes.append(InputError(path="$.hold_s", message="A scheduled message needs no hold."))
    if wanted.send_at is not None and not now < wanted.send_at <= now + _FARTHEST:
        mistakes.append(InputError(path="$.send_at", message="It must lie in the future, at most a year ahead."))
    if mistakes:
        raise BadInput("The reply can't be sent as it is.", tuple(mistakes))


async def _choose_address(tx: Transaction, target: ReplyTarget, channel: ChannelName) -> ReachableAddress:
    """Return where it goes: the address the customer last used if the channel can write to it, else their latest."""
    kinds = CHANNEL_ADDRESSES[channel]
    found = await replies.list_reachable(tx, target.contact_id, kinds)
    found.sort(key=lambda row: (row.id != target.address_id, _claim_last(row.address.kind)))
    if not found:
        message = f"The contact has no address for {channel}."
        raise BadInput(message, (InputError(path="$.channel", message=message),))
    suppressed = await deliveries.find_suppressed(tx, {row.address for row in found})
    for row in found:
        if row.address not in suppressed:
            return row
    reason = suppressed[found[0].address]
    raise BadInput(f"Nothing may be sent to this address: {reason}", (InputError(path="$.channel", message=reason),))


def _claim_last(kind: AddressKind) -> bool:
    return kind is AddressKind.EMAIL_CLAIM


def _subject(subject: str | None) -> str:
    if not subject:
        return "Your message"
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


async def _attach(tx: Transaction, message_id: str, author: Author, uploads: Sequence[str]) -> None:
    claimed = await claim_uploads(tx, message_id, author.owner, uploads)
    if missing := [upload for upload in uploads if upload not in claimed]:
        errors = tuple(
            InputError(path=f"$.attachments[{uploads.index(upload)}]", message="There is no such upload of yours.")
            for upload in missing
        )
        raise BadInput("A file can't be attached.", errors)


async def resend(tx: Transaction, message_id: str, actor: Actor, now: datetime) -> str:
    """Send a failed or doubtful message again, from its first part that was not sent; return its conversation.

    Raises:
        NotFound: no such outbound message.
        Conflict: it is neither failed nor in doubt.
    """
    journey = (await deliveries.lock_journeys(tx, [message_id])).get(message_id)
    if journey is None:
        raise NotFound("There is no such outbound message.")
    if journey.status not in _RESENDABLE:
        raise Conflict(f"Only a failed message, or one in doubt, can be sent again; this one is {journey.status}.")
    again = [
        replace(
            part, status=MessageStatus.QUEUED, external_id=None, attempt_started_at=None, error_code=None, error=None
        )
        for part in journey.parts
        if part.status in _RESENDABLE
    ]
    await deliveries.update_parts(tx, again, now)
    await deliveries.update_statuses(tx, [StatusChange(message_id=message_id, status=MessageStatus.QUEUED)])
    waiting = outbox.Waiting(
        message_id=message_id,
        conversation_id=journey.conversation_id,
        channel=journey.channel,
        order_at=now,
        due_at=now,
    )
    await outbox.enqueue(tx, [waiting])
    # A look-up that is under way speaks of the attempt before; this one gets its own if it comes to that.
    await remove_job(tx, JobKind.RECONCILE, message_id)
    await _tell(tx, journey.conversation_id, message_id, EventType.MESSAGE_RESENT, actor, now)
    return journey.conversation_id


async def cancel(tx: Transaction, message_id: str, actor: Actor, now: datetime) -> str:
    """Take a message back that has not begun to leave; return its conversation.

    Raises:
        NotFound: no such outbound message.
        Conflict: it is too late.
    """
    message = await replies.lock_outbound(tx, message_id)
    if message is None:
        raise NotFound("There is no such outbound message.")
    journey = (await deliveries.lock_journeys(tx, [message_id]))[message_id]
    has_begun = any(
        part.status is not MessageStatus.QUEUED or part.attempt_started_at is not None for part in journey.parts
    )
    if has_begun or not await outbox.withdraw(tx, message_id, now):
        raise Conflict(f"It is too late to take this message back; it is {message.status}.")
    await deliveries.update_statuses(tx, [StatusChange(message_id=message_id, status=MessageStatus.CANCELLED)])
    await _tell(tx, message.conversation_id, message_id, EventType.MESSAGE_CANCELLED, actor, now)
    await replies.recount_waiting(tx, message.conversation_id)
    return message.conversation_id


async def _tell(
    tx: Transaction, conversation_id: str, message_id: str, kind: EventType, actor: Actor, now: datetime
) -> None:
    event = NewEvent(conversation_id=conversation_id, type=kind, at=now, actor=actor, message_id=message_id)
    await append_events(tx, [event])
