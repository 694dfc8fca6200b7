"""The chat socket's frames, and what the intake keeps of them, as values of ours.

A frame is one JSON object with a `type`. `docs/chat.md` describes them for whoever writes another client.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from gateway.domain.chat import ChatFile, ChatMessage, VisitorClaim
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.errors import NotFound, ParseFailure
from gateway.domain.ids import parse_id
from gateway.domain.message import InboundAttachment, InboundMessage, RawInbound, Source
from gateway.domain.text import storable_text

MAX_TEXT = 8_000  # characters
MAX_FILES = 10
MAX_FRAME_BYTES = 128 * 1024  # 8,000 characters beyond the BMP, each written as two \uXXXX, and what stands around them
_CLIENT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # RFC 5646, loosely
_MAX_LANGUAGE = 35  # characters
_TOPIC = re.compile(r"[a-z_]{1,31}(\.[a-z_]{1,31})?")

_ChatSeq = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Token = Annotated[str, msgspec.Meta(max_length=8192)]
_Typed = Annotated[str, msgspec.Meta(max_length=200)]


class Hello(msgspec.Struct, tag="hello"):
    visitor: _Token | None = None
    identity: _Token | None = None
    after_seq: _ChatSeq = 0
    language: str | None = None  # the widget's, BCP 47; what is none counts as not said


class Say(msgspec.Struct, tag="message"):
    id: str
    text: str = ""
    attachments: list[str] = []
    topic: str | None = None  # of the taxonomy; what can be none of it counts as not said


class Delivered(msgspec.Struct, tag="delivered"):
    seq: _ChatSeq  # everything up to this


class Seen(msgspec.Struct, tag="seen"):
    seq: _ChatSeq


class Typing(msgspec.Struct, tag="typing"):
    pass


class Claim(msgspec.Struct, tag="claim"):
    name: _Typed | None = None
    email: _Typed | None = None
    phone: _Typed | None = None

    @property
    def value(self) -> VisitorClaim:
        return VisitorClaim(name=self.name, email=self.email, phone=self.phone)


class Transcript(msgspec.Struct, tag="transcript"):
    email: _Typed


class Ping(msgspec.Struct, tag="ping"):
    pass


Frame = Hello | Say | Delivered | Seen | Typing | Claim | Transcript | Ping


class FrameError(Exception):
    """A frame that we don't take; `client_id` is that of the message it was to carry, where it can be read."""

    def __init__(self, code: str, message: str, client_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.client_id = client_id


class _Named(msgspec.Struct):
    id: str | None = None


_FRAMES = msgspec.json.Decoder(Frame)
_NAMED = msgspec.json.Decoder(_Named)


def parse_frame(data: bytes) -> Frame:
    """Read a client's frame.

    Raises:
        FrameError: it is none of ours, or a message that can't be taken.
    """
    try:
        frame: Frame = _FRAMES.decode(data)
    except msgspec.ValidationError as error:
        raise FrameError("bad_frame", str(error), find_client_id(data)) from None
    except (ValueError, RecursionError):  # msgspec's own errors and UnicodeDecodeError are ValueErrors
        raise FrameError("bad_json", "A frame is a JSON object in UTF-8.") from None
    if isinstance(frame, Say):
        _check_message(frame)
        frame.topic = _read_topic(frame.topic)
    elif isinstance(frame, Hello):
        frame.language = _read_language(frame.language)
    elif isinstance(frame, Claim) and any("\x00" in (typed or "") for typed in (frame.name, frame.email, frame.phone)):
        raise FrameError("bad_text", "A text can't hold a NUL character.")
    return frame


def _read_language(text: str | None) -> str | None:
    return text if text and len(text) <= _MAX_LANGUAGE and _LANGUAGE.fullmatch(text) else None


def _read_topic(text: str | None) -> str | None:
    return text if text and _TOPIC.fullmatch(text) else None


def _check_message(frame: Say) -> None:
    if not _CLIENT_ID.fullmatch(frame.id):
        raise FrameError("bad_id", "An id has 1 to 64 letters, digits and any of _ . : -")
    if len(frame.text) > MAX_TEXT:
        raise FrameError("too_long", f"A message has at most {MAX_TEXT} characters.", frame.id)
    if "\x00" in frame.text:
        raise FrameError("bad_text", "A text can't hold a NUL character.", frame.id)
    if len(frame.attachments) > MAX_FILES:
        raise FrameError("too_many_files", f"A message has at most {MAX_FILES} files.", frame.id)
    if not frame.text.strip() and not frame.attachments:
        raise FrameError("empty", "There is nothing in this message.", frame.id)
    try:
        frame.attachments = list(dict.fromkeys(parse_id(upload) for upload in frame.attachments))
    except NotFound:
        raise FrameError("unknown_attachment", "There is no such upload of yours.", frame.id) from None


def find_client_id(data: bytes) -> str | None:
    """Return the client's id of a message that is otherwise no good, so that its error can name it."""
    try:
        found = _NAMED.decode(data).id
    except (ValueError, RecursionError):
        return None
    return found if found and _CLIENT_ID.fullmatch(found) else None


class _Body(msgspec.Struct, omit_defaults=True):
    """What the intake keeps of a frame: a message, or a report on one of ours."""

    id: str | None = None
    text: str = ""
    attachments: list[str] = []
    topic: str | None = None
    language: str | None = None
    message_id: str | None = None
    status: MessageStatus | None = None


def build_raw_message(visitor: str, frame: Say, received_at: datetime, *, language: str | None = None) -> RawInbound:
    """Return a message for the intake; `language` is the widget's."""
    body = _Body(id=frame.id, text=frame.text, attachments=frame.attachments, topic=frame.topic, language=language)
    return _raw(visitor, body, received_at)


def build_raw_report(visitor: str, message_id: str, status: MessageStatus, received_at: datetime) -> RawInbound:
    """Return, for the intake, that a message of ours was delivered or read."""
    return _raw(visitor, _Body(message_id=message_id, status=status), received_at)


def _raw(visitor: str, body: _Body, received_at: datetime) -> RawInbound:
    meta = {"visitor": visitor}
    return RawInbound(source=Source.WEBCHAT, received_at=received_at, body=msgspec.json.encode(body), meta=meta)


def parse(raw: RawInbound) -> InboundMessage | DeliveryReport:
    """Read what the intake kept of a frame.

    Raises:
        ParseFailure: it is nothing that this module wrote.
    """
    visitor = raw.meta.get("visitor")
    if not visitor:
        raise ParseFailure("It names no visitor.")
    try:
        body = msgspec.json.decode(raw.body, type=_Body)
    except (ValueError, RecursionError) as error:
        raise ParseFailure("It is no frame of the web chat.") from error
    if body.message_id is not None and body.status is not None:
        return DeliveryReport(
            channel=ChannelName.WEBCHAT,
            status=body.status,
            received_at=raw.received_at,
            message_id=_canonical(body.message_id),
        )
    if not body.id:
        raise ParseFailure("It has no id.")
    client_id = storable_text(body.id)
    return InboundMessage(
        channel=ChannelName.WEBCHAT,
        dedupe_key=f"webchat:{visitor}:{client_id}",
        received_at=raw.received_at,
        sender=Address(kind=AddressKind.VISITOR, value=visitor),
        text=storable_text(body.text),
        language=_read_language(body.language),
        topic=_read_topic(body.topic),
        attachments=tuple(
            InboundAttachment(filename="", content_type="", upload_id=_canonical(upload)) for upload in body.attachments
        ),
        extra={"client_id": client_id},
    )


def _canonical(id_: str) -> str:
    try:
        return parse_id(id_)
    except NotFound as error:
        raise ParseFailure("An id in it can't be one of ours.") from error


def build_welcome(*, token: str, after_seq: int, is_identified: bool) -> bytes:
    return msgspec.json.encode(
        {"type": "welcome", "visitor": token, "after_seq": after_seq, "identified": is_identified}
    )


def build_ack(client_id: str, message_id: str | None, chat_seq: int | None) -> bytes:
    """Say that a message is safe; without an id of ours it waits in the spool and will be in the chat soon."""
    return msgspec.json.encode({"type": "ack", "id": client_id, "message_id": message_id, "seq": chat_seq})


def build_error(code: str, message: str, client_id: str | None = None) -> bytes:
    return msgspec.json.encode({"type": "error", "code": code, "message": message, "id": client_id})


TYPING = b'{"type":"typing"}'
PONG = b'{"type":"pong"}'
CLAIMED = b'{"type":"claimed"}'
TRANSCRIPT_SENT = b'{"type":"transcript_sent"}'


def build_read(chat_seq: int) -> bytes:
    """Say that an agent has looked at everything up to this number."""
    return msgspec.json.encode({"type": "read", "seq": chat_seq})


def build_away(by: Sequence[ChannelName]) -> bytes:
    """Say that nobody is there, and by what an answer comes then; by nothing: we need an address first."""
    return msgspec.json.encode({"type": "away", "by": by})


def build_message(message: ChatMessage) -> bytes:
    """Return a message of the visitor's own chat."""
    frame = {"type": "message", "seq": message.chat_seq, **_shown(message)}
    if message.client_id is not None:
        frame["client_id"] = message.client_id
    return msgspec.json.encode(frame)


def build_history(message: ChatMessage) -> bytes:
    """Return a message that the identified customer exchanged with us elsewhere."""
    return msgspec.json.encode({"type": "history", **_shown(message), "channel": message.channel})


def _shown(message: ChatMessage) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": message.id,
        "direction": message.direction,
        "text": message.text,
        "attachments": _files(message.files),
        "author": {"kind": message.author_kind, "name": message.author_name},
        "at": message.at,
        "status": message.status,
    }
    if message.html is not None:
        shown["html"] = message.html
    return shown


def _files(files: Sequence[ChatFile]) -> list[dict[str, object]]:
    return [
        {
            "id": file.id,
            "filename": file.filename,
            "content_type": file.content_type,
            "size": file.size,
            "url": file.url,
        }
        for file in files
    ]
