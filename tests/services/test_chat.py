"""A visitor is who their token says."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import new_id
from gateway.services.chat import read_visitor, sign_visitor

KEY = b"a secret of the tests, 32 bytes.."


def test_a_visitors_token_is_read_back_and_only_with_our_key() -> None:
    visitor = new_id()
    token = sign_visitor(KEY, visitor)
    assert read_visitor(KEY, token) == visitor
    assert read_visitor(b"another" * 5, token) is None
    assert sign_visitor(KEY, visitor) == token
    assert sign_visitor(KEY, new_id()) != token


@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_anything_else_is_nobodys_token(token: str) -> None:
    assert read_visitor(KEY, token) is None


def test_one_changed_letter_spoils_a_token() -> None:
    token = sign_visitor(KEY, new_id())
    for position in range(len(token)):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert read_visitor(KEY, changed) is None
