"""The shapes that settings come in: how each is read from its text, and what is wrong with it if not.

No message repeats a value: it may be a secret.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

_E164 = re.compile(r"\+[1-9]\d{4,14}")
# Twilio: Messages resource, "From", 2026-11: a number, a short code, or an alphanumeric sender of up to 11 characters.
_SMS_SENDER = re.compile(r"\+[1-9]\d{4,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPort:
    """A place to listen at."""

    host: str
    port: int

    @property
    def url_host(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


def _parse_host_port(value: object) -> object:
    if not isinstance(value, str):
        return value
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be host:port")
    return HostPort(host=host.strip("[]"), port=int(port))


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _check_url(value: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  reading it checks it
    except ValueError:
        raise ValueError("must be a URL") from None
    if parts.scheme not in schemes:
        raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
    if not parts.hostname:
        raise ValueError("must name a host")


def _check_web_url(value: str) -> str:
    _check_url(value, ("http", "https"))
    parts = urlsplit(value)
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must have no query, no fragment and no user")
    return value.rstrip("/")


def _check_page_url(value: str) -> str:
    _check_url(value, ("http", "https"))
    if urlsplit(value).username is not None:
        raise ValueError("must have no user")
    return value


def _check_origin(value: str) -> str:
    url = _check_web_url(value)
    if urlsplit(url).path:
        raise ValueError("must be an origin: scheme, host and port, without a path")
    return url.lower()


def _check_database(value: SecretStr) -> SecretStr:
    scheme, separator, rest = value.get_secret_value().partition("://")
    drivers = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    scheme = drivers.get(scheme, scheme)
    if not separator or scheme not in drivers.values():
        raise ValueError("must begin with postgresql:// or sqlite:///")
    if scheme.startswith("sqlite") and (not rest.startswith("/") or rest == "/" or ":memory:" in rest):
        raise ValueError("must name a file, as sqlite:///folder/file")
    return SecretStr(f"{scheme}://{rest}")


def _check_redis(value: SecretStr) -> SecretStr:
    _check_url(value.get_secret_value(), ("redis", "rediss"))
    return value


def _check_smtp(value: SecretStr) -> SecretStr:
    _check_url(value.get_secret_value(), ("smtp", "smtps", "smtp+starttls"))
    return value


def _check_imap(value: SecretStr) -> SecretStr:
    _check_url(value.get_secret_value(), ("imap", "imaps"))
    return value


def _check_files(value: str) -> str:
    if value.startswith("s3://"):
        _check_url(value, ("s3",))
        return value
    if "://" in value:
        raise ValueError("must be a folder or begin with s3://")
    return Path(value).absolute().as_uri()


def _check_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) < 32:
        raise ValueError("must have at least 32 characters (`openssl rand -hex 32` makes one)")
    if len(set(text)) < 8:
        raise ValueError("looks like a placeholder")
    return value


def _matching(pattern: str | re.Pattern[str], message: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _bare_number(value: object) -> object:
    return value.removeprefix("whatsapp:") if isinstance(value, str) else value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("must be networks, as 192.0.2.0/24") from None
    return value


Listen = Annotated[HostPort, BeforeValidator(_parse_host_port)]
WebUrl = Annotated[str, AfterValidator(_check_web_url)]
PageUrl = Annotated[str, AfterValidator(_check_page_url)]
Key = Annotated[SecretStr, AfterValidator(_check_key)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database)]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_check_smtp)]
ImapUrl = Annotated[SecretStr, AfterValidator(_check_imap)]
FilesUrl = Annotated[str, AfterValidator(_check_files)]
Folder = Annotated[Path, AfterValidator(Path.absolute)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_check_origin)], ...], BeforeValidator(_split)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_split)]
_Topic = Annotated[str, _matching(r"[a-z_]+(\.[a-z_]+)?", "must be ids of topics, as order.status")]
Topics = Annotated[tuple[_Topic, ...], BeforeValidator(_split)]
Mailbox = Annotated[str, _matching(r"[^@\s<>]+@[^@\s<>]+", "must be a mail address")]
Line = Annotated[str, _matching(r"[^\r\n]+", "must be one line")]
Word = Annotated[str, _matching(r"[^\s;]+", "must be one word")]
AccountSid = Annotated[str, _matching(r"AC[0-9A-Za-z]+", "must begin with AC")]
ServiceSid = Annotated[str, _matching(r"MG[0-9A-Za-z]+", "must begin with MG")]
SmsSender = Annotated[str, _matching(_SMS_SENDER, "must be a number (E.164), a short code or a name")]
WhatsAppSender = Annotated[str, BeforeValidator(_bare_number), _matching(_E164, "must be a number (E.164)")]
