"""An outbound mail, written directly as bytes from a prepared skeleton.

The standard library's EmailMessage takes 1.4 ms for what takes 30 µs here (measured 2026-11). Every value goes through
one of the encoders below, none of which lets a line end through, so that no text can add a header of its own.
"""

import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from channels.email.address import normalise_mailbox
from channels.email.header import one_line
from channels.email.mailbox import Mailbox
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import OutboundAttachment, OutboundMessage
from gateway.domain.text import storable_text

_LINE = 76  # characters, RFC 2045 6.7 and RFC 2047 section 2; RFC 5322 2.1.1 asks for at most 78
_MAX_LINE = 998
_MAX_PIECE = 54  # characters of a piece of a long parameter
_BEYOND_ASCII = bytes(range(128, 256))
_PLAIN_BYTES = bytes([9, 10, 13, *range(32, 127)])
_ATOM_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]*")
_SAFE_ID = re.compile(r"[!-;=?-~]{1,900}")
_PLAIN_HEADER = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*")
_Q_UNSAFE = re.compile(rb"[^A-Za-z0-9!*+\-/]")
_FILE_UNSAFE = re.compile(rb"[^A-Za-z0-9!#$&+\-.^_`|~]")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{2,35}")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltMail:
    """What goes over the wire. The envelope's addresses; `needs_utf8`: one of them can only be said with SMTPUTF8."""

    message_id: str  # without <>
    mail_from: str
    recipient: str
    copies: tuple[str, ...]
    content: bytes
    needs_utf8: bool


def build_mail(message: OutboundMessage, part: int, mailbox: Mailbox, now: datetime) -> BuiltMail:
    """Write the mail. Its Message-ID is the same at every attempt: a copy that arrives twice can be told as one.

    Raises:
        SendError: the recipient's address is none, or a file has no content.
    """
    recipient = _recipient(message.recipient.value)
    copies = tuple(_recipient(copy) for copy in message.cc)
    message_id = f"{message.id}.{part}@{mailbox.domain}"
    headers = [
        _from_field(message.author_name, mailbox),
        _field("To", [_mailbox(recipient, message.recipient_name)]),
        _field("Cc", [_mailbox(copy, None) for copy in copies]) if copies else b"",
        b"Reply-To: %b\r\n" % _mailbox(mailbox.reply_address(message.conversation_id), mailbox.sender_name),
        b"Subject: %b\r\n" % encode_text(message.subject, 9) if message.subject else b"",
        b"Date: %b\r\n" % format_datetime(now).encode(),
        b"Message-ID: <%b>\r\n" % message_id.encode(),
        _thread_fields(message.references),
        _language_field(message.language),
        b"MIME-Version: 1.0\r\n",
    ]
    content = b"".join((*headers, _build_body(message)))
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    needs_utf8 = not all(address.isascii() for address in (recipient, *copies))
    return BuiltMail(
        message_id=message_id,
        mail_from=mailbox.address,
        recipient=recipient,
        copies=copies,
        content=content,
        needs_utf8=needs_utf8,
    )


def _recipient(text: str) -> str:
    address = normalise_mailbox(text)
    if address is None:
        raise SendError(SendAction.FLAG_ADDRESS, "This is not an e-mail address.", code="bad_address")
    return address


@lru_cache(maxsize=1024)
def _from_field(author: str | None, mailbox: Mailbox) -> bytes:
    author = one_line(author or "")
    name = f"{author} ({mailbox.sender_name})" if author and mailbox.sender_name else author or mailbox.sender_name
    return _field("From", [_mailbox(mailbox.address, name)])


def _field(name: str, values: Iterable[bytes]) -> bytes:
    return name.encode() + b": " + b",\r\n ".join(values) + b"\r\n"


def _mailbox(address: str, name: str | None) -> bytes:
    name = one_line(name or "")[:200]
    if not name:
        return address.encode()
    if len(name) <= 60 and name.isascii() and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        phrase = name.encode() if _ATOM_NAME.fullmatch(name) else f'"{quoted}"'.encode()
    else:
        phrase = _encoded_words(name, 12)
    return phrase + (b"\r\n" if len(phrase) + len(address) > _LINE - 14 else b"") + b" <" + address.encode() + b">"


def encode_text(text: str, offset: int) -> bytes:
    """Return an unstructured field's value, folded; `offset` characters stand before it on its first line."""
    text = one_line(text)
    if "=?" in text or not _PLAIN_HEADER.fullmatch(text):
        return _encoded_words(text, offset)
    lines, length = [""], offset
    for word in text.split(" "):
        if lines[-1] and length + len(word) + 1 > _LINE:
            lines.append("")
            length = 0
        lines[-1] += f" {word}" if lines[-1] or len(lines) > 1 else word
        length += len(word) + 1
    return "\r\n".join(lines).encode()


def _encoded_words(text: str, offset: int) -> bytes:
    """Return `text` as encoded words of at most 75 characters each, no character cut in two (RFC 2047 section 5)."""
    data = text.encode()
    q_length = len(data) + 2 * len(_Q_UNSAFE.findall(data.replace(b" ", b"")))
    is_q = q_length <= len(data) * 4 // 3
    room = _LINE - 1 - len("=?utf-8?q??=")
    words, word, length = [], b"", min(offset, 30)
    for character in text:
        piece = character.encode()
        cost = len(_q_encode(piece)) if is_q else len(piece)
        if length + cost > (room if is_q else room * 3 // 4 - 2):
            words.append(word)
            word, length = b"", 0
        word += piece
        length += cost
    words.append(word)
    if is_q:
        return b"\r\n ".join(b"=?utf-8?q?%b?=" % _q_encode(word) for word in words)
    return b"\r\n ".join(b"=?utf-8?b?%b?=" % binascii.b2a_base64(word, newline=False) for word in words)


def _q_encode(data: bytes) -> bytes:
    return _Q_UNSAFE.sub(lambda match: b"=%02X" % match.group()[0], data).replace(b"=20", b"_")


def _thread_fields(references: Sequence[str]) -> bytes:
    """In-Reply-To and References (RFC 5322 3.6.4); of a long thread the first and the last twenty."""
    ids = [found.encode() for found in references if _SAFE_ID.fullmatch(found)]
    if not ids:
        return b""
    kept = ids if len(ids) <= 21 else [ids[0], *ids[-20:]]
    listed = b"\r\n ".join(b"<%b>" % found for found in kept)
    return b"In-Reply-To: <%b>\r\nReferences: %b\r\n" % (ids[-1], listed)


def _language_field(language: str | None) -> bytes:
    if not language or not _LANGUAGE.fullmatch(language):
        return b""
    return b"Content-Language: %b\r\n" % language.encode()


def _build_body(message: OutboundMessage) -> bytes:
    """Return the content's own header fields, the empty line and the content."""
    # "=_" can't stand in quoted-printable or base64 (RFC 2045 6.7); text sent as it is carries no such line.
    mark = message.id.replace("-", "")
    text = _text_part("plain", message.text)
    if message.html is not None:
        text = _multipart("alternative", f"=_a{mark}", [text, _text_part("html", message.html)])
    if not message.attachments:
        return text
    return _multipart("mixed", f"=_m{mark}", [text, *map(_attachment_part, message.attachments)])


def _multipart(kind: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = boundary.encode()
    head = b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (kind.encode(), mark)
    return b"".join((head, *(b"--%b\r\n%b\r\n" % (mark, part) for part in parts), b"--%b--\r\n" % mark))


def _text_part(subtype: str, text: str) -> bytes:
    text = _LINE_END.sub("\r\n", storable_text(text))
    encoding, data = _encode_body(text)
    head = b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n"
    return head % (subtype.encode(), encoding) + data


def _encode_body(text: str) -> tuple[bytes, bytes]:
    """Choose the encoding: none where every server passes the text on unchanged, else the shorter one."""
    data = text.encode()
    if _is_plain(data):
        return b"7bit", data
    # Each byte beyond ASCII is three in quoted-printable; base64 adds a third to everything.
    beyond = len(data) - len(data.translate(None, _BEYOND_ASCII))
    if beyond * 6 > len(data):
        return b"base64", base64_lines(data)
    # The line end that is added and taken away again makes the encoder end all its lines with CRLF.
    return b"quoted-printable", binascii.b2a_qp(data + b"\r\n", istext=True)[:-2]


def _is_plain(data: bytes) -> bool:
    """True for ASCII in lines of at most 998 octets (RFC 5322 2.1.1) that no server strips or reads as a boundary."""
    if data.translate(None, _PLAIN_BYTES):
        return False
    framed = b"\r\n%b\r\n" % data
    if b" \r\n" in framed or b"\t\r\n" in framed or b"\r\n--=_" in framed:
        return False
    return max(map(len, data.split(b"\r\n"))) <= _MAX_LINE


def base64_lines(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE))


def _attachment_part(attachment: OutboundAttachment) -> bytes:
    if attachment.content is None:
        raise SendError(SendAction.FAIL, "A file of this message is not there.", code="no_content")
    content_type = attachment.content_type.lower()
    if not _TYPE.fullmatch(content_type) or content_type.startswith(("multipart/", "message/")):
        content_type = "application/octet-stream"
    return b"".join(
        (
            b"Content-Type: %b\r\n" % content_type.encode(),
            b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n ",
            _filename_parameter(attachment.filename),
            b"\r\n\r\n",
            base64_lines(attachment.content),
        )
    )


def _filename_parameter(text: str) -> bytes:
    """Return `filename`, in pieces where it is long or not ASCII (RFC 2231 sections 3 and 4)."""
    name = one_line(text).replace("/", "_").replace("\\", "_")[:200] or "file"
    if name.isascii() and len(name) <= 60 and '"' not in name and "=?" not in name:
        return b'filename="%b"' % name.encode()
    pieces = [b""]
    for character in name:  # a reader may decode piece by piece, so that no character is cut in two
        encoded = _FILE_UNSAFE.sub(lambda match: b"%%%02X" % match.group()[0], character.encode())
        if len(pieces[-1]) + len(encoded) > _MAX_PIECE:
            pieces.append(b"")
        pieces[-1] += encoded
    return b";\r\n ".join(
        b"filename*%d*=%b%b" % (number, b"" if number else b"utf-8''", piece) for number, piece in enumerate(pieces)
    )
