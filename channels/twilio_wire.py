"""Which wire module reads a webhook of Twilio's, and what a status callback says."""

from urllib.parse import parse_qs

from channels.sms import wire as sms
from channels.twilio import status_of
from channels.twilio_errors import rule_for
from channels.twilio_form import is_whatsapp, message_sid, read_form
from channels.whatsapp import wire as whatsapp
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.errors import NotFound, ParseFailure, SendAction
from gateway.domain.ids import parse_id
from gateway.domain.message import InboundMessage, RawInbound


def parse_message(raw: RawInbound) -> InboundMessage:
    """Read an incoming SMS, MMS or WhatsApp message; the channel's name stands before the addresses.

    Raises:
        ParseFailure: nothing can be made of it.
    """
    form = read_form(raw.body)
    if is_whatsapp(form):
        return whatsapp.parse_message(raw, form)
    return sms.parse_message(raw, form)


def parse_report(raw: RawInbound) -> DeliveryReport:
    """Read a status callback (Outbound Message Status in Status Callbacks, 2026-11).

    Our own id stands in the query of the callback's URL (`raw.meta["query"]`).

    Raises:
        ParseFailure: it names no message, or no status of an outbound one.
    """
    form = read_form(raw.body)
    word = form.get("MessageStatus", "") or form.get("SmsStatus", "")
    status = status_of(word)
    if status is None:
        raise ParseFailure("The form has no status of an outbound message.")
    code = form.get("ErrorCode", "").strip() or None
    rule = rule_for(code)
    is_failure = status is MessageStatus.FAILED
    message_id, part = _our_id(raw.meta.get("query", ""))
    return DeliveryReport(
        channel=ChannelName.WHATSAPP if is_whatsapp(form) else ChannelName.SMS,
        status=status,
        received_at=raw.received_at,
        external_id=message_sid(form),
        message_id=message_id,
        part=part,
        error_code=code if is_failure else None,
        error=(rule.reason if rule else _reason(code)) if is_failure else None,
        suppress=is_failure and rule is not None and rule.action is SendAction.SUPPRESS,
    )


def _reason(code: str | None) -> str:
    return "The carrier did not deliver the message" + (f" (code {code})." if code else ".")


def _our_id(query: str) -> tuple[str | None, int]:
    """Return message and part; without them the report is still good for its SID."""
    named = parse_qs(query)
    try:
        message_id = parse_id(named.get("message", [""])[0])
    except NotFound:
        return None, 0
    part = named.get("part", ["0"])[0]
    return message_id, int(part) if part.isascii() and part.isdecimal() and len(part) < 6 else 0
