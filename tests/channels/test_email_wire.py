"""Any bytes become a message or a ParseFailure, and real mails become what their authors meant."""

import base64
import binascii
import importlib.util
import json
import re
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.email.address import normalise_mailbox
from channels.email.header import message_ids
from channels.email.mailbox import build_reply_token
from channels.email.mime import read_mail
from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.errors import ParseFailure
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage
from tests.support.mail import HEADER, MAILBOX, NOW, multipart, outbound, parse, plain_mail

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "mail"


def test_a_plain_mail_is_read() -> None:
    message = plain_mail(
        "Hello\r\nthere\r\n", "Message-ID: <1@customer.example>", "Cc: c@x.example, Service+x@shop.example"
    )
    assert message.channel is ChannelName.EMAIL
    assert message.received_at == NOW
    assert (message.sender.kind, message.sender.value) == (AddressKind.EMAIL_CLAIM, "ana@customer.example")
    assert (message.sender_name, message.subject, message.text) == ("Ana Lima", "Hello", "Hello\nthere")
    assert message.html is None
    assert message.recipient == "service@shop.example"
    assert message.external_id == "1@customer.example"
    assert message.cc == ("c@x.example",)
    assert message.attachments == ()
    assert message.extra["to"] == ["service@shop.example"]


@settings(deadline=None)
@given(st.binary(max_size=400))
@example(b"")
@example(b"\x00")
@example(b"From: a@b\x00c\r\n\r\n\x00")
def test_any_bytes_give_a_message_or_a_failure(body: bytes) -> None:
    for source in (body, HEADER + body, HEADER + b"\r\n" + body):
        try:
            message = parse(source)
        except ParseFailure:
            assert source is body
        else:
            assert_storable(message)


PIECES = st.sampled_from(
    [
        *(
            b"Content-Type: %b\r\n" % value
            for value in (
                b"multipart/mixed; boundary=b", b"multipart/alternative; boundary=b--", b"text/html; charset=utf-16",
                b"text/plain; charset=utf-7", b"text/plain; charset=zip", b"message/rfc822", b"multipart/report", b";",
                b"message/delivery-status",
            )
        ),
        *(b"Content-Transfer-Encoding: %b\r\n" % value for value in (b"base64", b"quoted-printable", b"uuencode")),
        b"Content-Disposition: attachment; filename*0*=''%FF; filename*2=x\r\n",
        b"Subject : =?x?b?=?= =?utf-8?q?=FF?=\r\n", b"Message-ID:\r\n\t<a@b>\r\n", b"References: <a> <b <c>>\r\n",
        b"Action: failed\r\n", b"Authentication-Results: a; dmarc=pass (\r\n",
        b"\r\n", b"\n", b"\r", b"--b\r\n", b"--b--\r\n", b"--b----\r\n", b"begin 644 x\r\n", b"end\r\n",
        b"+2AA-", b"\xff\xfe\x00\xd8", b"=", b"=3D\r\n", b"<p>x", b"<img src=x>", b"Zm9v", b" ", b"\t",
    ]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30).map(b"".join))
def test_any_mixture_of_mail_gives_a_message(body: bytes) -> None:
    message = parse(HEADER + body)
    assert_storable(message)
    assert parse(HEADER + body).dedupe_key == message.dedupe_key


def assert_storable(message: InboundMessage) -> None:
    assert message.sender.value == normalise_mailbox(message.sender.value)
    shown = [
        message.text,
        message.html or "",
        message.subject or "",
        message.sender_name or "",
        message.external_id or "",
    ]
    shown += [*message.references, *message.cc, *(file.filename for file in message.attachments)]
    for text in shown:
        assert "\x00" not in text
        text.encode()
    assert b"\\u0000" not in msgspec.json.encode(message.extra)
    for file in message.attachments:
        assert file.filename
        assert not set(file.filename) & set("/\\\r\n")
        assert re.fullmatch(r"[^\s/]+/[^\s/]+", file.content_type)
        assert file.content is not None


# Who wrote it


def test_a_mail_without_an_author_goes_to_quarantine() -> None:
    with pytest.raises(ParseFailure):
        parse(b"Subject: x\r\n\r\nHello")


def test_without_a_from_the_envelope_names_a_claim() -> None:
    message = parse(b"Subject: x\r\n\r\nHello", mail_from="Ana@customer.example", peer="10.0.0.1")
    assert (message.sender.kind, message.sender.value) == (AddressKind.EMAIL_CLAIM, "ana@customer.example")


# The same mail, or another one


def test_the_same_mail_over_another_way_has_the_same_key() -> None:
    first = b"Received: from a\r\n" + HEADER + b"Message-ID: <1@x>\r\nDate: today\r\n\r\nHello\r\nthere\r\n"
    again = b"Received: from b\n" + first.replace(b"\r\n", b"\n") + b"\n"
    assert parse(first).dedupe_key == parse(again, mail_from="other@x.example").dedupe_key
    assert re.fullmatch(r"email:[0-9a-f]{64}", parse(first).dedupe_key)


@pytest.mark.parametrize(
    "change", [(b"<1@x>", b"<2@x>"), (b"today", b"tomorrow"), (b"ana@", b"eva@"), (b"Hello\r\nthere", b"Bye")]
)
def test_another_mail_has_another_key_even_under_the_same_message_id(change: tuple[bytes, bytes]) -> None:
    first = HEADER.replace(b"Subject: Hello\r\n", b"") + b"Message-ID: <1@x>\r\nDate: today\r\n\r\nHello\r\nthere\r\n"
    assert parse(first).dedupe_key != parse(first.replace(*change)).dedupe_key


# Threads


def test_references_are_in_order_and_the_answered_mail_is_last() -> None:
    message = plain_mail("x", "References: <a@x>\r\n <b@x> <c@x>", "In-Reply-To: <b@x>")
    assert message.references == ("a@x", "c@x", "b@x")


def test_references_are_capped_at_the_nearest() -> None:
    many = " ".join(f"<{number}@x>" for number in range(200))
    message = plain_mail("x", f"References: {many}")
    assert message.references == tuple(f"{number}@x" for number in range(150, 200))


def test_a_message_id_is_found_behind_a_tab_on_the_next_line() -> None:
    assert plain_mail("x", "Message-ID:\r\n\t<1@x>").external_id == "1@x"


def test_a_message_id_that_no_index_takes_is_left_out() -> None:
    assert plain_mail("x", f"Message-ID: <{'x' * 3000}@x>").external_id is None


@pytest.mark.parametrize("where", ["envelope", "Delivered-To", "To", "Cc"])
def test_the_reply_token_is_found_wherever_our_address_stands(where: str) -> None:
    conversation_id = new_id()
    token = build_reply_token(conversation_id, MAILBOX.reply_secret).upper()
    address = f"Service+{token}@Shop.Example"
    if where == "envelope":
        message = parse(HEADER + b"\r\nx", rcpt_to=f"service@shop.example,{address}")
    else:
        message = plain_mail(
            "x", f"{where}: x@y.example, {address}" if where in {"To", "Cc"} else f"{where}: {address}"
        )
    assert message.reply_conversation_id == conversation_id
    assert message.recipient == "service@shop.example"


def test_a_forged_token_or_one_at_another_shop_says_nothing() -> None:
    conversation_id = new_id()
    forged = build_reply_token(conversation_id, b"guessed")
    right = build_reply_token(conversation_id, MAILBOX.reply_secret)
    assert plain_mail("x", f"Cc: service+{forged}@shop.example").reply_conversation_id is None
    assert plain_mail("x", f"Cc: service+{right}@other.example").reply_conversation_id is None


# Words


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", b"Gr\xfc\xdfe \x80", "Grüße €"),
        ("ISO-8859-1", "Grüße".encode(), "GrÃ¼ÃŸe"),  # as declared, for nobody can know better
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("x-unheard-of", "Grüße".encode(), "Grüße"),
        ("x-unheard-of", b"Gr\xfc\xdfe", "Grüße"),
        ("utf-8", b"Gr\xfc\xdfe", "Grüße"),
        ("utf-8", "Grüße, schöne \xff".encode().replace(b"\xc3\xbf", b"\xff"), "Grüße, schöne \ufffd"),
        ("gb2312", "你好".encode("gbk"), "你好"),
        ("shift_jis", "こんにちは".encode("cp932"), "こんにちは"),
        ("unicode-1-1-utf-7", b"+AOQ-", "ä"),
        ("utf-7", b"+2AA-x", "\ufffdx"),
        ("zip", b"abc", "abc"),
        ("idna", b"xn--a", "xn--a"),
        ("unicode_escape", b"\\x41", "\\x41"),
        ("", b"a\x00b", "ab"),
    ],
)
def test_text_is_read_whatever_its_charset_is_called(charset: str, data: bytes, text: str) -> None:
    assert plain_mail(data, f"Content-Type: text/plain; charset={charset}").text == text


@pytest.mark.parametrize(
    ("field", "subject"),
    [
        ("Subject : with a blank before the colon", "with a blank before the colon"),
        ("Subject: =?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("Subject: =?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus?= =?UTF-8?Q?_K=C3=B6ln?=", "Grüße aus Köln"),
        ("Subject: =?utf-8?q?Gr=C3?=\r\n =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),  # a character cut in two
        ("Subject: =?utf-8*de?q?Gr=C3=BC?=", "Grü"),
        ("Subject: a =?utf-8?q?b?= c", "a b c"),
        ("Subject: =?iso-8859-1?q?=FC?= =?utf-8?q?=C3=BC?=", "üü"),
        ("Subject: Grüße", "Grüße"),
        ("Subject: a\r\n\tb\r\n  c", "a b c"),
        ("Subject: =?utf-8?q?a=00b=0Ac?=", "ab c"),
        ("Subject: =?utf-8?q?broken", "=?utf-8?q?broken"),
    ],
)
def test_subjects_are_decoded(field: str, subject: str) -> None:
    source = b"From: a@b.example\r\n" + field.encode() + b"\r\n\r\nx"
    assert parse(source).subject == subject


@pytest.mark.parametrize("encoding", ["base64", "BASE64 ", '"base64"', "base64;", "(comment) base64"])
def test_base64_is_decoded_with_noise_in_it(encoding: str) -> None:
    noisy = b"R3LD\r\n!!vMOf\x00\r\nZQ==\r\n"
    assert plain_mail(noisy, f"Content-Transfer-Encoding: {encoding}").text == "Grüße"


def test_a_list_s_footer_below_base64_is_no_base64() -> None:
    body = base64.b64encode(b"Hello") + b"\r\n_______\r\nMailing list footer\r\n"
    assert plain_mail(body, "Content-Transfer-Encoding: base64").text == "Hello"


def test_base64_goes_on_behind_padding_in_the_middle() -> None:
    body = base64.b64encode(b"Hello ") + base64.b64encode(b"wo") + base64.b64encode(b"rld")
    assert plain_mail(body, "Content-Transfer-Encoding: base64").text == "Hello world"


def test_uuencoded_files_in_the_text_become_attachments() -> None:
    line = binascii.b2a_uu(b"some content").decode()
    message = plain_mail(f"Here:\r\n\r\nbegin 644 ../list.txt\r\n{line}`\r\nend\r\n\r\nBye")
    assert message.text.split() == ["Here:", "Bye"]
    assert [(file.filename, file.content) for file in message.attachments] == [("list.txt", b"some content")]


def test_text_is_preferred_and_html_is_kept_clean() -> None:
    message = multipart(
        "alternative",
        "Content-Type: text/plain\r\n\r\nHello",
        "Content-Type: text/html\r\n\r\n<p onclick=x()>Hello <b>you</b></p><script>x()</script>",
    )
    assert message.text == "Hello"
    assert message.html == "<p>Hello <b>you</b></p>"


@pytest.mark.parametrize("plain", ["", "Content-Type: text/plain\r\n\r\n  \r\n"])
def test_without_words_in_the_text_they_come_from_the_html(plain: str) -> None:
    html = "Content-Type: text/html\r\n\r\n<p>Hello</p><p>you</p>"
    parts = [part for part in (plain, html) if part]
    assert multipart("alternative", *parts).text == "Hello\n\nyou"


def test_texts_that_follow_each_other_are_one() -> None:
    message = multipart(
        "mixed",
        "Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nHello\r\n"
        "--c\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n--c--",
        "Content-Type: text/plain\r\n\r\nA list's <footer>",
    )
    assert message.text == "Hello\n\nA list's <footer>"
    assert message.html == "<p>Hello</p>\n<p>A list's &lt;footer&gt;</p>"


def test_html_too_complex_to_show_goes_along_as_a_file() -> None:
    message = plain_mail("x" + "<div>" * 50_000, "Content-Type: text/html")
    assert message.html is None
    assert message.text == "x"
    assert [file.content_type for file in message.attachments] == ["text/html"]


HOSTILE = {
    "boundaries": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"x--b" * 1_000_000,
    "quotes in From": b"From: " + b'"\\' * 200_000 + b"\r\n\r\nx",
    "many Froms": (b"From: " + b'"\\' * 5_000 + b"\r\n") * 400 + b"\r\nx",
    "comments": b"From: " + b"(" * 500_000 + b"\r\n\r\nx",
    "results": b"Authentication-Results: " + b'"\\' * 200_000 + b"\r\n\r\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\r\n\r\nx",
    "parameters": b"Content-Type: text/plain; " + b'a="' * 200_000 + b"\r\n\r\nx",
    "fields": b"X: y\r\n" * 300_000 + b"\r\nx",
    "folds": b"Subject: " + b"\r\n a" * 200_000 + b"\r\n\r\nx",
    "uuencoded": b"\r\n" + b"begin 644 a\r\n" * 100_000,
    "recipients": (b"To: " + b"a@b.example," * 2_000 + b"\r\n") * 300 + b"\r\nx",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_mail_keeps_a_processor_busy(body: bytes) -> None:
    started = time.perf_counter()
    assert_storable(parse(HEADER + body))
    assert time.perf_counter() - started < 5


def test_a_big_mail_is_read_in_a_moment_and_nothing_of_it_is_lost() -> None:
    content = bytes(range(256)) * 80_000
    body = (
        b"--b\r\n\r\nHello\r\n--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(content)
        + b"--b--\r\n"
    )
    message = parse(HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body)
    assert message.attachments[0].content == content


# What programs say


def test_a_delivery_notification_says_which_mail_it_speaks_of() -> None:
    ours = f"{outbound().id}.0@shop.example"
    message = multipart(
        "report; report-type=delivery-status",
        "\r\nYour mail could not be delivered.",
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        "Final-Recipient: rfc822; Gone@customer.example\r\nAction: failed\r\nStatus: 5.1.1",
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{ours}>\r\n",
        fields=("Auto-Submitted: auto-replied",),
    )
    assert message.extra["report"] == {
        "action": "failed", "status": "5.1.1", "recipient": "gone@customer.example", "message_id": ours,
    }  # fmt: skip
    assert message.extra["auto_submitted"] == "auto-replied"


def test_what_a_list_says_of_itself_is_kept() -> None:
    message = plain_mail("x", "List-Id: <news.x.example>", "Precedence: bulk", "Reply-To: list@x.example")
    assert message.extra["list"] == {"list-id": "<news.x.example>", "precedence": "bulk"}
    assert message.extra["reply_to"] == ["list@x.example"]


# The corpus


def load_scorer() -> ModuleType:
    if not CORPUS.exists():
        pytest.skip("The mail corpus (../shared/data/mail) is not here.")
    spec = importlib.util.spec_from_file_location("mail_score", CORPUS / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_for_score(source: bytes) -> dict[str, Any]:
    message = parse(source, mail_from="envelope@customer.example")
    headers = read_mail(source).root.headers
    return {
        "from_": message.sender.value,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "attachments": [
            {"filename": file.filename, "content_type": file.content_type, "size": len(file.content or b"")}
            for file in message.attachments
        ],
        "message_id": message.external_id,
        "in_reply_to": message_ids(headers.first("in-reply-to")),
        "references": message_ids(headers.first("references")),
        "auto_submitted": "auto_submitted" in message.extra,
        "dsn": "report" in message.extra,
        "bounce": message.extra.get("report", {}).get("action") == "failed",
        "mailing_list": "list-id" in message.extra.get("list", {}),
        "defects": "defects" in message.extra,
    }


def test_the_corpus_is_read_without_loss_and_nearly_always_as_meant() -> None:
    scorer = load_scorer()
    right = stated = 0
    lost, wrong = [], []
    for line in (CORPUS / "cases.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        source = (CORPUS / case["raw"]).read_bytes()
        got = read_for_score(source)
        is_single = not re.search(rb"(?im)^content-type\s*:\s*multipart/", source)
        has_body = any(re.split(rb"\r?\n[ \t]*\r?\n", source, maxsplit=1)[1:])
        if is_single and has_body and not (got["text"] or got["html"] or got["attachments"]):
            lost.append(case["name"])
        if "from" in case["expect"]:  # we keep domains in ASCII
            case["expect"]["from"] = normalise_mailbox(case["expect"]["from"]) or case["expect"]["from"]
        for field, (is_right, detail) in scorer.score_case(case, got).items():
            if field not in case.get("contested", []):
                stated += 1
                right += is_right
                wrong += [] if is_right else [(case["name"], field, detail)]
    assert stated > 300
    assert right / stated >= 0.97, wrong
    assert lost == []
