"""Passwords: Argon2id (RFC 9106), worked out in threads, a few at a time."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.domain.errors import BadInput, InputError, TooManyRequests

# NIST SP 800-63B (2020), section 5.1.1.2: at least 8 characters and no rules of composition. The upper limit is ours,
# so that nobody has us hash megabytes.
MIN_LENGTH = 8
MAX_LENGTH = 256

# One hash takes 64 MiB and some 100 ms of a core; what would wait behind too many others is turned away.
_AT_ONCE = 2
_MAX_WAITING = 32


class Passwords:
    """Hashes and checks passwords; one for the process, so that its limits hold."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobodys_hash: str | None = None

    async def hash(self, password: str) -> str:
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """True if `password` gave the hash `stored`. None (there is no such agent) takes as long and is never true."""
        async with self._turn():
            return await asyncio.to_thread(self._verify, stored, password)

    def is_outdated(self, stored: str) -> bool:
        """True if the hash was made with other parameters than we use now."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str | None, password: str) -> bool:
        if self._nobodys_hash is None:
            self._nobodys_hash = self._hasher.hash(secrets.token_hex())
        try:
            self._hasher.verify(stored or self._nobodys_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= _MAX_WAITING:
            raise TooManyRequests("Too many people are logging in just now.", retry_after_s=5)
        self._waiting += 1
        try:
            async with self._slots:
                yield
        finally:
            self._waiting -= 1


def check_password(password: str, path: str) -> None:
    """Refuse a new password that is too short or too long; `path` is where it stood in the input.

    Raises:
        BadInput: it is.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        message = f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters."
        raise BadInput(message, (InputError(path=path, message=message),))
