"""Reading Twilio's webhook forms: what SMS and WhatsApp have in common."""

import mimetypes
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qsl

from multidict import MultiDict, MultiDictProxy

from gateway.domain.errors import ParseFailure
from gateway.domain.message import InboundAttachment
from gateway.domain.text import storable_text

WHATSAPP_PREFIX = "whatsapp:"

_UNKNOWN_TYPE = "application/octet-stream"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")  # RFC 6838, 4.2
_MEDIA_URL = re.compile(r"MediaUrl([0-9]{1,3})")
# What InboundMessage holds itself. Whatever else Twilio says is kept: it adds parameters without notice.
_MODELLED = frozenset({
    "MessageSid", "SmsSid", "SmsMessageSid", "From", "To", "Body", "ProfileName", "OriginalRepliedMessageSid",
    "NumMedia", "ApiVersion",
})  # fmt: skip
_MODELLED_MEDIA = re.compile(r"Media(Url|ContentType)[0-9]{1,3}")


@lru_cache(maxsize=64)  # a form is read twice in short order: for its signature, then for what it says
def parse_form(body: bytes) -> MultiDictProxy[str]:
    """Return a form's fields as they were signed: blank ones and repeated names too.

    Bytes that aren't UTF-8 become U+FFFD: any bytes give a form.
    """
    return MultiDictProxy(MultiDict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True)))


def read_form(body: bytes) -> MultiDict[str]:
    """Return a form's fields as they can be kept."""
    return MultiDict((storable_text(name), storable_text(value)) for name, value in parse_form(body).items())


def message_sid(form: Mapping[str, str]) -> str:
    """Return the id of the message that a webhook speaks of.

    Raises:
        ParseFailure: it has none, so a replay could not be told from a new message.
    """
    # SmsMessageSid and SmsSid are older copies of it (Twilio's request to your incoming message webhook, 2026-11).
    for name in ("MessageSid", "SmsMessageSid", "SmsSid"):
        if sid := form.get(name, "").strip():
            return sid
    raise ParseFailure("The form has no MessageSid.")


def is_whatsapp(form: Mapping[str, str]) -> bool:
    """Say which of the two channels it is; one side alone may lack the prefix (a sender without a phone number)."""
    return any(form.get(name, "").strip().lower().startswith(WHATSAPP_PREFIX) for name in ("From", "To"))


def without_prefix(address: str) -> str:
    """Return a WhatsApp address without the channel's name in front."""
    address = address.strip()
    return address[len(WHATSAPP_PREFIX) :].strip() if address.lower().startswith(WHATSAPP_PREFIX) else address


def read_media(form: Mapping[str, str]) -> tuple[InboundAttachment, ...]:
    """Return the files of a message, to be fetched later; by their URLs, whatever NumMedia says."""
    numbers = sorted({int(match[1]) for name in form if (match := _MEDIA_URL.fullmatch(name))})
    files = []
    for number in numbers:
        url = form.get(f"MediaUrl{number}", "").strip()
        content_type = media_type(form.get(f"MediaContentType{number}", ""))
        if url:
            name = media_name(f"media-{number + 1}", content_type)
            files.append(InboundAttachment(filename=name, content_type=content_type, url=url))
    return tuple(files)


def media_type(claimed: str) -> str:
    """Return a media type without its parameters; what is none becomes application/octet-stream."""
    bare = claimed.partition(";")[0].strip().lower()
    return bare if _TYPE.fullmatch(bare) else _UNKNOWN_TYPE


def media_name(stem: str, content_type: str) -> str:
    """Return a file name for something that came without one."""
    return stem + (mimetypes.guess_extension(content_type) or ".bin")


def unmodelled(form: MultiDict[str]) -> dict[str, str | list[str]]:
    """Return the fields that say something and have no place of their own; a list where a name is repeated."""
    extra: dict[str, str | list[str]] = {}
    for name in dict.fromkeys(form):
        if name in _MODELLED:
            continue
        values = [value for value in form.getall(name) if value]
        if values and not (name.startswith("Media") and _MODELLED_MEDIA.fullmatch(name)):
            extra[name] = values[0] if len(values) == 1 else values
    return extra
