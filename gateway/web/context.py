"""What a request handler may use: handed in once by the composition root."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import CollectorRegistry
from yarl import URL

from gateway.domain.contact import ChannelName
from gateway.services.allowances import ChannelLimits, Limits
from gateway.services.login import LoginGuard
from gateway.services.receive import Submit
from gateway.services.reply import Split
from routing.queues import DEFAULT_QUEUE
from storage.blobs import MAX_BLOB_BYTES, Blobs
from storage.database import Database
from storage.live.contract import LiveBus

Check = Callable[[], Awaitable[bool]]


def utc_now() -> datetime:
    return datetime.now(UTC)


def _no_limits(_channel: ChannelName) -> ChannelLimits | None:
    return None


def _as_one(_channel: ChannelName, text: str) -> tuple[str, ...]:
    return (text,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    db: Database
    bus: LiveBus
    blobs: Blobs
    submit: Submit
    public_url: str  # without a slash at the end; its origin is the only one that cookies are taken from
    secret_key: bytes = field(repr=False)
    logins: LoginGuard = field(default_factory=LoginGuard)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    checks: Mapping[str, Check] = field(default_factory=dict)  # what must be true to be ready, by name
    now: Callable[[], datetime] = utc_now
    queues: frozenset[str] = frozenset({DEFAULT_QUEUE})  # what there is to transfer to and to take from
    max_upload_bytes: int = MAX_BLOB_BYTES
    split: Split = _as_one  # a reply's text into its provider messages
    limits: Limits = _no_limits  # of the channels that are set up

    @property
    def origin(self) -> str:
        return str(URL(self.public_url).origin())

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
