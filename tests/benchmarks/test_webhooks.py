"""The load is made of webhooks that Twilio itself could have sent."""

from urllib.parse import parse_qsl

import phonenumbers
import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from benchmarks.programs.load import LoadPlan, prepare
from benchmarks.webhooks import find_serial, message_fields, message_text, phone_number, sign

URL = "https://gateway.example/webhooks/twilio/messages"
PLAN = LoadPlan(port=1, url=URL, auth_token="token", account_sid="AC1", server_pid=1, series=1, senders=10)


@pytest.mark.parametrize("serial", [0, 6, 9])  # texts in ASCII, Japanese, with an emoji
def test_the_signature_is_the_one_of_the_sdk(serial: int) -> None:
    fields = message_fields(serial, 0, "AC1")
    assert sign(URL, fields, "token") == RequestValidator("token").compute_signature(URL, fields)


def test_a_prepared_request_is_whole_and_genuine() -> None:
    [(_, _, request)] = prepare(PLAN, 3, 1)
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert int(headers["Content-Length"]) == len(body)
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    assert RequestValidator("token").validate(URL, fields, headers["X-Twilio-Signature"])


def test_every_sender_has_a_valid_number_of_their_own() -> None:
    senders = [*range(4_000), *range(2_140_000, 2_140_100)]
    numbers = {phone_number(sender) for sender in senders}
    assert len(numbers) == len(senders)
    assert [number for number in numbers if not phonenumbers.is_valid_number(phonenumbers.parse(number))] == []


def test_no_message_is_prepared_twice_and_only_some_senders_are_new() -> None:
    greetings, messages = prepare(PLAN, 0, 10), prepare(PLAN, 10, 1_000)
    assert len({serial for serial, _, _ in [*greetings, *messages]}) == 1_010
    assert all(is_known for _, is_known, _ in greetings)
    assert sum(not is_known for _, is_known, _ in messages) == 50


def test_the_text_names_its_post() -> None:
    assert find_serial(message_text(10_000_042).encode()) == 10_000_042
    assert find_serial(b"a text without a number") is None
