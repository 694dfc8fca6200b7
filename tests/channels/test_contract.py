"""The suite that every channel passes, whatever it is made of; tests/support/channel_contract.py says how to join."""

import traceback
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from channels.sms.adapter import SmsChannel
from channels.whatsapp.adapter import WhatsAppChannel
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import InboundMessage
from storage.database import open_database
from storage.live.contract import LiveBus
from storage.tables import messages
from tests.support import email_harness, twilio, webchat_harness
from tests.support.channel_contract import ChannelCase, Fixture, Harness, Proof, Trouble, Unproved, load_recorded
from tests.support.email_harness import mail_fixture
from tests.support.twilio import form_fixture
from tests.support.webchat_harness import frame_fixture

_SIGNED = {
    Proof.WRONG: Unproved.REFUSED,
    Proof.MISSING: Unproved.REFUSED,
    Proof.ELSEWHERE: Unproved.REFUSED,
}
# Anybody may write to a mailbox and open a chat; only the right token leads to somebody's conversation.
_OPEN_TO_ALL = {
    Proof.WRONG: Unproved.STRANGER,
    Proof.MISSING: Unproved.STRANGER,
    Proof.ELSEWHERE: Unproved.REFUSED,
}
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
# A mail server says 4xx before or after the content, and keeps nothing then; it knows of no opt-out.
_SMTP_TROUBLES = {
    Trouble.THROTTLED: SendAction.RETRY,
    Trouble.FAULT: SendAction.RETRY,
    Trouble.TIMEOUT: SendAction.IN_DOUBT,
    Trouble.DROPPED: SendAction.IN_DOUBT,
    Trouble.GARBLED: SendAction.IN_DOUBT,
    Trouble.UNREACHABLE: SendAction.RETRY,
    Trouble.BAD_ADDRESS: SendAction.FLAG_ADDRESS,
    Trouble.BAD_CREDENTIALS: SendAction.STOP_CHANNEL,
}

CASES = (
    ChannelCase(
        name="sms",
        open=partial(twilio.open_harness, SmsChannel),
        fixtures=[form_fixture(recorded) for recorded in load_recorded("sms.json")],
        unproved=_SIGNED,
        troubles=_TWILIO_TROUBLES,
    ),
    ChannelCase(
        name="whatsapp",
        open=partial(twilio.open_harness, WhatsAppChannel),
        fixtures=[form_fixture(recorded) for recorded in load_recorded("whatsapp.json")],
        unproved=_SIGNED,
        troubles=_TWILIO_TROUBLES,
    ),
    ChannelCase(
        name="email",
        open=email_harness.open_harness,
        fixtures=[mail_fixture(recorded) for recorded in load_recorded("email.json")],
        unproved=_OPEN_TO_ALL,
        troubles=_SMTP_TROUBLES,
    ),
    ChannelCase(
        name="webchat",
        open=webchat_harness.open_harness,
        fixtures=[frame_fixture(recorded) for recorded in load_recorded("webchat.json")],
        unproved=_OPEN_TO_ALL,
        troubles={},  # nothing leaves
    ),
)
every_channel = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_fixture = pytest.mark.parametrize(
    ("case", "fixture"),
    [(case, fixture) for case in CASES for fixture in case.fixtures],
    ids=lambda value: value.name,
)
every_proof = pytest.mark.parametrize(
    ("case", "proof"), [(case, proof) for case in CASES for proof in case.unproved], ids=lambda value: value.name
)
every_trouble = pytest.mark.parametrize(
    ("case", "trouble"), [(case, trouble) for case in CASES for trouble in case.troubles], ids=lambda value: value.name
)


@pytest.fixture
async def harness(case: ChannelCase, sqlite_url: str, bus: LiveBus) -> AsyncIterator[Harness]:
    database = open_database(sqlite_url, bus)
    async with case.open(database, bus) as opened:
        yield opened
    await database.close()


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
    for name in ("sender_name", "in_reply_to_external_id", "subject", "html"):
        assert getattr(message, name) == expected.get(name), name
    for name in ("references", "cc"):
        assert list(getattr(message, name)) == expected.get(name, []), name
    files = [[file.filename, file.content_type, file.url] for file in message.attachments]
    assert files == expected.get("attachments", [])
    assert harness.is_vouched_for(message)


@every_proof
async def test_what_nobody_vouches_for_is_refused_or_stands_as_a_strangers(
    harness: Harness, case: ChannelCase, proof: Proof
) -> None:
    is_taken = await harness.hand_over(case.fixtures[0], proof)
    if case.unproved[proof] is Unproved.REFUSED:
        assert not is_taken
        assert harness.received == []
    else:
        assert is_taken
        assert not harness.is_vouched_for(parsed(harness))


@every_channel
async def test_a_replay_is_stored_once_and_another_message_beside_it(
    harness: Harness, case: ChannelCase, sqlite_url: str, bus: LiveBus
) -> None:
    for fixture in (case.fixtures[0], case.fixtures[0], case.fixtures[1]):
        assert await harness.hand_over(fixture, Proof.RIGHT)
    first, again, other = (parsed(harness, number).dedupe_key for number in range(3))
    assert first == again != other
    database = open_database(sqlite_url, bus)
    async with database.read() as conn:
        stored = list((await conn.execute(select(messages.c.text).order_by(messages.c.id))).scalars())
    await database.close()
    assert stored == [fixture.expected["text"] for fixture in case.fixtures[:2]]


@every_channel
async def test_the_request_is_exactly_this_for_every_part(harness: Harness, case: ChannelCase) -> None:
    message = await harness.outbound("A sentence of forty characters, or so. " * 100)
    for part in range(len(message.parts)):
        result = await harness.send(message, part)
        assert result.status is MessageStatus.SENT
        assert (result.external_id is None) is harness.channel.capabilities.is_local
    expected = [harness.expected_request(message, part) for part in range(len(message.parts))]
    assert await harness.sent_requests() == expected


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
    message = await harness.outbound("Hello")
    with pytest.raises(SendError) as raised:
        await harness.send(message, 0)
    error = raised.value
    assert error.action is case.troubles[trouble]
    assert error.reason
    shown = "".join(traceback.format_exception(error)) + f"{error!r} {vars(error)}"
    for secret in (*harness.secrets, message.recipient.value):
        assert secret not in shown


@pytest.mark.parametrize("case", [case for case in CASES if Trouble.FAULT in case.troubles], ids=lambda case: case.name)
async def test_after_trouble_the_next_message_goes_out(harness: Harness, case: ChannelCase) -> None:
    message = await harness.outbound("Hello")
    harness.bring_on(Trouble.FAULT)
    with pytest.raises(SendError):
        await harness.send(message, 0)
    assert (await harness.send(message, 0)).status is MessageStatus.SENT


@every_channel
async def test_no_line_of_the_log_and_no_repr_shows_words_addresses_or_secrets(
    harness: Harness, case: ChannelCase, caplog: pytest.LogCaptureFixture
) -> None:
    words = "Only between the two of us"
    with capture_logs() as lines:
        for proof in Proof:
            await harness.hand_over(case.fixtures[0], proof)
        message = await harness.outbound(words)
        await harness.send(message, 0)
        for trouble in case.troubles:
            harness.bring_on(trouble)
            with pytest.raises(SendError):
                await harness.send(message, 0)
    expected = case.fixtures[0].expected
    shown = f"{lines} {caplog.text} {harness.channel!r}"
    for secret in (*harness.secrets, message.recipient.value, expected["sender"], expected["text"], words):
        assert secret not in shown
