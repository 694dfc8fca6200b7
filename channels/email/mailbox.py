"""The shop's own mailbox, and the reply tokens in its plus-addresses."""

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

_ID_BYTES = 16
_MAC_BYTES = 8
_TOKEN_LENGTH = 39  # characters of base32 for 24 bytes, without padding
_MAX_LOCAL_PART = 64  # octets, RFC 5321 4.5.3.1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """The service address, how it signs replies, and whose word about a sender it takes.

    `authserv_id` is the name under which our own mail servers write Authentication-Results (RFC 8601 2.5); empty: none
    do. `trusted_relays` are networks whose SMTP clients have checked SPF before they hand a mail to us.
    """

    address: str  # lower case
    sender_name: str
    reply_secret: bytes = field(repr=False)
    authserv_id: str = ""
    trusted_relays: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def local_part(self) -> str:
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def is_own(self, address: str) -> bool:
        """True for the address itself and its plus-forms, in any case."""
        return self.tag_of(address) is not None

    def tag_of(self, address: str) -> str | None:
        """Return what stands behind the plus in an address of ours (often nothing), None for any other address."""
        local, _, domain = address.lower().rpartition("@")
        name, plus, tag = (
            local[: len(self.local_part)],
            local[len(self.local_part) :][:1],
            local[len(self.local_part) :],
        )
        if domain != self.domain or name != self.local_part or plus not in {"", "+"}:
            return None
        return tag[1:]

    def reply_address(self, conversation_id: str) -> str:
        """Return the address that answers come back to; the plain one where a token would make it too long."""
        local = f"{self.local_part}+{build_reply_token(conversation_id, self.reply_secret)}"
        return f"{local}@{self.domain}" if len(local) <= _MAX_LOCAL_PART else self.address


def build_reply_token(conversation_id: str, secret: bytes) -> str:
    """Return the conversation's id with its signature, in lower-case base32: mail systems may change the case."""
    id_bytes = uuid.UUID(conversation_id).bytes
    return base64.b32encode(id_bytes + _sign(id_bytes, secret)).decode().rstrip("=").lower()


def read_reply_token(token: str, secret: bytes) -> str | None:
    """Return the conversation's id, None for a token that we did not make."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    try:
        decoded = base64.b32decode(token.upper() + "=")
    except ValueError:
        return None
    id_bytes, signature = decoded[:_ID_BYTES], decoded[_ID_BYTES:]
    if not hmac.compare_digest(signature, _sign(id_bytes, secret)):
        return None
    return str(uuid.UUID(bytes=id_bytes))


def _sign(id_bytes: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"reply-token/1:" + id_bytes, hashlib.sha256)[:_MAC_BYTES]
