"""Receive a batch of customers' messages: who wrote, which conversation, which queue; one transaction for all.

Everything is read in sets, decided in memory in the order of arrival, and written in sets, so the cost of a message
falls as load rises. Two processes that meet the same new sender or the same key are told apart by unique keys: the
loser's transaction runs again and finds what the winner wrote.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction, InboundMessage, RawInbound
from gateway.services.chosen import Chosen, keep_chosen
from gateway.services.people import Person, resolve_people
from routing.placement import Placement, place_message
from routing.queues import QueueFacts, choose_queue
from storage import inbound
from storage.database import Transaction
from storage.events import SYSTEM, Actor, NewEvent, number_events, store_events
from storage.inbound import ConversationWrite, KnownConversation, NewAttachment
from storage.jobs import JobKind, NewJob, add_jobs
from storage.live.contract import Notice
from storage.messages import (
    KnownMessage,
    NewMessage,
    claim_uploads,
    find_by_external_ids,
    insert_messages,
    load_participants,
)
from storage.search import SearchRow, index_messages

_PREVIEW_LENGTH = 140


class ReceiptState(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    SPOOLED = "spooled"  # safe on disk, in the database soon
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of something that came in; in every state it is safe to acknowledge."""

    state: ReceiptState
    message_id: str | None = None


Submit = Callable[[RawInbound], Awaitable[Receipt]]


@dataclass(slots=True)
class _Draft:
    """A conversation as the batch is changing it."""

    id: str
    contact_id: str
    last_seq: int
    waiting_since: datetime | None
    is_new: bool
    queue: str = ""
    previous_id: str | None = None
    created_at: datetime | None = None
    latest: InboundMessage | None = None
    last_message_at: datetime | None = None  # what stands already may be younger than what the spool brings
    preview: str | None = None
    address_id: str | None = None


@dataclass(slots=True)
class _Batch:
    now: datetime
    by_contact: dict[str, _Draft] = field(default_factory=dict)
    by_id: dict[str, _Draft] = field(default_factory=dict)
    resolved: dict[str, KnownConversation] = field(default_factory=dict)
    known_ids: dict[str, KnownMessage] = field(default_factory=dict)
    events: list[NewEvent] = field(default_factory=list)
    stored: list[tuple[str, InboundMessage, Person, _Draft]] = field(default_factory=list)

    def adopt(self, known: KnownConversation) -> _Draft:
        """Take a conversation that stands already into the batch."""
        draft = self.by_id.get(known.id)
        if draft is None:
            draft = _Draft(
                id=known.id,
                contact_id=known.contact_id,
                last_seq=known.last_seq,
                waiting_since=known.waiting_since,
                is_new=False,
                last_message_at=known.last_message_at,
                preview=known.preview,
            )
            self.by_id[known.id] = draft
        return draft


async def receive_messages(tx: Transaction, arrivals: Sequence[InboundMessage], now: datetime) -> list[Receipt]:
    """Store the messages that are new and say of each what became of it; in the order of `arrivals`."""
    known = await inbound.find_keys(tx, {message.dedupe_key for message in arrivals})
    fresh: dict[str, InboundMessage] = {}
    for message in arrivals:
        if message.dedupe_key not in known:
            fresh.setdefault(message.dedupe_key, message)
    ids = {key: new_id() for key in fresh}
    if fresh:
        await inbound.insert_keys(tx, ids, now)
        await _store(tx, [(ids[key], message) for key, message in fresh.items()], now)
    receipts = []
    for message in arrivals:
        key = message.dedupe_key
        if fresh.get(key) is message:
            receipts.append(Receipt(state=ReceiptState.ACCEPTED, message_id=ids[key]))
        else:
            receipts.append(Receipt(state=ReceiptState.DUPLICATE, message_id=known.get(key) or ids[key]))
    return receipts


async def _store(tx: Transaction, arrivals: Sequence[tuple[str, InboundMessage]], now: datetime) -> None:
    batch = _Batch(now=now)
    named = {id_ for _, message in arrivals for id_ in _named_ids(message)}
    if named:
        batch.known_ids = await find_by_external_ids(tx, named)
    guests = await _find_guests(tx, batch, [message for _, message in arrivals])
    people = await resolve_people(tx, [message for _, message in arrivals if message.dedupe_key not in guests], now)
    contact_ids = {person.contact_id for person in people.values() if not person.is_new}
    if contact_ids:
        for contact_id, known in (await inbound.lock_unresolved(tx, contact_ids)).items():
            batch.by_contact[contact_id] = batch.adopt(known)
        if without := contact_ids - batch.by_contact.keys():
            batch.resolved = await inbound.lock_latest(tx, without)
    for message_id, message in arrivals:
        if (hosted := guests.get(message.dedupe_key)) is not None:
            draft = batch.adopt(hosted)
            person = Person(contact_id=draft.contact_id, address_id=None)
        else:
            person = people[message.sender]
            draft = _place(batch, person, message)
        _note_message(batch, message_id, message, person, draft)
    await _write(tx, batch)


def _named_ids(message: InboundMessage) -> tuple[str, ...]:
    answered = message.in_reply_to_external_id
    return (*message.references, answered) if answered else message.references


async def _find_guests(
    tx: Transaction, batch: _Batch, arrivals: Sequence[InboundMessage]
) -> dict[str, KnownConversation]:
    """Return the conversation that a mail belongs to though its sender is not its contact: a person in copy.

    Reply token or References must lead there *and* the proved sender must be in copy (architecture.md, "E-mail
    joins"); the mail then stays there under its own name and touches nobody's contact.
    """
    guests = {}
    for message in arrivals:
        if message.channel is not ChannelName.EMAIL or message.sender.kind is not AddressKind.EMAIL:
            continue
        target = message.reply_conversation_id
        if target is None:
            found = [batch.known_ids[id_] for id_ in reversed(message.references) if id_ in batch.known_ids]
            target = found[0].conversation_id if found else None
        if target is None:
            continue
        if message.sender.value in await load_participants(tx, target):
            conversation = await inbound.lock_conversation(tx, target)
            if conversation is None or conversation.resolved_at is not None:
                continue
            if (
                await inbound.find_owner(tx, message.sender) != conversation.contact_id
            ):  # a customer may copy themselves
                guests[message.dedupe_key] = conversation
    return guests


def _place(batch: _Batch, person: Person, message: InboundMessage) -> _Draft:
    current = batch.by_contact.get(person.contact_id)
    last = batch.resolved.get(person.contact_id)
    decision = place_message(
        has_unresolved=current is not None,
        last_resolved_at=last.resolved_at if last else None,
        received_at=message.received_at,
    )
    if current is not None:
        return current
    if decision.placement is Placement.REOPEN and last is not None:
        draft = batch.adopt(last)
        kind, data = EventType.REOPENED, {"reason": decision.reason}
    else:
        queue = choose_queue(QueueFacts(channel=message.channel))
        draft = _Draft(
            id=new_id(),
            contact_id=person.contact_id,
            last_seq=0,
            waiting_since=None,
            is_new=True,
            queue=queue.queue,
            previous_id=last.id if last else None,
            created_at=message.received_at,
        )
        batch.by_id[draft.id] = draft
        reasons = [decision.reason, *queue.reasons]
        kind, data = EventType.STARTED, {"queue": queue.queue, "reasons": reasons}  # type: ignore[dict-item]
    batch.by_contact[person.contact_id] = draft
    batch.events.append(NewEvent(conversation_id=draft.id, type=kind, at=message.received_at, actor=SYSTEM, data=data))
    if person.silent_contact_id is not None:
        data = {"previous_contact_id": person.silent_contact_id}
        batch.events.append(
            NewEvent(conversation_id=draft.id, type=EventType.NUMBER_SILENT, at=message.received_at, data=data)
        )
    return draft


def _note_message(batch: _Batch, message_id: str, message: InboundMessage, person: Person, draft: _Draft) -> None:
    draft.latest = message
    if draft.last_message_at is None or message.received_at >= draft.last_message_at:
        draft.last_message_at, draft.preview = message.received_at, preview_of(message.text)
    draft.address_id = person.address_id or draft.address_id
    if draft.waiting_since is None:
        draft.waiting_since = message.received_at
    if message.channel is ChannelName.WEBCHAT:
        person.chat_seq += 1
    batch.stored.append((message_id, message, person, draft))
    batch.events.append(
        NewEvent(
            conversation_id=draft.id,
            type=EventType.MESSAGE_RECEIVED,
            at=message.received_at,
            actor=Actor(kind=AuthorKind.CUSTOMER, id=person.contact_id),
            message_id=message_id,
            data={"channel": message.channel, "preview": preview_of(message.text)},
        )
    )


def preview_of(text: str) -> str:
    """Return the first words of a text, on one line."""
    return " ".join(text[: 2 * _PREVIEW_LENGTH].split())[:_PREVIEW_LENGTH]


async def _write(tx: Transaction, batch: _Batch) -> None:
    last = {draft.id: draft.last_seq for draft in batch.by_id.values()}
    events = number_events(batch.events, last)
    seqs = {event.message_id: event.seq for event in events if event.type is EventType.MESSAGE_RECEIVED}
    writes = [_written(draft, last[draft.id]) for draft in batch.by_id.values() if draft.latest is not None]
    if new := [write for write in writes if batch.by_id[write.id].is_new]:
        await inbound.insert_conversations(tx, new)
    if old := [write for write in writes if not batch.by_id[write.id].is_new]:
        await inbound.update_conversations(tx, old)
    await store_events(tx, events)
    chat_seqs = _chat_seqs(batch)
    rows = [
        _message_row(batch, message_id, message, person, draft, seqs[message_id], chat_seqs.get(message_id))
        for message_id, message, person, draft in batch.stored
    ]
    await insert_messages(tx, rows)
    await index_messages(
        tx,
        [
            SearchRow(
                message_id=row.id,
                conversation_id=row.conversation_id,
                at=row.at,
                text=" ".join(filter(None, (row.author_name, message.sender.value, row.subject, row.text))),
            )
            for row, (_, message, _, _) in zip(rows, batch.stored, strict=True)
        ],
    )
    await _write_attachments(tx, batch)
    chosen = [
        Chosen(conversation_id=draft.id, contact_id=draft.contact_id, topic=message.topic, language=message.language)
        for _, message, _, draft in batch.stored
        if message.topic is not None or message.language is not None
    ]
    await keep_chosen(tx, chosen, batch.now)
    for _, message, person, _ in batch.stored:
        tx.notices.append(Notice(topic=f"contact:{person.contact_id}", body=b"{}"))
        if message.channel is ChannelName.WEBCHAT:
            body = msgspec.json.encode({"seq": person.chat_seq})
            tx.notices.append(Notice(topic=f"visitor:{person.address_id}", body=body))


def _chat_seqs(batch: _Batch) -> dict[str, int]:
    """Number the web-chat messages of each visitor: the last one has the visitor's new count."""
    left = {person.address_id: person.chat_seq for _, _, person, _ in batch.stored}
    numbers = {}
    for message_id, message, person, _ in reversed(batch.stored):
        if message.channel is ChannelName.WEBCHAT:
            numbers[message_id] = left[person.address_id]
            left[person.address_id] -= 1
    return numbers


def _written(draft: _Draft, last_seq: int) -> ConversationWrite:
    message = draft.latest
    assert message is not None  # noqa: S101  only changed drafts come here
    assert draft.waiting_since is not None  # noqa: S101
    return ConversationWrite(
        id=draft.id,
        contact_id=draft.contact_id,
        queue=draft.queue,
        previous_id=draft.previous_id,
        channel=message.channel,
        address_id=draft.address_id,
        subject=message.subject,
        preview=draft.preview,
        last_seq=last_seq,
        created_at=draft.created_at or message.received_at,
        last_message_at=draft.last_message_at or message.received_at,
        waiting_since=draft.waiting_since,
    )


def _message_row(
    batch: _Batch,
    message_id: str,
    message: InboundMessage,
    person: Person,
    draft: _Draft,
    seq: int,
    chat_seq: int | None,
) -> NewMessage:
    answered = batch.known_ids.get(message.in_reply_to_external_id or "")
    is_guest = person.address_id is None
    return NewMessage(
        id=message_id,
        conversation_id=draft.id,
        contact_id=draft.contact_id,
        address_id=person.address_id,
        seq=seq,
        chat_seq=chat_seq,
        direction=Direction.INBOUND,
        channel=message.channel,
        author_kind=AuthorKind.CUSTOMER,
        author_id=None if is_guest else person.contact_id,
        author_name=message.sender_name or (message.sender.value if is_guest else person.name),
        text=message.text,
        html=message.html,
        language=message.language,
        subject=message.subject,
        status=MessageStatus.RECEIVED,
        at=message.received_at,
        external_id=message.external_id,
        reply_to_id=answered.id if answered else None,
        cc=message.cc,
        extra={**message.extra, "sender": message.sender.value} if is_guest else message.extra,
    )


async def _write_attachments(tx: Transaction, batch: _Batch) -> None:
    rows, jobs = [], []
    for message_id, message, _, _ in batch.stored:
        uploads = [file.upload_id for file in message.attachments if file.upload_id is not None]
        if uploads:
            await claim_uploads(tx, message_id, f"visitor:{message.sender.value}", uploads)
        for position, file in enumerate(message.attachments):
            if file.upload_id is not None:
                continue
            row = NewAttachment(
                id=new_id(),
                message_id=message_id,
                position=position,
                filename=file.filename,
                content_type=file.content_type,
                content_id=file.content_id,
                is_inline=file.is_inline,
                sha256=file.blob.sha256 if file.blob else None,
                size=file.blob.size if file.blob else None,
                source_url=file.url,
            )
            rows.append(row)
            if row.sha256 is None:
                jobs.append(NewJob(kind=JobKind.FETCH_MEDIA, subject_id=row.id, due_at=batch.now))
    if rows:
        await inbound.insert_attachments(tx, rows, batch.now)
    await add_jobs(tx, jobs, batch.now)
