"""Phone numbers as we keep them (E.164), and the other forms in which the same number goes about."""

import re

import phonenumbers

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164: at most 15 digits

# One mobile number, two forms in use; which one a carrier or WhatsApp shows differs from message to message.
# Brazil: mobile numbers got a 9 in front (Anatel Resolution 553/2010), old records and some WhatsApp ids lack it.
_BRAZIL = re.compile(r"\+55([1-9][1-9])(9?)([6-9][0-9]{7})")
# Mexico: 1 stood before mobile numbers until 2019-08-03 (IFT numbering plan); WhatsApp ids still have it.
_MEXICO = re.compile(r"\+52(1?)([2-9][0-9]{9})")
# Argentina: 9 stands before mobile numbers called from abroad, SMS carriers leave it out (ENACOM numbering plan).
_ARGENTINA = re.compile(r"\+54(9?)([1-9][0-9]{9})")


def is_e164(text: str) -> bool:
    return _E164.fullmatch(text) is not None


def normalise_phone(text: str, region: str | None = None) -> str | None:
    """Return a number as E.164, or None if it can't be one.

    `region` (ISO 3166, two letters) says where a number without `+` is at home. What is E.164 already stays as it
    is: an identity key is never rewritten, and a range too new for our tables still reaches somebody.
    """
    text = text.strip()
    if is_e164(text):
        return text
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def variants(e164: str) -> tuple[str, ...]:
    """Return the forms of one number, itself first: aliases to look a contact up by, never to store."""
    if match := _BRAZIL.fullmatch(e164):
        area, ninth, rest = match.groups()
        return (e164, f"+55{area}{'' if ninth else '9'}{rest}")
    if match := _MEXICO.fullmatch(e164):
        one, rest = match.groups()
        return (e164, f"+52{'' if one else '1'}{rest}")
    if match := _ARGENTINA.fullmatch(e164):
        nine, rest = match.groups()
        return (e164, f"+54{'' if nine else '9'}{rest}")
    return (e164,)
