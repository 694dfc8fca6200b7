"""The composition root: opens what a process needs, wires web and workers to it, runs them, and lets go in order."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from channels.contract import Channel
from channels.email.mailbox import Mailbox
from channels.http import HttpClient
from channels.registry import ChannelAccounts, build_parser, open_channels
from channels.twilio import SignatureCheck, TwilioAccount
from channels.twilio_media import MediaFetcher
from config.settings import Settings
from gateway.domain.contact import ChannelName
from gateway.domain.errors import BadInput, FetchFailed, GatewayError, InputError, Unavailable
from gateway.services.allowances import ChannelLimits
from gateway.services.compose import Composer
from gateway.services.conversations import wake
from gateway.services.hand_over import WAYS, HandOver
from gateway.services.identity import IdentityCheck
from gateway.services.intake import Recorder
from gateway.services.journey import DoubtPolicy
from gateway.services.links import Links
from gateway.services.media import FetchedFile, MediaFetch
from gateway.services.reconcile import Reconciler
from gateway.services.reply import MOST_FILES, MOST_TEXT, Split
from gateway.web.chat import ChatSettings, ChatSockets
from gateway.web.chat_pages import ChatFace
from gateway.web.context import Context
from gateway.web.live import LiveSockets
from gateway.web.pages import Pages
from gateway.web.server import build_app
from gateway.web.smtp import SmtpReceiver
from gateway.web.twilio import twilio_routes
from gateway.workers.delivery import DeliveryLimits, DeliveryWorker
from gateway.workers.housekeeping import Housekeeping
from gateway.workers.intake import Intake, IntakeSteps
from gateway.workers.jobs import MAX_ATTEMPTS, JobsWorker
from gateway.workers.spool import Spool
from storage import outbox
from storage.blobs import Blobs, open_blobs
from storage.database import Database, Transaction, open_database
from storage.jobs import Job, JobKind, release_job_leases
from storage.live.contract import LiveBus
from storage.live.memory import MemoryBus
from storage.live.redis import RedisBus
from storage.migrate import current_revision, head_revision, migrate

log = structlog.get_logger(__name__)

_DRAIN_S = 20.0
_STALE_OUTBOX = timedelta(minutes=10)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a process has open."""

    settings: Settings
    db: Database
    bus: LiveBus
    blobs: Blobs
    http: HttpClient
    spool: Spool
    accounts: ChannelAccounts
    channels: dict[ChannelName, Channel]

    @property
    def doubt(self) -> DoubtPolicy:
        return DoubtPolicy(
            lookup_channels=frozenset(
                name for name, channel in self.channels.items() if channel.capabilities.can_list_sent
            ),
            callback_wait=timedelta(seconds=self.settings.delivery.callback_wait_s),
            hand_over_after=timedelta(seconds=self.settings.webchat.hand_over_s) if self.chat_ways else None,
        )

    @property
    def chat_ways(self) -> frozenset[ChannelName]:
        """The channels by which an answer may go on to a visitor of the chat who is gone."""
        return frozenset(WAYS.keys() & self.channels.keys())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One process of the gateway, opened but not yet serving."""

    settings: Settings
    app: web.Application
    bus: LiveBus
    intake: Intake
    delivery: DeliveryWorker
    jobs: JobsWorker
    housekeeping: Housekeeping
    live: LiveSockets
    chat: ChatSockets
    smtp: SmtpReceiver | None

    async def run(self, stop: asyncio.Event, *, ready: asyncio.Event | None = None) -> None:
        """Serve until `stop` is set; then take nothing new, finish what was begun, and return."""
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            async with asyncio.TaskGroup() as tasks:
                loops = (self.bus, self.intake, self.delivery, self.jobs, self.housekeeping, self.live, self.chat)
                running = [tasks.create_task(loop.run()) for loop in loops]
                listen = self.settings.http.listen
                await web.TCPSite(runner, listen.host, listen.port, backlog=1024).start()
                if self.smtp is not None:
                    await self.smtp.start()
                log.info("gateway.ready", port=listen.port)
                if ready is not None:
                    ready.set()
                await stop.wait()
                await self._finish(runner)
                for task in running:
                    task.cancel()
        finally:
            await runner.cleanup()

    async def _finish(self, runner: web.AppRunner) -> None:
        log.info("gateway.stopping")
        if self.smtp is not None:
            await self.smtp.close()
        for site in list(runner.sites):
            await site.stop()
        await self.live.close()
        await self.chat.close()
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self.intake.drain()
                await self.delivery.drain()
        except TimeoutError:
            log.warning("gateway.drain_timed_out")
            # Replies that were not sent are leased rows; what came in must be on disk before its senders are told so.
            await self.intake.spool_rest()


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open database, bus, files and channels.

    Raises:
        SchemaOutdated: the PostgreSQL database has to be migrated first.
    """
    url = settings.database_url.get_secret_value()
    await prepare_schema(url)
    async with AsyncExitStack() as stack:
        bus: LiveBus = MemoryBus() if settings.redis_url is None else RedisBus(settings.redis_url.get_secret_value())
        stack.push_async_callback(bus.close)
        db = open_database(url, bus)
        stack.push_async_callback(db.close)
        http = await stack.enter_async_context(HttpClient())
        spool = Spool(_spool_folder(settings))
        stack.callback(spool.close)
        accounts = _accounts(settings)
        channels = open_channels(accounts, http)
        for channel in channels.values():
            stack.push_async_callback(channel.close)
        most_bytes = max(settings.files.max_bytes, settings.email.max_bytes)
        yield Resources(
            settings=settings,
            db=db,
            bus=bus,
            blobs=open_blobs(_files_place(settings.files_url), max_bytes=most_bytes),
            http=http,
            spool=spool,
            accounts=accounts,
            channels=channels,
        )


@asynccontextmanager
async def open_gateway(
    settings: Settings, *, others: Sequence[web.AbstractRouteDef] = (), is_demo: bool = False
) -> AsyncIterator[Gateway]:
    """Open everything and wire it together; `others` are routes beside the product's own.

    Raises:
        SchemaOutdated: as `open_resources`.
    """
    async with open_resources(settings) as resources:
        if not resources.db.is_postgresql:
            await resources.db.write(_release_leases)
        intake = _intake(resources)
        context = _context(resources, intake)
        live, chat = LiveSockets(context), ChatSockets(context, _chat_settings(resources))
        routes = [*live.routes(), *chat.routes(), *Pages(is_demo=is_demo).routes(), *others]
        if resources.accounts.twilio is not None:
            routes += twilio_routes(SignatureCheck(resources.accounts.twilio), intake.submit, utc_now)
        app = build_app(context, others=routes)
        app.on_response_prepare.append(chat.allow_origin)
        yield Gateway(
            settings=settings,
            app=app,
            bus=resources.bus,
            intake=intake,
            delivery=_delivery(resources),
            jobs=_jobs(resources, context.split),
            housekeeping=Housekeeping(
                db=resources.db,
                blobs=resources.blobs,
                spool_folder=_spool_folder(settings),
                metrics=context.metrics,
                now=utc_now,
            ),
            live=live,
            chat=chat,
            smtp=_smtp(resources, intake),
        )


@asynccontextmanager
async def open_intake(settings: Settings) -> AsyncIterator[tuple[Database, Intake]]:
    """Open the intake alone, at work, for a command that replays what could not be handled."""
    async with open_resources(settings) as resources:
        intake = _intake(resources)
        failure: GatewayError | None = None
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(intake.run())
            try:
                yield resources.db, intake
            except GatewayError as error:
                failure = error  # raised behind the group, which would wrap it
            running.cancel()
        if failure is not None:
            raise failure


def _intake(resources: Resources) -> Intake:
    recorder = Recorder(db=resources.db, blobs=resources.blobs, doubt=resources.doubt, now=utc_now)
    steps = IntakeSteps(
        parse=build_parser(resources.accounts),
        store_files=recorder.store_files,
        record=recorder.record,
        quarantine=recorder.quarantine,
    )
    return Intake(steps, resources.spool, workers=2 if resources.db.is_postgresql else 1)


def _context(resources: Resources, intake: Intake) -> Context:
    settings, db, channels = resources.settings, resources.db, resources.channels
    metrics = CollectorRegistry()
    spooled = Gauge("gateway_spool_bytes", "What waits on disk for the database", registry=metrics)
    spooled.set_function(lambda: intake.spooled_bytes)

    async def reaches_database() -> bool:
        async with db.read() as conn:
            await outbox.next_due_at(conn)
        return True

    async def reaches_bus() -> bool:
        return resources.bus.is_connected

    async def sends_in_time() -> bool:
        async with db.read() as conn:
            oldest = await outbox.oldest_due_at(conn, utc_now())
        return oldest is None or utc_now() - oldest < _STALE_OUTBOX

    def split(channel: ChannelName, text: str) -> tuple[str, ...]:
        if channel not in channels:
            message = f"The channel {channel} is not set up."
            raise BadInput(message, (InputError(path="$.channel", message=message),))
        return channels[channel].split(text)

    return Context(
        db=db,
        bus=resources.bus,
        blobs=resources.blobs,
        submit=intake.submit,
        public_url=settings.http.public_url,
        secret_key=settings.secret_key.get_secret_value().encode(),
        metrics=metrics,
        checks={"database": reaches_database, "bus": reaches_bus, "outbox": sends_in_time},
        split=split,
        limits=partial(_limits, channels),
        max_upload_bytes=settings.files.max_bytes,
    )


def _limits(channels: Mapping[ChannelName, Channel], name: ChannelName) -> ChannelLimits | None:
    if name not in channels:
        return None
    known = channels[name].capabilities
    return ChannelLimits(
        has_subject=known.has_subject,
        counts_segments=name is ChannelName.SMS,
        max_characters=None if name is ChannelName.EMAIL else MOST_TEXT,
        max_files=MOST_FILES,
        max_file_bytes=known.max_attachment_bytes,
    )


def _chat_settings(resources: Resources) -> ChatSettings:
    settings, chat = resources.settings, resources.settings.webchat
    secret, audience = chat.identity_secret, chat.identity_audience
    identity = None if secret is None else IdentityCheck(secret=secret.get_secret_value(), audience=audience)
    face = ChatFace(
        shop=settings.shop_name,
        ask_topic=chat.ask_topic,
        ask_name=chat.ask_name,
        ask_email=chat.ask_email,
        topics=chat.topics,
        privacy_url=chat.privacy_url,
        answers_within_min=chat.answers_within_min,
    )
    return ChatSettings(origins=settings.chat_origins, identity=identity, face=face, ways=resources.chat_ways)


def _delivery(resources: Resources) -> DeliveryWorker:
    settings = resources.settings
    links = Links(public_url=settings.http.public_url, secret_key=settings.secret_key.get_secret_value().encode())
    composer = Composer(channels=resources.channels, blobs=resources.blobs, links=links)
    return DeliveryWorker(
        db=resources.db,
        bus=resources.bus,
        channels=resources.channels,
        compose=lambda ready: composer.compose(ready, utc_now()),
        limits=DeliveryLimits(
            lease_s=settings.delivery.lease_s,
            max_attempts=settings.delivery.max_attempts,
            concurrency=settings.delivery.concurrency,
        ),
        doubt=resources.doubt,
        now=utc_now,
    )


def _jobs(resources: Resources, split: Split) -> JobsWorker:
    settings, db = resources.settings, resources.db
    relist = timedelta(seconds=settings.delivery.relist_s)
    reconciler = Reconciler(db=db, channels=resources.channels, doubt=resources.doubt, relist=relist)
    fetcher = None
    if resources.accounts.twilio is not None:
        fetcher = MediaFetcher(resources.accounts.twilio, resources.http, max_bytes=settings.files.max_bytes)
    media = MediaFetch(db=db, blobs=resources.blobs, fetch=partial(_fetch, fetcher), max_attempts=MAX_ATTEMPTS)

    async def wake_up(job: Job, now: datetime) -> None:
        await db.write(lambda tx: wake(tx, job.subject_id, now))

    hand_over = HandOver(db=db, channels=resources.chat_ways, split=split, shop=settings.shop_name)
    handlers = {
        JobKind.FETCH_MEDIA: media.run,
        JobKind.RECONCILE: reconciler.reconcile,
        JobKind.WAKE: wake_up,
        JobKind.HAND_OVER: hand_over.run,
    }
    return JobsWorker(db=db, bus=resources.bus, handlers=handlers, now=utc_now)


async def _fetch(fetcher: MediaFetcher | None, url: str) -> FetchedFile:
    if fetcher is None:
        raise FetchFailed("The account that the file came through is not set up any more.", is_final=True)
    media = await fetcher.fetch_media(url)
    return FetchedFile(content=media.content, content_type=media.content_type, filename=media.filename)


def _accounts(settings: Settings) -> ChannelAccounts:
    return ChannelAccounts(
        twilio=_twilio(settings),
        mailbox=_mailbox(settings),
        smtp_url=settings.email.smtp_url.get_secret_value() if settings.email.smtp_url else None,
    )


def _twilio(settings: Settings) -> TwilioAccount | None:
    twilio = settings.twilio
    if twilio.account_sid is None or twilio.auth_token is None:
        return None
    return TwilioAccount(
        account_sid=twilio.account_sid,
        auth_tokens=(twilio.auth_token.get_secret_value(),),
        public_url=settings.http.public_url,
        api_url=twilio.api_url,
        sms_from=twilio.sms_from,
        messaging_service_sid=twilio.messaging_service_sid,
        whatsapp_from=twilio.whatsapp_from,
    )


def _mailbox(settings: Settings) -> Mailbox | None:
    if settings.email.address is None:
        return None
    return Mailbox(
        address=settings.email.address.lower(),
        sender_name=settings.email.sender_name or "",
        reply_secret=settings.secret_key.get_secret_value().encode(),
        authserv_id=settings.email.authserv_id or "",
        trusted_relays=tuple(ip_network(network) for network in settings.email.trusted_relays),
    )


def _smtp(resources: Resources, intake: Intake) -> SmtpReceiver | None:
    email, mailbox = resources.settings.email, resources.accounts.mailbox
    if email.listen is None or mailbox is None:
        return None
    return SmtpReceiver(
        submit=intake.submit,
        mailbox=mailbox,
        host=email.listen.host,
        port=email.listen.port,
        max_bytes=email.max_bytes,
        now=utc_now,
        tls_context=_tls(email.starttls_cert, email.starttls_key),
    )


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _spool_folder(settings: Settings) -> Path:
    return settings.data_dir / "spool"


def _files_place(url: str) -> str:
    """Return the folder of a `file:` URL, and any other URL as it is."""
    parts = urlsplit(url)
    return url2pathname(parts.path) if parts.scheme == "file" else url


async def _release_leases(tx: Transaction) -> None:
    """Nobody else works on this SQLite file, so whatever is leased was leased by a process that is gone."""
    await outbox.release_leases(tx)
    await release_job_leases(tx)


class SchemaOutdated(BadInput):
    """The database has to be migrated before this version may serve from it."""


async def prepare_schema(url: str) -> None:
    """Bring a SQLite file, or an empty PostgreSQL database, up to date; any other must be migrated by hand.

    A database that can't be reached now is left for later: what comes in meanwhile is spooled.

    Raises:
        SchemaOutdated: with the command to run.
    """
    try:
        revision = await current_revision(url)
    except Unavailable:
        log.warning("gateway.database_away")
        return
    if revision == head_revision():
        return
    if revision is None or url.startswith("sqlite"):
        await migrate(url)
        return
    raise SchemaOutdated("The database is of an older version. Run `python main.py migrate`, then start again.")
