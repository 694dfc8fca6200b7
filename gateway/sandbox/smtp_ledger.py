"""What the SMTP peer keeps: every mail it took, and what it is told to do wrong."""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec


class KeptMail(msgspec.Struct, kw_only=True, frozen=True):
    """A mail that was taken; whether anybody was told so is another matter. `content` is base64 in the file."""

    mail_from: str
    rcpt_tos: list[str]
    content: bytes
    at: datetime


class Ledger:
    """Every mail taken, in order. With a file, each is on the disk before anybody is answered."""

    def __init__(self, path: Path | None = None) -> None:
        self.mails: list[KeptMail] = []
        self._file: int | None = None
        if path is not None:
            if path.exists():
                self.mails = read_ledger(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, mail: KeptMail) -> None:
        self.mails.append(mail)
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(mail) + b"\n")
            os.fsync(self._file)

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


def read_ledger(path: Path) -> list[KeptMail]:
    return [msgspec.json.decode(line, type=KeptMail) for line in path.read_bytes().splitlines()]


class Kind(StrEnum):
    """What can go wrong on request."""

    REFUSE = "refuse"  # RCPT is answered with `reply`
    REFUSE_DATA = "refuse_data"  # the content is answered with `reply` and not kept
    SLOW = "slow"  # the answer to the content comes `delay_s` later
    DROP_BEFORE = "drop_before"  # the connection is closed at DATA, before any content
    DROP_AFTER = "drop_after"  # the mail is kept, then the connection is closed without an answer
    LOSE = "lose"  # the content is thrown away, then the connection is closed without an answer
    HANG = "hang"  # the mail is kept, and never answered


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    kind: Kind
    to: str = "*"  # the recipient; * and ? stand for any characters
    reply: str = "550 5.1.1 No such mailbox"
    delay_s: float = 0.0
    times: int | None = 1  # None: for good
