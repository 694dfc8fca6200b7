import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.phone import is_e164, normalise_phone, variants

_E164 = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
_MOBILES = (
    st.from_regex(r"\+55[1-9][1-9]9?[6-9][0-9]{7}", fullmatch=True)
    | st.from_regex(r"\+521?[2-9][0-9]{9}", fullmatch=True)
    | st.from_regex(r"\+549?[1-8][0-9]{9}", fullmatch=True)
)


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+49 30 123456", None, "+4930123456"),
        ("(030) 123456", "DE", "+4930123456"),
        ("00 49 30 123456", "DE", "+4930123456"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("+1 415 555 2671", "DE", "+14155552671"),
        ("+15550001111", None, "+15550001111"),  # of no known range: kept
        ("030 123456", None, None),
        ("12345", None, None),
        ("AMAZON", None, None),
        ("", None, None),
        ("+", None, None),
        ("9" * 300, "DE", None),
    ],
)
def test_numbers_become_e164_or_nothing(text: str, region: str | None, expected: str | None) -> None:
    assert normalise_phone(text, region) == expected


@given(_E164)
def test_an_e164_number_is_never_rewritten(number: str) -> None:
    assert normalise_phone(number) == number
    assert normalise_phone(number, "BR") == number


@given(st.text(max_size=30), st.sampled_from([None, "DE", "BR", "MX", "US", "??"]))
def test_whatever_is_typed_gives_a_number_or_nothing(text: str, region: str | None) -> None:
    number = normalise_phone(text, region)
    assert number is None or is_e164(number)
    assert number is None or normalise_phone(number) == number


@pytest.mark.parametrize(
    ("number", "other"),
    [
        ("+5511987654321", "+551187654321"),
        ("+5215512345678", "+525512345678"),
        ("+5491123456789", "+541123456789"),
    ],
)
def test_national_forms_of_a_number_find_each_other(number: str, other: str) -> None:
    assert variants(number) == (number, other)
    assert variants(other) == (other, number)


@pytest.mark.parametrize("number", ["+14155552671", "+551133334444", "+4930123456", "+5511912345678"])
def test_other_numbers_have_one_form(number: str) -> None:
    assert variants(number) == (number,)


@given(_E164 | _MOBILES)
def test_a_number_is_a_form_of_itself_and_of_all_its_forms(number: str) -> None:
    assert variants(number)[0] == number
    assert len(set(variants(number))) == len(variants(number))
    for form in variants(number):
        assert set(variants(form)) == set(variants(number))
