"""A file in the body of a request: the body itself, or the first file of a form (RFC 7578)."""

from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from http import HTTPStatus

from aiohttp import web

from gateway.domain.errors import TooLarge
from gateway.domain.text import storable_text
from gateway.web.problem import HttpError, malformed
from gateway.web.wire import read_body

# A phone on a poor line takes its time over a long film.
_TIMEOUT_S = 300
_FORM_OVERHEAD = 64 * 1024  # bytes: the other fields, and what stands around them
_MOST_PARTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    filename: str
    content: bytes
    declared_type: str | None


async def read_upload(request: web.Request, *, filename: str | None, max_bytes: int) -> UploadedFile:
    """Return the file; `filename` names one that is the body itself.

    Raises:
        TooLarge: it has more than `max_bytes`.
        HttpError: 400, 408 or 415; it broke off, or there is no file in it.
    """
    too_large = TooLarge(f"A file may have {max_bytes} bytes.")
    if request.content_type != "multipart/form-data":
        if filename is None:
            raise HttpError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send a form (multipart/form-data), or name the body: ?filename="
            )
        content = await read_body(request, max_bytes, timeout_s=_TIMEOUT_S)
        return UploadedFile(filename=filename, content=content, declared_type=request.headers.get("Content-Type"))
    body = await read_body(request, max_bytes + _FORM_OVERHEAD, timeout_s=_TIMEOUT_S)
    found = find_file(body, request.headers["Content-Type"])
    if len(found.content) > max_bytes:
        raise too_large
    return found


def find_file(body: bytes, content_type: str) -> UploadedFile:
    """Return the first file of a form.

    Raises:
        HttpError: 400; it is no form, or has no file.
    """
    boundary = _header("Content-Type", content_type).get_boundary()
    if not boundary or not boundary.isascii():
        raise malformed("The form has no boundary.")
    # The line break before a boundary is part of it (RFC 2046, section 5.1.1); the first may stand at the very start.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), _MOST_PARTS)
    if not parts or not parts[-1].startswith(b"--"):
        raise malformed("The form broke off, or has too many fields.")
    for part in parts[:-1]:
        head, separator, content = part.partition(b"\r\n\r\n")
        # Browsers write names as plain UTF-8 (HTML, "multipart form data").
        headers = message_from_string(head.strip().decode("utf-8", "replace") + "\n\n")
        filename = headers.get_filename()
        if separator and filename is not None:
            return UploadedFile(
                filename=storable_text(filename), content=content, declared_type=headers.get_content_type()
            )
    raise malformed("The form has no file.")


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message
