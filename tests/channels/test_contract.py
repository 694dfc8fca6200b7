"""The suite that every channel passes, whatever it is made of; tests/support/channel_contract.py says how to join."""

import traceback
from collections.abc import AsyncIterator
from functools import partial

import pytest

from channels.sms.adapter import SmsChannel
from channels.whatsapp.adapter import WhatsAppChannel
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import InboundMessage
from tests.support.channel_contract import ChannelCase, Fixture, Harness, Proof, Trouble, load_forms
from tests.support.twilio import form_fixture, open_harness

_TWILIO_TROUBLES = {
    Trouble.THROTTLED: SendAction.WAIT,
    Trouble.FAULT: SendAction.IN_DOUBT,
    Trouble.TIMEOUT: SendAction.IN_DOUBT,
    Trouble.DROPPED: SendAction.IN_DOUBT,
    Trouble.GARBLED: SendAction.IN_DOUBT,
    Trouble.UNREACHABLE: SendAction.RETRY,
    Trouble.OPTED_OUT: SendAction.SUPPRESS,
    Trouble.BAD_ADDRESS: SendAction.FLAG_ADDRESS,
    Trouble.BAD_CREDENTIALS: SendAction.STOP_CHANNEL,
}

CASES = (
    ChannelCase(
        name="sms",
        open=partial(open_harness, SmsChannel),
        fixtures=[form_fixture(recorded) for recorded in load_forms("sms.json")],
        troubles=_TWILIO_TROUBLES,
    ),
    ChannelCase(
        name="whatsapp",
        open=partial(open_harness, WhatsAppChannel),
        fixtures=[form_fixture(recorded) for recorded in load_forms("whatsapp.json")],
        troubles=_TWILIO_TROUBLES,
    ),
)
every_channel = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_fixture = pytest.mark.parametrize(
    ("case", "fixture"),
    [(case, fixture) for case in CASES for fixture in case.fixtures],
    ids=lambda value: value.name,
)
every_trouble = pytest.mark.parametrize(
    ("case", "trouble"), [(case, trouble) for case in CASES for trouble in case.troubles], ids=lambda value: value.name
)


@pytest.fixture
async def harness(case: ChannelCase) -> AsyncIterator[Harness]:
    async with case.open() as opened:
        yield opened


def parsed(harness: Harness, number: int = 0) -> InboundMessage:
    message = harness.parse(harness.received[number])
    assert isinstance(message, InboundMessage)
    return message


@every_fixture
async def test_what_a_provider_sends_is_read_as_it_was_meant(
    harness: Harness, case: ChannelCase, fixture: Fixture
) -> None:
    assert await harness.hand_over(fixture, Proof.RIGHT)
    message = parsed(harness)
    expected = fixture.expected
    assert message.channel is harness.channel.name
    assert (message.sender.kind, message.sender.value) == (expected["kind"], expected["sender"])
    assert message.received_at == harness.received[0].received_at
    for name in ("dedupe_key", "external_id", "recipient", "text", "extra"):
        assert getattr(message, name) == expected[name], name
    for name in ("sender_name", "in_reply_to_external_id", "subject"):
        assert getattr(message, name) == expected.get(name), name
    files = [[file.filename, file.content_type, file.url] for file in message.attachments]
    assert files == expected.get("attachments", [])


@every_channel
@pytest.mark.parametrize("proof", [Proof.WRONG, Proof.MISSING])
async def test_what_nobody_vouches_for_is_refused(harness: Harness, case: ChannelCase, proof: Proof) -> None:
    assert not await harness.hand_over(case.fixtures[0], proof)
    assert harness.received == []


@every_channel
async def test_a_replay_has_the_same_dedupe_key_and_another_message_has_not(
    harness: Harness, case: ChannelCase
) -> None:
    for fixture in (case.fixtures[0], case.fixtures[0], case.fixtures[1]):
        assert await harness.hand_over(fixture, Proof.RIGHT)
    first, again, other = (parsed(harness, number).dedupe_key for number in range(3))
    assert first == again != other


@every_channel
async def test_the_request_is_exactly_this_for_every_part(harness: Harness, case: ChannelCase) -> None:
    message = harness.outbound("A sentence of forty characters, or so. " * 100)
    for part in range(len(message.parts)):
        result = await harness.channel.send(message, part)
        assert result.external_id
    assert harness.sent_requests() == [harness.expected_request(message, part) for part in range(len(message.parts))]


@every_channel
async def test_parts_together_lose_no_word(harness: Harness, case: ChannelCase) -> None:
    text = "Grüße aus Köln 👩‍👩‍👧‍👦 und 東京。\n\n" * 200
    parts = harness.channel.split(text)
    assert [word for part in parts for word in part.split()] == text.split()


@every_trouble
async def test_every_trouble_has_its_consequence_and_shows_no_secret(
    harness: Harness, case: ChannelCase, trouble: Trouble
) -> None:
    harness.bring_on(trouble)
    message = harness.outbound("Hello")
    with pytest.raises(SendError) as raised:
        await harness.channel.send(message, 0)
    error = raised.value
    assert error.action is case.troubles[trouble]
    assert error.reason
    shown = "".join(traceback.format_exception(error)) + f"{error!r} {vars(error)} {harness.channel!r}"
    for secret in (*harness.secrets, message.recipient.value):
        assert secret not in shown


@every_channel
async def test_after_trouble_the_next_message_goes_out(harness: Harness, case: ChannelCase) -> None:
    message = harness.outbound("Hello")
    harness.bring_on(Trouble.FAULT)
    with pytest.raises(SendError):
        await harness.channel.send(message, 0)
    assert (await harness.channel.send(message, 0)).external_id
