"""The mails that come out of a chat hold its words, and a few of ours in the visitor's language."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from templates.chat_mail import Line, chat_mail_words, chat_subject, render_transcript

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "nl", "pl", "ar", "ja", "ko", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_words_of_its_own_that_name_the_shop(language: str) -> None:
    words = chat_mail_words(language)
    assert "{shop}" in words.subject
    assert "{shop}" in words.opening
    assert "UTC" in words.opening
    others = [chat_mail_words(other) for other in LANGUAGES if other != language]
    assert words.opening not in {other.opening for other in others}
    assert "{" not in chat_subject(language, "Calm Shop")


@pytest.mark.parametrize(
    ("tag", "language"), [("pt-BR", "pt"), ("ZH-hant", "zh"), ("tlh", "en"), ("", "en"), (None, "en")]
)
def test_a_language_is_found_by_its_first_part_and_else_is_english(tag: str | None, language: str) -> None:
    assert chat_mail_words(tag) == chat_mail_words(language)


def test_a_transcript_says_who_said_what_when() -> None:
    lisbon_summer = timezone(timedelta(hours=1))
    lines = [
        Line(at=AT.astimezone(lisbon_summer), is_customer=True, author=None, text="Hello?"),
        Line(at=AT, is_customer=False, author="Ben", text="Here it is.", files=("label.pdf",)),
        Line(at=AT, is_customer=False, author=None, text="", files=("a.png", "b.png")),
    ]
    assert render_transcript(lines, "de", "Calm {shop}") == (
        "Das ist Ihr Chat mit Calm {shop}. Alle Uhrzeiten sind in UTC.\n\n"
        "Sie, 2026-11-02 09:30\nHello?\n\n"
        "Ben, 2026-11-02 09:30\nHere it is.\n[label.pdf]\n\n"
        "Calm {shop}, 2026-11-02 09:30\n[a.png]\n[b.png]\n"
    )
