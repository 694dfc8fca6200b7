"""Twilio's form for an SMS or MMS, as a message of ours."""

from multidict import MultiDict

from channels.twilio_form import message_sid, read_media, unmodelled
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.errors import ParseFailure
from gateway.domain.message import InboundMessage, RawInbound
from gateway.domain.phone import normalise_phone


def parse_message(raw: RawInbound, form: MultiDict[str]) -> InboundMessage:
    """Read the form of Twilio's request to an incoming message webhook (2026-11); `form` is `raw`'s body.

    Raises:
        ParseFailure: it says neither which message it is nor who sent it.
    """
    sid = message_sid(form)
    sender = form.get("From", "").strip()
    if not sender:
        raise ParseFailure("The form has no From.")
    return InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key=f"twilio:{sid}",
        received_at=raw.received_at,
        # Short codes and alphanumeric senders write too; they stay as they are.
        sender=Address(kind=AddressKind.PHONE, value=normalise_phone(sender) or sender),
        recipient=form.get("To", "").strip(),
        text=form.get("Body", ""),
        external_id=sid,
        attachments=read_media(form),
        extra=unmodelled(form),
    )
