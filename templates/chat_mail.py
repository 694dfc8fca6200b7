"""The few fixed words of mails that come out of a chat; everything else in them is what was said there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class ChatMailWords:
    """`{shop}` stands for the shop's name."""

    subject: str
    opening: str
    you: str


_WORDS = {
    "en": ChatMailWords("Your chat with {shop}", "This is your chat with {shop}. All times are in UTC.", "You"),
    "es": ChatMailWords(
        "Su chat con {shop}", "Esta es su conversación por chat con {shop}. Todas las horas son UTC.", "Usted"
    ),
    "fr": ChatMailWords(
        "Votre chat avec {shop}", "Voici votre conversation avec {shop}. Toutes les heures sont en UTC.", "Vous"
    ),
    "de": ChatMailWords("Ihr Chat mit {shop}", "Das ist Ihr Chat mit {shop}. Alle Uhrzeiten sind in UTC.", "Sie"),
    "it": ChatMailWords("La sua chat con {shop}", "Ecco la sua chat con {shop}. Tutti gli orari sono in UTC.", "Lei"),
    "pt": ChatMailWords(
        "O seu chat com {shop}", "Esta é a sua conversa com {shop}. Todas as horas estão em UTC.", "Você"
    ),
    "nl": ChatMailWords("Uw chat met {shop}", "Dit is uw chat met {shop}. Alle tijden zijn in UTC.", "U"),
    "pl": ChatMailWords(
        "Rozmowa na czacie: {shop}", "To zapis rozmowy na czacie: {shop}. Wszystkie godziny podano w UTC.", "Klient"
    ),
    "ar": ChatMailWords(
        "محادثتك مع {shop}", "هذه محادثتك مع {shop}. جميع الأوقات بالتوقيت العالمي المنسق (UTC).", "أنت"
    ),
    "ja": ChatMailWords(
        "{shop}とのチャット", "{shop}とのチャットの内容をお送りします。時刻はすべてUTCです。", "お客様"
    ),
    "ko": ChatMailWords("{shop} 채팅 내용", "{shop}과(와) 나눈 채팅 내용입니다. 모든 시간은 UTC 기준입니다.", "고객님"),
    "zh": ChatMailWords("您与{shop}的聊天记录", "这是您与{shop}的聊天记录。所有时间均为协调世界时(UTC)。", "您"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message of the chat; `author` None: the customer, or nobody's name of the shop."""

    at: datetime
    is_customer: bool
    author: str | None
    text: str
    files: Sequence[str] = ()  # their names


def chat_mail_words(language: str | None) -> ChatMailWords:
    """Return the words in this language (BCP 47, by its first part); in English where we have none."""
    return _WORDS.get((language or "").partition("-")[0].lower(), _WORDS["en"])


def chat_subject(language: str | None, shop: str) -> str:
    return chat_mail_words(language).subject.replace("{shop}", shop)


def render_transcript(lines: Sequence[Line], language: str | None, shop: str) -> str:
    """Return a chat as the text of a mail."""
    words = chat_mail_words(language)
    said = [_render(line, words.you, shop) for line in lines]
    return "\n\n".join((words.opening.replace("{shop}", shop), *said)) + "\n"


def _render(line: Line, you: str, shop: str) -> str:
    who = you if line.is_customer else line.author or shop
    head = f"{who}, {line.at.astimezone(UTC):%Y-%m-%d %H:%M}"
    return "\n".join((head, *([line.text] if line.text else []), *(f"[{name}]" for name in line.files)))
