"""A form's file is found as browsers write it, and no bytes make more than a 400."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.problem import HttpError
from gateway.web.uploads import find_file

TYPE = "multipart/form-data; boundary=xyz"


def form(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + b"--xyz" + end


def field(head: str, content: bytes) -> bytes:
    return head.encode() + b"\r\n\r\n" + content


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('Content-Disposition: form-data; name="file"; filename="a b.png"', "a b.png"),
        ("content-disposition: form-data; name=file; filename=a.png", "a.png"),
        ('Content-Disposition: form-data; name="file"; filename="Übersicht 订单.png"', "Übersicht 订单.png"),
        ("Content-Disposition: form-data; name=file; filename*=UTF-8''%C3%9C.png", "Ü.png"),
        ('Content-Disposition: form-data; name="file"; filename=""', ""),
    ],
)
def test_file_has_the_name_that_a_browser_wrote(head: str, name: str) -> None:
    found = find_file(form(field(head + "\r\nContent-Type: image/png", b"bytes")), TYPE)
    assert (found.filename, found.content, found.declared_type) == (name, b"bytes", "image/png")


@pytest.mark.parametrize("content", [b"", b"\r\n", b"--xy", b"\r\n--xy", b"\r\n\r\n", b"x--xyz"])
def test_file_is_what_stands_between_the_boundaries(content: bytes) -> None:
    other = field('Content-Disposition: form-data; name="note"', b"hello")
    file = field('Content-Disposition: form-data; name="file"; filename="a"', content)
    assert find_file(form(other, file, other), TYPE).content == content


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", TYPE),
        (form(), TYPE),
        (form(field('Content-Disposition: form-data; name="note"', b"x")), TYPE),
        (form(b'Content-Disposition: form-data; filename="a"'), TYPE),
        (form(field('Content-Disposition: form-data; filename="a"', b"x"), end=b""), TYPE),
        (form(*[field("Content-Disposition: form-data; name=n", b"x")] * 21), TYPE),
        (form(field('Content-Disposition: form-data; filename="a"', b"x")), "multipart/form-data"),
        (form(field('Content-Disposition: form-data; filename="a"', b"x")), "multipart/form-data; boundary=ü"),
    ],
)
def test_form_without_a_whole_file_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(HttpError) as refused:
        find_file(body, content_type)
    assert refused.value.status == 400


@given(
    st.lists(
        st.sampled_from(
            [
                b"--xyz",
                b"--",
                b"\r\n",
                b"\n",
                b"Content-Disposition: ",
                b"form-data; filename",
                b'="',
                b"*=",
                b"UTF-8''%f",
                b"\xff",
                b"\x00",
                b": ",
            ]
        ),
        max_size=30,
    ).map(b"".join)
)
def test_no_bytes_make_more_than_a_refusal(body: bytes) -> None:
    with contextlib.suppress(HttpError):
        find_file(body, TYPE)
