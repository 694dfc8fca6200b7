"""The Messages resource and the error table: what SMS and WhatsApp share in sending."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.http import HttpClient
from channels.sms.adapter import SmsChannel
from channels.twilio import TwilioAccount, TwilioMessages, status_of
from channels.twilio_errors import rule_for
from channels.whatsapp.adapter import WhatsAppChannel
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import SendAction, SendError
from tests.support.twilio import (
    ACCOUNT_SID,
    CUSTOMER,
    NOW,
    PUBLIC_URL,
    TOKEN,
    account_at,
    outbound,
    stand_in,
)

# The error table


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (20003, SendAction.STOP_CHANNEL),
        (20404, SendAction.STOP_CHANNEL),
        (20429, SendAction.WAIT),
        (21211, SendAction.FLAG_ADDRESS),
        (21408, SendAction.FAIL),
        (21610, SendAction.SUPPRESS),
        (21611, SendAction.WAIT),
        (21614, SendAction.FLAG_ADDRESS),
        (21617, SendAction.FAIL),
        (30002, SendAction.STOP_CHANNEL),
        (30003, SendAction.RETRY),
        (30006, SendAction.FLAG_ADDRESS),
        (30007, SendAction.FAIL),
        (30008, SendAction.RETRY),
        (30034, SendAction.FAIL),
        (63003, SendAction.FLAG_ADDRESS),
        (63016, SendAction.FAIL),
        (63018, SendAction.WAIT),
    ],
)
def test_error_codes_have_their_action(code: int, action: SendAction) -> None:
    rule = rule_for(str(code))
    assert rule is not None
    assert rule.action is action
    assert rule.reason.endswith(".")


@pytest.mark.parametrize("code", [None, "", "1", "abc", "٣", "9" * 5000])
def test_a_code_that_nobody_knows_has_no_rule(code: str | None) -> None:
    assert rule_for(code) is None


# Sending


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(total_timeout_s=10) as client:
        yield client


async def send(account: TwilioAccount, http: HttpClient) -> None:
    await SmsChannel(account, TwilioMessages(account, http)).send(outbound(ChannelName.SMS, "Hi"), 0)


async def answer_with(answer: web.Response, http: HttpClient) -> SendError:
    """Return what the adapter makes of an answer of the API's."""

    async def handle(request: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    async with TestServer(app) as server:
        with pytest.raises(SendError) as raised:
            await send(account_at(str(server.make_url("/"))), http)
    return raised.value


async def test_a_messaging_service_sends_where_there_is_one(http: HttpClient) -> None:
    provider = stand_in()
    async with provider.serving() as url:
        await send(replace(account_at(url), messaging_service_sid="MG1"), http)
    (message,) = provider.accepted
    assert (message.messaging_service_sid, message.sender) == ("MG1", None)


async def test_files_go_as_links_with_the_first_part(http: HttpClient) -> None:
    provider = stand_in()
    files = ["https://gateway.example/f/1?sig=a%2Bb", "https://gateway.example/f/2"]
    async with provider.serving() as url:
        account = account_at(url)
        channel = WhatsAppChannel(account, TwilioMessages(account, http))
        message = outbound(ChannelName.WHATSAPP, "", "two", files=files)
        for part in range(2):
            await channel.send(message, part)
    first, second = provider.accepted
    assert (first.media_urls, second.media_urls) == (files, [])
    assert "Body" not in dict(provider.requests[0].form)
    assert first.to == f"whatsapp:{CUSTOMER}"


@pytest.mark.parametrize("files", [[None], ["https://gateway.example/f"] * 11])
async def test_files_that_twilio_can_not_take_stop_the_message(http: HttpClient, files: list[str | None]) -> None:
    provider = stand_in()
    async with provider.serving() as url:
        account = account_at(url)
        channel = SmsChannel(account, TwilioMessages(account, http))
        with pytest.raises(SendError) as raised:
            await channel.send(outbound(ChannelName.SMS, "Hi", files=files), 0)
    assert raised.value.action is SendAction.FAIL
    assert provider.accepted == []


@pytest.mark.parametrize(
    ("answer", "action", "code"),
    [
        (web.Response(status=400, text="<html>"), SendAction.FAIL, "400"),
        (web.json_response({"code": 77777, "message": f"{CUSTOMER} is wrong"}, status=400), SendAction.FAIL, "77777"),
        (web.json_response({"code": "odd"}, status=400), SendAction.FAIL, "400"),
        (web.json_response({"code": 63016}, status=400), SendAction.FAIL, "63016"),
        (web.Response(status=401), SendAction.STOP_CHANNEL, "401"),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), SendAction.STOP_CHANNEL, "302"),
        (web.Response(status=408), SendAction.IN_DOUBT, None),
        (web.Response(status=500), SendAction.IN_DOUBT, None),
        (web.Response(status=503, headers={"Retry-After": "1"}), SendAction.IN_DOUBT, None),
        (web.json_response({"sid": ""}, status=201), SendAction.IN_DOUBT, None),
        (web.json_response([], status=201), SendAction.IN_DOUBT, None),
        (web.Response(status=201, body=b"\xff"), SendAction.IN_DOUBT, None),
        (web.Response(status=201, body=b" " * 5_000_000), SendAction.IN_DOUBT, None),
        (web.json_response({"sid": "SM1", "status": "failed", "error_code": 30006}), SendAction.FLAG_ADDRESS, "30006"),
    ],
)
async def test_every_odd_answer_has_its_consequence(
    http: HttpClient, answer: web.Response, action: SendAction, code: str | None
) -> None:
    error = await answer_with(answer, http)
    assert (error.action, error.code) == (action, code)
    assert CUSTOMER not in error.reason


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "999999"}, 3600),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT", "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 30),
        ({"Retry-After": "Fri, 20 Nov 2026 11:00:00 GMT", "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_a_429_is_waited_out(http: HttpClient, headers: dict[str, str], wait_s: float | None) -> None:
    error = await answer_with(web.Response(status=429, headers=headers), http)
    assert (error.action, error.code, error.retry_after_s) == (SendAction.WAIT, "20429", wait_s)


@pytest.mark.parametrize("channel", [SmsChannel, WhatsAppChannel])
def test_a_channel_without_a_sender_can_not_be_made(channel: type[SmsChannel] | type[WhatsAppChannel]) -> None:
    account = TwilioAccount(account_sid=ACCOUNT_SID, auth_tokens=(TOKEN,), public_url=PUBLIC_URL)
    with pytest.raises(ValueError):
        channel(account, None)  # type: ignore[arg-type]


# Listing


@pytest.mark.parametrize("channel", [SmsChannel, WhatsAppChannel])
async def test_what_was_sent_is_listed_over_all_pages(
    http: HttpClient, channel: type[SmsChannel] | type[WhatsAppChannel]
) -> None:
    provider = stand_in()
    async with provider.serving() as url:
        account = account_at(url)
        sender = channel(account, TwilioMessages(account, http))
        kind = ChannelName.SMS if channel is SmsChannel else ChannelName.WHATSAPP
        for number in range(450):
            await sender.send(outbound(kind, f"Message {number}"), 0)
        provider.accepted[0].created_at -= timedelta(hours=1)
        provider.requests.clear()
        records = await sender.list_sent(CUSTOMER, provider.accepted[1].created_at)
    assert [record.external_id for record in records] == [message.sid for message in provider.accepted[:0:-1]]
    assert {record.recipient for record in records} == {CUSTOMER}
    assert records[-1].text == "Message 1"
    assert len(provider.requests) == 3


async def test_a_message_still_queued_at_twilio_is_listed(http: HttpClient) -> None:
    provider = stand_in()
    async with provider.serving() as url:
        account = account_at(url)
        channel = SmsChannel(account, TwilioMessages(account, http))
        await channel.send(outbound(ChannelName.SMS, "Hi"), 0)
        provider.accepted[0].sent_at, provider.accepted[0].status = None, "queued"
        (record,) = await channel.list_sent(CUSTOMER, provider.accepted[0].created_at)
        assert await channel.list_sent("+14155550000", provider.accepted[0].created_at) == []
    assert record.status is MessageStatus.SENT


@pytest.mark.parametrize(
    ("status", "text", "action"),
    [
        (500, "", SendAction.RETRY),
        (429, "", SendAction.WAIT),
        (401, '{"code": 20003}', SendAction.STOP_CHANNEL),
        (200, "<html>", SendAction.RETRY),
        (200, '{"messages": [{}]}', SendAction.RETRY),
    ],
)
async def test_a_list_that_can_not_be_had_is_an_error(
    http: HttpClient, status: int, text: str, action: SendAction
) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server:
        account = account_at(str(server.make_url("/")))
        with pytest.raises(SendError) as raised:
            await TwilioMessages(account, http).list_sent(CUSTOMER, NOW)
    assert raised.value.action is action


async def test_a_next_page_on_another_host_is_not_asked(http: HttpClient) -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        uri = f"//localhost:{request.url.port}/2010-04-01/x.json"
        return web.json_response({"messages": [], "next_page_uri": uri})

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server:
        account = account_at(str(server.make_url("/")))
        assert await TwilioMessages(account, http).list_sent(CUSTOMER, NOW) == []
    assert len(seen) == 1


async def test_a_row_without_a_readable_date_counts(http: HttpClient) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response({"messages": [{"sid": "SM1", "date_created": "?", "body": "Hi", "status": "odd"}]})

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server:
        account = account_at(str(server.make_url("/")))
        (record,) = await TwilioMessages(account, http).list_sent(CUSTOMER, NOW)
    assert (record.external_id, record.text, record.status) == ("SM1", "Hi", MessageStatus.SENT)


def test_words_of_inbound_messages_are_no_status() -> None:
    assert status_of("received") is None
