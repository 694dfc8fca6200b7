"""Twilio's error codes: what follows, and what to tell an agent.

One table for the answer to a request and for a status callback's ErrorCode. Twilio: Error and warning dictionary, and
the pages of the codes, 2026-11. Twilio's own message is never shown or logged: it quotes numbers and texts.
"""

from dataclasses import dataclass

from gateway.domain.errors import SendAction

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


@dataclass(frozen=True, slots=True)
class ErrorRule:
    action: SendAction
    reason: str  # plain words
    retry_after_s: float | None = None  # where coming back sooner is pointless


_BAD_ADDRESS = ErrorRule(SendAction.FLAG_ADDRESS, "This number does not exist or can't receive text messages.")
_LANDLINE = ErrorRule(SendAction.FLAG_ADDRESS, "This is a landline, or a number that can't receive text messages.")
_NOT_ON_WHATSAPP = ErrorRule(SendAction.FLAG_ADDRESS, "This number is not on WhatsApp.")
_OUR_REQUEST = ErrorRule(SendAction.FAIL, "Twilio found our request wrong: this is a fault of the gateway.")
_QUEUE_FULL = ErrorRule(SendAction.WAIT, "Twilio's queue for our sender is full.", _MINUTE)
_NOT_REGISTERED = ErrorRule(
    SendAction.FAIL, "Our sender is not registered for this country: an administrator must act."
)
_TEMPLATE = ErrorRule(SendAction.FAIL, "WhatsApp did not accept the content or the template of this message.")
_DECLINED = ErrorRule(SendAction.FAIL, "WhatsApp declined to deliver this message to the customer.")
_TOO_FAST = ErrorRule(SendAction.WAIT, "We are sending faster than the provider allows.", _MINUTE)
_QUIET_HOURS = ErrorRule(SendAction.WAIT, "It is night where the customer is: the law forbids this message now.", _HOUR)
_MEDIA = ErrorRule(SendAction.RETRY, "The provider could not fetch or accept the attached file.")

_RULES: dict[int, ErrorRule] = {
    11751: _MEDIA,
    12300: _MEDIA,
    20003: ErrorRule(SendAction.STOP_CHANNEL, "Twilio refused our credentials: an administrator must act."),
    20404: ErrorRule(SendAction.STOP_CHANNEL, "Twilio does not know our account: an administrator must act."),
    20429: ErrorRule(SendAction.WAIT, "Twilio asked us to slow down."),
    21211: _BAD_ADDRESS,
    21408: ErrorRule(SendAction.FAIL, "Our Twilio account may not send to this country: an administrator must act."),
    21602: _OUR_REQUEST,
    21603: _OUR_REQUEST,
    21606: _OUR_REQUEST,
    21610: ErrorRule(SendAction.SUPPRESS, "The customer has opted out of text messages from us."),
    21611: _QUEUE_FULL,
    21612: _BAD_ADDRESS,
    21614: _LANDLINE,
    21617: _OUR_REQUEST,
    21620: _OUR_REQUEST,
    21623: _OUR_REQUEST,
    21635: _LANDLINE,
    21655: _OUR_REQUEST,
    21656: _OUR_REQUEST,
    30001: _QUEUE_FULL,
    30002: ErrorRule(SendAction.STOP_CHANNEL, "Our Twilio account is suspended: an administrator must act."),
    30003: ErrorRule(SendAction.RETRY, "The customer's phone is off or out of reach.", 10 * _MINUTE),
    30004: ErrorRule(SendAction.FAIL, "The customer's phone or carrier blocks messages from us."),
    30005: _BAD_ADDRESS,
    30006: _LANDLINE,
    30007: ErrorRule(SendAction.FAIL, "The carrier filtered this text: change it before you send it again."),
    30008: ErrorRule(SendAction.RETRY, "The carrier did not deliver the message and gave no reason.", _MINUTE),
    30022: _TOO_FAST,
    30023: ErrorRule(SendAction.WAIT, "Our sender has used up what the carrier allows in a day.", _DAY),
    30032: _NOT_REGISTERED,
    30034: _NOT_REGISTERED,
    30036: ErrorRule(SendAction.FAIL, "The message waited too long and was dropped."),
    30047: _QUIET_HOURS,
    30450: ErrorRule(SendAction.FAIL, "Twilio blocked the message: it looks like fraud on this number range."),
    30610: _QUIET_HOURS,
    63003: _NOT_ON_WHATSAPP,
    63005: _TEMPLATE,
    63014: ErrorRule(SendAction.FAIL, "The customer has blocked us on WhatsApp."),
    63016: ErrorRule(
        SendAction.FAIL, "The customer last wrote more than 24 hours ago: WhatsApp takes only an approved template now."
    ),
    63017: _TOO_FAST,
    63018: _TOO_FAST,
    63019: _MEDIA,
    63021: _TEMPLATE,
    63024: _NOT_ON_WHATSAPP,
    63027: _TEMPLATE,
    63028: _TEMPLATE,
    63029: _TEMPLATE,
    63030: _TEMPLATE,
    63032: _DECLINED,
    63037: _MEDIA,
    63038: ErrorRule(SendAction.WAIT, "Our account has used up its messages for today.", _HOUR),
    63040: _TEMPLATE,
    63041: _TEMPLATE,
    63049: _DECLINED,
}


def rule_for(code: str | None) -> ErrorRule | None:
    """Return what follows from a code, or None for one that the table does not have."""
    if code is None or not code.isascii() or not code.isdecimal() or len(code) > 6:
        return None
    return _RULES.get(int(code))
