"""How a text is counted and cut for SMS: GSM-7 or UCS-2 segments, and parts that a provider takes whole.

3GPP TS 23.038 gives the alphabet, TS 23.040 the room in a segment: 160 septets or 70 UTF-16 units alone, 153 or 67
where several are joined, because the joining header takes seven or three of them.
"""

import regex

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each is an escape and a character: two septets
_ALPHABET = _BASIC | _EXTENSION
_GSM7_SINGLE, _GSM7_JOINED = 160, 153
_UCS2_SINGLE, _UCS2_JOINED = 70, 67

_GRAPHEME = regex.compile(r"\X")
_PARAGRAPH_END = regex.compile(r"(?:\r\n|\n|\r)\s*(?:\r\n|\n|\r)")
_SENTENCE_MARKS = frozenset(".!?…。！？؟।")
_CLOSING_MARKS = frozenset("\"'’”»)]）」』")
_WIDE_MARKS = frozenset("。！？，、；：")  # end a clause in scripts that write no spaces
_FULL_ENOUGH = 0.5  # a finer cut is taken only where it leaves less than half of a part empty


def is_gsm7(text: str) -> bool:
    """Say whether every character is one of the GSM 7-bit alphabet or its extension."""
    return _ALPHABET.issuperset(text)


def count_segments(text: str) -> int:
    """Return how many SMS segments carry `text`; no escape pair and no surrogate pair is split between two."""
    if is_gsm7(text):
        widths = [2 if character in _EXTENSION else 1 for character in text]
        single, joined = _GSM7_SINGLE, _GSM7_JOINED
    else:
        widths = [_units(character) for character in text]
        single, joined = _UCS2_SINGLE, _UCS2_JOINED
    if sum(widths) <= single:
        return 1
    segments, room = 1, joined
    for width in widths:
        if width > room:
            segments, room = segments + 1, joined
        room -= width
    return segments


def split_text(text: str, limit_units: int) -> tuple[str, ...]:
    """Return `text` in parts of at most `limit_units` UTF-16 code units each; at least one part.

    Cuts fall between paragraphs, else sentences, else words; a word is cut only if it is longer than a part, a
    grapheme only if it is (a single code point that doesn't fit stands alone). White space at a cut is dropped.
    """
    if _units(text) <= limit_units:
        return (text,)
    graphemes = _fitting_graphemes(text, limit_units)
    widths = [_units(grapheme) for grapheme in graphemes]
    parts = []
    start = _skip_space(graphemes, 0)
    while start < len(graphemes):
        end = _reach(widths, start, limit_units)
        if end < len(graphemes):
            end = _best_cut(graphemes, start, end)
        parts.append("".join(graphemes[start : _trim_space(graphemes, start, end)]))
        start = _skip_space(graphemes, end)
    return tuple(parts) or ("",)


def _units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def _fitting_graphemes(text: str, limit_units: int) -> list[str]:
    """Return the grapheme clusters (UAX 29); one that no part could hold is given as its code points."""
    graphemes: list[str] = []
    for grapheme in _GRAPHEME.findall(text):
        if _units(grapheme) <= limit_units:
            graphemes.append(grapheme)
        else:
            graphemes.extend(grapheme)
    return graphemes


def _reach(widths: list[int], start: int, limit_units: int) -> int:
    """Return the end of the longest run from `start` that fits; at least one grapheme, so that cutting ends."""
    room = limit_units - widths[start]
    end = start + 1
    while end < len(widths) and widths[end] <= room:
        room -= widths[end]
        end += 1
    return end


def _best_cut(graphemes: list[str], start: int, end: int) -> int:
    """Return where to cut between `start` and `end`, given that the text goes on after `end`."""
    spaces = [at for at in range(start + 1, end + 1) if graphemes[at].isspace()]
    enough = start + int((end - start) * _FULL_ENOUGH)
    for is_good in (_ends_paragraph, _ends_sentence):
        for at in reversed(spaces):
            if at >= enough and is_good(graphemes, at):
                return at
    if spaces:
        return spaces[-1]
    for at in range(end, enough, -1):
        if graphemes[at - 1] in _WIDE_MARKS and graphemes[at] not in _WIDE_MARKS:
            return at
    return end


def _ends_paragraph(graphemes: list[str], at: int) -> bool:
    following = "".join(graphemes[at : _skip_space(graphemes, at)])
    return _PARAGRAPH_END.search(following) is not None


def _ends_sentence(graphemes: list[str], at: int) -> bool:
    before = at - 1
    while before > 0 and graphemes[before] in _CLOSING_MARKS:
        before -= 1
    return graphemes[before] in _SENTENCE_MARKS or "\n" in graphemes[at]


def _skip_space(graphemes: list[str], at: int) -> int:
    while at < len(graphemes) and graphemes[at].isspace():
        at += 1
    return at


def _trim_space(graphemes: list[str], start: int, end: int) -> int:
    while end > start and graphemes[end - 1].isspace():
        end -= 1
    return end
