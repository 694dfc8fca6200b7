"""Files are uploaded before the message that they go with, and looked at."""

from typing import Annotated

import msgspec

from gateway.domain.errors import NotFound
from gateway.services.attachments import save_upload
from gateway.web.permissions import Action
from gateway.web.routes import Call, Route
from gateway.web.uploads import read_upload
from gateway.web.v1.views import AttachmentView, attachment_view, links_of
from storage.attachments import load_attachment


class UploadQuery(msgspec.Struct, forbid_unknown_fields=True):
    """`filename` names a file that is the request's body itself; a form names its own."""

    filename: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None


async def add_attachment(call: Call[None, UploadQuery]) -> AttachmentView:
    context = call.context
    file = await read_upload(call.request, filename=call.query.filename, max_bytes=context.max_upload_bytes)
    attachment = await save_upload(
        context.db,
        context.blobs,
        owner=call.principal.key,
        filename=file.filename,
        content=file.content,
        declared_type=file.declared_type,
        now=call.now,
    )
    return attachment_view(attachment, links_of(context), call.now)


async def get_attachment(call: Call[None, None]) -> AttachmentView:
    async with call.context.db.read() as conn:
        attachment = await load_attachment(conn, call.id)
    if attachment.message_id is None and attachment.owner != call.principal.key:
        raise NotFound("There is no such attachment.")  # until it is sent, it is its owner's alone
    return attachment_view(attachment, links_of(call.context), call.now)


ROUTES = (
    Route(
        "POST",
        "/v1/attachments",
        Action.ATTACHMENT_UPLOAD,
        add_attachment,
        query=UploadQuery,
        response=AttachmentView,
        status=201,
        summary="Upload a file, as a form or as the body; it is kept for a day until a message takes it along",
        own_transaction=True,
        consumes="multipart/form-data",
    ),
    Route(
        "GET",
        "/v1/attachments/{id}",
        Action.ATTACHMENT_READ,
        get_attachment,
        response=AttachmentView,
        summary="Look at a file and get a link to it that works for a day",
    ),
)
