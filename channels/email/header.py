"""Header fields: taken apart, unfolded, decoded. Every rule has an exception out there, so nothing here raises."""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote_to_bytes

from channels.email.charset import decode_text
from gateway.domain.text import storable_text

_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_FOLD = re.compile(rb"(?:\r\n|\n|\r)+[ \t]*")
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SPACES = re.compile(r"\s+")
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)("?)|([^;]*))', re.DOTALL)
_CONTINUED = re.compile(r"(.+?)\*(\d{1,3})(\*?)")
_COMMENT_PIECE = re.compile(r"[^()\\]+|\\.|\(|\)|\\", re.DOTALL)
_MESSAGE_ID = re.compile(r"<([^<>]+)>")
_MAX_FIELDS = 2000
_MAX_SAME = 20
_HEADER_END = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r")
_MAX_VALUE = 256 * 1024  # bytes of one field that we look at
_MAX_ID = 900  # bytes; an index entry of PostgreSQL takes 2,704 (18, 65.1 B-Tree)


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields of one header block in their order, names in lower case, values as they came."""

    fields: Sequence[tuple[str, bytes]] = ()

    def raw(self, name: str) -> list[str]:
        """Return the fields of this name (the first twenty), unfolded, encoded words left as they are."""
        found = (value for field, value in self.fields if field == name)
        return [_unfold(value) for value in islice(found, _MAX_SAME)]

    def first(self, name: str) -> str:
        """Return the first field of this name like `raw`, empty where there is none."""
        for field, value in self.fields:
            if field == name:
                return _unfold(value)
        return ""

    def bytes_of(self, name: str) -> bytes:
        return next((value for field, value in self.fields if field == name), b"")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    headers: Headers
    body_start: int
    defect: str | None = None


def read_headers(source: bytes, start: int, end: int, *, skips_blank: bool = False) -> HeaderBlock:
    """Return the fields from `start` on, and where the body begins.

    `skips_blank`: empty lines before the first field count for nothing, as at the top of a whole mail; at the top of a
    part they say that it has no header.
    """
    fields: list[tuple[str, bytes]] = []
    position = start
    field_start = value_start = -1
    name = ""

    def close(at: int) -> None:
        if field_start >= 0:
            fields.append((name, source[value_start:at].strip()))

    while position < end:
        match = _LINE_END.search(source, position, end)
        line_end, next_line = (match.start(), match.end()) if match else (end, end)
        if line_end == position:
            close(position)
            if fields or not skips_blank or position > start + 4:
                return HeaderBlock(Headers(fields), next_line)
        elif source[position] in b" \t":
            is_blank = not source[position:line_end].strip()
            if field_start < 0 or (is_blank and not _goes_on(source, next_line, end)):
                close(position)
                return HeaderBlock(Headers(fields), next_line if is_blank else position, "no header")
        elif found := _FIELD.match(source, position, line_end):
            close(position)
            if len(fields) == _MAX_FIELDS:
                blank = _HEADER_END.search(source, position, end)
                return HeaderBlock(Headers(fields), blank.end() if blank else end, "too many header fields")
            name = found[1].decode("ascii").lower()
            field_start, value_start = position, found.end()
        elif not source.startswith((b"From ", b">From "), position):
            close(position)
            return HeaderBlock(Headers(fields), position, "a line in the header is no field")
        position = next_line
    close(end)
    return HeaderBlock(Headers(fields), end)


def _goes_on(source: bytes, position: int, end: int) -> bool:
    """True where the header plainly continues behind a line of blanks."""
    match = _LINE_END.search(source, position, end)
    line = source[position : match.start() if match else end]
    return bool(_FIELD.match(line)) or (line[:1] in {b" ", b"\t"} and bool(line.strip()))


def _unfold(value: bytes) -> str:
    value = value[:_MAX_VALUE]
    unfolded = _FOLD.sub(b" ", value) if b"\n" in value or b"\r" in value else value
    return storable_text(decode_text(unfolded, None))


def one_line(text: str) -> str:
    """Return `text` without control characters, each run of white space one blank."""
    return _SPACES.sub(" ", _CONTROLS.sub(" ", storable_text(text))).strip()


def decode_words(text: str) -> str:
    """Return `text` with its encoded words (RFC 2047) decoded, wherever they stand, quoted strings included.

    Neighbours of one charset are decoded together: many senders cut a character in two.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    pending, charset = b"", ""
    position = 0
    for match in _ENCODED_WORD.finditer(text):
        between = text[position : match.start()]
        word_charset = match[1].partition("*")[0].lower()  # RFC 2231 section 5: charset*language
        if pending and (between.strip() or word_charset != charset):
            out.append(decode_text(pending, charset))
            pending = b""
        if between.strip() or (not pending and not out):
            out.append(between)
        pending += _decode_word(match[2], match[3])
        charset, position = word_charset, match.end()
    if pending:
        out.append(decode_text(pending, charset))
    out.append(text[position:])
    return storable_text("".join(out))


def _decode_word(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    data = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    if len(data) % 4 == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the first semicolon in lower case, and the parameters (RFC 2231 ones put together)."""
    main, semicolon, rest = value.partition(";")
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(semicolon + rest):
        name, quoted = match[1].lower(), match[2]
        text = re.sub(r'\\(["\\])', r"\1", quoted) if quoted is not None else match[4].strip()
        continued = _CONTINUED.fullmatch(name)
        if continued:
            pieces.setdefault(continued[1], {})[int(continued[2])] = (text, bool(continued[3]))
        elif name.endswith("*"):
            pieces.setdefault(name[:-1], {})[0] = (text, True)
        else:
            plain.setdefault(name, text)
    extended = {name: _join_pieces(found) for name, found in pieces.items()}
    return one_line(main).lower(), plain | extended


def _join_pieces(pieces: dict[int, tuple[str, bool]]) -> str:
    data, charset = b"", None
    for number, (text, is_encoded) in sorted(pieces.items()):
        if is_encoded and number == min(pieces) and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if is_encoded else text.encode("utf-8", "replace")
    return storable_text(decode_text(data, charset or None))


def read_comment(text: str, position: int) -> tuple[str | None, int]:
    """Return a comment (they nest: RFC 5322 3.2.2) and where it ends; None for one that never does."""
    depth = 1
    words: list[str] = []
    while match := _COMMENT_PIECE.match(text, position):
        position = match.end()
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth == 0:
            return "".join(words), position
        words.append(match.group())
    return None, position


def message_ids(value: str) -> list[str]:
    """Return the Message-IDs of a field without their brackets; a lone word without brackets counts as one."""
    ids = ["".join(found.split()) for found in _MESSAGE_ID.findall(value)]
    if not ids and value.strip():
        word = value.strip().strip("<>").split()
        ids = word[:1] if len(word) == 1 else []
    return [found for found in ids if found and len(found.encode()) <= _MAX_ID]
