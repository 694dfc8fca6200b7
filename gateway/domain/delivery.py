"""The journey of one outbound message, and what providers say about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.contact import ChannelName


class MessageStatus(StrEnum):
    RECEIVED = "received"  # inbound
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    UNKNOWN = "unknown"  # the bytes may have left; nobody has said whether they arrived
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    CANCELLED = "cancelled"


# A status only goes forward: the state is the maximum of what was reported (architecture.md, outbound). A late
# "delivered" corrects "failed"; any report settles "unknown".
_RANK = {
    MessageStatus.SCHEDULED: 0,
    MessageStatus.QUEUED: 1,
    MessageStatus.UNKNOWN: 2,
    MessageStatus.SENT: 3,
    MessageStatus.FAILED: 4,
    MessageStatus.DELIVERED: 5,
    MessageStatus.READ: 6,
}
_FINAL_ON_OUR_SIDE = frozenset({MessageStatus.CANCELLED, MessageStatus.RECEIVED})


def fold_status(current: MessageStatus, reported: MessageStatus) -> MessageStatus:
    """Return the further of the two; a cancelled or inbound message stays as it is."""
    if current in _FINAL_ON_OUR_SIDE:
        return current
    return max(current, reported, key=_RANK.__getitem__)


def fold_parts(parts: Iterable[MessageStatus]) -> MessageStatus:
    """Return the state of a message from those of its parts: failed or unknown if one is, else the least advanced."""
    states = set(parts)
    for state in (MessageStatus.FAILED, MessageStatus.UNKNOWN):
        if state in states:
            return state
    return min(states, key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """A provider's word about one part of a message.

    `message_id` and `part` are ours, where the report carries them (a report may overtake the response that would
    have told us the `external_id`).
    """

    channel: ChannelName
    status: MessageStatus
    received_at: datetime
    external_id: str | None = None
    message_id: str | None = None
    part: int = 0
    error_code: str | None = None
    error: str | None = None  # plain words
    suppress: bool = False  # the customer opted out at the provider: never send to this address again


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The provider took the part. `status` is normally SENT."""

    external_id: str | None
    status: MessageStatus = MessageStatus.SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRecord:
    """One message that a provider says it has sent; what reconciliation matches against."""

    external_id: str
    recipient: str
    text: str
    sent_at: datetime
    status: MessageStatus
