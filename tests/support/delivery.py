"""A gateway's sending side with the stand-in as its provider, and a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from channels.contract import Channel
from channels.http import HttpClient
from channels.sms.adapter import SmsChannel
from channels.twilio import TwilioAccount, TwilioMessages
from gateway.domain.contact import Address, AddressKind, ChannelName
from gateway.domain.delivery import DeliveryReport, MessageStatus
from gateway.domain.message import AuthorKind, InboundMessage, OutboundMessage
from gateway.sandbox.twilio import TwilioStandIn
from gateway.services.compose import Composer
from gateway.services.deliver import Ready, claim_ready, mark_started
from gateway.services.journey import DoubtPolicy, record_reports
from gateway.services.links import Links
from gateway.services.receive import receive_messages
from gateway.services.reconcile import Reconciler
from gateway.services.reply import Author, Reply, reply
from gateway.workers.delivery import DeliveryLimits, DeliveryWorker
from gateway.workers.jobs import JobsWorker
from storage.blobs import open_blobs
from storage.database import Database, Transaction
from storage.events import Actor
from storage.jobs import JobKind
from storage.live.contract import LiveBus
from storage.tables import conversations, messages

ACCOUNT = TwilioAccount(
    account_sid="AC" + "0" * 32,
    auth_tokens=("token-of-the-tests",),
    public_url="http://gateway.test",
    sms_from="+15005550006",
)
AUTHOR = Author(actor=Actor(kind=AuthorKind.SYSTEM, id="tests"), owner="token:tests")
DOUBT = DoubtPolicy(lookup_channels=frozenset({ChannelName.SMS}), callback_wait=timedelta(seconds=60))
ANA = "+351912345678"
Compose = Callable[[Ready], Awaitable[OutboundMessage]]


class Clock:
    """A clock that moves when it is told to, and is never behind the real one."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def move(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


@dataclass
class Rig:
    database: Database
    bus: LiveBus
    standin: TwilioStandIn
    channels: dict[ChannelName, Channel]
    clock: Clock
    http: HttpClient
    max_attempts: int = 4
    lease_s: float = 60

    def worker(self, *, compose: Compose | None = None) -> DeliveryWorker:
        links = Links(public_url=ACCOUNT.public_url, secret_key=b"k" * 32)
        composer = Composer(channels=self.channels, blobs=open_blobs("memory:"), links=links)
        return DeliveryWorker(
            db=self.database,
            bus=self.bus,
            channels=self.channels,
            compose=compose or (lambda ready: composer.compose(ready, self.clock())),
            limits=DeliveryLimits(lease_s=self.lease_s, max_attempts=self.max_attempts, concurrency=16),
            doubt=DOUBT,
            now=self.clock,
        )

    def jobs_worker(self) -> JobsWorker:
        reconciler = Reconciler(db=self.database, channels=self.channels, doubt=DOUBT, relist=timedelta(minutes=5))
        handlers = {JobKind.RECONCILE: reconciler.reconcile}
        return JobsWorker(db=self.database, bus=self.bus, handlers=handlers, now=self.clock)

    async def customer_writes(self, number: str = ANA, key: str = "SM1") -> str:
        """Return the conversation."""
        message = InboundMessage(
            channel=ChannelName.SMS,
            dedupe_key=key,
            received_at=self.clock(),
            sender=Address(kind=AddressKind.PHONE, value=number),
            text="Hello?",
        )
        (receipt,) = await self.database.write(lambda tx: receive_messages(tx, [message], self.clock()))
        async with self.database.read() as conn:
            query = select(messages.c.conversation_id).where(messages.c.id == receipt.message_id)
            found: str = (await conn.execute(query)).scalar_one()
            return found

    async def answer(self, conversation_id: str, text: str, **more: object) -> str:
        def split(channel: ChannelName, words: str) -> tuple[str, ...]:
            return self.channels[channel].split(words)

        wanted = Reply(text=text, **more)  # type: ignore[arg-type]
        return await self.database.write(
            lambda tx: reply(tx, conversation_id, AUTHOR, wanted, split=split, now=self.clock())
        )

    async def status(self, message_id: str) -> MessageStatus:
        async with self.database.read() as conn:
            query = select(messages.c.status).where(messages.c.id == message_id)
            return MessageStatus((await conn.execute(query)).scalar_one())

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await condition():
                await asyncio.sleep(0.01)

    async def until_status(self, message_id: str, *wanted: MessageStatus) -> None:
        async def reached() -> bool:
            return await self.status(message_id) in wanted

        await self.until(reached)

    async def report(self, message_id: str, status: MessageStatus, *, part: int = 0, sid: str | None = None) -> None:
        said = DeliveryReport(
            channel=ChannelName.SMS,
            status=status,
            received_at=self.clock(),
            message_id=message_id,
            part=part,
            external_id=sid,
        )
        await self.database.write(lambda tx: record_reports(tx, [said], DOUBT, self.clock()))

    async def waiting_since(self, conversation_id: str) -> datetime | None:
        async with self.database.read() as conn:
            query = select(conversations.c.waiting_since).where(conversations.c.id == conversation_id)
            found: datetime | None = (await conn.execute(query)).scalar_one()
            return found

    def bodies(self) -> list[str]:
        return [message.body for message in self.standin.accepted]


@asynccontextmanager
async def open_rig(database: Database, bus: LiveBus) -> AsyncIterator[Rig]:
    standin = TwilioStandIn(account_sid=ACCOUNT.account_sid, auth_token=ACCOUNT.auth_tokens[0])
    async with standin.serving() as url, HttpClient(total_timeout_s=2.0) as http:
        yield Rig(database, bus, standin, {ChannelName.SMS: _sms(http, url)}, Clock(), http)


@asynccontextmanager
async def delivering(rig: Rig, *, compose: Compose | None = None) -> AsyncIterator[DeliveryWorker]:
    worker = rig.worker(compose=compose)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(worker.run())
        yield worker
        task.cancel()


def unreachable(http: HttpClient) -> Channel:
    """Return an SMS channel whose provider refuses every connection."""
    return _sms(http, "http://127.0.0.1:9")


def _sms(http: HttpClient, url: str) -> SmsChannel:
    account = replace(ACCOUNT, api_url=url)
    return SmsChannel(account, TwilioMessages(account, http))


async def claim(rig: Rig) -> list[Ready]:
    async def work(tx: Transaction) -> list[Ready]:
        return await claim_ready(tx, limit=10, lease_s=60, local_channels=frozenset(), doubt=DOUBT, now=rig.clock())

    return await rig.database.write(work)


async def mark(rig: Rig, ready: Ready) -> list[bool]:
    return await rig.database.write(lambda tx: mark_started(tx, [(ready, 0)], lease_s=60, now=rig.clock()))
