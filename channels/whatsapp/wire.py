"""Twilio's form for a WhatsApp message, as a message of ours."""

from collections.abc import Mapping

from multidict import MultiDict

from channels.twilio_form import message_sid, read_media, unmodelled, without_prefix
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
    return InboundMessage(
        channel=ChannelName.WHATSAPP,
        dedupe_key=f"twilio:{sid}",
        received_at=raw.received_at,
        sender=Address(kind=AddressKind.WHATSAPP, value=_sender(form)),
        sender_name=form.get("ProfileName", "").strip() or None,
        recipient=without_prefix(form.get("To", "")),
        text=_text(form),
        external_id=sid,
        in_reply_to_external_id=form.get("OriginalRepliedMessageSid", "").strip() or None,
        attachments=read_media(form),
        extra=unmodelled(form),
    )


def _sender(form: Mapping[str, str]) -> str:
    """Return the phone number; for somebody who hides it behind a user name, the business-scoped id."""
    if sender := without_prefix(form.get("From", "")):
        return normalise_phone(sender) or sender
    if user_id := form.get("ExternalUserId", "").strip():
        return user_id
    if digits := form.get("WaId", "").strip():
        return normalise_phone(f"+{digits}") or digits
    raise ParseFailure("The form has no From, ExternalUserId or WaId.")


def _text(form: Mapping[str, str]) -> str:
    # Twilio repeats a chosen button's or list row's words in Body; where it does not, they are what the customer said.
    said = form.get("Body", "") or form.get("ButtonText", "") or form.get("ListTitle", "")
    place = _place(form)
    return "\n".join(line for line in (said, place) if line)


def _place(form: Mapping[str, str]) -> str:
    latitude, longitude = form.get("Latitude", "").strip(), form.get("Longitude", "").strip()
    if not latitude or not longitude:
        return ""
    named = [form.get(name, "").strip() for name in ("Label", "Address")]
    return "Location: " + ", ".join([*(name for name in named if name), f"{latitude}, {longitude}"])
