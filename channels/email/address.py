"""Mailboxes as headers and envelopes write them, and the one form in which we keep them."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import idna

from channels.email.header import decode_words, one_line, read_comment

_MAX_LENGTH = 320  # 64 octets, "@", 255 octets: RFC 5321 4.5.3.1
_MAX_NAME_LENGTH = 200
_MAX_MAILBOXES = 100
_ASCII_DOMAIN = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_DOMAIN_LITERAL = re.compile(r"\[[0-9a-f:.]{2,60}\]|\[ipv6:[0-9a-f:.]{2,60}\]")
_DOT_ATOM = re.compile(r"[^\s\x00-\x1f\x7f\"(),:;<>@\[\\\]]+")
_QUOTED_LOCAL = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"')
# An escaped quote outside of quotes belongs to its word: else a quote that never closes is looked for without end.
_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\]|\\.)*+)"|<(?P<angle>[^<>]*)>?|(?P<stop>[,;:])|(?P<atom>(?:\\.|[^\s"<(,;:\\])+)|(?P<open>\()|.',
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMailbox:
    """One author or recipient. `is_plain`: it could be read in one way only, without a repair."""

    address: str
    name: str | None = None
    is_plain: bool = True


def normalise_mailbox(text: str) -> str | None:
    """Return the mailbox in lower case with its domain in ASCII (IDNA 2008, RFC 5891); None when it is none.

    IDNA 2003 would make straße.example and strasse.example the same person.
    """
    local, at, domain = text.strip().rpartition("@")
    domain = domain.rstrip(".").lower()
    if not at or not local or len(text) > _MAX_LENGTH:
        return None
    if not _ASCII_DOMAIN.fullmatch(domain) and not _DOMAIN_LITERAL.fullmatch(domain):
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            return None
    if _QUOTED_LOCAL.fullmatch(local):
        inner = re.sub(r"\\(.)", r"\1", local[1:-1])
        local = inner if _DOT_ATOM.fullmatch(inner) else local
    elif not _DOT_ATOM.fullmatch(local):
        return None
    address = f"{unicodedata.normalize('NFC', local).lower()}@{domain}"
    return address if len(address.encode()) <= _MAX_LENGTH else None


def parse_mailboxes(text: str) -> list[NamedMailbox]:
    """Return the mailboxes of an unfolded From, To or Cc; encoded words are decoded after the structure was read.

    So a name that holds an encoded "<other@example>" stays a name (RFC 2047 section 5).
    """
    found = []
    for item in _split_items(text[: _MAX_LENGTH * _MAX_MAILBOXES]):
        mailbox = _read_item(item)
        if mailbox is not None:
            found.append(mailbox)
        if len(found) == _MAX_MAILBOXES:
            break
    return found


_Item = list[tuple[str, str]]


def _split_items(text: str) -> Iterator[_Item]:
    """Yield the tokens of each entry; a group's name (RFC 5322 3.4) and its end are no entries."""
    item: _Item = []
    position = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        kind = match.lastgroup
        if kind == "open":
            comment, position = read_comment(text, position)
            item.append(("comment", comment) if comment is not None else ("odd", "("))
        elif kind == "stop":
            if match["stop"] != ":":
                yield item
                item = []
            elif any("@" in value for kind, value in item if kind in {"atom", "angle"}):
                item.append(("odd", ":"))
            else:
                item = [("odd", "")]
        elif kind == "quoted":
            item.append(("quoted", match["quoted"]))
        elif kind in {"angle", "atom"}:
            item.append((kind, match[kind]))
        elif not match.group().isspace():
            item.append(("odd", match.group()))
        else:
            item.append(("space", " "))
    yield item


def _read_item(item: _Item) -> NamedMailbox | None:
    angles = [value for kind, value in item if kind == "angle"]
    is_plain = not any(kind == "odd" for kind, _ in item)
    for angle in reversed(angles):
        # A source route, obsolete since RFC 5321 appendix C: <@relay.example:user@example.org>
        mailbox = normalise_mailbox(angle.rpartition(":")[2] if angle.startswith("@") else angle)
        if mailbox is not None:
            is_plain = is_plain and len(angles) == 1
            return NamedMailbox(address=mailbox, name=_read_name(item), is_plain=is_plain)
    return _read_bare_item(item, is_plain=is_plain and not angles)


def _read_bare_item(item: _Item, *, is_plain: bool) -> NamedMailbox | None:
    """Read an entry without angle brackets: an address, perhaps with words around it, which is a repair."""
    text = "".join(
        f'"{value}"' if kind == "quoted" else value for kind, value in item if kind not in {"comment", "odd"}
    ).strip()
    mailbox = normalise_mailbox(text)
    if mailbox is not None:
        comments = [value for kind, value in item if kind == "comment"]
        name = _clean_name(comments[0]) if comments else None
        return NamedMailbox(address=mailbox, name=name, is_plain=is_plain)
    for word in reversed(text.split()):
        mailbox = normalise_mailbox(word.strip("<>()[]'\"\\"))
        if mailbox is not None:
            name = _clean_name(" ".join(other for other in text.split() if other != word))
            return NamedMailbox(address=mailbox, name=name, is_plain=False)
    return None


def _read_name(item: _Item) -> str | None:
    name = "".join(re.sub(r"\\(.)", r"\1", value) for kind, value in item if kind in {"atom", "quoted", "space"})
    return _clean_name(name) or _clean_name(" ".join(value for kind, value in item if kind == "comment"))


def _clean_name(text: str) -> str | None:
    return one_line(decode_words(text)).strip("'\" ")[:_MAX_NAME_LENGTH] or None
