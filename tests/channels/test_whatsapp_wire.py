"""Laws of reading a WhatsApp message; single forms stand in fixtures/whatsapp.json, tested by the contract suite."""

from urllib.parse import urlencode

import pytest

from channels.twilio_wire import parse_message
from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.errors import ParseFailure
from gateway.domain.message import InboundMessage, RawInbound, Source
from tests.support.twilio import NOW


def parse(**fields: str) -> InboundMessage:
    form = {"MessageSid": "SM1", "From": "whatsapp:+33612345678", "To": "whatsapp:+15005550006", **fields}
    body = urlencode(form).encode()
    return parse_message(RawInbound(source=Source.TWILIO_MESSAGE, received_at=NOW, body=body))


@pytest.mark.parametrize(
    ("fields", "sender"),
    [
        ({"From": "whatsapp:+33612345678", "ExternalUserId": "FR.1"}, "+33612345678"),
        ({"From": "whatsapp:FR.149162", "ExternalUserId": "FR.149162"}, "FR.149162"),
        ({"From": "", "ExternalUserId": "FR.149162"}, "FR.149162"),
        ({"From": "whatsapp:", "WaId": "33612345678"}, "+33612345678"),
        ({"From": "WhatsApp: +33612345678"}, "+33612345678"),
    ],
)
def test_a_sender_is_known_by_number_or_else_by_id(fields: dict[str, str], sender: str) -> None:
    message = parse(**fields)
    assert (message.channel, message.sender.kind) == (ChannelName.WHATSAPP, AddressKind.WHATSAPP)
    assert message.sender.value == sender


def test_one_prefix_is_enough_to_tell_the_channel() -> None:
    assert parse(To="+15005550006").channel is ChannelName.WHATSAPP
    assert parse(To="+15005550006", From="+33612345678").channel is ChannelName.SMS


def test_nobody_at_all_is_quarantined() -> None:
    with pytest.raises(ParseFailure):
        parse(From="whatsapp:")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"Body": "Hello", "ButtonText": "Hello"}, "Hello"),
        ({"Body": "", "ListTitle": "Returns", "ListId": "r"}, "Returns"),
        ({"Body": "I am here", "Latitude": "1.5", "Longitude": "-2"}, "I am here\nLocation: 1.5, -2"),
        ({"Latitude": "1.5", "Longitude": "-2", "Address": "Main St"}, "Location: Main St, 1.5, -2"),
        ({"Latitude": "1.5"}, ""),
        ({"Body": "", "MediaUrl0": "https://m.example/0"}, ""),
    ],
)
def test_the_text_is_what_the_customer_said(fields: dict[str, str], text: str) -> None:
    assert parse(**fields).text == text


def test_whatever_else_was_said_is_kept() -> None:
    extra = parse(ButtonPayload="track-1", ChannelMetadata='{"type":"whatsapp"}', NewField="x").extra
    assert extra == {"ButtonPayload": "track-1", "ChannelMetadata": '{"type":"whatsapp"}', "NewField": "x"}
