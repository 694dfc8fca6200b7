"""Files of an MMS come after the message, over the provider's real way with its redirect; a failure costs nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.errors import FetchFailed
from gateway.domain.message import InboundAttachment, InboundMessage
from gateway.services.media import FetchedFile, MediaFetch
from gateway.services.receive import receive_messages
from storage.blobs import Blobs, open_blobs
from storage.database import Database
from storage.events import list_events
from storage.jobs import Job, claim_jobs
from storage.tables import attachments, conversations, messages

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
PICTURE = b"\x89PNG\r\n\x1a\n and so on"


@dataclass
class Rig:
    database: Database
    blobs: Blobs
    job: Job

    def fetching(self, *, error: FetchFailed | None = None) -> MediaFetch:
        async def fetch(_url: str) -> FetchedFile:
            if error is not None:
                raise error
            return FetchedFile(content=PICTURE, content_type="image/png", filename="crack.png")

        return MediaFetch(db=self.database, blobs=self.blobs, fetch=fetch, max_attempts=3)

    async def file(self) -> tuple[str, str | None, int | None, str | None]:
        async with self.database.read() as conn:
            row = (await conn.execute(select(attachments))).one()
            return row.state, row.sha256, row.size, row.error

    async def history(self) -> list[EventType]:
        async with self.database.read() as conn:
            conversation_id = (await conn.execute(select(conversations.c.id))).scalar_one()
            return [event.type for event in await list_events(conn, conversation_id, after_seq=0, limit=50)]


@pytest.fixture
async def rig(database: Database) -> Rig:
    mms = InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key="twilio:MM1",
        received_at=NOW,
        sender=Address(kind=AddressKind.PHONE, value="+447700900123"),
        text="It is broken",
        attachments=(InboundAttachment(filename="", content_type="image/png", url="https://api.twilio.com/x"),),
    )
    await database.write(lambda tx: receive_messages(tx, [mms], NOW))
    (job,) = await database.write(lambda tx: claim_jobs(tx, now=NOW, lease_s=60, limit=10))
    return Rig(database, open_blobs("memory:"), job)


async def test_a_fetched_file_is_attached_and_told(rig: Rig) -> None:
    await rig.fetching().run(rig.job, NOW)
    state, sha256, size, _ = await rig.file()
    assert (state, size) == ("ready", len(PICTURE))
    assert sha256 is not None
    assert await rig.blobs.read(sha256) == PICTURE
    assert (await rig.history())[-1] is EventType.ATTACHMENT_READY


async def test_a_job_that_runs_twice_attaches_once(rig: Rig) -> None:
    for _ in range(2):
        await rig.fetching().run(rig.job, NOW)
    assert (await rig.history()).count(EventType.ATTACHMENT_READY) == 1


async def test_a_passing_failure_is_left_to_the_next_attempt(rig: Rig) -> None:
    with pytest.raises(FetchFailed):
        await rig.fetching(error=FetchFailed("Away.", is_final=False)).run(rig.job, NOW)
    assert (await rig.file())[0] == "pending"


async def test_a_final_failure_is_shown_and_the_message_stays(rig: Rig) -> None:
    await rig.fetching(error=FetchFailed("It is gone.", is_final=True)).run(rig.job, NOW)
    assert (await rig.file())[::3] == ("failed", "It is gone.")
    assert (await rig.history())[-1] is EventType.ATTACHMENT_FAILED
    async with rig.database.read() as conn:
        assert (await conn.execute(select(messages.c.text))).scalars().all() == ["It is broken"]
