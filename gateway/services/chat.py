"""A visitor's chat: who they are, what they say, what they have seen; the socket itself is gateway/web/chat.py's."""

import base64
import binascii
import hashlib
import hmac
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from channels.email.address import normalise_mailbox
from channels.webchat import wire
from gateway.domain.chat import ChatMessage, VisitorClaim
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import Unauthenticated, Unavailable
from gateway.domain.ids import new_id
from gateway.services.hand_over import PROVED, choose_ways
from gateway.services.identity import IdentityCheck, identify_visitor
from gateway.services.links import Links
from gateway.services.receive import Submit
from gateway.services.transcript import queue_transcript
from storage import chat, inbound
from storage.chat import Visitor
from storage.database import Database, Transaction
from storage.inbound import NewAddress
from storage.live.contract import LiveBus, Notice
from storage.reach import list_reach

HISTORY = 50  # messages
PAGE = 100  # messages read at once
_NOTHING_SAID = {"name": None, "email": None, "phone": None}
# What this key is for: the same secret signs other things, none of which may pass for a visitor.
_PURPOSE = b"web chat visitor, version 1"


def sign_visitor(secret_key: bytes, visitor: str) -> str:
    """Return the token with which a browser shows that it is this visitor: 64 URL-safe characters."""
    body = uuid.UUID(visitor).bytes
    return base64.urlsafe_b64encode(body + _mac(secret_key, body)).decode()


def read_visitor(secret_key: bytes, token: str) -> str | None:
    """Return the visitor whom `token` stands for, or None: it is none of ours."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body = raw[:16]
    if not hmac.compare_digest(raw[16:], _mac(secret_key, body)):
        return None
    return str(uuid.UUID(bytes=body))


def _mac(secret_key: bytes, body: bytes) -> bytes:
    return hmac.digest(hmac.digest(secret_key, _PURPOSE, hashlib.sha256), body, hashlib.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who has come; `known` is None until they wrote, made a claim or showed an identity."""

    visitor: str
    token: str
    known: Visitor | None
    is_identified: bool = False
    refusal: str | None = None  # why the identity that was shown does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message that is safe; both None while it waits in the spool or in quarantine."""

    message_id: str | None
    chat_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chats:
    """What a chat can do; `identity` is None where the shop signs nothing."""

    db: Database
    bus: LiveBus
    submit: Submit
    links: Links
    secret_key: bytes
    identity: IdentityCheck | None

    async def greet(self, token: str | None, identity: str | None, now: datetime) -> Visit:
        """Return who has come; a token that isn't ours makes a new visitor, an identity that isn't counts for nothing.

        While the database is away a visitor is still let in, anonymously: what they write goes to the spool.
        """
        visitor = (read_visitor(self.secret_key, token) if token else None) or new_id()
        refusal = None
        is_identified = False
        if identity is not None:
            try:
                visitor = await self._identify(visitor, identity, now)
                is_identified = True
            except Unauthenticated as error:
                refusal = str(error)
            except Unavailable:
                refusal = "We can't look it up at the moment."
        return Visit(
            visitor=visitor,
            token=sign_visitor(self.secret_key, visitor),
            known=await self._find(visitor),
            is_identified=is_identified,
            refusal=refusal,
        )

    async def _identify(self, visitor: str, identity: str, now: datetime) -> str:
        if self.identity is None:
            raise Unauthenticated("This gateway takes no signed identities.")
        signed = self.identity.verify(identity, now)
        spare = new_id()
        return await self.db.write(lambda tx: identify_visitor(tx, visitor, signed, now, spare=spare), is_racing=True)

    async def _find(self, visitor: str) -> Visitor | None:
        try:
            return (await self.find_visitors([visitor])).get(visitor)
        except Unavailable:
            return None

    async def find_visitors(self, visitors: Sequence[str]) -> dict[str, Visitor]:
        """Return those of these visitors whom we know, by their value.

        Raises:
            Unavailable: the database is away.
        """
        async with self.db.read() as conn:
            return await chat.find_visitors(conn, visitors)

    async def list_messages(self, address_id: str, after_seq: int, now: datetime) -> list[ChatMessage]:
        """Return the next messages of a visitor's own chat, none when there are no more.

        Raises:
            Unavailable: the database is away.
        """
        async with self.db.read() as conn:
            found = await chat.list_chat(conn, address_id, after_seq=after_seq, limit=PAGE)
        return [self._linked(message, now) for message in found]

    async def list_elsewhere(self, known: Visitor, now: datetime) -> list[ChatMessage]:
        """Return the newest messages of an identified customer on other channels and in other browsers.

        Raises:
            Unavailable: the database is away.
        """
        async with self.db.read() as conn:
            found = await chat.list_elsewhere(conn, known.contact_id, apart_from=known.address_id, limit=HISTORY)
        return [self._linked(message, now) for message in found]

    def _linked(self, message: ChatMessage, now: datetime) -> ChatMessage:
        if not message.files:
            return message
        files = [replace(file, url=self.links.to_attachment(file.id, now)) for file in message.files]
        return replace(message, files=files)

    async def say(self, visitor: str, frame: wire.Say, now: datetime, *, language: str | None = None) -> Said:
        """Hand a visitor's message to the intake; it is safe when this returns.

        Raises:
            FrameError: a file is not theirs.
            OSError: neither database nor disk took it; it must be sent again.
        """
        if frame.attachments and not await self._owns(visitor, frame.attachments):
            raise wire.FrameError("unknown_attachment", "There is no such upload of yours.", frame.id)
        receipt = await self.submit(wire.build_raw_message(visitor, frame, now, language=language))
        if receipt.message_id is None:
            return Said(message_id=None, chat_seq=None)
        try:
            async with self.db.read() as conn:
                place = await chat.find_place(conn, receipt.message_id)
        except Unavailable:
            place = None
        return Said(message_id=receipt.message_id, chat_seq=place.chat_seq if place else None)

    async def _owns(self, visitor: str, uploads: Sequence[str]) -> bool:
        # This only tells an honest client early: whose an upload is decides itself where the message is stored.
        try:
            async with self.db.read() as conn:
                return await chat.has_uploads(conn, f"visitor:{visitor}", uploads)
        except Unavailable:
            return True

    async def report(
        self, known: Visitor, *, status: MessageStatus, after_seq: int, up_to_seq: int, now: datetime
    ) -> None:
        """Hand to the intake that our messages of these numbers were delivered or read.

        Raises:
            Unavailable: the database is away; the client says it again when it is back.
            OSError: neither database nor disk took it.
        """
        async with self.db.read() as conn:
            ids = await chat.find_unreported(
                conn, known.address_id, after_seq=after_seq, up_to_seq=up_to_seq, status=status
            )
        for message_id in ids:
            await self.submit(wire.build_raw_report(known.value, message_id, status, now))

    async def claim(self, visitor: str, claim: VisitorClaim, now: datetime, *, language: str | None = None) -> Visitor:
        """Keep what a visitor typed about themselves with their contact, as a claim of this address.

        What they said before and don't say now stays. `language` is that of a contact who has none.

        Raises:
            Unavailable: the database is away.
        """

        async def work(tx: Transaction) -> Visitor:
            known = await _take_visitor(tx, visitor, now)
            facts = await chat.lock_facts(tx, known.contact_id)
            claims = facts.attributes.get("claims", {})
            typed = {**_NOTHING_SAID, **claims.get(known.address_id, {}), **_said(claim), "at": now.isoformat()}
            attributes = {**facts.attributes, "claims": {**claims, known.address_id: typed}}
            changed = replace(facts, attributes=attributes, language=facts.language or language)
            await chat.save_facts(tx, known.contact_id, changed)
            return known

        return await self.db.write(work, is_racing=True)

    async def list_ways(self, known: Visitor, channels: Collection[ChannelName]) -> list[ChannelName]:
        """Return by which of these channels an answer would reach a visitor who is gone, the best first.

        Raises:
            Unavailable: the database is away.
        """
        async with self.db.read() as conn:
            found = await list_reach(conn, known, PROVED)
        return [channel for channel, _ in choose_ways(found, channels)]

    async def send_transcript(
        self, visitor: str, mailbox: str, *, language: str | None, shop: str, now: datetime
    ) -> None:
        """Have this chat's words sent to a mailbox; the mail is safe when this returns, and goes once.

        Raises:
            FrameError: there is nothing to send, or nothing may be sent there.
            Unavailable: the database is away.
        """

        async def work(tx: Transaction) -> None:
            known = (await chat.find_visitors(tx.conn, [visitor])).get(visitor)
            if known is None:
                raise wire.FrameError("nothing_said", "There is nothing in this chat yet.")
            spoken = language or (await chat.load_facts(tx.conn, known.contact_id)).language
            await queue_transcript(tx, known, mailbox, language=spoken, shop=shop, now=now)

        await self.db.write(work, is_racing=True)

    async def tell_typing(self, known: Visitor) -> None:
        """Let the agents who look at this visitor's conversation see that they are typing.

        Raises:
            Unavailable: the database is away.
        """
        async with self.db.read() as conn:
            conversation_id = await chat.find_unresolved(conn, known.address_id)
        if conversation_id is not None:
            body = msgspec.json.encode({"typing": {"conversation": conversation_id, "customer": True}})
            await self.bus.publish([Notice(topic=f"conversation:{conversation_id}", body=body)])


def _said(claim: VisitorClaim) -> dict[str, str | None]:
    """Return what a claim says; `mailbox` is what can be written to of the e-mail address."""
    said: dict[str, str | None] = {"name": claim.name, "email": claim.email, "phone": claim.phone}
    said = {name: text.strip() for name, text in said.items() if text and text.strip()}
    if "email" in said:
        said["mailbox"] = normalise_mailbox(said["email"] or "")
    return said


async def _take_visitor(tx: Transaction, visitor: str, now: datetime) -> Visitor:
    """Return the visitor, written down if new."""
    found = (await chat.find_visitors(tx.conn, [visitor])).get(visitor)
    if found is not None:
        return found
    contact_id = await chat.insert_visitor_contact(tx, None, None, now)
    address = NewAddress(
        id=new_id(),
        contact_id=contact_id,
        address=Address(kind=AddressKind.VISITOR, value=visitor),
        display_name=None,
        verified_at=now,
    )
    await inbound.insert_addresses(tx, [address], now)
    return Visitor(address_id=address.id, contact_id=contact_id, value=visitor, chat_seq=0)


async def tell_agent_typing(
    db: Database, bus: LiveBus, conversation_id: str, *, agent_id: str, agent_name: str
) -> None:
    """Let colleagues and, over web chat, the visitor see that an agent is typing.

    Raises:
        Unavailable: the database is away.
    """
    body = msgspec.json.encode(
        {"typing": {"conversation": conversation_id, "agent": {"id": agent_id, "name": agent_name}}}
    )
    notices = [Notice(topic=f"conversation:{conversation_id}", body=body)]
    async with db.read() as conn:
        address_id = await chat.find_chat_partner(conn, conversation_id)
    if address_id is not None:
        notices.append(Notice(topic=f"visitor:{address_id}", body=b'{"typing":true}'))
    await bus.publish(notices)


async def tell_visitor_seen(tx: Transaction, conversation_id: str, seq: int) -> None:
    """Let the visitors of a conversation know that an agent looked at it, up to its number `seq`, after the commit."""
    for address_id, chat_seq in sorted((await chat.mark_seen(tx, conversation_id, seq)).items()):
        body = msgspec.json.encode({"read": chat_seq})
        tx.notices.append(Notice(topic=f"visitor:{address_id}", body=body))
