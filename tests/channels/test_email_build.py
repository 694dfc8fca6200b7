"""What we build is what a strict reader reads, whatever the words are."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.email.build import BuiltMail, build_mail
from channels.email.header import one_line
from channels.email.mailbox import Mailbox, read_reply_token
from gateway.domain.contact import Address, AddressKind
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import OutboundAttachment, OutboundMessage
from tests.support.mail import MAILBOX, NOW, fields_of, outbound, parse, read_built

ID = "01a205c1-8951-70b2-89b7-3b8eed6d9321"
CONVERSATION = "01a205c1-8951-70b2-89b7-3b8eed6d9300"
# Line ends and controls are what the encoders take away by intent; everything else must come through.
LINE = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs", "Cn"], include_characters=" "), max_size=150
)


def build(message: OutboundMessage, part: int = 0) -> BuiltMail:
    return build_mail(message, part, MAILBOX, NOW)


def attachment(
    filename: str = "a.pdf", content_type: str = "application/pdf", content: bytes | None = b"x"
) -> OutboundAttachment:
    return OutboundAttachment(filename=filename, content_type=content_type, content=content, url=None)


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    text = part.get_content()
    assert isinstance(text, str)
    return text


def test_a_mail_is_exactly_this() -> None:
    message = outbound(
        "Hello Ana\nbye", id=ID, conversation_id=CONVERSATION, references=("a@x", "b@x"), language="pt-BR"
    )
    token = MAILBOX.reply_address(CONVERSATION)
    assert build(message).content.decode() == (
        'From: "Ben (Clean Shop)" <service@shop.example>\r\n'
        "To: Ana Lima <ana@customer.example>\r\n"
        f"Reply-To: Clean Shop\r\n <{token}>\r\n"
        "Subject: Re: Hello\r\n"
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        f"Message-ID: <{ID}.0@shop.example>\r\n"
        "In-Reply-To: <b@x>\r\n"
        "References: <a@x>\r\n <b@x>\r\n"
        "Content-Language: pt-BR\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "\r\n"
        "Hello Ana\r\nbye\r\n"
    )


def test_the_message_id_is_the_same_at_every_attempt_and_tells_parts_apart() -> None:
    message = outbound()
    later = build_mail(message, 0, MAILBOX, datetime(2027, 1, 1, tzinfo=UTC))
    assert build(message).message_id == later.message_id == f"{message.id}.0@shop.example"
    assert build(message, 1).message_id == f"{message.id}.1@shop.example"


@settings(deadline=None)
@given(LINE, LINE, LINE)
@example("=?utf-8?q?x?=", "Lima, Ana", 'Ben "the" <boss> \\ (x)')
@example("a" * 150, "é" * 150, "😀" * 100)
def test_header_words_come_through(subject: str, recipient_name: str, author: str) -> None:
    built = build(outbound(subject=subject, recipient_name=recipient_name, author_name=author)).content
    header = built.partition(b"\r\n\r\n")[0]
    assert max(map(len, header.split(b"\r\n"))) <= 78
    read = read_built(built)
    assert (read["subject"] or "") == one_line(subject)
    assert read["to"].addresses[0].addr_spec == "ana@customer.example"
    # The strict reader keeps the blanks between encoded words in a name (CPython issue 79728), RFC 2047 6.2 doesn't.
    assert squeezed(read["to"].addresses[0].display_name) == squeezed(recipient_name)
    assert squeezed(read["from"].addresses[0].display_name).removesuffix("(CleanShop)") == (
        squeezed(author) or "CleanShop"
    )
    again = parse(built)
    assert (again.subject or "") == one_line(subject)
    assert again.sender_name is not None
    assert again.sender_name.startswith(one_line(author)[:150].strip("'\" "))


def squeezed(text: str) -> str:
    return "".join(text.split())


@settings(deadline=None)
@given(st.text(max_size=300), st.one_of(st.none(), st.text(max_size=300)))
@example("--=_a\n--=_m\n", None)
@example("trailing \nblanks\t\n.\n..\nFrom x\n", "<p>x</p>")
@example("x" * 2000, "é" * 2000)
@example("漢字" * 200, None)
@example("", "")
def test_bodies_come_through(text: str, html: str | None) -> None:
    built = build(outbound(text, html=html)).content
    assert max(map(len, built.split(b"\r\n"))) <= 998
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", built) is None
    assert built.isascii()
    read = read_built(built)
    assert lines(text_of(read)) == lines(text)
    if html is None:
        assert not read.is_multipart()
    else:
        assert read.get_content_type() == "multipart/alternative"
        assert lines(text_of(read, "html")) == lines(html)


def lines(text: str) -> list[str]:
    """A mail's text ends with a line end, and knows one kind of it; U+0000 can't be sent."""
    return re.sub(r"\r\n|\r", "\n", text.replace("\x00", "")).removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", "7bit"),
        ("a blank before a line end \nx", "quoted-printable"),
        ("a tab at the end\t", "quoted-printable"),
        ("--=_a", "quoted-printable"),
        ("x" * 999, "quoted-printable"),
        ("a bell\x07", "quoted-printable"),
        ("Grüße, and then a good many words without accents", "quoted-printable"),
        ("漢字", "base64"),
    ],
)
def test_each_text_travels_in_the_encoding_that_it_needs(text: str, encoding: str) -> None:
    assert read_built(build(outbound(text)).content)["content-transfer-encoding"] == encoding


NASTY = "x\r\nBcc: eve@evil.example\r\n\r\n<b>\n\x00\x0b\x0c\x1c\x85\u2028Injected: yes"


@pytest.mark.parametrize(
    "message",
    [
        outbound(subject=NASTY),
        outbound(recipient_name=NASTY),
        outbound(author_name=NASTY),
        outbound(references=(NASTY, "a@x>\r\nBcc: eve@evil.example", "ok@x")),
        outbound(language=NASTY),
        outbound(attachments=(attachment(filename=NASTY),)),
        outbound(attachments=(attachment(content_type=f"text/plain\r\n{NASTY}"),)),
    ],
)
def test_no_value_adds_a_header(message: OutboundMessage) -> None:
    read = read_built(build(message).content)
    names = {name for part in read.walk() for name in fields_of(part)}
    assert not names & {"bcc", "injected"}
    assert "Hello" in text_of(read)


@pytest.mark.parametrize("address", [NASTY, "ana@customer.example\r\nRCPT TO:<eve@evil.example>", "a b@x.example", ""])
def test_what_is_no_address_is_not_written_to(address: str) -> None:
    for message in (outbound(recipient=Address(kind=AddressKind.EMAIL, value=address)), outbound(cc=(address,))):
        with pytest.raises(SendError) as raised:
            build(message)
        assert raised.value.action is SendAction.FLAG_ADDRESS


@settings(deadline=None)
@given(LINE.map(lambda text: text.replace("/", "").replace("\\", "")), st.binary(max_size=2000))
@example("Größe 你好 % ' \" * .pdf", bytes(range(256)))
@example('a"b;c.pdf', b"")
@example("=?utf-8?q?x?=.pdf", b"\r\n.\r\n")
def test_files_come_through(filename: str, content: bytes) -> None:
    message = outbound(html="<p>Hello</p>", attachments=(attachment(filename, content=content), attachment("b.txt")))
    built = build(message).content
    assert max(map(len, built.split(b"\r\n"))) <= 78
    read = read_built(built)
    assert read.get_content_type() == "multipart/mixed"
    first, second = read.iter_attachments()
    assert (first.get_filename() or "").strip() == (one_line(filename) or "file")
    assert (first.get_content_type(), first.get_content()) == ("application/pdf", content)
    assert second.get_filename() == "b.txt"
    assert text_of(read, "html").strip() == "<p>Hello</p>"


def test_a_file_s_type_that_would_be_read_as_mail_is_not_said() -> None:
    message = outbound(attachments=(attachment(content_type="message/rfc822"), attachment(content_type="")))
    types = [part.get_content_type() for part in read_built(build(message).content).iter_attachments()]
    assert types == ["application/octet-stream"] * 2


def test_a_file_without_content_is_not_sent_as_an_empty_one() -> None:
    with pytest.raises(SendError) as raised:
        build(outbound(attachments=(attachment(content=None),)))
    assert raised.value.action is SendAction.FAIL


def test_answers_come_back_to_the_conversation() -> None:
    message = outbound(references=("a@x",))
    read = read_built(build(message).content)
    reply_to = read["reply-to"].addresses[0].addr_spec
    assert read_reply_token(MAILBOX.tag_of(reply_to) or "", MAILBOX.reply_secret) == message.conversation_id
    answer = f"From: ana@customer.example\r\nTo: {reply_to}\r\nIn-Reply-To: {read['message-id']}\r\n\r\nThanks"
    received = parse(answer.encode())
    assert received.reply_conversation_id == message.conversation_id
    assert received.references == (f"{message.id}.0@shop.example",)


def test_a_person_s_reply_does_not_claim_to_be_automatic() -> None:
    assert "auto-submitted" not in fields_of(read_built(build(outbound()).content))


def test_copies_are_named_and_addressed() -> None:
    built = build(outbound(cc=("Bea@customer.example", "c@bücher.example")))
    assert built.copies == ("bea@customer.example", "c@xn--bcher-kva.example")
    read = read_built(built.content)
    assert [address.addr_spec for address in read["cc"].addresses] == list(built.copies)


def test_a_long_thread_keeps_its_beginning_and_its_end() -> None:
    ids = tuple(f"{number}@x" for number in range(100))
    read = read_built(build(outbound(references=ids)).content)
    kept = read["references"].split()
    assert kept == ["<0@x>", *(f"<{number}@x>" for number in range(80, 100))]
    assert read["in-reply-to"] == "<99@x>"


def test_an_international_mailbox_asks_for_a_server_that_knows_it() -> None:
    message = outbound(recipient=Address(kind=AddressKind.EMAIL, value="josé@customer.example"))
    built = build(message)
    assert built.needs_utf8
    assert "To: Ana Lima <josé@customer.example>\r\n".encode() in built.content
    assert not build(outbound()).needs_utf8


def test_a_shop_without_a_name_is_just_its_address() -> None:
    nameless = Mailbox(address="service@shop.example", sender_name="", reply_secret=b"x")
    for author, shown in ((None, "service@shop.example"), ("Ben", "Ben <service@shop.example>")):
        built = build_mail(replace(outbound(), author_name=author), 0, nameless, NOW)
        assert str(read_built(built.content)["from"]) == shown
