"""`GET /files/{token}`: the bytes of an attachment, to whoever holds a link to it.

Always as a download that no browser takes for a page of ours, whatever is in it.
"""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import quote

from aiohttp import web

from gateway.domain.errors import NotFound, Unavailable
from gateway.services.attachments import clean_filename, servable_type
from gateway.services.links import read_link
from gateway.web.context import CONTEXT
from storage.attachments import Attachment, AttachmentState, load_attachment

_SAFE_IN_QUOTES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$&'()+,-.;=@[]^_`{}~")


def routes() -> list[web.RouteDef]:
    return [web.get("/files/{token}", get_file)]


async def get_file(request: web.Request) -> web.StreamResponse:
    context = request.app[CONTEXT]
    attachment_id = read_link(context.secret_key, request.match_info["token"], context.now())
    async with context.db.read() as conn:
        attachment = await load_attachment(conn, attachment_id)
    if attachment.state is not AttachmentState.READY or attachment.sha256 is None:
        raise NotFound("There is nothing to fetch.")
    response = web.StreamResponse(headers=_headers(attachment))
    response.content_length = attachment.size
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    content = context.blobs.stream(attachment.sha256)
    first = await anext(content, b"")  # what is missing shows here, while there still is an answer to give
    await response.prepare(request)
    await _write(request, response, first, content)
    return response


async def _write(request: web.Request, response: web.StreamResponse, first: bytes, rest: AsyncIterator[bytes]) -> None:
    with contextlib.suppress(ConnectionError):  # the reader left
        try:
            await response.write(first)
            async for chunk in rest:
                await response.write(chunk)
            await response.write_eof()
        except Unavailable:
            # It has begun: only a connection that breaks off says that this is not all.
            if request.transport is not None:
                request.transport.abort()


def _headers(attachment: Attachment) -> dict[str, str]:
    return {
        "Content-Type": servable_type(attachment.content_type),
        "Content-Disposition": content_disposition(attachment.filename),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "cross-origin",  # the widget shows pictures on the shop's own pages
        "Cache-Control": "private, max-age=3600",
    }


def content_disposition(filename: str) -> str:
    """Return the header that saves a file under this name (RFC 6266; its long form is RFC 8187's)."""
    name = clean_filename(filename)
    plain = "".join(sign if sign in _SAFE_IN_QUOTES else "_" for sign in name)
    long = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{long}'
