"""Links to files that prove by themselves that they may be followed, until they expire.

Whoever has one gets the file, so that a browser's `<img>` and a provider that fetches media need no credentials.
"""

import base64
import hashlib
import hmac
import re
import struct
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.domain.errors import Gone, NotFound

# Long enough for a provider to fetch media after retries, short enough for a link that went astray.
LINK_LIFETIME = timedelta(hours=24)
# Expiry is rounded up, so that a file keeps one link for a while and caches know it again.
_STEP_S = 3600
# What these keys are for: the same secret signs other things, none of which may pass for a link.
_PURPOSE = b"attachment link, version 1"
_BODY = struct.Struct(">16sQ")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{75}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Makes links under the address that customers and providers call."""

    public_url: str  # without a slash at the end
    secret_key: bytes = field(repr=False)

    def to_attachment(self, attachment_id: str, now: datetime) -> str:
        """Return an absolute URL."""
        token = sign_link(self.secret_key, attachment_id, expires_at=link_expiry(now))
        return f"{self.public_url}/files/{token}"


def link_expiry(now: datetime) -> datetime:
    seconds = int((now + LINK_LIFETIME).timestamp())
    return datetime.fromtimestamp(-(-seconds // _STEP_S) * _STEP_S, UTC)


def sign_link(secret_key: bytes, attachment_id: str, *, expires_at: datetime) -> str:
    """Return a token, 75 URL-safe characters, that stands for this attachment until `expires_at`."""
    body = _BODY.pack(uuid.UUID(attachment_id).bytes, int(expires_at.timestamp()))
    return base64.urlsafe_b64encode(body + _mac(secret_key, body)).decode().rstrip("=")


def read_link(secret_key: bytes, token: str, now: datetime) -> str:
    """Return the id of the attachment that `token` stands for.

    Raises:
        NotFound: it is not one of ours.
        Gone: it has expired.
    """
    if _TOKEN.fullmatch(token) is None:
        raise NotFound("There is no such link.")
    raw = base64.urlsafe_b64decode(token + "=")
    body = raw[: _BODY.size]
    if not hmac.compare_digest(raw[_BODY.size :], _mac(secret_key, body)):
        raise NotFound("There is no such link.")
    attachment_id, expires = _BODY.unpack(body)
    if now.timestamp() >= expires:
        raise Gone("The link has expired.")
    return str(uuid.UUID(bytes=attachment_id))


def _mac(secret_key: bytes, body: bytes) -> bytes:
    return hmac.digest(hmac.digest(secret_key, _PURPOSE, hashlib.sha256), body, hashlib.sha256)
