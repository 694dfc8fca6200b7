"""Web chat as a channel: nothing leaves, a message is sent by being stored, and the visitor's socket shows it."""

from datetime import datetime

from channels.contract import Capabilities
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import SendResult, SentRecord
from gateway.domain.message import OutboundMessage


class WebChatChannel:
    @property
    def name(self) -> ChannelName:
        return ChannelName.WEBCHAT

    @property
    def capabilities(self) -> Capabilities:
        # Files go as links: the bytes stay in the store, and the socket makes a fresh link whenever it shows one.
        return Capabilities(is_local=True, sends_attachments_as_links=True)

    def split(self, text: str) -> tuple[str, ...]:
        """Return the whole text: a chat message has no limit of a provider's."""
        return (text,)

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        """Say that it is sent; it has stood in the database since it was written."""
        return SendResult(external_id=None)

    async def list_sent(self, recipient: str, since: datetime) -> list[SentRecord]:
        """Return nothing: nobody is asked, because nothing can be in doubt."""
        return []

    async def close(self) -> None:
        """Nothing to let go of."""
