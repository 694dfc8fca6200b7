"""What a channel brings to the shared contract suite (tests/channels/test_contract.py).

Write a harness for it and add it to `HARNESSES` there. A harness plays both sides of one channel: the provider's (a
real local server) and the edge of the gateway (the real handler, with a list where the intake would be).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import msgspec

from channels.contract import Channel
from gateway.domain.delivery import DeliveryReport
from gateway.domain.errors import SendAction
from gateway.domain.message import InboundMessage, OutboundMessage, RawInbound

FIXTURES = Path(__file__).parent.parent / "channels" / "fixtures"


class Proof(StrEnum):
    """How something comes in: with the proof that it is from the provider, with a wrong one, or with none."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"


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

    def bring_on(self, trouble: Trouble) -> None:
        """Let this happen to the next message that is sent."""
        ...

    def outbound(self, text: str) -> OutboundMessage:
        """Return a message to a customer of this channel."""
        ...

    def sent_requests(self) -> list[object]:
        """Return what the provider was handed, as it came, to compare with `expected_request`."""
        ...

    def expected_request(self, message: OutboundMessage, part: int) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCase:
    """One channel in the suite. `troubles` says what follows from each that can happen to it."""

    name: str
    open: "OpenHarness"
    fixtures: Sequence[Fixture]
    troubles: Mapping[Trouble, SendAction]


class OpenHarness(Protocol):
    def __call__(self) -> AbstractAsyncContextManager[Harness]: ...


class FormFixture(msgspec.Struct):
    name: str
    form: list[tuple[str, str]]
    expected: dict[str, Any]


def load_forms(file: str) -> list[FormFixture]:
    """Return the recorded forms of one file."""
    return msgspec.json.decode((FIXTURES / file).read_bytes(), type=list[FormFixture])
