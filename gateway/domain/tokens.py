"""What a text is found by: words folded to one form, and pairs of characters where a script has no spaces.

A word is found by its beginning. A run of characters without spaces (Han, kana, Hangul, Thai and their neighbours) is
found by each two that stand side by side; its last character stands alone as well, so that every single character of
the run begins one token. There is no promise of arbitrary substrings (architecture.md, "Search").
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import regex

MAX_LENGTH = 20_000  # characters; a longer text is found by its beginning
MAX_TOKENS = 1_000  # distinct ones of one text
MAX_TOKEN_LENGTH = 40  # characters
MAX_QUERY_TOKENS = 20
# A shorter word would be the beginning of too many others to say anything.
MIN_PREFIX_LENGTH = 3

# Marks that a hurried writer leaves out: Latin, Greek and Cyrillic accents, Hebrew points, Arabic vowels. Marks of
# other scripts (kana's voicing, Indic vowels) make another letter and stay.
_LOOSE_MARKS = regex.compile(r"[\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670]")
_SPACELESS = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}"
    r"\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u30fc"
)
_RUNS = regex.compile(rf"(?P<run>[{_SPACELESS}]+)|(?P<word>[[\p{{L}}\p{{M}}\p{{N}}]--[{_SPACELESS}]]+)", regex.V1)

_ASCII_WORDS = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryToken:
    text: str
    is_prefix: bool  # finds everything that begins so


def fold(text: str) -> str:
    """Return `text` without what people vary: case, width, accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _LOOSE_MARKS.sub("", apart))


def index_tokens(text: str) -> list[str]:
    """Return the distinct tokens of `text`, in the order in which they first stand in it."""
    if text.isascii():  # most texts are: the same tokens, a sixth of the time
        words = _ASCII_WORDS.findall(text[:MAX_LENGTH].lower())
        return list(islice(dict.fromkeys(word[:MAX_TOKEN_LENGTH] for word in words), MAX_TOKENS))
    return list(islice(dict.fromkeys(token for token, _ in _split(text, with_last=True)), MAX_TOKENS))


def query_tokens(text: str) -> list[QueryToken]:
    """Return what a text must have, all of it, to be found by what somebody typed; empty: nothing to search for."""
    tokens = dict(islice(_split(text, with_last=False), MAX_QUERY_TOKENS))
    return [QueryToken(text=token, is_prefix=is_beginning) for token, is_beginning in tokens.items()]


def _split(text: str, *, with_last: bool) -> Iterator[tuple[str, bool]]:
    """Yield each token, and whether it finds all that begins so when it is asked for."""
    for match in _RUNS.finditer(fold(text[:MAX_LENGTH])):
        piece = match.group()
        if match.lastgroup == "word":
            yield piece[:MAX_TOKEN_LENGTH], len(piece) >= MIN_PREFIX_LENGTH
            continue
        for start in range(len(piece) - 1):
            yield piece[start : start + 2], False
        if with_last or len(piece) == 1:
            yield piece[-1], True
