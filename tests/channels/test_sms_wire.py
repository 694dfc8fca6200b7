"""Laws of reading an SMS; what single forms become stands in fixtures/sms.json and is tested by the contract suite."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.twilio_wire import parse_message
from gateway.domain.contact import ChannelName
from gateway.domain.errors import ParseFailure
from gateway.domain.message import RawInbound, Source
from tests.support.twilio import CUSTOMER, NOW

_NAMES = st.sampled_from(
    ["MessageSid", "SmsSid", "From", "To", "Body", "NumMedia", "MediaUrl0", "MediaContentType0", "X"]
)


def raw(body: bytes) -> RawInbound:
    return RawInbound(source=Source.TWILIO_MESSAGE, received_at=NOW, body=body)


def form(**fields: str) -> RawInbound:
    return raw(urlencode({"MessageSid": "SM1", "From": CUSTOMER, **fields}).encode())


def is_storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and value.encode(errors="strict") is not None
    if isinstance(value, dict):
        return all(is_storable(name) and is_storable(item) for name, item in value.items())
    return all(is_storable(item) for item in value)


@given(
    st.binary(max_size=200)
    | st.lists(st.tuples(_NAMES, st.binary(max_size=20)), max_size=12).map(lambda f: urlencode(f).encode())
)
def test_any_bytes_give_a_message_that_can_be_stored_or_a_parse_failure(body: bytes) -> None:
    try:
        message = parse_message(raw(body))
    except ParseFailure:
        return
    assert message.sender.value
    assert message.dedupe_key == f"twilio:{message.external_id}"
    assert is_storable([message.text, message.sender.value, message.recipient, message.dedupe_key, dict(message.extra)])
    assert msgspec.json.encode(message.extra)


def test_bytes_that_are_not_utf8_survive() -> None:
    message = parse_message(raw(b"MessageSid=SM1&From=%2B14155552671&Body=caf%E9+%ED%A0%80\xff"))
    assert message.text == "caf\ufffd \ufffd\ufffd\ufffd\ufffd"


@pytest.mark.parametrize("missing", ["From", "MessageSid"])
def test_a_form_without_an_id_or_a_sender_is_quarantined(missing: str) -> None:
    with pytest.raises(ParseFailure, match=missing):
        parse_message(form(**{missing: "  "}))


@pytest.mark.parametrize("names", [("SmsMessageSid",), ("SmsSid",), ("SmsSid", "SmsMessageSid")])
def test_older_names_of_the_id_lead_to_the_same_key(names: tuple[str, ...]) -> None:
    fields = {"From": CUSTOMER, **dict.fromkeys(names, "SM1")}
    assert parse_message(raw(urlencode(fields).encode())).dedupe_key == parse_message(form()).dedupe_key


def test_media_are_found_by_their_urls_in_the_order_of_their_numbers() -> None:
    fields = {f"MediaUrl{number}": f"https://m.example/{number}" for number in (10, 2, 0)}
    message = parse_message(form(NumMedia="1", MediaUrlX="no", MediaContentType2="IMAGE/PNG; q=1", **fields))
    assert [(file.filename, file.content_type, file.url) for file in message.attachments] == [
        ("media-1.bin", "application/octet-stream", "https://m.example/0"),
        ("media-3.png", "image/png", "https://m.example/2"),
        ("media-11.bin", "application/octet-stream", "https://m.example/10"),
    ]
    assert message.extra == {"MediaUrlX": "no"}


@pytest.mark.parametrize("kind", ["../../etc", "text/html\r\nX: y", "a/b/c", "", "image"])
def test_a_type_that_is_none_is_not_kept(kind: str) -> None:
    (file,) = parse_message(form(MediaUrl0="https://m.example/0", MediaContentType0=kind)).attachments
    assert (file.filename, file.content_type) == ("media-1.bin", "application/octet-stream")


def test_a_message_without_the_prefix_is_an_sms() -> None:
    assert parse_message(form(To="+15005550006")).channel is ChannelName.SMS
