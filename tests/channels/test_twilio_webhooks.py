"""Whose webhooks are taken, and what becomes of them; status callbacks."""

import base64
import hmac
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from channels.twilio import RETRY_OVERRIDES, SignatureCheck
from channels.twilio_wire import parse_message, parse_report
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import ParseFailure
from gateway.domain.ids import new_id
from gateway.domain.message import RawInbound, Source
from tests.support.twilio import (
    CUSTOMER,
    NOW,
    PUBLIC_URL,
    SHOP_NUMBER,
    TOKEN,
    Edge,
    account_at,
    sign,
)

MESSAGES = "/webhooks/twilio/messages"
STATUS = "/webhooks/twilio/status"
FORM = [("MessageSid", "SM1"), ("From", CUSTOMER), ("To", SHOP_NUMBER), ("Body", "Hi"), ("ToCity", "")]


def checked(url: str, form: Sequence[tuple[str, str]], signature: str, *tokens: str) -> bool:
    check = SignatureCheck(replace(account_at("http://api.example"), auth_tokens=tokens or (TOKEN,)))
    return check.is_genuine(url, urlencode(form).encode(), CIMultiDict({"X-Twilio-Signature": signature}))


# Signatures


def test_the_published_vector_is_genuine() -> None:
    account = replace(account_at("http://api.example"), auth_tokens=("12345",), public_url="https://example.com")
    form = [
        ("Digits", "1234"),
        ("To", "+18005551212"),
        ("From", "+14158675310"),
        ("Caller", "+14158675310"),
        ("CallSid", "CA1234567890ABCDE"),
    ]
    headers = {"X-Twilio-Signature": "L/OH5YylLD5NRKLltdqwSvS0BnU="}
    assert SignatureCheck(account).is_genuine("/myapp.php?foo=1&bar=2", urlencode(form).encode(), headers)


def test_blank_fields_and_spaces_count() -> None:
    form = [*FORM, ("Note", "  a  ")]
    assert checked(MESSAGES, form, sign(PUBLIC_URL + MESSAGES, form))
    assert not checked(MESSAGES, form, sign(PUBLIC_URL + MESSAGES, [pair for pair in form if pair[1]]))


def test_every_value_of_a_repeated_name_counts() -> None:
    # The SDK sorts the values of a name and leaves out equal ones: x=1&x=2&x=1 is signed as x1x2.
    signature = sign(PUBLIC_URL + MESSAGES, [("x1x", "2")])
    assert checked(MESSAGES, [("x", "2"), ("x", "1"), ("x", "2")], signature)
    assert not checked(MESSAGES, [("x", "2")], signature)


def test_the_query_is_signed_with_its_percent_encoding_as_it_came() -> None:
    path = f"{STATUS}?message=a%2Db&x=%c3%a9&empty=&plus=a+b"
    assert checked(path, FORM, sign(PUBLIC_URL + path, FORM))
    assert not checked(path.replace("%2D", "-"), FORM, sign(PUBLIC_URL + path, FORM))


@pytest.mark.parametrize("port", ["", ":443"])
def test_the_standard_port_may_be_named_or_not(port: str) -> None:
    assert checked(MESSAGES, FORM, sign(f"{PUBLIC_URL}{port}{MESSAGES}", FORM))


def test_another_port_is_another_url() -> None:
    assert not checked(MESSAGES, FORM, sign(f"{PUBLIC_URL}:8443{MESSAGES}", FORM))


def test_overrides_may_be_signed_or_not() -> None:
    assert checked(STATUS, FORM, sign(PUBLIC_URL + STATUS + RETRY_OVERRIDES, FORM))
    assert not checked(STATUS, FORM, sign(PUBLIC_URL + STATUS + "#rc=1", FORM))


def test_each_of_several_tokens_is_accepted() -> None:
    signature = sign(PUBLIC_URL + MESSAGES, FORM, "old")
    assert checked(MESSAGES, FORM, signature, "new", "old")
    assert not checked(MESSAGES, FORM, signature, "new")


def test_a_shared_key_signs_with_sha256() -> None:
    check = SignatureCheck(account_at("http://api.example"))
    signed = f"{PUBLIC_URL}{MESSAGES}BodyHiMessageSidSM1"
    headers = {
        "X-Twilio-Signature": base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha256")).decode(),
        "X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
    }
    assert check.is_genuine(MESSAGES, b"Body=Hi&MessageSid=SM1", headers)
    assert not check.is_genuine(MESSAGES, b"Body=Ho&MessageSid=SM1", headers)


@pytest.mark.parametrize("tokens", [(), ("",), ("good", "")])
def test_an_account_without_a_token_can_not_be_made(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        replace(account_at("http://api.example"), auth_tokens=tokens)


@given(st.binary(max_size=60), st.text(max_size=30), st.text(max_size=20))
def test_nothing_that_is_sent_breaks_the_check(body: bytes, path: str, signature: str) -> None:
    check = SignatureCheck(account_at("http://api.example"))
    for raw_path in (path, "/" + path, "http://" + path):
        assert not check.is_genuine(raw_path, body, {"X-Twilio-Signature": signature})


def test_an_account_shows_no_token() -> None:
    assert TOKEN not in repr(account_at("http://api.example"))


# Webhooks


@pytest.fixture
def edge() -> Edge:
    return Edge()


@pytest.fixture
async def edge_url(edge: Edge) -> AsyncIterator[str]:
    async with edge.serving(account_at("http://api.example")) as url:
        yield url


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def post(session: aiohttp.ClientSession, url: str, path: str, body: bytes, signature: str) -> tuple[int, str]:
    # A proxy's headers and a foreign Host must not matter: the URL is rebuilt from the settings.
    headers = {
        "X-Twilio-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded",
        "Host": "elsewhere.example",
        "X-Forwarded-Host": "elsewhere.example",
    }
    async with session.post(url + path, data=body, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_a_webhook_is_answered_with_empty_twiml(
    edge: Edge, edge_url: str, session: aiohttp.ClientSession
) -> None:
    headers = {"X-Twilio-Signature": sign(PUBLIC_URL + MESSAGES, FORM)}
    async with session.post(edge_url + MESSAGES, data=FORM, headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/xml"
        assert await answer.text() == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    (raw,) = edge.received
    assert raw == RawInbound(
        source=Source.TWILIO_MESSAGE, received_at=NOW, body=urlencode(FORM).encode(), meta={"query": ""}
    )


async def test_a_status_callback_brings_the_query_of_its_url(
    edge: Edge, edge_url: str, session: aiohttp.ClientSession
) -> None:
    message_id = new_id()
    path = f"{STATUS}?message={message_id}&part=2"
    form = [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("To", CUSTOMER)]
    status, _ = await post(session, edge_url, path, urlencode(form).encode(), sign(PUBLIC_URL + path, form))
    assert status == 200
    report = parse_report(edge.received[0])
    assert (report.message_id, report.part, report.status) == (message_id, 2, MessageStatus.DELIVERED)


async def test_a_webhook_may_come_as_get(edge: Edge, edge_url: str, session: aiohttp.ClientSession) -> None:
    path = f"{MESSAGES}?{urlencode(FORM)}"
    headers = {"X-Twilio-Signature": sign(PUBLIC_URL + path, [])}
    async with session.get(URL(edge_url + path, encoded=True), headers=headers) as answer:
        assert answer.status == 200
    assert parse_message(edge.received[0]).text == "Hi"


@pytest.mark.parametrize("path", [MESSAGES, STATUS])
async def test_a_wrong_signature_is_403(edge: Edge, edge_url: str, session: aiohttp.ClientSession, path: str) -> None:
    for signature in ("", "x", sign(PUBLIC_URL + path, FORM, "another token"), sign(edge_url + path, FORM)):
        status, text = await post(session, edge_url, path, urlencode(FORM).encode(), signature)
        assert status == 403
        assert TOKEN not in text
    async with session.get(edge_url + path) as answer:
        assert answer.status == 403
    assert edge.received == []


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_form_over_the_limit_is_413(
    edge: Edge, edge_url: str, session: aiohttp.ClientSession, is_streamed: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"a" * 10_000

    body = chunks() if is_streamed else b"a" * 400_000
    async with session.post(edge_url + MESSAGES, data=body, headers={"X-Twilio-Signature": "x"}) as answer:
        assert answer.status == 413
    assert edge.received == []


@pytest.mark.parametrize(
    ("body", "signed"),
    [
        (b"", []),
        (b"no form at all", [("no form at all", "")]),
        (b"Body=%00%FF%C3", [("Body", "\x00\ufffd\ufffd")]),
        (b"\xff\xfe=1", [("\ufffd\ufffd", "1")]),
        (b"Body=%ED%A0%80", [("Body", "\ufffd\ufffd\ufffd")]),
    ],
)
async def test_what_is_signed_but_makes_no_sense_is_kept_and_acknowledged(
    edge: Edge, edge_url: str, session: aiohttp.ClientSession, body: bytes, signed: list[tuple[str, str]]
) -> None:
    for path in (MESSAGES, STATUS):
        status, _ = await post(session, edge_url, path, body, sign(PUBLIC_URL + path, signed))
        assert status == 200
    assert [raw.body for raw in edge.received] == [body, body]
    with pytest.raises(ParseFailure):
        parse_message(edge.received[0])
    with pytest.raises(ParseFailure):
        parse_report(edge.received[1])


# Status callbacks


def status_raw(query: str = "", **fields: str) -> RawInbound:
    body = urlencode({"MessageSid": "SM1", "To": CUSTOMER, "From": SHOP_NUMBER, **fields}).encode()
    return RawInbound(source=Source.TWILIO_STATUS, received_at=NOW, body=body, meta={"query": query})


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", MessageStatus.SENT),
        ("sent", MessageStatus.SENT),
        ("delivered", MessageStatus.DELIVERED),
        ("READ", MessageStatus.READ),
        ("undelivered", MessageStatus.FAILED),
        ("failed", MessageStatus.FAILED),
    ],
)
def test_every_status_word_has_its_place(word: str, status: MessageStatus) -> None:
    assert parse_report(status_raw(MessageStatus=word)).status is status


@pytest.mark.parametrize("word", ["received", "receiving", "", "brand-new"])
def test_a_status_of_no_outbound_message_is_quarantined(word: str) -> None:
    with pytest.raises(ParseFailure):
        parse_report(status_raw(MessageStatus=word))


def test_a_failure_says_why_in_plain_words() -> None:
    report = parse_report(status_raw(MessageStatus="undelivered", ErrorCode="30008"))
    assert (report.error_code, report.error) == ("30008", "The carrier did not deliver the message and gave no reason.")
    assert not report.suppress
    unknown = parse_report(status_raw(MessageStatus="failed", ErrorCode="39999"))
    assert unknown.error == "The carrier did not deliver the message (code 39999)."


def test_an_opt_out_that_is_told_late_suppresses() -> None:
    assert parse_report(status_raw(MessageStatus="failed", ErrorCode="21610")).suppress


def test_a_success_carries_no_error() -> None:
    report = parse_report(status_raw(MessageStatus="delivered", ErrorCode="21610"))
    assert (report.error_code, report.error, report.suppress) == (None, None, False)


def test_a_report_knows_its_channel() -> None:
    assert parse_report(status_raw(MessageStatus="sent")).channel is ChannelName.SMS
    assert parse_report(status_raw(MessageStatus="sent", To="whatsapp:+1415")).channel is ChannelName.WHATSAPP


@pytest.mark.parametrize(
    "query", ["", "message=&part=", "message=1%27%20or&part=x", "part=1", "message=%00", "&&&=", "%ff"]
)
def test_a_report_with_a_damaged_query_still_has_its_sid(query: str) -> None:
    report = parse_report(status_raw(query, MessageStatus="sent"))
    assert (report.external_id, report.message_id, report.part) == ("SM1", None, 0)


def test_a_form_of_more_fields_than_twilio_has_is_not_looked_at() -> None:
    form = [(f"field{number}", "") for number in range(1001)]
    assert checked(MESSAGES, form[:1000], sign(PUBLIC_URL + MESSAGES, form[:1000]))
    assert not checked(MESSAGES, form, sign(PUBLIC_URL + MESSAGES, form))
