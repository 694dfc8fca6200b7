"""A visitor has what was said in their chat sent to a mailbox: this chat's words alone, in one plain mail."""

import hashlib
from datetime import datetime

from channels.email.address import normalise_mailbox
from channels.webchat.wire import FrameError
from gateway.domain.chat import ChatMessage
from gateway.domain.contact import ChannelName
from gateway.domain.ids import new_id
from gateway.domain.message import Direction
from gateway.services.outgoing import Outgoing, queue_outgoing, take_mailbox
from storage import chat
from storage.chat import Visitor
from storage.database import Transaction
from storage.reach import find_mailbox_hindrance
from templates.chat_mail import Line, chat_subject, render_transcript

_MOST = 500  # messages, the newest
_MOST_TEXT = 400_000  # characters: every mail server takes that


def read_mailbox(email: str) -> str:
    """Return the mailbox that a visitor typed, in the form that we keep.

    Raises:
        FrameError: it is none.
    """
    mailbox = normalise_mailbox(email)
    domain = mailbox.rpartition("@")[2] if mailbox else ""
    if mailbox is None or "." not in domain or domain.startswith("["):
        raise FrameError("bad_email", "This is not an e-mail address.")
    return mailbox


async def queue_transcript(
    tx: Transaction, known: Visitor, mailbox: str, *, language: str | None, shop: str, now: datetime
) -> None:
    """Put the mail into the outbox, once for what stands in the chat now, however often it is asked for.

    Raises:
        FrameError: nothing was said yet, or nothing may be sent there.
    """
    if await find_mailbox_hindrance(tx.conn, mailbox) is not None:
        raise FrameError("suppressed_email", "Nothing may be sent to this address.")
    last = await chat.find_last(tx.conn, known.address_id)
    if last is None:
        raise FrameError("nothing_said", "There is nothing in this chat yet.")
    message_id = new_id()
    digest = hashlib.sha256(mailbox.encode()).hexdigest()
    key = f"transcript:{known.value}:{last.chat_seq}:{digest}"
    if await chat.claim_key(tx, key, message_id, now) != message_id:
        return
    said = await chat.list_newest(tx.conn, known.address_id, limit=_MOST)
    text = render_transcript(_fitting(said), language, shop)
    is_theirs = await chat.find_claim(tx.conn, known, "mailbox") == mailbox
    owner_id = known.contact_id if is_theirs else None
    address_id = await take_mailbox(tx, mailbox, reader_id=known.contact_id, owner_id=owner_id, now=now)
    mail = Outgoing(
        id=message_id,
        conversation_id=last.conversation_id,
        contact_id=last.contact_id,
        address_id=address_id,
        channel=ChannelName.EMAIL,
        text=text,
        parts=[text],
        subject=chat_subject(language, shop),
        purpose="transcript",
    )
    await queue_outgoing(tx, mail, now)


def _fitting(said: list[ChatMessage]) -> list[Line]:
    """Return the newest lines that fit into a mail, the oldest first."""
    lines: list[Line] = []
    room = _MOST_TEXT
    for message in reversed(said):
        room -= len(message.text)
        if room < 0:
            break
        lines.append(_line(message))
    return lines[::-1]


def _line(message: ChatMessage) -> Line:
    return Line(
        at=message.at,
        is_customer=message.direction is Direction.INBOUND,
        author=message.author_name,
        text=message.text,
        files=[file.filename for file in message.files],
    )
