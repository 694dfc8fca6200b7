"""Turn a stored reply into what its channel sends: with its files as links or as bytes, whichever it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from channels.contract import Channel
from gateway.domain.contact import ChannelName
from gateway.domain.message import OutboundAttachment, OutboundMessage
from gateway.services.deliver import Ready
from gateway.services.links import Links
from storage.blobs import Blobs
from storage.outbound import OutboundFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    channels: Mapping[ChannelName, Channel]
    blobs: Blobs
    links: Links

    async def compose(self, ready: Ready, now: datetime) -> OutboundMessage:
        """Return the message ready for `Channel.send`.

        Raises:
            NotFound: the bytes of a file are gone.
            Unavailable: the file store can't be reached.
        """
        content = ready.content
        sends_links = self.channels[content.channel].capabilities.sends_attachments_as_links
        files = [await self._file(file, sends_links, now) for file in content.files]
        return OutboundMessage(
            id=content.message_id,
            conversation_id=content.conversation_id,
            channel=content.channel,
            recipient=content.recipient,
            recipient_name=content.recipient_name,
            text=content.text,
            html=content.html,
            subject=content.subject,
            author_name=content.author_name,
            parts=ready.parts,
            attachments=tuple(files),
            references=content.references,
            cc=content.cc,
            language=content.language,
            created_at=content.at,
        )

    async def _file(self, file: OutboundFile, sends_links: bool, now: datetime) -> OutboundAttachment:
        return OutboundAttachment(
            filename=file.filename,
            content_type=file.content_type,
            content=None if sends_links else await self.blobs.read(file.sha256),
            url=self.links.to_attachment(file.id, now) if sends_links else None,
        )
