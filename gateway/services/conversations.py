"""What agents do with a conversation, apart from answering: each change has its event, and its reason in it.

Every function locks the conversation first and raises Conflict where its state no longer fits.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from gateway.domain.conversation import ConversationStatus, EventType
from gateway.domain.errors import BadInput, Conflict, InputError, NotFound
from gateway.domain.message import AuthorKind
from storage import conversations, drafts
from storage.agents import list_agents, load_agent
from storage.conversations import LockedConversation
from storage.database import Transaction
from storage.drafts import Draft
from storage.events import SYSTEM, Actor, NewEvent, StoredEvent, append_events
from storage.jobs import JobKind, NewJob, add_jobs
from storage.search import SearchRow, index_messages

MAX_SNOOZE = timedelta(days=365)


async def add_note(
    tx: Transaction, *, conversation_id: str, actor: Actor, text: str, mentions: Sequence[str] = (), now: datetime
) -> StoredEvent:
    """Write down what only colleagues see; `mentions` are ids of agents.

    Raises:
        NotFound: there is no such conversation.
        BadInput: a mention is of nobody.
    """
    await conversations.lock_conversation(tx, conversation_id)
    known = {agent.id for agent in await list_agents(tx.conn)} if mentions else set()
    mistakes = [
        InputError(path=f"$.mentions[{place}]", message="There is no such agent.")
        for place, agent_id in enumerate(mentions)
        if agent_id not in known
    ]
    if mistakes:
        raise BadInput("A mention is of nobody.", tuple(mistakes))
    data = {"text": text, "mentions": list(dict.fromkeys(mentions))}
    event = await _append(tx, conversation_id, EventType.NOTE_ADDED, actor, now, data)
    await index_messages(tx, [SearchRow(message_id=None, conversation_id=conversation_id, at=now, text=text)])
    return event


async def assign(
    tx: Transaction,
    *,
    conversation_id: str,
    agent_id: str | None,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Make the conversation this agent's work, or nobody's.

    Raises:
        NotFound: there is no such conversation.
        BadInput: there is no such agent, or it is disabled.
        Conflict: the conversation is resolved.
    """
    conversation = await _lock_unresolved(tx, conversation_id)
    if conversation.assignee_id == agent_id:
        return
    if agent_id is not None:
        await _require_agent(tx, agent_id)
    await conversations.save_assignee(tx, conversation_id, agent_id)
    data = {"from": conversation.assignee_id, "to": agent_id, "reason": reason}
    await _append(tx, conversation_id, EventType.ASSIGNED, actor, now, data)


async def _require_agent(tx: Transaction, agent_id: str) -> None:
    try:
        agent = await load_agent(tx.conn, agent_id)
    except NotFound as error:
        raise BadInput(str(error), (InputError(path="$.agent_id", message=str(error)),)) from None
    if agent.disabled_at is not None:
        mistake = InputError(path="$.agent_id", message="This agent is disabled.")
        raise BadInput(mistake.message, (mistake,))


async def take_next(tx: Transaction, *, queue: str, agent_id: str, now: datetime) -> str | None:
    """Give the agent the conversation that has waited longest in `queue` and is nobody's; two never get the same."""
    conversation = await conversations.lock_next_waiting(tx, queue)
    if conversation is None:
        return None
    await conversations.save_assignee(tx, conversation.id, agent_id)
    data = {"from": None, "to": agent_id, "reason": "It had waited longest in the queue."}
    actor = Actor(kind=AuthorKind.AGENT, id=agent_id)
    await _append(tx, conversation.id, EventType.ASSIGNED, actor, now, data)
    return conversation.id


async def transfer(
    tx: Transaction,
    *,
    conversation_id: str,
    queue: str,
    queues: Collection[str],
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Move the conversation to another of `queues`; there it is nobody's yet.

    Raises:
        NotFound: there is no such conversation.
        BadInput: there is no such queue.
        Conflict: the conversation is resolved.
    """
    if queue not in queues:
        mistake = InputError(path="$.queue", message="There is no such queue.")
        raise BadInput(mistake.message, (mistake,))
    conversation = await _lock_unresolved(tx, conversation_id)
    if conversation.queue == queue:
        return
    await conversations.save_queue(tx, conversation_id, queue)
    data = {"from": conversation.queue, "to": queue, "unassigned": conversation.assignee_id, "reason": reason}
    await _append(tx, conversation_id, EventType.TRANSFERRED, actor, now, data)


async def set_topic(
    tx: Transaction,
    *,
    conversation_id: str,
    topic: str | None,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Correct what the conversation is about; None: nothing that we know of.

    Raises:
        NotFound: there is no such conversation.
    """
    conversation = await conversations.lock_conversation(tx, conversation_id)
    if conversation.topic == topic:
        return
    await conversations.save_topic(tx, conversation_id, topic)
    data = {"from": conversation.topic, "to": topic, "reason": reason}
    await _append(tx, conversation_id, EventType.TOPIC_SET, actor, now, data)


async def resolve(
    tx: Transaction, *, conversation_id: str, actor: Actor, reason: str | None = None, now: datetime
) -> None:
    """End the episode.

    Raises:
        NotFound: there is no such conversation.
        Conflict: it is resolved already.
    """
    conversation = await _lock_unresolved(tx, conversation_id)
    await conversations.save_resolved(tx, conversation_id, now)
    await conversations.delete_wake(tx, conversation_id)
    data = {"reason": reason, "was_waiting": conversation.waiting_since is not None}
    await _append(tx, conversation_id, EventType.RESOLVED, actor, now, data)


async def snooze(
    tx: Transaction,
    *,
    conversation_id: str,
    until: datetime,
    actor: Actor,
    reason: str | None = None,
    now: datetime,
) -> None:
    """Put it out of sight until then, or until the customer writes.

    Raises:
        NotFound: there is no such conversation.
        BadInput: `until` is not in the future, or too far in it.
        Conflict: it is resolved.
    """
    if not now < until <= now + MAX_SNOOZE:
        mistake = InputError(path="$.until", message=f"Give a time in the next {MAX_SNOOZE.days} days.")
        raise BadInput(mistake.message, (mistake,))
    await _lock_unresolved(tx, conversation_id)
    await conversations.save_snoozed(tx, conversation_id, until)
    await conversations.delete_wake(tx, conversation_id)
    await add_jobs(tx, [NewJob(kind=JobKind.WAKE, subject_id=conversation_id, due_at=until)], now)
    await _append(tx, conversation_id, EventType.SNOOZED, actor, now, {"until": until, "reason": reason})


async def wake(tx: Transaction, conversation_id: str, now: datetime) -> bool:
    """End a snooze that is over; False where there is none to end: it was woken, resolved or snoozed anew."""
    conversation = await conversations.lock_conversation(tx, conversation_id)
    until = conversation.snoozed_until
    if conversation.status is not ConversationStatus.SNOOZED or until is None or until > now:
        return False
    await conversations.save_open(tx, conversation_id)
    await _append(tx, conversation_id, EventType.WOKEN, SYSTEM, now, {"reason": "The snooze is over."})
    return True


async def reopen(
    tx: Transaction, *, conversation_id: str, actor: Actor, reason: str | None = None, now: datetime
) -> None:
    """Go on with a resolved or snoozed conversation.

    Raises:
        NotFound: there is no such conversation.
        Conflict: it is open, was joined into another, or the contact has another that is not resolved.
    """
    conversation = await conversations.lock_conversation(tx, conversation_id)
    if conversation.status is ConversationStatus.OPEN:
        raise Conflict("The conversation is open already.")
    if conversation.joined_into_id is not None:
        raise Conflict(f"The conversation was joined into {conversation.joined_into_id}.")
    if conversation.status is ConversationStatus.RESOLVED:
        other = await conversations.find_unresolved(tx, conversation.contact_id)
        if other is not None:
            raise Conflict(f"The contact has another conversation that is not resolved: {other}.")
    await conversations.save_open(tx, conversation_id)
    await conversations.delete_wake(tx, conversation_id)
    await _append(tx, conversation_id, EventType.REOPENED, actor, now, {"reason": reason})


async def keep_draft(tx: Transaction, *, conversation_id: str, agent_id: str, text: str, now: datetime) -> Draft:
    """Keep what the agent has typed; nothing typed is no draft.

    Raises:
        NotFound: there is no such conversation.
    """
    await conversations.load_conversation(tx.conn, conversation_id)
    if text:
        await drafts.save_draft(tx, conversation_id, agent_id, text, now)
    else:
        await drafts.delete_draft(tx, conversation_id, agent_id)
    return Draft(text=text, updated_at=now)


async def _lock_unresolved(tx: Transaction, conversation_id: str) -> LockedConversation:
    conversation = await conversations.lock_conversation(tx, conversation_id)
    if conversation.status is ConversationStatus.RESOLVED:
        raise Conflict("The conversation is resolved.")
    return conversation


async def _append(
    tx: Transaction, conversation_id: str, kind: EventType, actor: Actor, now: datetime, data: Mapping[str, object]
) -> StoredEvent:
    said = {name: value for name, value in data.items() if name != "reason" or value}
    event = NewEvent(conversation_id=conversation_id, type=kind, at=now, actor=actor, data=said)
    return (await append_events(tx, [event]))[0]
