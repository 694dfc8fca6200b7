"""Which queue a conversation waits in: facts in, a decision with its reasons out. Total: there is always a queue."""

from dataclasses import dataclass

from gateway.domain.contact import ChannelName

DEFAULT_QUEUE = "general"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    channel: ChannelName
    language: str | None = None  # BCP 47
    topic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDecision:
    queue: str
    reasons: tuple[str, ...]


def choose_queue(facts: QueueFacts) -> QueueDecision:
    return QueueDecision(
        queue=DEFAULT_QUEUE, reasons=(f"A message by {facts.channel} goes to the queue that takes everything.",)
    )
