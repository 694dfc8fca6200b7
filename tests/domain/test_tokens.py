import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.domain.tokens import MAX_LENGTH, MAX_TOKENS, fold, index_tokens, query_tokens

HAN = st.text(alphabet="敏感肌订单在哪里退款", min_size=1, max_size=30)


def finds(query: str, text: str) -> bool:
    """What the databases do, in pure code."""
    tokens = index_tokens(text)
    wanted = query_tokens(query)
    return bool(wanted) and all(
        any(token.startswith(want.text) if want.is_prefix else token == want.text for token in tokens)
        for want in wanted
    )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("commande", "Où est ma COMMANDE ?"),
        ("ou est", "Où est ma commande ?"),
        ("STRASSE", "Hauptstraße, Straße 5"),
        ("10023", "Order #10023!"),
        ("#10023", "order 10023"),
        ("ship", "when is it shipped"),
        ("敏感", "敏感肌に使えますか"),
        ("肌", "敏感肌"),
        ("敏", "敏感肌"),
        ("주문", "주문을 확인해 주세요"),
        ("ｶﾞｰﾃﾞﾝ", "ガーデン"),
        ("ana@example.com", "mail me at ana@example.com please"),
        ("مرحبا", "مَرحَبًا"),
        ("ёлка", "Елка"),
    ],
)
def test_text_is_found_by_what_people_type(query: str, text: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [("hip", "shipped"), ("sh", "shipped"), ("肌敏", "敏感肌"), ("か", "がく"), ("refund order", "my order")],
)
def test_text_is_not_found_by_what_it_does_not_say(query: str, text: str) -> None:
    assert not finds(query, text)


@pytest.mark.parametrize("query", ["", "  ", "?!", "👋", "\x00", "\ud800"])
def test_signs_alone_are_nothing_to_search_for(query: str) -> None:
    assert query_tokens(query) == []


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_tokens_are_distinct_and_safe_to_join_with_spaces(text: str) -> None:
    tokens = index_tokens(text)
    assert len(set(tokens)) == len(tokens)
    assert all(token and not any(sign.isspace() or sign in "\x00\"'\\:*&|!()" for sign in token) for token in tokens)


@given(text=st.text(min_size=1))
def test_every_text_with_a_token_is_found_by_itself(text: str) -> None:
    assume(query_tokens(text))
    assert finds(text, text)


@given(before=HAN, piece=HAN, after=HAN)
def test_every_piece_of_a_text_without_spaces_finds_it(before: str, piece: str, after: str) -> None:
    assert finds(piece, before + piece + after)


def test_very_long_text_costs_no_more_than_its_beginning() -> None:
    assert index_tokens("word " * MAX_LENGTH + "end") == ["word"]
    assert len(index_tokens(" ".join(f"w{n}" for n in range(MAX_LENGTH)))) == MAX_TOKENS


@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_plain_ascii_takes_a_shorter_way_to_the_same_tokens(text: str) -> None:
    assert index_tokens(f"{text} 中") == [*index_tokens(text), "中"]
