"""Secrets that we hand out and keep only the hash of; and the API tokens made of them."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.agent import ApiToken, Scope
from gateway.domain.errors import BadInput, InputError
from gateway.domain.ids import new_id
from storage import tokens
from storage.database import Transaction

_PREFIX = "gw_"  # so that a leaked token is found by scanners and known for what it is
_NAME_LENGTH = 100


def new_secret() -> str:
    """Return 32 random bytes, base64url."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, hex. It has 256 bits of its own, so it needs neither salt nor stretching.

    Whatever a client may send can be hashed, bytes that are no UTF-8 too.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A new token and its secret, which is shown now or never."""

    token: ApiToken
    secret: str


async def make_token(tx: Transaction, *, name: str, scope: Scope, now: datetime) -> MadeToken:
    """Store a new token and return it with its secret.

    Raises:
        BadInput: the name is empty or too long.
    """
    name = name.strip()
    if not 1 <= len(name) <= _NAME_LENGTH:
        message = f"A token's name has 1 to {_NAME_LENGTH} characters."
        raise BadInput(message, (InputError(path="$.name", message=message),))
    made = MadeToken(token=ApiToken(id=new_id(), name=name, scope=scope, created_at=now), secret=_PREFIX + new_secret())
    await tokens.insert_token(tx, made.token, hash_secret(made.secret))
    return made
