"""A mail's structure, read from its bytes without recursion into trouble: depth, parts and work are bounded.

The standard library's parser dies of a RecursionError at some hundred levels and needs a second pass for every repair;
this one keeps offsets into the source and decodes a part only when it is asked for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from channels.email.charset import decode_transfer
from channels.email.header import Headers, decode_words, one_line, parse_parameters, read_headers

_MAX_DEPTH = 20
_MAX_PARTS = 500
_MAX_PROBES = 20_000  # places of one body where a boundary might stand
_MAX_NAME = 150  # characters of a file name
_TAIL = re.compile(rb"[ \t]*(?:\r\n|\n|\r|\Z)")
_GUESSED_BOUNDARY = re.compile(rb"(?:\A|(?<=[\r\n]))--([^\r\n]{1,200}?)[ \t]*(?:\r\n|\n|\r)(?=[Cc]ontent-)")
_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,100})/([a-z0-9!#$&^_.+-]{1,100})")
_NAME_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]')


@dataclass(slots=True)
class Part:
    """One entity (RFC 2045). A leaf has no children; `is_unread` leaves were left alone: too deep, or too many."""

    headers: Headers
    content_type: str
    parameters: dict[str, str]
    source: bytes = field(repr=False)
    start: int
    end: int
    children: list["Part"] = field(default_factory=list)
    is_unread: bool = False

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/") and not self.is_unread

    @property
    def subtype(self) -> str:
        return self.content_type.partition("/")[2]

    @property
    def disposition(self) -> str:
        return parse_parameters(self.headers.first("content-disposition"))[0]

    @property
    def filename(self) -> str:
        """What the sender called it, without any path, empty if nothing."""
        _, parameters = parse_parameters(self.headers.first("content-disposition"))
        return safe_filename(decode_words(parameters.get("filename") or self.parameters.get("name", "")))

    @property
    def content_id(self) -> str | None:
        return one_line(self.headers.first("content-id")).strip("<> ")[:250] or None

    def content(self) -> bytes:
        """Return the body with its transfer encoding undone."""
        body = self.source[self.start : self.end]
        return body if self.is_unread else decode_transfer(body, self.headers.first("content-transfer-encoding"))


@dataclass(slots=True)
class _Reading:
    source: bytes
    defects: list[str] = field(default_factory=list)
    part_count: int = 0

    def note(self, defect: str) -> None:
        if defect not in self.defects:
            self.defects.append(defect)


@dataclass(frozen=True, slots=True)
class Mail:
    root: Part
    defects: tuple[str, ...]


def read_mail(source: bytes) -> Mail:
    """Take any bytes apart; what is wrong with them is told in `defects`."""
    reading = _Reading(source)
    root = _read_part(reading, 0, len(source), depth=0, default_type="text/plain")
    return Mail(root, tuple(reading.defects))


def _read_part(reading: _Reading, start: int, end: int, *, depth: int, default_type: str) -> Part:
    block = read_headers(reading.source, start, end, skips_blank=depth == 0)
    if block.defect:
        reading.note(block.defect)
    content_type, parameters = _read_type(reading, block.headers, default_type)
    part = Part(block.headers, content_type, parameters, reading.source, block.body_start, end)
    reading.part_count += 1
    if part.content_type.startswith("multipart/"):
        if block.headers.first("content-transfer-encoding").lower() in {"base64", "quoted-printable"}:
            reading.note("a multipart claims to be encoded")  # RFC 2045 6.4 forbids it; its parts never are
        _read_children(reading, part, depth)
    elif content_type == "message/rfc822" and not read_headers(reading.source, part.start, end).headers.fields:
        reading.note("an attached mail is none")
    return part


def _read_type(reading: _Reading, headers: Headers, default: str) -> tuple[str, dict[str, str]]:
    value = headers.first("content-type")
    if not value:
        return default, {}
    main, parameters = parse_parameters(value)
    if not parameters and " " in main:  # "text/html charset=utf-8": the semicolon was forgotten
        main, parameters = parse_parameters(value.replace(" ", "; ", 1))
    match = _TYPE.match(main.replace(" ", ""))
    if match is None:
        reading.note("a content type can't be read")
        return ("text/plain" if main.startswith("text") or not main else "application/octet-stream"), parameters
    return match.group(), parameters


def _read_children(reading: _Reading, part: Part, depth: int) -> None:
    if depth >= _MAX_DEPTH:
        reading.note("nested too deeply")
        part.is_unread = True
        return
    boundary = _find_boundary(reading, part)
    if boundary is None:
        # Nothing says where the parts begin, so that the whole is text to read.
        reading.note("a multipart without its boundary")
        part.content_type = "text/plain"
        return
    default_type = "message/rfc822" if part.subtype == "digest" else "text/plain"
    opened: int | None = None
    is_closed = False
    for at, behind, is_closed in _delimiters(reading.source, boundary, part.start, part.end):
        if opened is not None:
            end = _before_line_end(reading.source, opened, at)
            part.children.append(_read_part(reading, opened, end, depth=depth + 1, default_type=default_type))
        opened = behind
        if is_closed or reading.part_count >= _MAX_PARTS:
            break
    if not is_closed and opened is not None:
        if reading.part_count >= _MAX_PARTS:
            reading.note("too many parts")
            rest = Part(Headers(), "application/octet-stream", {}, reading.source, opened, part.end, is_unread=True)
            part.children.append(rest)
            return
        reading.note("the last boundary is missing")
        if reading.source[opened : part.end].strip():
            part.children.append(_read_part(reading, opened, part.end, depth=depth + 1, default_type=default_type))


def _find_boundary(reading: _Reading, part: Part) -> bytes | None:
    """Return the boundary that is really used: as declared, cut at a blank, or as the body shows it."""
    declared = part.parameters.get("boundary", "").rstrip()
    for candidate in dict.fromkeys((declared, declared.split(" ")[0], declared.strip("\"'"))):
        boundary = candidate.encode("utf-8", "replace")
        if boundary and next(_delimiters(reading.source, boundary, part.start, part.end), None):
            return boundary
    guessed = _GUESSED_BOUNDARY.search(reading.source, part.start, part.end)
    if guessed is None:
        return None
    reading.note("the boundary is not the declared one")
    return guessed[1]


def _delimiters(source: bytes, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield each delimiter line: where it begins, where the next line begins, and whether it closes the multipart."""
    needle = b"--" + boundary
    position = start
    for _ in range(_MAX_PROBES):
        at = source.find(needle, position, end)
        if at < 0:
            return
        position = at + len(needle)
        if at > start and source[at - 1] not in b"\r\n":
            continue
        is_closing = source.startswith(b"--", position) and position + 2 <= end
        match = _TAIL.match(source, position + 2 if is_closing else position, end)
        if match:
            yield at, match.end(), is_closing


def _before_line_end(source: bytes, start: int, at: int) -> int:
    """The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1)."""
    if at > start and source[at - 1] == 0x0A:
        at -= 1
    if at > start and source[at - 1] == 0x0D:
        at -= 1
    return at


def safe_filename(text: str) -> str:
    """Return a name without path, control characters or tricks of writing direction, its extension kept."""
    name = one_line(text).replace("\\", "/").rpartition("/")[2]
    name = one_line(_NAME_UNSAFE.sub("", name)).strip(". ")
    if len(name) <= _MAX_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:
        return name[:_MAX_NAME].strip(". ")
    return f"{stem[: _MAX_NAME - len(extension) - 1].strip('. ')}.{extension}"
