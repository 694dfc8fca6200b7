"""Both sides of web chat for the contract suite: a visitor's socket, and the gateway's with a doorstep behind."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec
from aiohttp import WSServerHandshakeError

from channels.contract import Channel
from channels.webchat import wire
from channels.webchat.adapter import WebChatChannel
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, SendResult
from gateway.domain.message import InboundMessage, OutboundMessage, RawInbound
from gateway.services.chat import sign_visitor
from gateway.services.journey import Outcome, advance
from gateway.services.reply import Reply, reply
from gateway.web.chat import SOCKET_PATH, ChatSettings, ChatSockets
from storage.database import Database
from storage.live.contract import LiveBus
from storage.tables import messages
from tests.support.api import START, Api
from tests.support.channel_contract import (
    NO_DOUBT,
    Doorstep,
    Fixture,
    Harness,
    Proof,
    Recorded,
    Trouble,
    recording,
)
from tests.support.chat import AUTHOR, SHOP, Client
from tests.support.sockets import SECRET, Frame, make_context, next_frame, serving_sockets

VISITOR = "018f0000-0000-7000-8000-00000000000a"

_TOKEN = {
    Proof.RIGHT: sign_visitor(SECRET, VISITOR),
    Proof.WRONG: sign_visitor(b"another secret, of 32 bytes too.", VISITOR),
    Proof.MISSING: None,
    Proof.ELSEWHERE: sign_visitor(SECRET, VISITOR),
}


@dataclass(slots=True, kw_only=True)
class WebChatHarness:
    channel: Channel
    api: Api
    database: Database
    doorstep: Doorstep
    secrets: Sequence[str] = (SECRET.decode(), sign_visitor(SECRET, VISITOR))
    numbers: dict[str, int] = field(default_factory=dict)  # what the visitor is to see a message under

    @property
    def received(self) -> list[RawInbound]:
        return self.doorstep.received

    def parse(self, raw: RawInbound) -> InboundMessage | DeliveryReport:
        return wire.parse(raw)

    async def hand_over(self, fixture: Fixture, proof: Proof) -> bool:
        site = "https://evil.example" if proof is Proof.ELSEWHERE else SHOP
        try:
            async with self._socket(_TOKEN[proof], site) as client:
                await client.ws.send_str(fixture.body.decode())
                await client.next("ack")
        except WSServerHandshakeError as refused:
            if refused.status != HTTPStatus.FORBIDDEN:
                raise
            return False
        return True

    @asynccontextmanager
    async def _socket(self, token: str | None, site: str = SHOP, *, after_seq: int = 0) -> AsyncIterator[Client]:
        async with self.api.client.ws_connect(SOCKET_PATH, headers={"Origin": site}) as ws:
            await ws.send_json({"type": "hello", "visitor": token, "after_seq": after_seq})
            yield Client(ws, await next_frame(ws))

    def is_vouched_for(self, message: InboundMessage) -> bool:
        return message.sender.value == VISITOR

    def bring_on(self, trouble: Trouble) -> None:
        raise LookupError(f"Nothing leaves, so there is no {trouble}.")

    async def outbound(self, text: str) -> OutboundMessage:
        parts = self.channel.split(text)
        question = wire.build_raw_message(VISITOR, wire.Say(id="question", text="Hello?"), START)
        receipt = await self.doorstep.then(question)
        async with self.database.read() as conn:
            asked = (await conn.execute(messages.select().where(messages.c.id == receipt.message_id))).one()
        wanted = Reply(text=text, channel=ChannelName.WEBCHAT)
        message_id = await self.database.write(
            lambda tx: reply(tx, asked.conversation_id, AUTHOR, wanted, split=lambda *_: parts, now=START)
        )
        return OutboundMessage(
            id=message_id,
            conversation_id=asked.conversation_id,
            channel=ChannelName.WEBCHAT,
            recipient=Address(kind=AddressKind.VISITOR, value=VISITOR),
            recipient_name=None,
            text=text,
            html=None,
            subject=None,
            author_name=None,
            parts=parts,
        )

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        result = await self.channel.send(message, part)
        outcome = Outcome(message_id=message.id, part=part, status=result.status)
        await self.database.write(lambda tx: advance(tx, [outcome], NO_DOUBT, START))
        self.numbers[message.id] = 2 + len(self.numbers)  # behind the question
        return result

    async def sent_requests(self) -> list[object]:
        async with self._socket(_TOKEN[Proof.RIGHT], after_seq=1) as client:
            frames: list[object] = [await client.next("message") for _ in self.numbers]
            assert await client.silence() == []
            return frames

    def expected_request(self, message: OutboundMessage, part: int) -> Frame:
        return {
            "type": "message",
            "seq": self.numbers[message.id],
            "id": message.id,
            "direction": "outbound",
            "text": message.parts[part],
            "attachments": [],
            "author": {"kind": "system", "name": None},
            "at": "2026-11-02T09:00:00Z",
            "status": "sent",
        }


@asynccontextmanager
async def open_harness(database: Database, bus: LiveBus) -> AsyncIterator[Harness]:
    doorstep = Doorstep(recording(database, wire.parse))
    context = make_context(database, bus, doorstep.submit)
    sockets = ChatSockets(context, ChatSettings(origins=[SHOP]))
    async with serving_sockets(context, sockets.routes(), sockets.run, sockets.allow_origin) as api:
        yield WebChatHarness(channel=WebChatChannel(), api=api, database=database, doorstep=doorstep)
        await sockets.close()


def frame_fixture(recorded: Recorded) -> Fixture:
    """Return a recorded frame as a widget sends it."""
    return Fixture(name=recorded.name, body=msgspec.json.encode(recorded.frame), expected=recorded.expected)
