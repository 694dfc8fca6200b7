import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import Gone, NotFound, TooLarge
from gateway.domain.ids import new_id
from gateway.services.attachments import (
    UNKNOWN_TYPE,
    UPLOAD_LIFETIME,
    clean_filename,
    decide_type,
    save_upload,
    servable_type,
    sweep_uploads,
)
from gateway.services.links import LINK_LIFETIME, Links, link_expiry, read_link, sign_link
from storage.attachments import Attachment, load_attachment
from storage.blobs import Blobs, open_blobs
from storage.database import Database
from storage.messages import claim_uploads
from tests.support.factories import NOW, make_conversation, make_message, minutes

KEY = b"a secret of the tests, 32 bytes.."
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
PDF = b"%PDF-1.4\n<</Type /Catalog>>\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"<?xpacket begin?>" + bytes(40)
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


@pytest.mark.parametrize(
    ("content", "declared", "expected"),
    [
        (PNG, "image/png", "image/png"),
        (PNG, "text/html", "image/png"),
        (PNG, None, "image/png"),
        (JPEG, "image/jpeg; name=a", "image/jpeg"),
        (PDF, None, "application/pdf"),
        (b"GIF89a" + bytes(20), "image/png", "image/gif"),
        (b"PK\x03\x04" + bytes(60), None, "application/zip"),
        (b"hello", "text/plain; charset=utf-8", "text/plain"),
        (b"a;b\n1;2", "Text/CSV", "text/csv"),
        (HTML, "text/html", UNKNOWN_TYPE),
        (HTML, "image/png", UNKNOWN_TYPE),
        (HTML, "text/plain", UNKNOWN_TYPE),
        (b"\xef\xbb\xbf \n" + HTML, None, UNKNOWN_TYPE),
        (SVG, "image/svg+xml", UNKNOWN_TYPE),
        (b"<?xml version='1.0'?>" + SVG, "image/png", UNKNOWN_TYPE),
        (b"hello", "image/png", UNKNOWN_TYPE),
        (b"alert(1)", "text/javascript", UNKNOWN_TYPE),
        (b"a\x00b", "text/plain", UNKNOWN_TYPE),
        (b"\xff\xfe", "text/plain", UNKNOWN_TYPE),
        (b"MZ" + bytes(100), "application/x-msdownload", UNKNOWN_TYPE),
        (b"", "image/png", UNKNOWN_TYPE),
    ],
)
def test_content_and_not_what_was_declared_decides_the_type(
    content: bytes, declared: str | None, expected: str
) -> None:
    assert decide_type(content, declared) == expected


@pytest.mark.parametrize(
    ("stored", "served"),
    [
        ("image/png", "image/png"),
        ("Text/Plain; charset=latin-1", "text/plain"),
        ("text/html", UNKNOWN_TYPE),
        ("image/svg+xml", UNKNOWN_TYPE),
        ("application/xhtml+xml", UNKNOWN_TYPE),
        ("", UNKNOWN_TYPE),
        ("image/png\r\nX: y", UNKNOWN_TYPE),
    ],
)
def test_stored_type_goes_out_only_if_no_browser_runs_it(stored: str, served: str) -> None:
    assert servable_type(stored) == served


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a b.png", "a b.png"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("../..", "file"),
        ("", "file"),
        (" . ", "file"),
        (".bashrc", "bashrc"),
        ("a\r\nSet-Cookie: x.png", "aSet-Cookie_ x.png"),
        ("in\u202egpj.exe", "ingpj.exe"),
        ('say "hi".txt', "say _hi_.txt"),
        ("订单 Übersicht.pdf", "订单 Übersicht.pdf"),
        ("U\u0308.pdf", "Ü.pdf"),
        ("x" * 300 + ".pdf", "x" * 139 + ".pdf"),
        ("bad\ud800.png", "bad_.png"),
    ],
)
def test_filename_keeps_its_sense_and_loses_its_tricks(name: str, clean: str) -> None:
    assert clean_filename(name) == clean


@given(st.text())
def test_clean_filename_is_a_short_name_of_one_file(name: str) -> None:
    clean = clean_filename(name)
    assert 0 < len(clean) <= 150
    assert clean.encode()
    assert clean not in {".", ".."}
    assert not any(sign in clean for sign in '/\\\x00\r\n"\u202e\u2028')


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(str(tmp_path), max_bytes=1000)


async def upload(db: Database, blobs: Blobs, content: bytes = PNG, *, owner: str = "agent:1") -> Attachment:
    return await save_upload(
        db, blobs, owner=owner, filename="../a.png", content=content, declared_type="text/html", now=NOW
    )


async def test_upload_is_kept_under_its_hash_with_a_harmless_name_and_type(database: Database, blobs: Blobs) -> None:
    stored = await upload(database, blobs)
    async with database.read() as conn:
        assert await load_attachment(conn, stored.id) == stored
    assert (stored.filename, stored.content_type, stored.size, stored.owner) == ("a.png", "image/png", 58, "agent:1")
    assert stored.sha256 is not None
    assert await blobs.read(stored.sha256) == PNG


async def test_upload_over_the_limit_leaves_nothing(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await upload(database, blobs, bytes(1001))
    assert [path for path in tmp_path.rglob("*") if len(path.name) == 64] == []


def stamp(folder: Path, at: datetime) -> None:
    """Make every file look as if it had been put then."""
    for path in folder.rglob("*"):
        os.utime(path, (at.timestamp(), at.timestamp()))


async def test_sweep_deletes_what_nobody_sent_and_nothing_else(
    database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    given_up, sent = await upload(database, blobs, b"given up"), await upload(database, blobs, b"sent")
    shared = await upload(database, blobs, b"sent")
    message = await make_message(database, await make_conversation(database))
    await database.write(lambda tx: claim_uploads(tx, message, "agent:1", [sent.id]))
    stamp(tmp_path, NOW)
    assert await sweep_uploads(database, blobs, NOW + UPLOAD_LIFETIME) == 0
    assert await sweep_uploads(database, blobs, NOW + UPLOAD_LIFETIME + timedelta(seconds=1)) == 2
    assert given_up.sha256 is not None
    assert sent.sha256 is not None
    with pytest.raises(NotFound):
        await blobs.read(given_up.sha256)
    assert await blobs.read(sent.sha256) == b"sent"
    async with database.read() as conn:
        for gone in (given_up, shared):
            with pytest.raises(NotFound):
                await load_attachment(conn, gone.id)


async def test_sweep_leaves_bytes_that_somebody_has_just_put(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    stored = await upload(database, blobs, b"again")
    stamp(tmp_path, NOW + minutes(1))  # by an upload that has not got its row yet
    assert await sweep_uploads(database, blobs, NOW + UPLOAD_LIFETIME + timedelta(seconds=1)) == 1
    assert stored.sha256 is not None
    assert await blobs.read(stored.sha256) == b"again"


def test_link_stands_for_its_attachment_until_it_expires() -> None:
    attachment_id = new_id()
    token = sign_link(KEY, attachment_id, expires_at=NOW)
    assert read_link(KEY, token, NOW - minutes(1)) == attachment_id
    with pytest.raises(Gone):
        read_link(KEY, token, NOW)


def test_no_changed_link_is_taken() -> None:
    token = sign_link(KEY, new_id(), expires_at=NOW + minutes(5))
    for place in range(len(token) - 1):  # of the last sign, two bits carry nothing
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(NotFound):
            read_link(KEY, changed, NOW)
    for other in (token[:-4], token + "AAAA", "", "A", "ü", "../../etc", token + "="):
        with pytest.raises(NotFound):
            read_link(KEY, other, NOW)
    with pytest.raises(NotFound):
        read_link(b"another secret", token, NOW)


def test_link_lasts_a_day_and_stays_the_same_for_a_while() -> None:
    expiry = link_expiry(NOW + minutes(1))
    assert LINK_LIFETIME <= expiry - NOW <= LINK_LIFETIME + timedelta(hours=1)
    links = Links(public_url="https://desk.example", secret_key=KEY)
    attachment_id = new_id()
    url = links.to_attachment(attachment_id, NOW + minutes(1))
    assert url == links.to_attachment(attachment_id, NOW + minutes(59))
    assert url != links.to_attachment(attachment_id, NOW + minutes(61))
    assert read_link(KEY, url.removeprefix("https://desk.example/files/"), NOW) == attachment_id
    assert KEY.decode() not in repr(links)
