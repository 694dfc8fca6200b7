"""A mail as its sender laid it out: a page of its own, for a frame in which nothing runs.

The HTML was cleaned when it came in. The headers are the second wall: whatever slipped through has no script, no form,
no origin that could ask for anything, and loads nothing that the reader did not ask for.
"""

from http import HTTPStatus

import msgspec
from aiohttp import web

from channels.email.html import with_images
from gateway.domain.errors import NotFound
from gateway.services.links import Links
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.v1.views import links_of
from storage.attachments import AttachmentState
from storage.timeline import load_message

# `allow-same-origin` lets our page measure how tall the mail is; without scripts it gives the mail nothing.
_SANDBOX = "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
_PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><base target="_blank"><style>'
    "html{{color-scheme:light}}body{{margin:0;padding:8px;font:15px/1.45 system-ui,sans-serif;color:#1c1c1a;"
    "background:#fff;overflow-wrap:anywhere}}img{{max-width:100%;height:auto}}table{{max-width:100%}}"
    "</style></head><body>{body}</body></html>"
)


class MailQuery(msgspec.Struct, forbid_unknown_fields=True):
    """`images`: show remote ones too. Their servers then learn that the mail was read, so it is asked for each mail."""

    images: bool = False


async def get_mail(call: Call[None, MailQuery]) -> web.Response:
    async with call.context.db.read() as conn:
        message = await load_message(conn, call.id)
    if not message.html:
        raise NotFound("This message has no HTML.")
    links, is_remote_shown = links_of(call.context), call.query.images
    inline = {
        file.content_id.strip("<>"): links.to_attachment(file.id, call.now)
        for file in message.attachments
        if file.content_id and file.state is AttachmentState.READY
    }
    body = with_images(message.html, inline, is_remote_shown=is_remote_shown)
    return web.Response(
        status=HTTPStatus.OK,
        text=_PAGE.format(body=body),
        content_type="text/html",
        headers={"Content-Security-Policy": _policy(links, is_remote_shown=is_remote_shown)},
    )


def _policy(links: Links, *, is_remote_shown: bool) -> str:
    images = "'self' data: https: http:" if is_remote_shown else f"'self' data: {links.public_url}"
    return f"{_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src {images}; frame-ancestors 'self'"


ROUTES = (
    Route(
        "GET",
        "/v1/messages/{id}/html",
        Action.CONVERSATION_READ,
        get_mail,
        query=MailQuery,
        produces="text/html",
        summary="Show a mail as it was laid out, without what it would load from elsewhere",
    ),
)
