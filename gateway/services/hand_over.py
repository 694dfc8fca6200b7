"""An answer in the chat that nobody is there to read goes out by mail, or by SMS where there is no mailbox: once.

A job looks at each answer some while after it was shown. Whether the visitor took it and whether it was handed over is
decided under the lock of its parts, under which the visitor's own word comes in as well: whoever is first wins, and a
job that runs again, or in two processes, finds it decided.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.contact import AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.ids import new_id
from gateway.services.outgoing import Outgoing, queue_outgoing, take_mailbox
from gateway.services.reply import Split
from storage import chat, deliveries, hand_over
from storage.chat import Visitor
from storage.database import Database, Transaction
from storage.events import Actor, NewEvent, append_events
from storage.hand_over import Untaken
from storage.jobs import Job
from storage.reach import Reach, list_reach
from templates.chat_mail import chat_subject

# By what an answer goes on, in this order, and to which kinds of address.
WAYS = {
    ChannelName.EMAIL: (AddressKind.EMAIL, AddressKind.EMAIL_CLAIM),
    ChannelName.SMS: (AddressKind.PHONE,),
}
PROVED = frozenset({AddressKind.EMAIL, AddressKind.PHONE})
_MOST_FILES = 10  # as of a reply
_REASON = "The visitor was gone when the answer came."


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """`channels` are those that this gateway can send by; `shop` is its name in a subject."""

    db: Database
    channels: Collection[ChannelName]
    split: Split
    shop: str

    async def run(self, job: Job, now: datetime) -> None:
        """Decide about the job's answer, and those that came after it.

        Raises:
            Unavailable: the database is away.
        """
        await self.db.write(lambda tx: self.decide(tx, job.subject_id, now), is_racing=True)

    async def decide(self, tx: Transaction, message_id: str, now: datetime) -> None:
        """Hand the answer over, with those of its chat that wait too, unless it was taken or was decided about."""
        ids = await hand_over.find_untaken(tx, message_id)
        await deliveries.lock_parts(tx, ids)
        untaken = await hand_over.load_untaken(tx, ids)
        visitor = await hand_over.load_visitor(tx, message_id)
        if visitor is None or message_id not in {answer.id for answer in untaken}:
            return
        found = await list_reach(tx.conn, visitor, PROVED)
        ways = choose_ways(found, self.channels)
        if not ways:
            await hand_over.mark_handed_over(tx, untaken, None)
            await _tell(tx, untaken, None, {"reason": _hindrance(found)}, now)
            return
        channel, reach = ways[0]
        sent = await self._send(tx, visitor, untaken, channel, reach, now)
        await hand_over.mark_handed_over(tx, untaken, sent)
        await _tell(tx, untaken, sent, {"channel": channel, "reason": _REASON}, now)

    async def _send(
        self,
        tx: Transaction,
        visitor: Visitor,
        untaken: Sequence[Untaken],
        channel: ChannelName,
        reach: Reach,
        now: datetime,
    ) -> str:
        first, last = untaken[0], untaken[-1]
        address_id = reach.address_id
        if address_id is None:
            mailbox, contact_id = reach.mailbox or "", visitor.contact_id
            address_id = await take_mailbox(tx, mailbox, reader_id=contact_id, owner_id=contact_id, now=now)
        episode = await hand_over.load_episode(tx, first.conversation_id)
        language = (await chat.load_facts(tx.conn, visitor.contact_id)).language
        subject = f"Re: {episode.subject}" if episode.subject else chat_subject(language, self.shop)
        text = "\n\n".join(answer.text for answer in untaken if answer.text)
        message = Outgoing(
            id=new_id(),
            conversation_id=first.conversation_id,
            contact_id=episode.contact_id,
            address_id=address_id,
            channel=channel,
            text=text,
            parts=self.split(channel, text),
            subject=subject if channel is ChannelName.EMAIL else None,
            author=Actor(kind=last.author_kind, id=last.author_id),
            author_name=last.author_name,
            reply_to_id=first.id,
            extra={"hands_over": [answer.id for answer in untaken]},
        )
        await queue_outgoing(tx, message, now)
        await hand_over.copy_files(tx, [answer.id for answer in untaken], message.id, most=_MOST_FILES)
        return message.id


async def _tell(
    tx: Transaction, untaken: Sequence[Untaken], sent: str | None, data: Mapping[str, str], now: datetime
) -> None:
    event = NewEvent(
        conversation_id=untaken[0].conversation_id,
        type=EventType.MESSAGE_NOT_HANDED_OVER if sent is None else EventType.MESSAGE_HANDED_OVER,
        at=now,
        message_id=sent or untaken[0].id,
        data={**data, "message_ids": [answer.id for answer in untaken]},
    )
    await append_events(tx, [event])


def choose_ways(found: Sequence[Reach], channels: Collection[ChannelName]) -> list[tuple[ChannelName, Reach]]:
    """Return the ways on to a visitor who is gone, the best first: one for each channel that is set up.

    A mailbox that was proved to be theirs goes before the one that they typed into this very chat.
    """
    ways = []
    for channel, kinds in WAYS.items():
        open_ = [reach for kind in kinds for reach in found if reach.kind is kind and reach.hindrance is None]
        if open_ and channel in channels:
            ways.append((channel, open_[0]))
    return ways


def _hindrance(found: Sequence[Reach]) -> str:
    hindrances = [reach.hindrance for reach in found if reach.hindrance is not None]
    if hindrances:
        return f"Nothing may be sent to the visitor's address: {hindrances[0]}"
    return "There is no e-mail address or phone number of the visitor that this gateway could write to."
