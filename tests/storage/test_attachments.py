from datetime import timedelta

import pytest

from gateway.domain.errors import NotFound
from gateway.domain.ids import new_id
from gateway.domain.message import StoredBlob
from storage.attachments import (
    AttachmentState,
    delete_stale_uploads,
    find_referenced,
    insert_upload,
    list_attachments,
    load_attachment,
)
from storage.database import Database
from storage.messages import claim_uploads
from tests.support.factories import NOW, make_conversation, make_message

BLOB = StoredBlob(sha256="ab" * 32, size=5)


async def upload(db: Database, *, filename: str = "a.png", blob: StoredBlob = BLOB, owner: str = "agent:1") -> str:
    stored = await db.write(
        lambda tx: insert_upload(tx, owner=owner, filename=filename, content_type="image/png", blob=blob, now=NOW)
    )
    return stored.id


async def test_upload_belongs_to_its_owner_and_to_no_message(database: Database) -> None:
    attachment_id = await upload(database)
    async with database.read() as conn:
        attachment = await load_attachment(conn, attachment_id)
        with pytest.raises(NotFound):
            await load_attachment(conn, new_id())
    assert (attachment.owner, attachment.message_id) == ("agent:1", None)
    assert (attachment.state, attachment.sha256, attachment.size) == (AttachmentState.READY, BLOB.sha256, 5)


async def test_attachments_of_messages_come_in_their_order(database: Database) -> None:
    conversation = await make_conversation(database)
    one, two = await make_message(database, conversation), await make_message(database, conversation)
    files = [await upload(database, filename=name) for name in ("a", "b", "c")]
    await database.write(lambda tx: claim_uploads(tx, one, "agent:1", [files[2], files[0]]))
    await database.write(lambda tx: claim_uploads(tx, two, "agent:1", [files[1]]))
    async with database.read() as conn:
        found = await list_attachments(conn, [one, two, new_id()])
        assert await list_attachments(conn, []) == {}
    names = {message: [attachment.filename for attachment in found[message]] for message in found}
    assert names == {one: ["c", "a"], two: ["b"]}


async def test_only_old_uploads_that_nobody_sent_are_stale(database: Database) -> None:
    sent, stale = await upload(database), await upload(database, blob=StoredBlob(sha256="cd" * 32, size=1))
    message = await make_message(database, await make_conversation(database))
    await database.write(lambda tx: claim_uploads(tx, message, "agent:1", [sent]))
    early, late = NOW, NOW + timedelta(seconds=1)
    assert await database.write(lambda tx: delete_stale_uploads(tx, before=early, limit=10)) == set()
    assert await database.write(lambda tx: delete_stale_uploads(tx, before=late, limit=10)) == {"cd" * 32}
    async with database.read() as conn:
        assert await find_referenced(conn, [BLOB.sha256, "cd" * 32]) == {BLOB.sha256}
        with pytest.raises(NotFound):
            await load_attachment(conn, stale)
