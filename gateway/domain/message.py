"""One item in a conversation, as it crosses the edge in either direction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gateway.domain.contact import Address, ChannelName

Json = Any  # a decoded JSON value


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class AuthorKind(StrEnum):
    CUSTOMER = "customer"
    AGENT = "agent"
    SYSTEM = "system"  # the gateway itself, or a program with a token


class Source(StrEnum):
    """Where raw bytes came in, and so which wire module reads them."""

    TWILIO_MESSAGE = "twilio.message"
    TWILIO_STATUS = "twilio.status"
    EMAIL = "email"
    WEBCHAT = "webchat"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawInbound:
    """What a provider handed over, verified but not yet understood: enough to parse it again later.

    `meta` is what stood around the bytes (SMTP envelope, query string, chat visitor); small strings only.
    """

    source: Source
    received_at: datetime
    body: bytes
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """Bytes that stand in the blob store under their own hash."""

    sha256: str  # hex
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundAttachment:
    """A file that came with a message.

    Exactly one of `content` (bytes in hand), `url` (to be fetched by a job), `upload_id` (uploaded before) is set when
    the wire module is done; the receive service replaces `content` by `blob` once the bytes are stored.
    """

    filename: str
    content_type: str
    content: bytes | None = None
    url: str | None = None
    upload_id: str | None = None
    blob: StoredBlob | None = None
    content_id: str | None = None  # e-mail: what `cid:` in the HTML points at
    is_inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """A customer's message, normalised.

    `dedupe_key` is the same for the same message however often it is handed over. `sender` is proved by the channel;
    an unproved one has a kind of its own (`email_claim`). `extra` keeps what the provider said beyond our model.
    """

    channel: ChannelName
    dedupe_key: str
    received_at: datetime
    sender: Address
    sender_name: str | None = None
    recipient: str = ""  # the address of ours that it came to
    text: str = ""
    language: str | None = None  # BCP 47, as the sender's own device says it
    topic: str | None = None  # what the customer chose, where the channel lets them
    html: str | None = None  # as received; cleaned by the wire module
    subject: str | None = None
    external_id: str | None = None  # the provider's id (SID, Message-ID without <>)
    references: tuple[str, ...] = ()  # e-mail: In-Reply-To and References, Message-IDs without <>, nearest last
    reply_conversation_id: str | None = None  # e-mail: what the reply token in the address of ours says, once checked
    in_reply_to_external_id: str | None = None  # WhatsApp: the message that the customer answered
    attachments: tuple[InboundAttachment, ...] = ()
    cc: tuple[str, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundAttachment:
    filename: str
    content_type: str
    content: bytes | None  # None where the channel sends a link
    url: str | None  # signed, absolute; the provider fetches it


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """One reply as the channel is to say it; `parts` are its provider messages, split when it was composed."""

    id: str
    conversation_id: str
    channel: ChannelName
    recipient: Address
    recipient_name: str | None
    text: str
    html: str | None
    subject: str | None
    author_name: str | None
    parts: tuple[str, ...]
    attachments: tuple[OutboundAttachment, ...] = ()
    references: tuple[str, ...] = ()  # e-mail: Message-IDs of the thread, oldest first
    cc: tuple[str, ...] = ()
    language: str | None = None
    created_at: datetime | None = None
