"""Real sockets against a real server: an application with what a test wants of it, and frames in and out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import AbstractRouteDef, Request, StreamResponse

from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.conversation import EventType
from gateway.domain.message import InboundMessage, Json, RawInbound
from gateway.services.login import LoginGuard
from gateway.services.receive import Receipt, ReceiptState, receive_messages
from gateway.web.context import Context
from gateway.web.server import build_app
from storage.blobs import open_blobs
from storage.database import Database
from storage.events import NewEvent, append_events
from storage.live.contract import LiveBus
from storage.tables import messages
from tests.support.api import PUBLIC_URL, START, Api, Clock, quick_passwords

Frame = Mapping[str, Json]
SECRET = b"a secret of the tests, 32 bytes.."


def make_context(database: Database, bus: LiveBus, submit: Callable[[RawInbound], Awaitable[Receipt]]) -> Context:
    return Context(
        db=database,
        bus=bus,
        blobs=open_blobs("memory:"),
        submit=submit,
        public_url=PUBLIC_URL,
        secret_key=SECRET,
        logins=LoginGuard(passwords=quick_passwords()),
        now=Clock(),
    )


async def take_nothing(raw: RawInbound) -> Receipt:
    return Receipt(state=ReceiptState.ACCEPTED)


@asynccontextmanager
async def serving_sockets(
    context: Context,
    routes: Sequence[AbstractRouteDef],
    run: Callable[[], Awaitable[None]],
    *on_prepare: Callable[[Request, StreamResponse], Awaitable[None]],
) -> AsyncIterator[Api]:
    """Serve `routes` on a free port with their watcher `run` beside them."""
    app = build_app(context, others=routes)
    app.on_response_prepare.extend(on_prepare)

    async def watch() -> None:
        await run()

    assert isinstance(context.now, Clock)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch())
        async with TestClient(TestServer(app), cookie_jar=aiohttp.DummyCookieJar()) as client:
            yield Api(context=context, clock=context.now, client=client)
        task.cancel()


async def next_frame(ws: aiohttp.ClientWebSocketResponse) -> Frame:
    """Return the next frame; a closed socket fails the test."""
    message = await ws.receive(timeout=10)
    assert message.type is WSMsgType.TEXT, message
    frame: Frame = msgspec.json.decode(message.data)
    return frame


async def frames_until(ws: aiohttp.ClientWebSocketResponse, is_last: Callable[[Frame], bool]) -> list[Frame]:
    """Return the frames up to the first that is wanted."""
    frames: list[Frame] = []
    while not frames or not is_last(frames[-1]):
        frames.append(await next_frame(ws))
    return frames


async def close_code(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """Read on until the server closes, and return its code."""
    while (await ws.receive(timeout=10)).type is WSMsgType.TEXT:
        pass
    return ws.close_code


async def start_conversation(database: Database, sender: str = "+351912345678") -> str:
    """Have somebody write an SMS and return the conversation that it starts, with two events."""
    receipt = await write_sms(database, sender, "1")
    assert receipt.message_id is not None
    async with database.read() as conn:
        query = messages.select().where(messages.c.id == receipt.message_id)
        conversation_id: str = (await conn.execute(query)).one().conversation_id
    return conversation_id


async def write_sms(database: Database, sender: str, key: str) -> Receipt:
    message = InboundMessage(
        channel=ChannelName.SMS,
        dedupe_key=f"twilio:{sender}:{key}",
        received_at=START,
        sender=Address(kind=AddressKind.PHONE, value=sender),
        text=f"message {key}",
    )
    (receipt,) = await database.write(lambda tx: receive_messages(tx, [message], START), is_racing=True)
    return receipt


async def append_note(database: Database, conversation_id: str, number: int) -> None:
    event = NewEvent(conversation_id=conversation_id, type=EventType.NOTE_ADDED, at=START, data={"number": number})

    async def work(tx):  # type: ignore[no-untyped-def]
        return await append_events(tx, [event])

    await database.write(work)
