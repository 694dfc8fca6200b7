"""What an SMTP server's refusal means for a message: a table of enhanced codes (RFC 3463), and the first digit."""

import re

from gateway.domain.errors import SendAction, SendError

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")

# RFC 3463 section 3; 5.1.10 is RFC 7505 (null MX).
_MEANINGS: dict[str, tuple[SendAction, str]] = {
    "5.1.0": (SendAction.FAIL, "The mail server refused the address."),
    "5.1.1": (SendAction.FLAG_ADDRESS, "There is no such mailbox."),
    "5.1.2": (SendAction.FLAG_ADDRESS, "The address's domain takes no mail."),
    "5.1.3": (SendAction.FLAG_ADDRESS, "The address is not a valid one."),
    "5.1.6": (SendAction.FLAG_ADDRESS, "The mailbox has moved; the new address is not known."),
    "5.1.10": (SendAction.FLAG_ADDRESS, "The address's domain takes no mail."),
    "5.2.1": (SendAction.FLAG_ADDRESS, "The mailbox is disabled."),
    "5.2.2": (SendAction.FAIL, "The mailbox is full."),
    "5.2.3": (SendAction.FAIL, "The message is too big for the mailbox."),
    "5.3.4": (SendAction.FAIL, "The message is too big for the mail server."),
    "5.4.4": (SendAction.FAIL, "The address's domain can't be found."),
    "5.6.7": (SendAction.FAIL, "The address needs a mail server that knows international addresses."),
    "5.7.0": (SendAction.FAIL, "The mail server refused the message by its policy."),
    "5.7.1": (SendAction.FAIL, "The mail server refused the message by its policy."),
    "5.7.8": (SendAction.STOP_CHANNEL, "Our mail server refused the log-in."),
}
# Our own server wants something of us first: RFC 4954 section 6 (530), RFC 3207 section 4 (530, 554 for TLS).
_SETUP_CODES = frozenset({530, 538})


def refusal(code: int, text: str) -> SendError:
    """Return the error for a reply. The server's text may quote addresses, so that only its codes are kept."""
    found = _ENHANCED.match(text)
    enhanced = found[1] if found else ""
    label = f"{code} {enhanced}".strip()
    if code in _SETUP_CODES:
        return SendError(SendAction.STOP_CHANNEL, "Our mail server wants a log-in or encryption first.", code=label)
    if 400 <= code < 500:
        return SendError(SendAction.RETRY, "The mail server asks us to try again later.", code=label)
    if not 500 <= code < 600:
        return SendError(SendAction.RETRY, "The mail server's answer could not be understood.", code=label)
    action, reason = _MEANINGS.get(enhanced, (SendAction.FAIL, "The mail server refused the message."))
    return SendError(action, reason, code=label)
