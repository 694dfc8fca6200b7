"""How the stand-in for Twilio calls us: signed forms, in whatever order it is told, tried again as the URL says."""

import asyncio
import random
from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import parse_qs, urldefrag, urlencode

import aiohttp
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from yarl import URL

from gateway.sandbox.twilio_ledger import Accepted

_READ_TIMEOUT_S = 15.0  # Webhook connection overrides, 2026-11: connect 5 s, read 15 s
_CONNECT_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 0.1


class CallbackMode(StrEnum):
    NONE = "none"
    ORDERED = "ordered"
    SHUFFLED = "shuffled"
    DOUBLED = "doubled"  # each one twice
    LATE = "late"  # some seconds after the answer
    EARLY = "early"  # before the answer


def status_words(message: Accepted, code: int | None) -> list[str]:
    """Return what callbacks say of a message; never its first status (Outbound Message Status in Status Callbacks)."""
    if code is not None:
        return ["sent", "undelivered"]
    return ["sent", "delivered", "read"] if message.is_whatsapp else ["sent", "delivered"]


def arrange(words: Sequence[str], mode: CallbackMode, chance: random.Random) -> list[str]:
    """Return the order in which callbacks go out."""
    if mode is CallbackMode.NONE:
        return []
    if mode is CallbackMode.SHUFFLED:
        return chance.sample(list(words), len(words))
    if mode is CallbackMode.DOUBLED:
        return [word for word in words for _ in range(2)]
    return list(words)


def callback_fields(message: Accepted, word: str, code: int | None) -> list[tuple[str, str]]:
    fields = [
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("MessageStatus", word),
        ("SmsStatus", word),
        ("AccountSid", message.account_sid),
        ("To", message.to),
        ("From", message.sender or ""),
        ("ApiVersion", "2010-04-01"),
    ]
    if message.messaging_service_sid:
        fields.append(("MessagingServiceSid", message.messaging_service_sid))
    if message.is_whatsapp:
        fields.append(("ChannelPrefix", "whatsapp"))
    if code is not None and word in ("undelivered", "failed"):
        fields.append(("ErrorCode", str(code)))
    return fields


class Caller:
    """Posts signed forms."""

    def __init__(self, auth_token: str, session: aiohttp.ClientSession) -> None:
        self._validator = RequestValidator(auth_token)
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)

    async def call(self, url: str, fields: Sequence[tuple[str, str]]) -> int:
        """Return the status that the last try got, or 0 if none got through."""
        target, fragment = urldefrag(url)
        overrides = parse_qs(fragment)
        retries = int(overrides.get("rc", ["1"])[0])
        policy = set(overrides.get("rp", ["ct"])[0].split(","))
        headers = {
            "X-Twilio-Signature": self._validator.compute_signature(target, dict(fields)),
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        }
        body = urlencode(fields).encode()
        status = 0
        for attempt in range(retries + 1):
            if attempt:
                await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
            status, fault = await self._post(target, headers, body)
            if fault is None or not policy & {fault, "all"}:
                break
        return status

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str | None]:
        """Return the status and, in the words of the overrides, what went wrong."""
        try:
            async with self._session.post(
                URL(url, encoded=True), headers=headers, data=body, timeout=self._timeout, allow_redirects=False
            ) as answer:
                await answer.read()
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectionError):
            return 0, "ct"
        except (TimeoutError, aiohttp.ClientError):
            return 0, "rt"
        if answer.status >= 500:
            return answer.status, "5xx"
        return answer.status, "4xx" if answer.status >= 400 else None
