"""Files and structure: nothing that a mail holds is lost, however it is put together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.mime import safe_filename
from tests.support.mail import HEADER, multipart, parse, plain_mail

# Files


def test_files_come_with_a_safe_name_and_their_content() -> None:
    message = multipart(
        "mixed",
        "\r\nsee file",
        'Content-Type: image/jpeg; name="x"\r\nContent-Transfer-Encoding: base64\r\n'
        'Content-Disposition: attachment; filename="../../C:\\dir\\my photo.jpg"\r\n\r\n/9j/',
        "Content-Type: application/pdf\r\nContent-Disposition: attachment;\r\n"
        " filename*0*=utf-8''Gr%C3%B6; filename*1*=%C3%9Fe; filename*2=.pdf\r\n\r\nx",
        "Content-Type: application/pdf; name==?utf-8?q?Gr=C3=B6=C3=9Fe=2Epdf?=\r\n\r\nx",
        "Content-Type: application/pdf\r\n\r\nx",
        "Content-Type: nonsense\r\nContent-Disposition: attachment\r\n\r\nx",
    )
    assert message.text == "see file"
    assert [(file.filename, file.content_type) for file in message.attachments] == [
        ("my photo.jpg", "image/jpeg"),
        ("Größe.pdf", "application/pdf"),
        ("Größe.pdf", "application/pdf"),
        ("attachment-4.pdf", "application/pdf"),
        ("attachment-5.bin", "application/octet-stream"),
    ]
    assert message.attachments[0].content == b"\xff\xd8\xff"
    assert not message.attachments[0].is_inline


def test_an_image_in_the_html_is_inline_and_findable() -> None:
    message = multipart(
        "related",
        'Content-Type: text/html\r\n\r\n<img src="cid:logo@x">',
        "Content-Type: image/png\r\nContent-ID: <logo@x>\r\n\r\nx",
    )
    assert message.html == '<img src="cid:logo@x">'
    assert [(file.content_id, file.is_inline, file.filename) for file in message.attachments] == [
        ("logo@x", True, "attachment-1.png")
    ]


def test_an_attached_mail_is_one_file_and_its_header_stays_its_own() -> None:
    inner = "From: eve@evil.example\r\nSubject: Inner/one\r\nMessage-ID: <inner@x>\r\n\r\nInner text"
    message = multipart("mixed", "\r\nsee below", f"Content-Type: message/rfc822\r\n\r\n{inner}")
    assert (message.sender.value, message.subject, message.text) == ("ana@customer.example", "Hello", "see below")
    assert message.external_id is None
    assert [(file.filename, file.content) for file in message.attachments] == [("Inner-one.eml", inner.encode())]


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_safe_name_is_safe_and_stays_itself(text: str) -> None:
    name = safe_filename(text)
    assert len(name) <= 150
    assert not set(name) & set('/\\:*?"<>|\x00\n\u202e')
    assert not name.startswith(".")
    assert safe_filename(name) == name


# Structure


@pytest.mark.parametrize(
    ("declared", "used"),
    [("=_a=b", "=_a=b"), ("a b", "a"), ("'a'", "a"), ('"a;b"', "a;b"), ("declared", "used"), ("", "used")],
)
def test_parts_are_found_at_the_boundary_that_is_used(declared: str, used: str) -> None:
    parts = ("Content-Type: text/plain\r\n\r\nHello", "Content-Type: image/png\r\n\r\nx")
    body = "".join(f"--{used}\r\n{part}\r\n" for part in parts) + f"--{used}--"
    message = plain_mail(body, f"Content-Type: multipart/mixed; boundary={declared}")
    assert message.text == "Hello"
    assert len(message.attachments) == 1


def test_a_boundary_in_the_middle_of_a_line_divides_nothing() -> None:
    message = multipart("mixed", "\r\nthe mark --b\r\nand --b--\r\nare words")
    assert message.text == "the mark --b\nand --b--\nare words"


def test_the_root_of_related_parts_is_the_one_that_is_named() -> None:
    message = multipart(
        "related; start=root@x",
        "Content-Type: text/html\r\n\r\n<p>not this</p>",
        "Content-Type: text/html\r\nContent-ID: <root@x>\r\n\r\n<p>this</p>",
    )
    assert message.text == "this"


def test_a_multipart_without_any_boundary_is_text() -> None:
    assert plain_mail("just text", "Content-Type: multipart/mixed; boundary=b").text == "just text"


def test_a_mail_that_ends_too_early_is_read_as_far_as_it_goes() -> None:
    body = "--b\r\n\r\nHello\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA"
    message = plain_mail(body, "Content-Type: multipart/mixed; boundary=b")
    assert (message.text, [file.content for file in message.attachments]) == ("Hello", [b"\0\0\0"])
    assert message.extra["defects"] == ["the last boundary is missing"]


def nested(levels: int) -> bytes:
    return HEADER + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n\r\nlevel %d\r\n--b%d\r\n" % (n, n, n, n)
        for n in range(levels)
    )


def test_what_is_nested_too_deeply_is_kept_as_a_file() -> None:
    message = parse(nested(5000))
    assert "level 0" in message.text
    assert "nested too deeply" in message.extra["defects"]
    assert b"level 4999" in (message.attachments[-1].content or b"")


def test_parts_without_number_are_kept_as_one_file() -> None:
    body = "".join(f"--b\r\nContent-Type: image/png\r\n\r\nx{number}\r\n" for number in range(3000))
    message = plain_mail(body, "Content-Type: multipart/mixed; boundary=b")
    assert len(message.attachments) <= 501
    assert b"x2999" in (message.attachments[-1].content or b"")
