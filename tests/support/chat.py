"""Web chat end to end: sockets, the real intake with its spool, and the shop's tokens."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from aiohttp import ClientWebSocketResponse
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select

from channels.webchat import wire
from gateway.domain.contact import ChannelName
from gateway.domain.delivery import MessageStatus
from gateway.domain.ids import new_id
from gateway.domain.message import AuthorKind, Json, RawInbound
from gateway.services.chat import read_visitor
from gateway.services.identity import IdentityCheck
from gateway.services.intake import Recorder
from gateway.services.journey import DoubtPolicy, Outcome, advance
from gateway.services.receive import Receipt
from gateway.services.reply import Author, Reply, reply
from gateway.web.chat import SOCKET_PATH, ChatSettings, ChatSockets
from gateway.web.chat_pages import ChatFace
from gateway.web.limits import ChatLimits
from gateway.web.pages import FRONT_END
from gateway.workers.intake import Intake, IntakeSteps
from gateway.workers.spool import Spool
from storage.database import Database, Transaction
from storage.events import Actor
from storage.live.contract import LiveBus, Notice
from storage.presence import note_live
from storage.sessions import insert_session
from storage.tables import addresses, messages
from tests.support.api import START, Api
from tests.support.factories import make_agent
from tests.support.sockets import SECRET, Frame, make_context, next_frame, serving_sockets

SHOP = "https://shop.example"
SHOP_SECRET = "the shop's secret, long enough for HS256"
DOUBT = DoubtPolicy(lookup_channels=frozenset(), callback_wait=timedelta(0))
AUTHOR = Author(actor=Actor(kind=AuthorKind.SYSTEM, id="tests"), owner="token:tests")


def identity_token(secret: str = SHOP_SECRET, header: Mapping[str, str] | None = None, **claims: Json) -> str:
    """Return what the shop would sign for customer c-1; a claim of None is left out."""
    now = int(START.timestamp())
    said = {"sub": "c-1", "iat": now, "exp": now + 3600, "jti": new_id(), "aud": "gateway"} | claims
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(dict(header or {"alg": "HS256"}), said, OctKey.import_key(secret))


class Client:
    """A widget's side of one socket; what it was sent and did not ask for yet is kept."""

    def __init__(self, ws: ClientWebSocketResponse, welcome: Frame) -> None:
        self.ws = ws
        self.welcome = welcome
        self.visitor: str = welcome["visitor"]
        self.kept: list[Frame] = []

    async def send(self, kind: str, **fields: Json) -> None:
        await self.ws.send_json({"type": kind, **fields})

    async def next(self, kind: str) -> Frame:
        """Return the next frame of this kind: acknowledgements and messages come in either order."""
        position = 0
        while True:
            if position == len(self.kept):
                self.kept.append(await next_frame(self.ws))
            if self.kept[position]["type"] == kind:
                return self.kept.pop(position)
            position += 1

    async def say(self, text: str, id_: str | None = None, **fields: Json) -> Frame:
        """Return the acknowledgement."""
        await self.send("message", id=id_ or new_id(), text=text, **fields)
        return await self.next("ack")

    async def silence(self) -> list[Frame]:
        """Return what came unasked before the reader answered a ping."""
        await self.send("ping")
        await self.next("pong")
        return self.take()

    def take(self) -> list[Frame]:
        kept, self.kept = self.kept, []
        return kept


@dataclass(kw_only=True)
class ChatRig:
    api: Api
    database: Database
    bus: LiveBus
    intake: Intake
    sockets: ChatSockets
    doubt: DoubtPolicy = DOUBT

    @asynccontextmanager
    async def client(
        self,
        visitor: str | None = None,
        identity: str | None = None,
        *,
        after_seq: int = 0,
        language: str | None = None,
    ) -> AsyncIterator[Client]:
        hello = {"visitor": visitor, "identity": identity, "after_seq": after_seq, "language": language}
        async with self.api.client.ws_connect(SOCKET_PATH, headers={"Origin": SHOP}) as ws:
            await ws.send_json({"type": "hello", **hello})
            welcome = await next_frame(ws)
            assert welcome["type"] == "welcome"
            yield Client(ws, welcome)

    async def shown_to(self, client: Client) -> list[Frame]:
        """Return what the socket of a known visitor has been sent once it has caught up with all that stands."""
        value = read_visitor(SECRET, client.visitor)
        async with self.database.read() as conn:
            query = select(addresses.c.id).where(addresses.c.value == value)
            topic = f"visitor:{(await conn.execute(query)).scalar_one()}"
        while True:
            # A socket that is about to read the database drops notices, so the mark may have to be set again.
            await self.bus.publish([Notice(topic=topic, body=b'{"typing":true}')])
            try:
                async with asyncio.timeout(0.2):
                    await client.next("typing")
            except TimeoutError:
                continue
            return [frame for frame in client.take() if frame["type"] != "typing"]

    async def conversation_of(self, message_id: str) -> str:
        async with self.database.read() as conn:
            row = (await conn.execute(messages.select().where(messages.c.id == message_id))).one()
            conversation_id: str = row.conversation_id
            return conversation_id

    async def status_of(self, message_id: str) -> str:
        async with self.database.read() as conn:
            row = (await conn.execute(messages.select().where(messages.c.id == message_id))).one()
            status: str = row.status
            return status

    async def until_status(self, message_id: str, status: str) -> None:
        async with asyncio.timeout(10):
            while await self.status_of(message_id) != status:
                await asyncio.sleep(0.01)

    async def answer(self, conversation_id: str, text: str, **more: Json) -> str:
        """Reply, and do what the delivery worker does for a local channel once the reply is due."""
        wanted = Reply(text=text, channel=ChannelName.WEBCHAT, **more)
        now = self.api.clock()

        async def work(tx: Transaction) -> str:
            message_id = await reply(tx, conversation_id, AUTHOR, wanted, split=lambda _, text: (text,), now=now)
            if not wanted.hold_s:
                sent = Outcome(message_id=message_id, part=0, status=MessageStatus.SENT)
                await advance(tx, [sent], self.doubt, now)
            return message_id

        return await self.database.write(work)


async def come_to_the_desk(database: Database, now: datetime) -> None:
    """Have a new agent's page open, as its live socket would say."""
    agent_id = await make_agent(database)
    session = new_id()

    async def work(tx: Transaction) -> None:
        expires_at = now + timedelta(days=1)
        await insert_session(tx, token_hash=session, agent_id=agent_id, now=now, expires_at=expires_at)
        await note_live(tx, [session], now)

    await database.write(work)


class _Door:
    """Hands what comes in to an intake that is made after the sockets."""

    intake: Intake

    async def submit(self, raw: RawInbound) -> Receipt:
        return await self.intake.submit(raw)

    def lead_to(self, intake: Intake) -> Self:
        self.intake = intake
        return self


@asynccontextmanager
async def chatting(
    database: Database,
    bus: LiveBus,
    folder: Path,
    *,
    limits: ChatLimits | None = None,
    check_s: float = 15.0,
    has_identity: bool = True,
    is_attended: bool = True,
    ways: Collection[ChannelName] = (ChannelName.EMAIL, ChannelName.SMS),
    face: ChatFace | None = None,
    front_end: Path = FRONT_END,
    hand_over_after: timedelta | None = None,
) -> AsyncIterator[ChatRig]:
    """Serve web chat, with everything behind it, for the shop's site; `is_attended`: an agent is at the desk."""
    door = _Door()
    doubt = replace(DOUBT, hand_over_after=hand_over_after)
    context = make_context(database, bus, door.submit)
    recorder = Recorder(db=database, blobs=context.blobs, doubt=doubt, now=context.now)
    steps = IntakeSteps(
        parse=wire.parse, store_files=recorder.store_files, record=recorder.record, quarantine=recorder.quarantine
    )
    if is_attended:
        await come_to_the_desk(database, context.now())
    settings = ChatSettings(
        origins=[SHOP],
        face=face or ChatFace(shop="Calm Shop"),
        ways=ways,
        front_end=front_end,
        presence_kept_s=0,
        identity=IdentityCheck(secret=SHOP_SECRET, audience="gateway") if has_identity else None,
        limits=limits or ChatLimits(),
        check_s=check_s,
    )
    with closing(Spool(folder)) as spool:
        intake = door.lead_to(Intake(steps, spool)).intake
        sockets = ChatSockets(context, settings)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(intake.run())
            async with serving_sockets(context, sockets.routes(), sockets.run, sockets.allow_origin) as api:
                yield ChatRig(api=api, database=database, bus=bus, intake=intake, sockets=sockets, doubt=doubt)
                await sockets.close()
            running.cancel()
