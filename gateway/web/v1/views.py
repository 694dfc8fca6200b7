"""What several endpoints answer with: conversations, messages, files, people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from gateway.domain.contact import ChannelName
from gateway.domain.conversation import ConversationStatus
from gateway.domain.delivery import MessageStatus
from gateway.domain.message import AuthorKind, Direction
from gateway.services.links import Links
from gateway.web.context import Context
from storage.attachments import Attachment, AttachmentState
from storage.conversations import Conversation
from storage.timeline import TimelineMessage

Reason = Annotated[str, msgspec.Meta(max_length=500)]


class ContactRef(msgspec.Struct):
    id: str
    name: str | None
    language: str | None


class AgentRef(msgspec.Struct):
    id: str
    name: str


class Deadlines(msgspec.Struct):
    due_at: datetime | None


class ConversationView(msgspec.Struct):
    id: str
    status: ConversationStatus
    contact: ContactRef
    queue: str
    topic: str | None
    language: str | None
    channel: ChannelName
    assignee: AgentRef | None
    deadlines: Deadlines
    subject: str | None
    preview: str | None
    last_seq: int
    created_at: datetime
    last_message_at: datetime
    waiting_since: datetime | None
    snoozed_until: datetime | None
    resolved_at: datetime | None
    previous_id: str | None
    joined_into_id: str | None


def conversation_view(conversation: Conversation) -> ConversationView:
    contact, assignee = conversation.contact, conversation.assignee
    return ConversationView(
        id=conversation.id,
        status=conversation.status,
        contact=ContactRef(id=contact.id, name=contact.name, language=contact.language),
        queue=conversation.queue,
        topic=conversation.topic,
        language=conversation.language,
        channel=conversation.channel,
        assignee=None if assignee is None else AgentRef(id=assignee.id, name=assignee.name),
        deadlines=Deadlines(due_at=conversation.due_at),
        subject=conversation.subject,
        preview=conversation.preview,
        last_seq=conversation.last_seq,
        created_at=conversation.created_at,
        last_message_at=conversation.last_message_at,
        waiting_since=conversation.waiting_since,
        snoozed_until=conversation.snoozed_until,
        resolved_at=conversation.resolved_at,
        previous_id=conversation.previous_id,
        joined_into_id=conversation.joined_into_id,
    )


class AttachmentView(msgspec.Struct):
    id: str
    filename: str
    content_type: str
    size: int | None  # bytes
    state: AttachmentState
    is_inline: bool
    content_id: str | None  # what `cid:` in the message's HTML points at
    error: str | None
    url: str | None  # a link that works without credentials until it expires; none while there is nothing to fetch


def links_of(context: Context) -> Links:
    return Links(public_url=context.public_url, secret_key=context.secret_key)


def attachment_view(attachment: Attachment, links: Links, now: datetime) -> AttachmentView:
    is_ready = attachment.state is AttachmentState.READY
    return AttachmentView(
        id=attachment.id,
        filename=attachment.filename,
        content_type=attachment.content_type,
        size=attachment.size,
        state=attachment.state,
        is_inline=attachment.is_inline,
        content_id=attachment.content_id,
        error=attachment.error,
        url=links.to_attachment(attachment.id, now) if is_ready else None,
    )


class AuthorView(msgspec.Struct):
    kind: AuthorKind
    id: str | None
    name: str | None


class MessageView(msgspec.Struct):
    id: str
    conversation_id: str
    seq: int
    direction: Direction
    channel: ChannelName
    author: AuthorView
    subject: str | None
    text: str
    html: str | None
    attachments: Sequence[AttachmentView]
    language: str | None
    topics: Sequence[str]
    status: MessageStatus
    error: str | None  # plain words
    error_code: str | None  # the provider's
    reply_to_id: str | None
    cc: Sequence[str]
    template: str | None
    at: datetime
    send_at: datetime | None


def message_view(message: TimelineMessage, links: Links, now: datetime) -> MessageView:
    return MessageView(
        id=message.id,
        conversation_id=message.conversation_id,
        seq=message.seq,
        direction=message.direction,
        channel=message.channel,
        author=AuthorView(kind=message.author_kind, id=message.author_id, name=message.author_name),
        subject=message.subject,
        text=message.text,
        html=message.html,
        attachments=[attachment_view(attachment, links, now) for attachment in message.attachments],
        language=message.language,
        topics=message.topics,
        status=message.status,
        error=message.error,
        error_code=message.error_code,
        reply_to_id=message.reply_to_id,
        cc=message.cc,
        template=message.template,
        at=message.at,
        send_at=message.send_at,
    )
