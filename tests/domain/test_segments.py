import unicodedata

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.segments import count_segments, is_gsm7, split_text

# Words in several scripts, surrogate pairs, clusters of several code points, and all kinds of space.
_WORDLIKE = [
    "a",
    "Hello",
    "€",
    "[",
    "ß",
    "你好",
    "。",
    "สวัสดี",
    "مرحبا",
    "नमस्ते",
    "👩🏽‍🚒",
    "🇫🇷",
    "🇩🇪",
    "é",
    "한글",
    "\u0301",
]
_SPACELIKE = [" ", "  ", "\n", "\n\n", "\r\n", ". ", "! ", "\u00a0", "\u200d", "\ufe0f"]
_PIECES = st.sampled_from(_WORDLIKE + _SPACELIKE)
_TEXTS = st.lists(_PIECES, max_size=60).map("".join) | st.text(max_size=80)
_WORDS = st.lists(st.text("abcdeé你", min_size=1, max_size=9), min_size=1, max_size=60)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def graphemes(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def solid(text: str) -> list[str]:
    return [grapheme for grapheme in graphemes(text) if not grapheme.isspace()]


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),  # an escape and a character each
        ("€" * 81, 2),
        ("a" * 152 + "€" * 10, 2),  # the first pair would straddle the border: 152, then 20
        ("a" * 152 + "€" + "a" * 151, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("é" * 160, 1),
        ("ê" * 70, 1),  # not in GSM-7
        ("ê" * 71, 2),
        ("ê" * 134, 2),
        ("ê" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),  # 33 pairs fit into 67 units, not 33.5
        ("😀" * 67, 3),
        ("a" * 69 + "’", 1),
    ],
)
def test_segments_are_counted_as_the_standard_says(text: str, segments: int) -> None:
    assert count_segments(text) == segments


def test_gsm7_knows_its_extension() -> None:
    assert is_gsm7("^{}\\[~]|€ Ωß@\n")
    assert not is_gsm7("’")


def test_text_that_fits_stays_as_it_is() -> None:
    assert split_text("  one two \n", 20) == ("  one two \n",)
    assert split_text("", 20) == ("",)


def test_paragraphs_are_kept_whole_before_sentences() -> None:
    text = "One paragraph of one sentence.\n\nA second. It goes on after the limit."
    assert split_text(text, 50) == ("One paragraph of one sentence.", "A second. It goes on after the limit.")


def test_sentences_are_kept_whole_before_words() -> None:
    text = "Your parcel left today. It should be with you on Friday."
    assert split_text(text, 40) == ("Your parcel left today.", "It should be with you on Friday.")


def test_a_cut_does_not_waste_most_of_a_part_on_a_short_sentence() -> None:
    assert split_text("Hi. one two three four five six", 20) == ("Hi. one two three", "four five six")


def test_a_word_longer_than_a_part_is_cut_after_a_clause_where_it_has_one() -> None:
    assert split_text("我们收到了您的信,会尽快回复。谢谢您的耐心等待请稍候", 18) == (
        "我们收到了您的信,会尽快回复。",
        "谢谢您的耐心等待请稍候",
    )


def test_families_and_flags_are_not_taken_apart() -> None:
    family = "👩‍👩‍👧‍👦"
    assert split_text(family * 3, units(family) + 3) == (family,) * 3
    assert split_text("🇫🇷🇩🇪🇯🇵", 6) == ("🇫🇷", "🇩🇪", "🇯🇵")


def test_a_grapheme_longer_than_a_part_ends_all_the_same() -> None:
    stacked = "e" + "\u0301" * 50
    parts = split_text(stacked, 10)
    assert "".join(parts) == stacked
    assert all(units(part) <= 10 for part in parts)
    assert split_text("😀😀", 1) == ("😀", "😀")


@given(_TEXTS, st.integers(2, 40))
@example("a \u0301b" * 9, 4)
def test_no_part_is_over_the_limit(text: str, limit: int) -> None:
    assert all(units(part) <= limit for part in split_text(text, limit))


@given(_TEXTS, st.integers(2, 40))
@example("a \u0301b" * 9, 4)
@example(" \u200d\u200d", 2)  # a cluster of a space and more, longer than a part
def test_parts_together_lose_only_space(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert parts
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(_TEXTS, st.integers(30, 60))
def test_no_grapheme_is_cut(text: str, limit: int) -> None:
    if all(units(grapheme) <= limit for grapheme in graphemes(text)):
        assert [grapheme for part in split_text(text, limit) for grapheme in solid(part)] == solid(text)


@given(_WORDS, st.sampled_from([" ", "\n", ". ", "\n\n", "  "]), st.integers(10, 50))
def test_no_word_that_fits_is_cut(words: list[str], space: str, limit: int) -> None:
    text = space.join(unicodedata.normalize("NFC", word) for word in words)
    assert [word for part in split_text(text, limit) for word in part.split()] == text.split()


@given(_TEXTS, st.integers(2, 40))
def test_splitting_twice_gives_the_same_parts(text: str, limit: int) -> None:
    assert split_text(text, limit) == split_text(text, limit)
