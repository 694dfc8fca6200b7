"""The laws of status: forward only, whatever the order."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.delivery import MessageStatus, fold_parts, fold_status

REPORTED = st.sampled_from(
    [MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.UNKNOWN]
)


def fold_all(reports: list[MessageStatus]) -> MessageStatus:
    status = MessageStatus.QUEUED
    for report in reports:
        status = fold_status(status, report)
    return status


@given(st.lists(REPORTED, min_size=1), st.randoms(use_true_random=False))
def test_the_order_and_number_of_reports_do_not_matter(reports: list[MessageStatus], chance: object) -> None:
    shuffled = [*reports, *reports]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold_all(shuffled) is fold_all(reports)


@given(st.lists(REPORTED))
def test_a_status_never_goes_back(reports: list[MessageStatus]) -> None:
    status = MessageStatus.QUEUED
    for report in reports:
        moved = fold_status(status, report)
        assert fold_status(moved, status) is moved
        status = moved


@given(REPORTED)
def test_a_cancelled_message_stays_cancelled(report: MessageStatus) -> None:
    assert fold_status(MessageStatus.CANCELLED, report) is MessageStatus.CANCELLED


def test_late_delivery_corrects_a_failure() -> None:
    assert fold_status(MessageStatus.FAILED, MessageStatus.DELIVERED) is MessageStatus.DELIVERED


def test_any_word_of_the_provider_settles_what_is_unknown() -> None:
    for word in (MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.DELIVERED):
        assert fold_status(MessageStatus.UNKNOWN, word) is word


def test_one_failed_or_unknown_part_is_the_messages_state() -> None:
    assert fold_parts([MessageStatus.READ, MessageStatus.FAILED]) is MessageStatus.FAILED
    assert fold_parts([MessageStatus.READ, MessageStatus.UNKNOWN]) is MessageStatus.UNKNOWN
    assert fold_parts([MessageStatus.READ, MessageStatus.SENT]) is MessageStatus.SENT
