"""Two contacts that are one person become one, and two again if that was wrong.

Message rows never move. Addresses and conversations are re-pointed and remember where they came from; of two open
conversations the younger closes as joined into the older (architecture.md, "Merge").
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from gateway.domain.conversation import ConversationStatus, EventType
from gateway.domain.errors import BadInput, Conflict, InputError
from storage import merges
from storage.contacts import find_root, load_family
from storage.database import Transaction
from storage.events import Actor, NewEvent, append_events
from storage.live.contract import Notice
from storage.merges import Episode


async def merge_contacts(
    tx: Transaction, *, into_id: str, from_id: str, actor: Actor, reason: str, now: datetime
) -> None:
    """Make `from_id` part of `into_id`; `reason` is the proof, or the agent's word.

    Raises:
        BadInput: they are the same.
        NotFound: one does not exist.
        Conflict: one has been merged already.
    """
    if into_id == from_id:
        raise BadInput(
            "A contact can't be merged into itself.", (InputError(path="$.contact_id", message="The same."),)
        )
    for contact_id, merged_into in (await merges.lock_contacts(tx, (into_id, from_id))).items():
        if merged_into is not None:
            raise Conflict(f"The contact {contact_id} was merged into {merged_into} already.")
    await merges.lock_contact_addresses(tx, (into_id, from_id))
    episodes = await merges.lock_episodes(tx, (into_id, from_id))
    family = await load_family(tx.conn, from_id)
    events = await _join_unresolved(tx, episodes, actor, reason, now)
    await merges.hand_over(tx, from_id=from_id, into_id=into_id, family=family)
    await merges.save_merged_into(tx, from_id, into_id)
    for contact_id in (into_id, from_id):
        if (main := _main([episode for episode in episodes if episode.contact_id == contact_id])) is not None:
            data = {"into": into_id, "from": from_id, "reason": reason}
            events.append(
                NewEvent(conversation_id=main.id, type=EventType.CONTACT_MERGED, at=now, actor=actor, data=data)
            )
    await append_events(tx, events)
    _announce(tx, (into_id, from_id))


async def _join_unresolved(
    tx: Transaction, episodes: Sequence[Episode], actor: Actor, reason: str, now: datetime
) -> list[NewEvent]:
    unresolved = [episode for episode in episodes if not episode.is_resolved]
    if len(unresolved) < 2:
        return []
    older, younger = unresolved  # the oldest first, and each contact has at most one
    await merges.save_joined(tx, younger.id, older.id, now)
    await merges.save_taken_over(tx, older, younger)
    events = [
        NewEvent(
            conversation_id=younger.id,
            type=EventType.JOINED,
            at=now,
            actor=actor,
            data={"into": older.id, "reason": reason},
        ),
        NewEvent(
            conversation_id=older.id,
            type=EventType.JOINED,
            at=now,
            actor=actor,
            data={"from": younger.id, "reason": reason},
        ),
    ]
    if older.status is ConversationStatus.SNOOZED and younger.status is ConversationStatus.OPEN:
        data = {"reason": "An open conversation was joined into it."}
        events.append(NewEvent(conversation_id=older.id, type=EventType.WOKEN, at=now, actor=actor, data=data))
    return events


async def unmerge_contact(tx: Transaction, *, contact_id: str, actor: Actor, now: datetime) -> None:
    """Make a merged contact a contact of its own again, with the addresses and conversations that were its own.

    A conversation in which the other has written since stays where it is; so do all later messages.

    Raises:
        NotFound: there is no such contact.
        Conflict: it was not merged.
    """
    root_id = await find_root(tx.conn, contact_id)
    locked = await merges.lock_contacts(tx, {contact_id, root_id})
    if locked[contact_id] is None:
        raise Conflict("The contact was not merged into another.")
    if locked[root_id] is not None:
        raise Conflict("The contact it is part of was merged at this moment. Try again.")
    family = await load_family(tx.conn, contact_id)
    await merges.lock_contact_addresses(tx, [root_id])
    episodes = await merges.lock_episodes(tx, [root_id])
    came = {episode.id for episode in episodes if episode.merged_from_id in family}
    shared = await merges.find_shared(tx, came, family)
    leaving = came - shared
    await merges.keep_conversations(tx, shared)
    await merges.give_back_addresses(tx, owner_id=root_id, to_id=contact_id, family=family)
    await merges.give_back_conversations(tx, leaving, to_id=contact_id)
    await merges.save_merged_into(tx, contact_id, None)
    events = await _undo_joins(tx, episodes, leaving, actor, now)
    for group in (
        [episode for episode in episodes if episode.id not in leaving],
        [episode for episode in episodes if episode.id in leaving],
    ):
        if (main := _main(group)) is not None:
            data = {"contact": contact_id, "from": root_id}
            events.append(
                NewEvent(conversation_id=main.id, type=EventType.CONTACT_UNMERGED, at=now, actor=actor, data=data)
            )
    await append_events(tx, events)
    _announce(tx, (root_id, contact_id))


async def _undo_joins(
    tx: Transaction, episodes: Sequence[Episode], leaving: Collection[str], actor: Actor, now: datetime
) -> list[NewEvent]:
    """Part what was joined and now belongs to two people; what was still being worked on is open on both sides."""
    by_id = {episode.id: episode for episode in episodes}
    events: list[NewEvent] = []
    touched: set[str] = set()
    reopened: str | None = None
    for episode in episodes:
        target = by_id.get(episode.joined_into_id or "")
        if target is None or (episode.id in leaving) == (target.id in leaving):
            continue
        final = _final(target, by_id)
        if final.is_resolved or reopened is not None:
            # Of several that were joined into one, the oldest goes on with the work of all.
            await merges.save_parted(tx, episode.id, is_reopened=False, joined_into_id=reopened)
            continue
        await merges.save_parted(tx, episode.id, is_reopened=True, joined_into_id=None)
        reopened = episode.id
        touched |= {episode.id, final.id}
        data = {"reason": "The contacts were parted again.", "joined": target.id}
        events.append(NewEvent(conversation_id=episode.id, type=EventType.REOPENED, at=now, actor=actor, data=data))
    if touched:
        await merges.recount_waiting(tx, touched)
    return events


def _final(episode: Episode, by_id: Mapping[str, Episode]) -> Episode:
    """Return the conversation in which the work of this one went on."""
    while (following := by_id.get(episode.joined_into_id or "")) is not None:
        episode = following
    return episode


def _main(episodes: Sequence[Episode]) -> Episode | None:
    """Return the conversation in whose history the agents will look: the unresolved one, else the youngest."""
    unresolved = [episode for episode in episodes if not episode.is_resolved]
    return (unresolved or [*episodes])[-1] if episodes else None


def _announce(tx: Transaction, contact_ids: Collection[str]) -> None:
    for contact_id in contact_ids:
        tx.notices.append(Notice(topic=f"contact:{contact_id}", body=b"{}"))
