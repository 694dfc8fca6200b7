"""What a channel brings to the shared contract suite (tests/channels/test_contract.py).

Write a harness for it and add it to `CASES` there. A harness plays both sides of one channel: the provider's or the
customer's (a real local server, a real client) and the edge of the gateway: the real handler, with a `Doorstep` where
the intake would be. What a channel has not got (a signature, a provider that can fail) its case leaves out.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from channels.contract import Channel
from gateway.domain.delivery import DeliveryReport, SendResult
from gateway.domain.errors import SendAction
from gateway.domain.message import InboundMessage, OutboundMessage, RawInbound
from gateway.services.intake import Recorder
from gateway.services.journey import DoubtPolicy
from gateway.services.receive import Receipt, ReceiptState, Submit
from storage.blobs import open_blobs
from storage.database import Database
from storage.live.contract import LiveBus

FIXTURES = Path(__file__).parent.parent / "channels" / "fixtures"
NO_DOUBT = DoubtPolicy(lookup_channels=frozenset(), callback_wait=timedelta(0))
Parse = Callable[[RawInbound], InboundMessage | DeliveryReport]


class Proof(StrEnum):
    """How something comes in: with the signature or token that makes it count, or without."""

    RIGHT = "right"
    WRONG = "wrong"  # made with another secret
    MISSING = "missing"
    ELSEWHERE = "elsewhere"  # right, but for another door: another URL, mailbox or site


class Unproved(StrEnum):
    """What becomes of something that comes in without the right proof."""

    REFUSED = "refused"
    STRANGER = "stranger"  # taken, but what the proof would have led to is not touched


class Trouble(StrEnum):
    """What can happen to a message that is sent."""

    THROTTLED = "throttled"
    FAULT = "fault"  # a 5xx, or what stands for it
    TIMEOUT = "timeout"
    DROPPED = "dropped"  # taken, then the connection ends without an answer
    GARBLED = "garbled"  # taken, then answered with nonsense
    UNREACHABLE = "unreachable"
    OPTED_OUT = "opted_out"
    BAD_ADDRESS = "bad_address"
    BAD_CREDENTIALS = "bad_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """Something that a provider hands over, and what it must become; `expected` is by field of InboundMessage."""

    name: str
    body: bytes
    expected: Mapping[str, Any] = field(default_factory=dict)


async def accept(raw: RawInbound) -> Receipt:
    return Receipt(state=ReceiptState.ACCEPTED)


def recording(database: Database, parse: Parse) -> Submit:
    """Return a step that reads and stores what came in, as the intake does."""
    recorder = Recorder(db=database, blobs=open_blobs("memory:"), doubt=NO_DOUBT, now=lambda: datetime.now(UTC))

    async def record(raw: RawInbound) -> Receipt:
        (receipt,) = await recorder.record([await recorder.store_files(parse(raw))])
        assert isinstance(receipt, Receipt)
        return receipt

    return record


@dataclass(slots=True)
class Doorstep:
    """Where the intake would be: a list of what the edge handed over, and what is done with it then."""

    then: Submit = accept
    received: list[RawInbound] = field(default_factory=list)

    async def submit(self, raw: RawInbound) -> Receipt:
        self.received.append(raw)
        return await self.then(raw)


class Harness(Protocol):
    @property
    def channel(self) -> Channel: ...

    @property
    def secrets(self) -> Sequence[str]:
        """What no error and no repr may show."""
        ...

    @property
    def received(self) -> Sequence[RawInbound]:
        """What the edge has handed to the intake."""
        ...

    def parse(self, raw: RawInbound) -> InboundMessage | DeliveryReport: ...

    async def hand_over(self, fixture: Fixture, proof: Proof) -> bool:
        """Bring it to the edge; True if it was taken."""
        ...

    def is_vouched_for(self, message: InboundMessage) -> bool:
        """Say whether the message stands where only the right proof leads."""
        ...

    def bring_on(self, trouble: Trouble) -> None:
        """Let this happen to the next message that is sent."""
        ...

    async def outbound(self, text: str) -> OutboundMessage:
        """Return a message to a customer of this channel."""
        ...

    async def send(self, message: OutboundMessage, part: int) -> SendResult:
        """Send one part, and do what the delivery worker does for the customer to see it."""
        ...

    async def sent_requests(self) -> list[object]:
        """Return what the other side was handed, as it came, to compare with `expected_request`."""
        ...

    def expected_request(self, message: OutboundMessage, part: int) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCase:
    """One channel in the suite.

    `unproved` says what becomes of what comes in without the right proof, `troubles` what follows from each that can
    happen to it on the way out; a channel that nothing can happen to has none.
    """

    name: str
    open: "OpenHarness"
    fixtures: Sequence[Fixture]
    unproved: Mapping[Proof, Unproved]
    troubles: Mapping[Trouble, SendAction]


class OpenHarness(Protocol):
    def __call__(self, database: Database, bus: LiveBus) -> AbstractAsyncContextManager[Harness]: ...


class Recorded(msgspec.Struct):
    """One recorded item: a form's fields, the lines of a mail, or a frame of the chat."""

    name: str
    expected: dict[str, Any]
    form: list[tuple[str, str]] = []
    mail: list[str] = []
    frame: dict[str, Any] = {}


def load_recorded(file: str) -> list[Recorded]:
    """Return what one file of fixtures holds."""
    return msgspec.json.decode((FIXTURES / file).read_bytes(), type=list[Recorded])
