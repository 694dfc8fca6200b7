"""WhatsApp over Twilio."""

from datetime import datetime

from channels.contract import Capabilities
from channels.twilio import BODY_LIMIT_UNITS, TwilioAccount, TwilioMessages
from channels.twilio_form import WHATSAPP_PREFIX, without_prefix
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import SendResult, SentRecord
from gateway.domain.message import OutboundMessage
from gateway.domain.segments import split_text

_MAX_MEDIA_BYTES = 16_000_000  # Guidance on WhatsApp Media Messages, 2026-11


class WhatsAppChannel:
    def __init__(self, account: TwilioAccount, messages: TwilioMessages) -> None:
        if not account.whatsapp_from:
            raise ValueError("WhatsApp needs a sender's number.")
        self._messages = messages
        self._sender = ("From", _prefixed(account.whatsapp_from))

    @property
    def name(self) -> ChannelName:
        return ChannelName.WHATSAPP

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(sends_attachments_as_links=True, can_list_sent=True, max_attachment_bytes=_MAX_MEDIA_BYTES)

    def split(self, text: str) -> tuple[str, ...]:
        """Return the texts of the provider messages that carry `text`; Twilio's limit is the same as for SMS."""
        return split_text(text, BODY_LIMIT_UNITS)

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        """Hand one part to Twilio; the files go with the first.

        Raises:
            SendError: with the action that follows.
        """
        to = _prefixed(message.recipient.value)
        return await self._messages.send(message, part, to=to, sender=self._sender)

    async def list_sent(self, recipient: str, since: datetime) -> list[SentRecord]:
        """Return what Twilio created for a WhatsApp id since then.

        Raises:
            SendError: Twilio could not be asked.
        """
        return await self._messages.list_sent(_prefixed(recipient), since)

    async def close(self) -> None:
        """Nothing to let go of: the session is the application's."""


def _prefixed(address: str) -> str:
    return WHATSAPP_PREFIX + without_prefix(address)
