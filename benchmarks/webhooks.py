"""Twilio's webhooks for an incoming SMS as bytes, signed and ready to be written to a socket.

Everything follows from a running number, so that a run can be repeated and the text on an agent's screen names the
post that it came from.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

SHOP_NUMBER = "+15005550006"

# Prefix, digits that follow, first of them: numbers that are valid in their country.
_NUMBERS = (
    ("+1415", 7, 2_000_000),
    ("+44740", 7, 0),
    ("+49151", 8, 10_000_000),
    ("+336", 8, 10_000_000),
    ("+35191", 7, 0),
    ("+5511", 9, 960_000_000),
    ("+8190", 8, 10_000_000),
)
_TEXTS = (
    "Hi, where is my order? It should have come on Monday.",
    "Can I still change the address of order 10023?",
    "Bonjour, mon colis est arrivé ouvert. Que faire ?",
    "Is the calm serum safe with retinol?",
    "Hallo, ich habe die falsche Größe bekommen und möchte umtauschen.",
    "Olá! O reembolso ainda não chegou ao meu cartão.",
    "注文した商品がまだ届きません。確認してもらえますか？",
    "thanks, got it",
    "I was charged twice for one order. Please look into it, this is the second time that it happens.",
    "¿Cuándo vuelve a haber crema de noche? 🌙",
)
_SERIAL = re.compile(rb"\[(\d+)\]")


def phone_number(sender: int) -> str:
    """Return the number of the sender that has this index, E.164."""
    country, place = sender % len(_NUMBERS), sender // len(_NUMBERS)
    prefix, digits, first = _NUMBERS[country]
    return f"{prefix}{first + place:0{digits}d}"


def message_text(serial: int) -> str:
    return f"{_TEXTS[serial % len(_TEXTS)]} [{serial}]"


def find_serial(text: bytes) -> int | None:
    """Return the number that `message_text` put into a text."""
    found = _SERIAL.search(text)
    return int(found[1]) if found else None


def message_fields(serial: int, sender: int, account_sid: str) -> dict[str, str]:
    """Return the form of Twilio's request to an incoming message webhook (2026-11)."""
    sid = f"SM{serial:032x}"
    return {
        "ToCountry": "US",
        "ToState": "CA",
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "ToCity": "",
        "FromZip": "94105",
        "SmsSid": sid,
        "FromState": "CA",
        "SmsStatus": "received",
        "FromCity": "SAN FRANCISCO",
        "Body": message_text(serial),
        "FromCountry": "US",
        "To": SHOP_NUMBER,
        "ToZip": "",
        "NumSegments": "1",
        "MessageSid": sid,
        "AccountSid": account_sid,
        "From": phone_number(sender),
        "ApiVersion": "2010-04-01",
    }


def sign(url: str, fields: Mapping[str, str], token: str) -> str:
    """Sign as Twilio does (Webhooks security, 2026-11); the SDK would take most of the time of preparing a run."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def build_post(url: str, fields: Mapping[str, str], token: str) -> bytes:
    """Return one whole HTTP request, head and body."""
    parts = urlsplit(url)
    body = urlencode(fields).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\n"
        "User-Agent: TwilioProxy/1.1\r\n"
        "Accept: */*\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"X-Twilio-Signature: {sign(url, fields, token)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
