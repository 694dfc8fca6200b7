"""SMS and MMS over Twilio."""

from datetime import datetime

from channels.contract import Capabilities
from channels.twilio import BODY_LIMIT_UNITS, TwilioAccount, TwilioMessages
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import SendResult, SentRecord
from gateway.domain.message import OutboundMessage
from gateway.domain.segments import split_text

_MAX_MEDIA_BYTES = 5_000_000  # Accepted content types for media, 2026-11: 5 MB for all files of an MMS together


class SmsChannel:
    def __init__(self, account: TwilioAccount, messages: TwilioMessages) -> None:
        self._messages = messages
        if account.messaging_service_sid:
            self._sender = ("MessagingServiceSid", account.messaging_service_sid)
        elif account.sms_from:
            self._sender = ("From", account.sms_from)
        else:
            raise ValueError("SMS needs a sender: a number or a Messaging Service.")

    @property
    def name(self) -> ChannelName:
        return ChannelName.SMS

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(sends_attachments_as_links=True, can_list_sent=True, max_attachment_bytes=_MAX_MEDIA_BYTES)

    def split(self, text: str) -> tuple[str, ...]:
        """Return the texts of the provider messages that carry `text`."""
        return split_text(text, BODY_LIMIT_UNITS)

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        """Hand one part to Twilio; the files go with the first.

        Raises:
            SendError: with the action that follows.
        """
        return await self._messages.send(message, part, to=message.recipient.value, sender=self._sender)

    async def list_sent(self, recipient: str, since: datetime) -> list[SentRecord]:
        """Return what Twilio created for a number since then.

        Raises:
            SendError: Twilio could not be asked.
        """
        return await self._messages.list_sent(recipient, since)

    async def close(self) -> None:
        """Nothing to let go of: the session is the application's."""
