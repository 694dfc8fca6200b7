"""Which channels this gateway has: the one place that names the adapters, and which wire module reads what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from channels import twilio_wire
from channels.contract import Channel
from channels.email import wire as email_wire
from channels.email.adapter import EmailChannel
from channels.email.mailbox import Mailbox
from channels.http import HttpClient
from channels.sms.adapter import SmsChannel
from channels.twilio import TwilioAccount, TwilioMessages
from channels.webchat import wire as webchat_wire
from channels.webchat.adapter import WebChatChannel
from channels.whatsapp.adapter import WhatsAppChannel
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import DeliveryReport
from gateway.domain.errors import ParseFailure
from gateway.domain.message import InboundMessage, RawInbound, Source

Parse = Callable[[RawInbound], InboundMessage | DeliveryReport]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAccounts:
    """What the shop has set up; a channel without its account can't be written to."""

    twilio: TwilioAccount | None = None
    mailbox: Mailbox | None = None
    smtp_url: str | None = field(default=None, repr=False)  # may hold a password


def open_channels(accounts: ChannelAccounts, http: HttpClient) -> dict[ChannelName, Channel]:
    channels: dict[ChannelName, Channel] = {ChannelName.WEBCHAT: WebChatChannel()}
    account = accounts.twilio
    if account is not None:
        messages = TwilioMessages(account, http)
        if account.messaging_service_sid or account.sms_from:
            channels[ChannelName.SMS] = SmsChannel(account, messages)
        if account.whatsapp_from:
            channels[ChannelName.WHATSAPP] = WhatsAppChannel(account, messages)
    if accounts.mailbox is not None and accounts.smtp_url is not None:
        channels[ChannelName.EMAIL] = EmailChannel(accounts.mailbox, accounts.smtp_url)
    return channels


def build_parser(accounts: ChannelAccounts) -> Parse:
    """Return the function that reads whatever came in, by its source."""
    parsers: dict[Source, Parse] = {
        Source.TWILIO_MESSAGE: twilio_wire.parse_message,
        Source.TWILIO_STATUS: twilio_wire.parse_report,
        Source.WEBCHAT: webchat_wire.parse,
    }
    mailbox = accounts.mailbox
    if mailbox is not None:
        parsers[Source.EMAIL] = lambda raw: email_wire.parse_mail(raw, mailbox)
    return _by_source(parsers)


def _by_source(parsers: Mapping[Source, Parse]) -> Parse:
    def parse(raw: RawInbound) -> InboundMessage | DeliveryReport:
        parser = parsers.get(raw.source)
        if parser is None:
            raise ParseFailure(f"No channel is set up that reads {raw.source}.")
        return parser(raw)

    return parse
