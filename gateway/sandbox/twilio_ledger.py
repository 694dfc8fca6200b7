"""What the stand-in for Twilio keeps: every message it took, and what it is told to do wrong."""

import os
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from gateway.domain.segments import count_segments


class Accepted(msgspec.Struct, kw_only=True):
    """A message that was taken; whether anybody was told so is another matter."""

    sid: str
    account_sid: str
    to: str
    sender: str | None
    messaging_service_sid: str | None
    body: str
    media_urls: list[str]
    status_callback: str | None
    created_at: datetime
    sent_at: datetime | None = None
    status: str = "queued"
    error_code: int | None = None
    undelivered_code: int | None = None  # what its callbacks are to say of it in the end, instead of "delivered"

    @property
    def is_whatsapp(self) -> bool:
        return self.to.startswith("whatsapp:")


class Resource(msgspec.Struct, kw_only=True):
    """The Message resource as the API shows it."""

    sid: str
    account_sid: str
    messaging_service_sid: str | None
    to: str
    sender: str | None = msgspec.field(name="from")
    body: str
    status: str
    direction: str = "outbound-api"
    num_media: str
    num_segments: str
    error_code: int | None
    error_message: str | None = None
    date_created: str
    date_updated: str
    date_sent: str | None
    price: str | None = None
    api_version: str = "2010-04-01"
    uri: str


def to_resource(message: Accepted) -> Resource:
    created = format_datetime(message.created_at)
    return Resource(
        sid=message.sid,
        account_sid=message.account_sid,
        messaging_service_sid=message.messaging_service_sid,
        to=message.to,
        sender=message.sender,
        body=message.body,
        status=message.status,
        num_media=str(len(message.media_urls)),
        num_segments=str(count_segments(message.body)),
        error_code=message.error_code,
        date_created=created,
        date_updated=created,
        date_sent=format_datetime(message.sent_at) if message.sent_at else None,
        uri=f"/2010-04-01/Accounts/{message.account_sid}/Messages/{message.sid}.json",
    )


class Ledger:
    """Every accepted message, in order. With a file, each is on the disk before anybody is answered."""

    def __init__(self, path: Path | None = None) -> None:
        self.messages: list[Accepted] = []
        self._by_sid: dict[str, Accepted] = {}
        self._by_recipient: dict[str, list[Accepted]] = {}
        self._file: int | None = None
        if path is not None:
            if path.exists():
                for line in path.read_bytes().splitlines():
                    self._keep(msgspec.json.decode(line, type=Accepted))
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, message: Accepted) -> None:
        self._keep(message)
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(message) + b"\n")
            os.fsync(self._file)

    def note(self, message: Accepted) -> None:
        """Keep how far a message has come; a machine that loses power may forget it, a killed process doesn't."""
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(message) + b"\n")

    def find(self, sid: str) -> Accepted | None:
        return self._by_sid.get(sid)

    def sent_to(self, recipient: str) -> list[Accepted]:
        return self._by_recipient.get(recipient, [])

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep(self, message: Accepted) -> None:
        known = self._by_sid.get(message.sid)
        if known is not None:
            known.status, known.sent_at, known.error_code = message.status, message.sent_at, message.error_code
            return
        self.messages.append(message)
        self._by_sid[message.sid] = message
        self._by_recipient.setdefault(message.to, []).append(message)


class Kind(StrEnum):
    """What can go wrong on request."""

    REFUSE = "refuse"  # a 4xx with `code`; nothing is taken
    UNDELIVERED = "undelivered"  # taken; a callback says undelivered with `code`
    THROTTLE = "throttle"  # a 429 with Retry-After; nothing is taken
    FAULT = "fault"  # a 5xx; taken only with `accepts`
    HANG = "hang"  # never answered; taken only with `accepts`
    DROP = "drop"  # taken, then the connection is closed without an answer
    GARBLE = "garble"  # taken, then answered with something that is no JSON


class Behaviour(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    kind: Kind
    to: str = "*"  # the recipient as the form has it; * and ? stand for any characters
    code: int = 0  # of Twilio's error dictionary
    status: int = 0  # HTTP; 0: the usual one
    retry_after_s: int = 1
    accepts: bool = False
    times: int | None = 1  # None: for good


class DateFilter(msgspec.Struct):
    """`DateSent`, `DateSent>` and `DateSent<` of the list: dates in GMT, both ends included.

    Messages resource, 2026-11. A message that has not left has no date, and so is in no range.
    """

    on: str | None = msgspec.field(default=None, name="DateSent")
    after: str | None = msgspec.field(default=None, name="DateSent>")
    before: str | None = msgspec.field(default=None, name="DateSent<")

    def lets_through(self, message: Accepted) -> bool:
        if not (self.on or self.after or self.before):
            return True
        if message.sent_at is None:
            return False
        day = message.sent_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            (not self.on or day[: len(self.on)] == self.on)
            and (not self.after or day[: len(self.after)] >= self.after)
            and (not self.before or day[: len(self.before)] <= self.before)
        )
