"""Web chat as the customer's side sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.message import AuthorKind, Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFile:
    """A file in a chat; `url` is signed and expires."""

    id: str
    filename: str
    content_type: str
    size: int  # bytes
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """A message that a visitor may see: never a note, never an agent's id."""

    id: str
    chat_seq: int | None  # its place in the visitor's own chat; None for one from another channel
    direction: Direction
    channel: ChannelName
    author_kind: AuthorKind
    author_name: str | None
    text: str
    html: str | None
    status: MessageStatus
    at: datetime
    client_id: str | None = None  # the client's own id of what it sent
    files: Sequence[ChatFile] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorClaim:
    """What a visitor typed about themselves: shown to agents as a claim, never used to find, join or merge."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
