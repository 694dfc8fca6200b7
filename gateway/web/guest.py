"""One visitor at the chat's open socket: what they say is passed on, what stands for them is shown.

A message frame is acknowledged when the intake has it safe. What a visitor sees is read from the database by the
numbers of their own chat; the bus only says that there is more, so a lost notice delays and loses nothing.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import msgspec
import structlog
from aiohttp import WSCloseCode

from channels.webchat import wire as frames
from channels.webchat.wire import FrameError
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import Unavailable
from gateway.services.chat import PAGE, Chats, Visit
from gateway.services.presence import Presence
from gateway.services.transcript import read_mailbox
from gateway.web.limits import Buckets, ChatLimits
from gateway.web.sockets import Socket, SocketEnded
from storage.chat import Visitor
from storage.live.contract import Notice, Subscription

HELLO_TIMEOUT_S = 10.0
_TYPING_EVERY_S = 2.0
_AWAY_S = 1.0  # how long to wait for the database before it is read again
_TOO_FAST = "too_fast"
_PAUSE_S = 0.2  # for whoever sends too fast: their next frame waits in the socket
_log = structlog.get_logger("gateway.chat")


class _Notice(msgspec.Struct):
    seq: int = 0
    read: int = 0
    typing: bool = False


_NOTICE = msgspec.json.Decoder(_Notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What all guests of a process share; `ways` are the channels by which an answer may go on to one who is gone."""

    chats: Chats
    presence: Presence
    now: Callable[[], datetime]
    shop: str
    topics: Collection[str]
    ways: Collection[ChannelName]
    frames: Buckets
    messages: Buckets
    messages_per_address: Buckets
    transcripts: Buckets
    transcripts_per_address: Buckets
    transcripts_per_mailbox: Buckets


def open_house(
    chats: Chats,
    presence: Presence,
    limits: ChatLimits,
    *,
    now: Callable[[], datetime],
    shop: str,
    topics: Collection[str],
    ways: Collection[ChannelName],
) -> House:
    """Return what guests share, with every bucket full."""
    return House(
        chats=chats,
        presence=presence,
        now=now,
        shop=shop,
        topics=topics,
        ways=ways,
        frames=Buckets(limits.frames, time.monotonic),
        messages=Buckets(limits.messages, time.monotonic),
        messages_per_address=Buckets(limits.messages_per_address, time.monotonic),
        transcripts=Buckets(limits.transcripts, time.monotonic),
        transcripts_per_address=Buckets(limits.transcripts_per_address, time.monotonic),
        transcripts_per_mailbox=Buckets(limits.transcripts_per_mailbox, time.monotonic),
    )


class Guest:
    """One open socket. The reader answers frames, the writer alone sends messages, so that they keep their order.

    There may be thousands, mostly silent: slots, two tasks, no timer.
    """

    __slots__ = (
        "_address",
        "_delivered",
        "_house",
        "_is_identified",
        "_known",
        "_language",
        "_seen",
        "_shown",
        "_subscription",
        "_told_read",
        "_typed_at",
        "seq",
        "socket",
        "visitor",
    )

    def __init__(self, house: House, socket: Socket, subscription: Subscription, address: str) -> None:
        self.socket = socket
        self.visitor = ""
        self.seq = 0  # the last number sent of the visitor's own chat
        self._house = house
        self._subscription = subscription
        self._address = address
        self._known: Visitor | None = None
        self._is_identified = False
        self._shown: frozenset[str] = frozenset()  # messages from elsewhere that were sent
        self._delivered = 0
        self._seen = 0
        self._told_read = 0  # up to which they were told that an agent has looked
        self._language: str | None = None
        self._typed_at = 0.0

    async def greet(self) -> None:
        """Wait for the visitor to say who they are.

        Raises:
            SocketEnded: they said something else, or nothing.
        """
        data = await self.socket.receive(HELLO_TIMEOUT_S)
        try:
            hello = frames.parse_frame(data)
        except FrameError as error:
            await self._answer(error)
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Say hello first.") from None
        if not isinstance(hello, frames.Hello):
            await self._answer(FrameError("hello_first", "The first frame is a hello."))
            raise SocketEnded(WSCloseCode.POLICY_VIOLATION, "Say hello first.")
        self._language = hello.language and sys.intern(hello.language)  # one text for the thousands who say the same
        await self._enter(await self._house.chats.greet(hello.visitor, hello.identity, self._now()), hello.after_seq)

    async def _enter(self, visit: Visit, after_seq: int) -> None:
        self.visitor = visit.visitor
        self._is_identified = visit.is_identified
        if visit.known is not None:
            # Who says to have more than there is gets what comes from here on.
            self.seq = min(after_seq, visit.known.chat_seq)
            await self.note_visitor(visit.known)
        await self.socket.send(
            frames.build_welcome(token=visit.token, after_seq=self.seq, is_identified=visit.is_identified)
        )
        if visit.refusal is not None:
            _log.info("chat.identity_refused")
            await self._answer(FrameError("identity_refused", visit.refusal))

    async def note_visitor(self, known: Visitor) -> None:
        """Take in where the visitor stands now: they got an address, joined a contact, have more messages."""
        before, self._known = self._known, known
        if before is None or before.contact_id != known.contact_id:
            topics = self._topics(known)
            if before is not None:
                self._subscription.discard(*(self._topics(before) - topics))
            await self._subscription.add(*topics)
            self._subscription.mark_lagged()
        elif known.chat_seq > self.seq or known.seen_chat_seq > self._told_read:
            self._subscription.mark_lagged()

    def _topics(self, known: Visitor) -> set[str]:
        own = f"visitor:{known.address_id}"
        return {own, f"contact:{known.contact_id}"} if self._is_identified else {own}

    def _now(self) -> datetime:
        return self._house.now()

    async def _answer(self, error: FrameError) -> None:
        await self.socket.send(frames.build_error(error.code, str(error), error.client_id))

    async def read(self) -> None:
        while True:
            data = await self.socket.receive()
            try:
                if not self._house.frames.take(self.visitor):
                    raise _too_fast(frames.find_client_id(data))
                await self._obey(frames.parse_frame(data))
            except FrameError as error:
                await self._answer(error)
                if error.code == _TOO_FAST:
                    await asyncio.sleep(_PAUSE_S)
            except Unavailable:
                await self._answer(FrameError("unavailable", "That did not work. Try again."))

    async def _obey(self, frame: frames.Frame) -> None:
        match frame:
            case frames.Say():
                await self._say(frame)
            case frames.Delivered():
                self._delivered = await self._report(MessageStatus.DELIVERED, self._delivered, frame.seq)
            case frames.Seen():
                self._seen = await self._report(MessageStatus.READ, self._seen, frame.seq)
            case frames.Typing():
                await self._tell_typing()
            case frames.Claim():
                await self._claim(frame)
            case frames.Transcript():
                await self._send_transcript(frame)
            case frames.Ping():
                await self.socket.send(frames.PONG)
            case frames.Hello():
                raise FrameError("hello_twice", "To be somebody else, open another socket.")

    async def _say(self, frame: frames.Say) -> None:
        house = self._house
        if not house.messages.take(self.visitor) or not house.messages_per_address.take(self._address):
            raise _too_fast(frame.id)
        frame.topic = frame.topic if frame.topic in house.topics else None
        try:
            said = await house.chats.say(self.visitor, frame, self._now(), language=self._language)
        except OSError:
            raise FrameError("unavailable", "The message could not be kept. Send it again.", frame.id) from None
        await self.socket.send(frames.build_ack(frame.id, said.message_id, said.chat_seq))
        if said.message_id is None:
            return  # the database is away, and who is there stands in it
        if self._known is None:
            found = await house.chats.find_visitors([self.visitor])
            if self.visitor in found:
                await self.note_visitor(found[self.visitor])
        await self._tell_if_away()

    async def _tell_if_away(self) -> None:
        """Say that nobody is at their desk, and how an answer will come then."""
        house = self._house
        try:
            if self._known is None or await house.presence.is_anyone_there():
                return
            ways = await house.chats.list_ways(self._known, house.ways)
        except Unavailable:
            return  # the message is safe and was acknowledged; the next one will have this said
        await self.socket.send(frames.build_away(ways))

    async def _send_transcript(self, frame: frames.Transcript) -> None:
        house = self._house
        if ChannelName.EMAIL not in house.ways:
            raise FrameError("no_email", "This shop sends no e-mail.")
        mailbox = read_mailbox(frame.email)
        buckets = (
            (house.transcripts, self.visitor),
            (house.transcripts_per_address, self._address),
            (house.transcripts_per_mailbox, mailbox),
        )
        if not all(bucket.take(key) for bucket, key in buckets):
            raise _too_fast(None)
        await house.chats.send_transcript(
            self.visitor, mailbox, language=self._language, shop=house.shop, now=self._now()
        )
        await self.socket.send(frames.TRANSCRIPT_SENT)

    async def _report(self, status: MessageStatus, after_seq: int, seq: int) -> int:
        """Pass on that messages up to `seq` came this far; return up to which they did."""
        up_to_seq = min(seq, self.seq)  # nobody can have what was not sent
        if self._known is None or up_to_seq <= after_seq:
            return after_seq
        try:
            await self._house.chats.report(
                self._known, status=status, after_seq=after_seq, up_to_seq=up_to_seq, now=self._now()
            )
        except OSError:
            raise Unavailable("The report could not be kept.") from None
        return up_to_seq

    async def _tell_typing(self) -> None:
        now = time.monotonic()
        if self._known is not None and now - self._typed_at >= _TYPING_EVERY_S:
            self._typed_at = now
            await self._house.chats.tell_typing(self._known)

    async def _claim(self, frame: frames.Claim) -> None:
        if not self._house.messages.take(self.visitor):
            raise _too_fast(None)
        known = await self._house.chats.claim(self.visitor, frame.value, self._now(), language=self._language)
        await self.note_visitor(known)
        await self.socket.send(frames.CLAIMED)

    async def write(self) -> None:
        while True:
            notice = await self._subscription.next()
            if self.socket.is_over:
                return
            try:
                await self._show(notice)
            except Unavailable:
                await asyncio.sleep(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311  jitter, not a secret
                self._subscription.mark_lagged()

    async def _show(self, notice: Notice | None) -> None:
        if notice is None:
            await self._show_chat()
            await self._show_elsewhere()
            await self._show_read(self._known.seen_chat_seq if self._known is not None else 0)
        elif notice.topic.startswith("contact:"):
            await self._show_elsewhere()
        else:
            body = _NOTICE.decode(notice.body)
            if body.typing:
                await self.socket.send(frames.TYPING)
            if body.seq > self.seq:
                await self._show_chat()
            await self._show_read(body.read)

    async def _show_read(self, seq: int) -> None:
        """Tell the visitor that an agent has looked this far, unless they know."""
        if seq > self._told_read:
            self._told_read = seq
            await self.socket.send(frames.build_read(seq))

    async def _show_chat(self) -> None:
        """Send what the visitor's own chat has beyond what was sent."""
        known = self._known
        is_more = known is not None
        while known is not None and is_more:
            found = await self._house.chats.list_messages(known.address_id, self.seq, self._now())
            for message in found:
                self.seq = message.chat_seq or self.seq
                await self.socket.send(frames.build_message(message))
            is_more = len(found) >= PAGE

    async def _show_elsewhere(self) -> None:
        """Send an identified customer what they exchanged with us elsewhere, as far as it was not sent."""
        if self._known is None or not self._is_identified:
            return
        found = await self._house.chats.list_elsewhere(self._known, self._now())
        for message in found:
            if message.id not in self._shown:
                await self.socket.send(frames.build_history(message))
        self._shown = frozenset(message.id for message in found)


def _too_fast(client_id: str | None) -> FrameError:
    return FrameError(_TOO_FAST, "That was too fast. Wait a little, then send it again.", client_id)
