"""What every channel can do. One adapter per channel keeps this Protocol; the registry is the only one to name them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.domain.contact import ChannelName
from gateway.domain.delivery import SendResult, SentRecord
from gateway.domain.message import OutboundMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the product must know of a channel before it sends; everything else is the adapter's business."""

    has_html: bool = False
    has_subject: bool = False
    sends_attachments_as_links: bool = False  # the provider fetches a URL; else the bytes go along
    can_list_sent: bool = False  # an attempt in doubt can be looked up at the provider
    is_local: bool = False  # "sent" means stored: nothing leaves, nothing can be in doubt
    max_attachment_bytes: int = 0


class Channel(Protocol):
    @property
    def name(self) -> ChannelName: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def split(self, text: str) -> tuple[str, ...]:
        """Return the texts of the provider messages that carry `text`; at least one, joined they lose no word."""
        ...

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        """Hand part `part` (from 0) to the provider.

        Raises:
            SendError: with the action that follows.
        """
        ...

    async def list_sent(self, recipient: str, since: datetime) -> list[SentRecord]:
        """Return what the provider says it sent to `recipient` since then; only with `can_list_sent`.

        Raises:
            SendError: the provider could not be asked.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
