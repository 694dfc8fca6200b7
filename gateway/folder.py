"""The data folder: made by one mode and used by no other, and by one process at a time where SQLite lies in it."""

import fcntl
import os
import secrets
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

from gateway.domain.errors import GatewayError


class Mode(StrEnum):
    SERVE = "serve"
    DEMO = "demo"


class FolderRefused(GatewayError):
    """The data folder can't be used, with what to do instead."""


class DataFolder:
    """Open it for as long as the process serves; a context manager."""

    def __init__(self, path: Path, mode: Mode, *, is_exclusive: bool) -> None:
        self.path = path
        self._mode = mode
        self._is_exclusive = is_exclusive
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._claim_mode()
        if self._is_exclusive:
            self._claim_lock()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._lock is not None:
            os.close(self._lock)

    def _claim_mode(self) -> None:
        marker = self.path / "mode"
        with suppress(FileExistsError), marker.open("x") as file:
            file.write(self._mode)
        made_by = marker.read_text().strip()
        if made_by != self._mode:
            raise FolderRefused(
                f"The data folder {self.path} was made by `{made_by}`; `{self._mode}` needs one of its own. "
                "Set GATEWAY_DATA_DIR to another folder."
            )

    def _claim_lock(self) -> None:
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise FolderRefused(
                f"Another gateway is running on {self.path}. With SQLite there can be one; PostgreSQL takes any number."
            ) from None


def keep_secret_key(folder: Path) -> str:
    """Return the key kept in this folder, made on first use; demo mode only, so that links outlive a restart."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "secret_key"
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()
