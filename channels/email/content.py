"""Which parts of a mail are its words, and which are files: after RFC 8621 section 4.1.4, with repairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from channels.email.charset import decode_text, split_uuencoded
from channels.email.header import decode_words
from channels.email.html import clean_html, html_to_text, is_too_complex, text_to_html
from channels.email.mime import Mail, Part, read_mail, safe_filename
from gateway.domain.message import InboundAttachment
from gateway.domain.text import storable_text

_MAX_TEXT = 1_000_000  # characters; the whole goes along as a file
_EXTENSIONS = {
    "application/json": "json",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "audio/mpeg": "mp3",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "message/rfc822": "eml",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "video/mp4": "mp4",
}


@dataclass(slots=True)
class Content:
    """What a mail says. `html` is clean, `text` is there whenever anything can be read."""

    text: str = ""
    html: str | None = None
    attachments: list[InboundAttachment] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Bodies:
    """Parts in order. In an alternative a part says the same as its neighbour, so it stands in one list only."""

    text: list[Part] | None = field(default_factory=list)
    html: list[Part] | None = field(default_factory=list)
    files: list[Part] = field(default_factory=list)

    def take(self, part: Part) -> None:
        for bodies in (self.text, self.html):
            if bodies is not None:
                bodies.append(part)


def read_content(mail: Mail) -> Content:
    bodies = _Bodies()
    _sort_parts([mail.root], "mixed", bodies, in_alternative=False)
    content = Content(defects=list(mail.defects))
    for part in bodies.files:
        content.attachments.append(_to_attachment(part, len(content.attachments) + 1))
    words = {id(part): _read_words(part, content) for part in _distinct(bodies)}
    _write_text(content, bodies, words)
    _write_html(content, bodies, words)
    return content


def _distinct(bodies: _Bodies) -> Iterable[Part]:
    return {id(part): part for part in [*(bodies.text or ()), *(bodies.html or ())]}.values()


def _sort_parts(parts: Sequence[Part], kind: str, bodies: _Bodies, *, in_alternative: bool) -> None:
    text, html = bodies.text, bodies.html
    text_before, html_before = len(text or ()), len(html or ())
    for place, part in enumerate(parts):
        if part.is_multipart:
            inner = _Bodies(text=bodies.text, html=bodies.html, files=bodies.files)
            is_inside = in_alternative or part.subtype == "alternative"
            _sort_parts(_in_order(part), part.subtype, inner, in_alternative=is_inside)
        elif not _is_body(part, kind, place):
            bodies.files.append(part)
        elif kind == "alternative":
            chosen = bodies.text if part.content_type == "text/plain" else bodies.html
            if chosen is not None:
                chosen.append(part)
        else:
            if in_alternative and part.content_type == "text/plain":
                bodies.html = None
            elif in_alternative:
                bodies.text = None
            bodies.take(part)
    if kind == "alternative" and text is not None and html is not None:
        new_text, new_html = text[text_before:], html[html_before:]
        if not new_text:
            text.extend(new_html)
        elif not new_html:
            html.extend(new_text)


def _in_order(parent: Part) -> Sequence[Part]:
    """Return the children, the root of a multipart/related first, wherever it stands (RFC 2387 3.2)."""
    parts = parent.children
    if parent.subtype != "related":
        return parts
    start = parent.parameters.get("start", "").strip("<> ")
    roots = [part for part in parts if start and part.content_id == start]
    roots += [part for part in parts if part.is_multipart or part.content_type in {"text/html", "text/plain"}]
    return [*roots[:1], *(part for part in parts if not roots or part is not roots[0])]


def _is_body(part: Part, kind: str, place: int) -> bool:
    if part.content_type not in {"text/plain", "text/html"} or part.disposition == "attachment":
        return False
    return place == 0 or (kind != "related" and not part.filename)


def _to_attachment(part: Part, number: int) -> InboundAttachment:
    content_id = part.content_id
    return InboundAttachment(
        filename=part.filename or _invent_name(part, number),
        content_type="application/octet-stream" if part.is_unread else part.content_type,
        content=part.content(),
        content_id=content_id,
        is_inline=part.disposition == "inline" or (content_id is not None and part.disposition != "attachment"),
    )


def _invent_name(part: Part, number: int) -> str:
    if part.content_type == "message/rfc822":
        subject = read_mail(part.content()[:20_000]).root.headers.first("subject")
        name = safe_filename(decode_words(subject).replace("/", "-"))
        if name:
            return f"{name[:100]}.eml"
    return f"attachment-{number}.{_EXTENSIONS.get(part.content_type, 'bin')}"


def _read_words(part: Part, content: Content) -> str:
    """Return the text of a part; files that stand in it uuencoded become attachments."""
    data = part.content()
    if part.content_type == "text/plain" and b"begin" in data:
        files, data = split_uuencoded(data)
        for name, file in files:
            number = len(content.attachments) + 1
            content.attachments.append(
                InboundAttachment(
                    filename=safe_filename(name) or f"attachment-{number}.bin",
                    content_type="application/octet-stream",
                    content=file,
                )
            )
    text = decode_text(data, part.parameters.get("charset"))
    if "\ufffd" in text:
        content.defects.append("a text is not in its charset")
    if len(text) > _MAX_TEXT:
        content.attachments.append(_to_attachment(part, len(content.attachments) + 1))
        content.defects.append("a text is too long to show")
        text = text[:_MAX_TEXT]
    return storable_text(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def _write_text(content: Content, bodies: _Bodies, words: dict[int, str]) -> None:
    for parts in (bodies.text, bodies.html):
        pieces = [
            html_to_text(words[id(part)]) if part.content_type == "text/html" else words[id(part)].strip("\n")
            for part in parts or ()
        ]
        content.text = "\n\n".join(piece for piece in pieces if piece.strip())
        if content.text:
            return


def _write_html(content: Content, bodies: _Bodies, words: dict[int, str]) -> None:
    parts = bodies.html or ()
    if not any(part.content_type == "text/html" for part in parts):
        return
    pieces = []
    for part in parts:
        text = words[id(part)]
        if part.content_type != "text/html":
            pieces.append(text_to_html(text))
        elif is_too_complex(text):
            content.defects.append("the HTML is too complex to show")
            content.attachments.append(_to_attachment(part, len(content.attachments) + 1))
        else:
            pieces.append(clean_html(text))
    content.html = "\n".join(piece for piece in pieces if piece) or None
