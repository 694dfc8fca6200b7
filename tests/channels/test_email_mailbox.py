"""Reply tokens, and which addresses are ours."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.address import normalise_mailbox, parse_mailboxes
from channels.email.mailbox import Mailbox, build_reply_token, read_reply_token
from tests.support.mail import MAILBOX

SECRET = b"secret"
conversation_ids = st.uuids().map(str)


@settings(deadline=None)
@given(conversation_ids)
def test_a_token_is_read_back_in_any_case(conversation_id: str) -> None:
    token = build_reply_token(conversation_id, SECRET)
    assert token == token.lower()
    assert read_reply_token(token, SECRET) == conversation_id
    assert read_reply_token(token.upper(), SECRET) == conversation_id


@settings(deadline=None)
@given(conversation_ids, st.integers(0, 38), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_with_another_character_is_not_ours(conversation_id: str, place: int, character: str) -> None:
    token = build_reply_token(conversation_id, SECRET)
    changed = token[:place] + character + token[place + 1 :]
    found = read_reply_token(changed, SECRET)
    # The last character has bits to spare, so that another one may say the same.
    assert found is None or (found == conversation_id and changed[:-1] == token[:-1])


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_other_text_is_no_token(text: str) -> None:
    assert read_reply_token(text, SECRET) is None


def test_a_token_of_another_secret_is_not_ours() -> None:
    token = build_reply_token(str(UUID(int=7)), b"another")
    assert read_reply_token(token, SECRET) is None


@pytest.mark.parametrize(
    ("address", "tag"),
    [
        ("service@shop.example", ""),
        ("Service@SHOP.example", ""),
        ("service+abc@shop.example", "abc"),
        ("service+a+b@shop.example", "a+b"),
        ("service+@shop.example", ""),
        ("services@shop.example", None),
        ("service@shop.example.evil.example", None),
        ("x+service@shop.example", None),
        ("service", None),
        ("", None),
    ],
)
def test_our_address_is_told_from_others(address: str, tag: str | None) -> None:
    assert MAILBOX.tag_of(address) == tag
    assert MAILBOX.is_own(address) is (tag is not None)


def test_the_reply_address_carries_the_conversation() -> None:
    conversation_id = str(UUID(int=7))
    address = MAILBOX.reply_address(conversation_id)
    assert len(address.partition("@")[0]) <= 64
    assert read_reply_token(MAILBOX.tag_of(address) or "", MAILBOX.reply_secret) == conversation_id


def test_an_address_without_room_for_a_token_is_used_as_it_is() -> None:
    long = Mailbox(address=f"{'x' * 40}@shop.example", sender_name="", reply_secret=SECRET)
    assert long.reply_address(str(UUID(int=7))) == long.address


def test_the_secret_does_not_show() -> None:
    assert "a secret of the tests" not in repr(MAILBOX)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana@Customer.Example", "ana@customer.example"),
        ("ana@customer.example.", "ana@customer.example"),
        ("ana@straße.example", "ana@xn--strae-oqa.example"),  # IDNA 2003 would say strasse
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
        ('"ana.lima"@customer.example', "ana.lima@customer.example"),
        ('"ana lima"@customer.example', '"ana lima"@customer.example'),
        ("JOSÉ@customer.example", "josé@customer.example"),
        ("ana@[192.0.2.1]", "ana@[192.0.2.1]"),
        ("ana lima@customer.example", None),
        ("ana@customer..example", None),
        ("@customer.example", None),
        ("ana@", None),
        ("ana", None),
        ("", None),
        ("ana@" + "x" * 400, None),
        ("a\nb@customer.example", None),
        ("<ana@customer.example", None),
    ],
)
def test_a_mailbox_has_one_form(text: str, expected: str | None) -> None:
    assert normalise_mailbox(text) == expected


@settings(deadline=None)
@given(st.text(max_size=80))
def test_the_form_of_a_mailbox_stays_what_it_is(text: str) -> None:
    found = normalise_mailbox(text)
    assert found is None or normalise_mailbox(found) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ana@x.example", [("ana@x.example", None, True)]),
        ("Ana Lima <ana@x.example>", [("ana@x.example", "Ana Lima", True)]),
        ('"Lima, Ana" <ana@x.example>', [("ana@x.example", "Lima, Ana", True)]),
        ("ana@x.example (Ana Lima)", [("ana@x.example", "Ana Lima", True)]),
        ("a@x.example, B <b@x.example>", [("a@x.example", None, True), ("b@x.example", "B", True)]),
        ("=?utf-8?q?J=C3=B6rg?= <j@x.example>", [("j@x.example", "Jörg", True)]),
        # The encoded name speaks of somebody else; it stays a name.
        (
            "=?utf-8?q?victim=40x.example_=3Cv=40x.example=3E?= <evil@y.example>",
            [("evil@y.example", "victim@x.example <v@x.example>", True)],
        ),
        ("victim@x.example <evil@y.example>", [("evil@y.example", "victim@x.example", True)]),
        ("<@relay.example:ana@x.example>", [("ana@x.example", None, True)]),
        # Repairs: usable, but no proof can rest on them.
        ("Test test@x.example", [("test@x.example", "Test", False)]),
        ("<a@x.example> <b@y.example>", [("b@y.example", None, False)]),
        ("friends: a@x.example;", [("a@x.example", None, False)]),
        ("a@x.example (never closed <b@y.example>", [("a@x.example", None, False)]),
        ('Ana "Lima <ana@x.example>', [("ana@x.example", "Ana Lima", False)]),
        ("undisclosed-recipients:;", []),
        ("nobody", []),
        ("", []),
    ],
)
def test_mailboxes_are_read(text: str, expected: list[tuple[str, str | None, bool]]) -> None:
    assert [(found.address, found.name, found.is_plain) for found in parse_mailboxes(text)] == expected


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from('ab@."\\<>(),;: =?_é'), max_size=80))
def test_reading_mailboxes_never_fails(text: str) -> None:
    for found in parse_mailboxes(text):
        assert "@" in found.address
