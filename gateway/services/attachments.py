"""Files that people hand us: named harmlessly, typed by what is in them, kept, and swept when nobody sent them."""

import asyncio
import re
import unicodedata
from collections.abc import Collection
from datetime import datetime, timedelta

import puremagic
from puremagic import PureError

from storage import attachments
from storage.attachments import Attachment
from storage.blobs import Blobs
from storage.database import Database, Transaction

UNKNOWN_TYPE = "application/octet-stream"
# An upload that was not sent by then was given up.
UPLOAD_LIFETIME = timedelta(hours=24)
_SWEEP_BATCH = 200
_MAX_NAME = 150  # characters; with four bytes each still under what file systems take

# What may be served as what it is. Everything else, above all what a browser would run (HTML, SVG, XML, scripts), goes
# out as unknown bytes.
_OFFICE = "application/vnd.openxmlformats-officedocument."
_SAFE_TYPES = frozenset(
    {
        "image/png", "image/jpeg", "image/gif", "image/webp", "image/heic", "image/heif", "image/bmp", "image/tiff",
        "audio/mpeg", "audio/ogg", "audio/amr", "audio/mp4", "audio/wav", "audio/aac",
        "video/mp4", "video/3gpp", "video/webm", "video/quicktime",
        "application/pdf", "application/zip", "application/msword", "application/vnd.ms-excel",
        f"{_OFFICE}wordprocessingml.document", f"{_OFFICE}spreadsheetml.sheet", f"{_OFFICE}presentationml.presentation",
        "text/vcard",
    }
)  # fmt: skip
# Where the bytes fit several names, and nobody said which it is.
_PREFERRED = ("application/pdf", "application/zip", "application/msword", "audio/ogg", "video/mp4", "video/webm")
_OTHER_NAMES = {"audio/wave": "audio/wav", "audio/x-wav": "audio/wav", "image/x-ms-bmp": "image/bmp"}
_PLAIN_TEXT = frozenset({"text/plain", "text/csv"})
# A browser that guesses looks for a tag at the start (WHATWG MIME Sniffing, section 7.1), old ones further on too.
_MARKUP = re.compile(rb"<\s*[!?/a-zA-Z]")
_STARTS_AS_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\s*[!?/a-zA-Z]")

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_NAMES = re.compile(r'[<>:"|?*]')


async def save_upload(
    db: Database,
    blobs: Blobs,
    *,
    owner: str,
    filename: str,
    content: bytes,
    declared_type: str | None,
    now: datetime,
) -> Attachment:
    """Keep a file until its owner ("agent:<id>", "token:<id>" or "visitor:<value>") sends it.

    Raises:
        TooLarge: it is over the store's limit.
    """
    content_type = await asyncio.to_thread(decide_type, content, declared_type)
    blob = await blobs.put(content)

    async def work(tx: Transaction) -> Attachment:
        return await attachments.insert_upload(
            tx, owner=owner, filename=clean_filename(filename), content_type=content_type, blob=blob, now=now
        )

    return await db.write(work)


def decide_type(content: bytes, declared_type: str | None) -> str:
    """Return the media type under which `content` may be served; what was declared only chooses among what fits."""
    declared = (declared_type or "").partition(";")[0].strip().lower()
    declared = _OTHER_NAMES.get(declared, declared)
    fitting = _fitting_types(content)
    if declared in fitting:
        return declared
    if declared in _PLAIN_TEXT and _is_plain_text(content):
        return declared
    return next((name for name in (*_PREFERRED, *fitting) if name in fitting), UNKNOWN_TYPE)


def servable_type(content_type: str) -> str:
    """Return under which type a stored file goes out, whoever once said what it is."""
    name = content_type.partition(";")[0].strip().lower()
    return name if name in _SAFE_TYPES or name in _PLAIN_TEXT else UNKNOWN_TYPE


def _fitting_types(content: bytes) -> list[str]:
    """Return the harmless types whose signature `content` has, likeliest first; none if it could be markup."""
    if not content or _STARTS_AS_MARKUP.match(content):
        return []
    try:
        matches = puremagic.magic_string(content)
    except (PureError, ValueError):
        return []
    named = (_OTHER_NAMES.get(match.mime_type, match.mime_type) for match in matches)
    return [name for name in dict.fromkeys(named) if name in _SAFE_TYPES]


def _is_plain_text(content: bytes) -> bool:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return "\x00" not in text and not _MARKUP.search(content[:1024])


def clean_filename(name: str) -> str:
    """Return `name` without folders, control characters and what turns its end around, its extension kept."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    name = re.split(r"[/\\]", name)[-1]
    # Format characters (category Cf) turn the reading direction: "exe.gpj" would read as "jpg.exe" and the reverse.
    name = "".join(sign for sign in name if unicodedata.category(sign) not in {"Cf", "Zl", "Zp"})
    name = _NOT_IN_NAMES.sub("_", _CONTROLS.sub("", name)).strip(" .")
    stem, dot, extension = name.rpartition(".")
    if dot and len(extension) <= 10:
        return f"{stem[: _MAX_NAME - 11].rstrip(' .')}.{extension}"
    return name[:_MAX_NAME] or "file"


async def sweep_uploads(db: Database, blobs: Blobs, now: datetime) -> int:
    """Delete what was uploaded and never sent; return how many files went."""
    before = now - UPLOAD_LIFETIME
    hashes = await db.write(lambda tx: attachments.delete_stale_uploads(tx, before=before, limit=_SWEEP_BATCH))
    for sha256 in await _unused(db, blobs, hashes, before):
        await blobs.delete(sha256)
    return len(hashes)


async def _unused(db: Database, blobs: Blobs, hashes: Collection[str], before: datetime) -> list[str]:
    """Return the blobs that nothing refers to and that nobody has put lately: an upload puts before it refers."""
    old = []
    for sha256 in sorted(hashes):
        written_at = await blobs.find_written_at(sha256)
        if written_at is not None and written_at < before:
            old.append(sha256)
    if not old:
        return []
    async with db.read() as conn:
        used = await attachments.find_referenced(conn, old)
    return [sha256 for sha256 in old if sha256 not in used]
