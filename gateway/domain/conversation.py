"""An episode of work with one contact, over all channels."""

from enum import StrEnum


class ConversationStatus(StrEnum):
    OPEN = "open"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class EventType(StrEnum):
    """What can stand in a conversation's history. Values are part of the API: add, don't rename."""

    STARTED = "conversation.started"
    REOPENED = "conversation.reopened"
    RESOLVED = "conversation.resolved"
    SNOOZED = "conversation.snoozed"
    WOKEN = "conversation.woken"
    JOINED = "conversation.joined"
    ROUTED = "conversation.routed"
    ASSIGNED = "conversation.assigned"
    TRANSFERRED = "conversation.transferred"
    TOPIC_SET = "conversation.topic_set"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_QUEUED = "message.queued"
    MESSAGE_STATUS = "message.status"
    MESSAGE_CANCELLED = "message.cancelled"
    MESSAGE_RESENT = "message.resent"
    MESSAGE_HANDED_OVER = "message.handed_over"  # out of the chat, to where the visitor is reached
    MESSAGE_NOT_HANDED_OVER = "message.not_handed_over"  # they did not take it, and there is no other way
    ATTACHMENT_READY = "attachment.ready"
    ATTACHMENT_FAILED = "attachment.failed"
    NOTE_ADDED = "note.added"
    CONTACT_MERGED = "contact.merged"
    CONTACT_UNMERGED = "contact.unmerged"
    ADDRESS_ADDED = "contact.address_added"
    ADDRESS_SUPPRESSED = "contact.address_suppressed"
    NUMBER_SILENT = "contact.number_silent"
    IDENTITY_CONFLICT = "contact.identity_conflict"  # what the shop signed is another contact's already
