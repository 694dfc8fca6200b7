"""Where a message belongs, at the edges of the rules."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.contact import ChannelName
from routing.placement import NUMBER_SILENCE, REOPEN_WINDOW, Placement, is_number_silent, place_message
from routing.queues import QueueFacts, choose_queue

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("has_unresolved", "last_resolved_at", "expected"),
    [
        (True, None, Placement.JOIN),
        (True, NOW, Placement.JOIN),
        (False, None, Placement.START),
        (False, NOW, Placement.REOPEN),
        (False, NOW - REOPEN_WINDOW, Placement.REOPEN),
        (False, NOW - REOPEN_WINDOW - TICK, Placement.START),
    ],
)
def test_a_message_is_placed_with_a_reason(
    has_unresolved: bool, last_resolved_at: datetime | None, expected: Placement
) -> None:
    decision = place_message(has_unresolved=has_unresolved, last_resolved_at=last_resolved_at, received_at=NOW)
    assert decision.placement is expected
    assert decision.reason.endswith(".")


def test_a_number_falls_silent_only_after_the_whole_time() -> None:
    assert not is_number_silent(last_seen_at=NOW - NUMBER_SILENCE, received_at=NOW)
    assert is_number_silent(last_seen_at=NOW - NUMBER_SILENCE - TICK, received_at=NOW)


@pytest.mark.parametrize("channel", list(ChannelName))
def test_every_message_has_a_queue_and_the_reasons(channel: ChannelName) -> None:
    decision = choose_queue(QueueFacts(channel=channel))
    assert decision.queue
    assert decision.reasons
