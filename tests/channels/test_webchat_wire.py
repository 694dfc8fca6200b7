"""A chat frame becomes a message of ours, whatever a client sends; what we send back is what the docs say."""

from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.webchat import wire
from channels.webchat.wire import FrameError, build_raw_message, build_raw_report, parse, parse_frame
from gateway.domain.chat import ChatFile, ChatMessage
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.errors import ParseFailure
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Direction, InboundAttachment, InboundMessage, RawInbound, Source

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
VISITOR = new_id()
UPLOAD = new_id()
MESSAGE = new_id()


def raw(body: bytes, **meta: str) -> RawInbound:
    return RawInbound(source=Source.WEBCHAT, received_at=NOW, body=body, meta=meta or {"visitor": VISITOR})


def said(text: str = "Hello", id_: str = "c1", attachments: tuple[str, ...] = ()) -> wire.Say:
    frame = parse_frame(
        msgspec.json.encode({"type": "message", "id": id_, "text": text, "attachments": list(attachments)})
    )
    assert isinstance(frame, wire.Say)
    return frame


def test_a_message_frame_becomes_a_message_of_the_visitor() -> None:
    kept = build_raw_message(VISITOR, said("Olá 😀", attachments=(UPLOAD,)), NOW)
    assert (kept.source, kept.received_at, kept.meta) == (Source.WEBCHAT, NOW, {"visitor": VISITOR})
    assert parse(kept) == InboundMessage(
        channel=ChannelName.WEBCHAT,
        dedupe_key=f"webchat:{VISITOR}:c1",
        received_at=NOW,
        sender=Address(kind=AddressKind.VISITOR, value=VISITOR),
        text="Olá 😀",
        attachments=(InboundAttachment(filename="", content_type="", upload_id=UPLOAD),),
        extra={"client_id": "c1"},
    )


@pytest.mark.parametrize("status", [MessageStatus.DELIVERED, MessageStatus.READ])
def test_a_report_names_our_message_and_how_far_it_came(status: MessageStatus) -> None:
    assert parse(build_raw_report(VISITOR, MESSAGE, status, NOW)) == DeliveryReport(
        channel=ChannelName.WEBCHAT, status=status, received_at=NOW, message_id=MESSAGE
    )


def test_an_upload_named_twice_or_in_other_letters_is_attached_once() -> None:
    assert said(attachments=(UPLOAD, UPLOAD.upper())).attachments == [UPLOAD]


def test_the_same_id_of_two_visitors_is_two_keys_and_of_one_is_one() -> None:
    first, again, other = (parse(build_raw_message(who, said(), NOW)) for who in (VISITOR, VISITOR, new_id()))
    assert isinstance(first, InboundMessage)
    assert isinstance(again, InboundMessage)
    assert isinstance(other, InboundMessage)
    assert first.dedupe_key == again.dedupe_key != other.dedupe_key


@pytest.mark.parametrize(
    "kept",
    [
        raw(b""),
        raw(b"{}"),
        raw(b"\xff"),
        raw(b"[" * 5000),
        raw(b'{"id":""}'),
        raw(b'{"id":"c1","attachments":["no id"]}'),
        raw(b'{"message_id":"no id","status":"read"}'),
        raw(b'{"message_id":"x","status":"eaten"}'),
        raw(b'{"id":"c1"}', visitor=""),
        RawInbound(source=Source.WEBCHAT, received_at=NOW, body=b'{"id":"c1"}'),
    ],
)
def test_what_no_frame_of_ours_can_be_is_for_quarantine(kept: RawInbound) -> None:
    with pytest.raises(ParseFailure):
        parse(kept)


def test_what_got_past_the_edge_is_made_storable() -> None:
    message = parse(raw(b'{"id":"c\\u0000","text":"a\\u0000b"}'))
    assert isinstance(message, InboundMessage)
    assert (message.text, message.dedupe_key) == ("ab", f"webchat:{VISITOR}:c")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_an_error_of_ours(data: bytes) -> None:
    with suppress(FrameError):
        parse_frame(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_TYPES = st.sampled_from(["hello", "message", "delivered", "seen", "typing", "claim", "transcript", "ping", "x"])
_FIELDS = st.sampled_from(
    ["visitor", "identity", "after_seq", "language", "id", "text", "topic", "attachments", "seq", "name", "email"]
)


@given(_TYPES, st.dictionaries(_FIELDS, _JSON, max_size=4))
def test_any_fields_are_a_frame_or_an_error_of_ours(kind: str, fields: dict[str, object]) -> None:
    with suppress(FrameError):
        frame = parse_frame(msgspec.json.encode({"type": kind, **fields}))
        if isinstance(frame, wire.Say):
            assert isinstance(parse(build_raw_message(VISITOR, frame, NOW)), InboundMessage)


def test_a_topic_and_the_widgets_language_go_along_with_a_message() -> None:
    frame = parse_frame(b'{"type":"message","id":"c1","text":"Hi","topic":"order.status"}')
    assert isinstance(frame, wire.Say)
    message = parse(build_raw_message(VISITOR, frame, NOW, language="pt-BR"))
    assert isinstance(message, InboundMessage)
    assert (message.topic, message.language) == ("order.status", "pt-BR")


@pytest.mark.parametrize("text", ["", "Order.Status", "a.b.c", "../etc", "x" * 70, "a b"])
def test_what_can_be_no_topic_is_passed_over(text: str) -> None:
    frame = parse_frame(msgspec.json.encode({"type": "message", "id": "c1", "text": "Hi", "topic": text}))
    assert isinstance(frame, wire.Say)
    assert frame.topic is None
    forged = parse(raw(msgspec.json.encode({"id": "c1", "text": "Hi", "topic": text})))
    assert isinstance(forged, InboundMessage)
    assert forged.topic is None


@pytest.mark.parametrize(("text", "kept"), [("ja", "ja"), ("zh-Hant-TW", "zh-Hant-TW"), ("", None), ("a\nb", None)])
def test_what_can_be_no_language_is_passed_over(text: str, kept: str | None) -> None:
    assert parse_frame(msgspec.json.encode({"type": "hello", "language": text})) == wire.Hello(language=kept)
    forged = parse(raw(msgspec.json.encode({"id": "c1", "text": "Hi", "language": text})))
    assert isinstance(forged, InboundMessage)
    assert forged.language == kept


def test_what_is_said_of_the_agents_is_what_the_docs_say() -> None:
    assert wire.build_read(3) == b'{"type":"read","seq":3}'
    assert wire.build_away([ChannelName.EMAIL, ChannelName.SMS]) == b'{"type":"away","by":["email","sms"]}'
    assert wire.build_away([]) == b'{"type":"away","by":[]}'


def test_a_newer_client_may_say_more_than_we_know() -> None:
    assert parse_frame(b'{"type":"seen","seq":3,"mood":"fine"}') == wire.Seen(seq=3)


def message(**changes: object) -> ChatMessage:
    return ChatMessage(
        **{  # type: ignore[arg-type]
            "id": MESSAGE,
            "chat_seq": 4,
            "direction": Direction.OUTBOUND,
            "channel": ChannelName.WEBCHAT,
            "author_kind": AuthorKind.AGENT,
            "author_name": "Ben",
            "text": "Here it is.",
            "html": None,
            "status": MessageStatus.SENT,
            "at": NOW,
        }
        | changes
    )


SHOWN = {
    "id": MESSAGE,
    "direction": "outbound",
    "text": "Here it is.",
    "attachments": [],
    "author": {"kind": "agent", "name": "Ben"},
    "at": "2026-11-20T09:00:00Z",
    "status": "sent",
}


def test_a_message_is_shown_with_its_number() -> None:
    assert msgspec.json.decode(wire.build_message(message())) == SHOWN | {"type": "message", "seq": 4}


def test_a_message_is_shown_with_its_files_its_html_and_the_clients_id() -> None:
    file = ChatFile(id=UPLOAD, filename="a.pdf", content_type="application/pdf", size=3, url="https://x.example/f")
    shown = msgspec.json.decode(wire.build_message(message(files=[file], html="<p>", client_id="c1")))
    assert (shown["html"], shown["client_id"]) == ("<p>", "c1")
    assert shown["attachments"] == [
        {"id": UPLOAD, "filename": "a.pdf", "content_type": "application/pdf", "size": 3, "url": "https://x.example/f"}
    ]


def test_a_message_from_elsewhere_says_from_where_and_has_no_number() -> None:
    shown = msgspec.json.decode(wire.build_history(message(channel=ChannelName.SMS, chat_seq=None)))
    assert shown == SHOWN | {"type": "history", "channel": "sms"}
