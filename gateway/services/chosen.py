"""What customers choose for themselves as they write: what it is about, and their language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.conversation import EventType
from gateway.domain.message import AuthorKind
from storage import chosen as stored
from storage.database import Transaction
from storage.events import Actor, NewEvent, append_events

_REASON = "Chosen by the customer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    conversation_id: str
    contact_id: str
    topic: str | None
    language: str | None  # BCP 47


async def keep_chosen(tx: Transaction, chosen: Sequence[Chosen], now: datetime) -> None:
    """Give conversations without a topic, and contacts without a language, the first that was chosen.

    The conversations and their contacts' addresses are locked, and the messages that chose stand already.
    """
    topics: dict[str, Chosen] = {}
    languages: dict[str, str] = {}
    for item in chosen:
        if item.topic is not None:
            topics.setdefault(item.conversation_id, item)
        if item.language is not None:
            languages.setdefault(item.contact_id, item.language)
    if languages:
        await stored.fill_languages(tx, languages)
    if not topics:
        return
    filled = await stored.fill_topics(tx, {id_: item.topic or "" for id_, item in topics.items()})
    await append_events(tx, [_event(item, now) for id_, item in topics.items() if id_ in filled])


def _event(item: Chosen, now: datetime) -> NewEvent:
    return NewEvent(
        conversation_id=item.conversation_id,
        type=EventType.TOPIC_SET,
        at=now,
        actor=Actor(kind=AuthorKind.CUSTOMER, id=item.contact_id),
        data={"from": None, "to": item.topic, "reason": _REASON},
    )
