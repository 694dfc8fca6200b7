"""Which conversation a message belongs to: facts in, a decision with its reason out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

REOPEN_WINDOW = timedelta(days=14)
# Carriers hand silent numbers to new owners; after this long a number proves nobody any more (architecture.md).
NUMBER_SILENCE = timedelta(days=180)


class Placement(StrEnum):
    JOIN = "join"
    REOPEN = "reopen"
    START = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementDecision:
    placement: Placement
    reason: str


def place_message(
    *, has_unresolved: bool, last_resolved_at: datetime | None, received_at: datetime
) -> PlacementDecision:
    """Decide for a contact's message; at most one conversation of a contact is not resolved."""
    if has_unresolved:
        return PlacementDecision(
            placement=Placement.JOIN, reason="The contact has a conversation that is not resolved."
        )
    if last_resolved_at is None:
        return PlacementDecision(placement=Placement.START, reason="It is the contact's first conversation.")
    if received_at - last_resolved_at <= REOPEN_WINDOW:
        return PlacementDecision(
            placement=Placement.REOPEN, reason=f"It was resolved less than {REOPEN_WINDOW.days} days ago."
        )
    return PlacementDecision(
        placement=Placement.START, reason=f"The last one was resolved more than {REOPEN_WINDOW.days} days ago."
    )


def is_number_silent(*, last_seen_at: datetime, received_at: datetime) -> bool:
    return received_at - last_seen_at > NUMBER_SILENCE
