"""What SMS and WhatsApp share of Twilio: the account, signatures, forms, status words, and the Messages resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import msgspec
from aiohttp import encode_basic_auth
from multidict import MultiDict
from twilio.request_validator import RequestValidator, get_signature_algorithm  # type: ignore[import-untyped]
from yarl import URL

from channels.http import AnswerLost, AnswerTooLarge, HttpAnswer, HttpClient, NotSent
from channels.twilio_errors import ErrorRule, rule_for
from channels.twilio_form import WHATSAPP_PREFIX, parse_form
from gateway.domain.delivery import MessageStatus, SendResult, SentRecord
from gateway.domain.errors import SendAction, SendError
from gateway.domain.message import OutboundMessage

API_URL = "https://api.twilio.com"
STATUS_PATH = "/webhooks/twilio/status"

# Twilio takes 1600 characters (21658, 2026-04), but says too that characters beyond GSM-7 may count more than once
# (21617, 2026-11). Counting UTF-16 units covers emoji; 1530 is ten full GSM-7 segments of 153.
BODY_LIMIT_UNITS = 1530
MAX_MEDIA = 10  # 21623, 2026-11

# By default Twilio tries a callback again only when it could not connect. Webhook connection overrides, 2026-11: up to
# five times, and after a 5xx or a read time-out as well. The fragment is for Twilio alone: it is not requested.
RETRY_OVERRIDES = "#rc=5&rp=5xx,ct,rt"

# A form of Twilio's has some fifty. The check costs a look-up for each, and anybody may ask for it.
_MAX_FIELDS = 1000

_SIGNATURE = "X-Twilio-Signature"
_SIGNATURE_SETTINGS = "X-Twilio-Webhooks-Signature-Settings"

# Messages resource, status values, 2026-11. For us a message is sent once Twilio has taken it.
_STATUS: dict[str, MessageStatus] = {
    "accepted": MessageStatus.SENT,
    "scheduled": MessageStatus.SENT,
    "queued": MessageStatus.SENT,
    "sending": MessageStatus.SENT,
    "sent": MessageStatus.SENT,
    "partially_delivered": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.READ,
    "undelivered": MessageStatus.FAILED,
    "failed": MessageStatus.FAILED,
    "canceled": MessageStatus.FAILED,
}

_MAX_RETRY_AFTER_S = 3600.0
_PAGE_SIZE = 200
_MAX_LISTED = 1000
# Twilio stamps whole seconds, by its own clock.
_CLOCK_MARGIN = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """`auth_tokens`: the first one signs our requests; every one is accepted in a webhook's signature (rotation)."""

    account_sid: str
    auth_tokens: tuple[str, ...] = field(repr=False)
    public_url: str  # where Twilio reaches us; without a slash at the end
    api_url: str = API_URL
    sms_from: str | None = None  # E.164, short code or alphanumeric
    messaging_service_sid: str | None = None
    whatsapp_from: str | None = None  # E.164

    def __post_init__(self) -> None:
        if not self.auth_tokens or not all(self.auth_tokens):
            raise ValueError("A Twilio account needs an auth token: an empty one would let anybody sign.")

    @property
    def authorization(self) -> str:
        """The header that proves who we are; it goes to the API's own host and nowhere else."""
        return encode_basic_auth(self.account_sid, self.auth_tokens[0])


def status_of(word: str) -> MessageStatus | None:
    """Return our word for Twilio's, or None for one that says nothing of an outbound message."""
    return _STATUS.get(word.strip().lower())


class SignatureCheck:
    """Tells Twilio's webhooks from anybody else's (Twilio: Webhooks security, 2026-11)."""

    def __init__(self, account: TwilioAccount) -> None:
        self._public_url = account.public_url.rstrip("/")
        self._validators = [RequestValidator(token) for token in account.auth_tokens]

    def is_genuine(self, raw_path: str, form: bytes | None, headers: Mapping[str, str]) -> bool:
        """Say whether one of our secrets signed this request.

        `raw_path` is path and query as they came, percent-encoding untouched; `form` is the body of a POST. The URL is
        rebuilt from our own settings: whoever forges a request would forge Host and X-Forwarded-* too.
        """
        signature = headers.get(_SIGNATURE, "")
        # Whatever is no plain path (RFC 9112, 3.2) can't be a URL that Twilio was given, and must not bend ours.
        if not signature or not raw_path.startswith("/") or not raw_path.isascii():
            return False
        if form is not None and form.count(b"&") >= _MAX_FIELDS:
            return False
        algorithm = get_signature_algorithm(headers.get(_SIGNATURE_SETTINGS))
        fields = MultiDict[str]() if form is None else parse_form(form)
        url = self._public_url + raw_path
        # Twilio signs without the overrides. A signer that does not know of them signs the URL as we gave it.
        return any(
            validator.validate(signed, fields, signature, algorithm)
            for signed in (url, url + RETRY_OVERRIDES)
            for validator in self._validators
        )


class _Created(msgspec.Struct):
    sid: str
    status: str = ""
    error_code: int | None = None


class _Fault(msgspec.Struct):
    code: int | None = None


class _Listed(msgspec.Struct):
    sid: str
    to: str | None = None
    body: str | None = None
    status: str = ""
    date_sent: str | None = None
    date_created: str | None = None


class _Page(msgspec.Struct):
    messages: list[_Listed]
    next_page_uri: str | None = None


class TwilioMessages:
    """The Messages resource, over our own session."""

    def __init__(self, account: TwilioAccount, http: HttpClient) -> None:
        self._account = account
        self._http = http
        self._origin = str(URL(account.api_url).origin())
        self._messages_url = f"{account.api_url.rstrip('/')}/2010-04-01/Accounts/{account.account_sid}/Messages.json"
        self._headers = {"Authorization": account.authorization, "Accept": "application/json"}

    async def send(self, message: OutboundMessage, part: int, *, to: str, sender: tuple[str, str]) -> SendResult:
        """Create one message; `sender` is the name and value of the form field that says who sends.

        Raises:
            SendError: IN_DOUBT for whatever may have been processed, because creating has no idempotency key.
        """
        fields = [("To", to), sender]
        if body := message.parts[part]:
            fields.append(("Body", body))
        if part == 0:
            fields += [("MediaUrl", url) for url in _media_urls(message)]
        callback = f"{self._account.public_url.rstrip('/')}{STATUS_PATH}?message={message.id}&part={part}"
        fields.append(("StatusCallback", callback + RETRY_OVERRIDES))
        try:
            answer = await self._http.request(
                "POST",
                self._messages_url,
                headers={**self._headers, "Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(fields).encode(),
            )
        except NotSent:
            raise SendError(SendAction.RETRY, "Twilio could not be reached.") from None
        except (AnswerLost, AnswerTooLarge):
            raise _doubt("Twilio did not answer: the message may or may not have left.") from None
        return _read_created(answer)

    async def list_sent(self, to: str, since: datetime) -> list[SentRecord]:
        """Return what Twilio created for `to` since then, whatever became of it.

        Without the DateSent filter: date_sent is only set once a message leaves Twilio's queue (Messages resource,
        2026-11), and one still queued is just what we must not miss before sending again.

        Raises:
            SendError: Twilio could not be asked.
        """
        earliest = since - _CLOCK_MARGIN
        url: str | None = f"{self._messages_url}?{urlencode({'To': to, 'PageSize': _PAGE_SIZE})}"
        rows: list[_Listed] = []
        while url is not None and len(rows) < _MAX_LISTED:
            page = await self._get_page(url)
            rows += page.messages
            url = self._next_url(page)
        records = [_record(row, to, earliest) for row in rows[:_MAX_LISTED]]
        return [record for record in records if record.sent_at >= earliest]

    async def _get_page(self, url: str) -> _Page:
        try:
            answer = await self._http.request("GET", url, headers=self._headers)
        except (NotSent, AnswerLost, AnswerTooLarge):
            raise SendError(SendAction.RETRY, "Twilio could not be asked what it sent.") from None
        if answer.status != 200:
            raise _refusal(answer, other=SendAction.RETRY)
        try:
            return msgspec.json.decode(answer.body, type=_Page)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SendError(SendAction.RETRY, "Twilio's list of messages could not be read.") from None

    def _next_url(self, page: _Page) -> str | None:
        """A path on the API's own host, so that our credentials go nowhere else."""
        uri = page.next_page_uri
        if not uri or not uri.startswith("/") or uri.startswith("//"):
            return None
        return self._origin + uri


def _media_urls(message: OutboundMessage) -> list[str]:
    urls = [item.url for item in message.attachments if item.url is not None]
    if len(urls) < len(message.attachments):
        raise SendError(SendAction.FAIL, "An attached file has no address that Twilio could fetch it from.")
    if len(urls) > MAX_MEDIA:
        raise SendError(SendAction.FAIL, f"Twilio takes at most {MAX_MEDIA} files with a message.", code="21623")
    return urls


def _doubt(reason: str) -> SendError:
    return SendError(SendAction.IN_DOUBT, reason)


def _read_created(answer: HttpAnswer) -> SendResult:
    if answer.status >= 500 or answer.status == 408:
        # 20500: Internal Server Error, 2026-11: sending an SMS is not idempotent, a retry after a 500 may send it
        # twice. No page says of 502, 503 or 504 that the request was not processed, with or without Retry-After.
        raise _doubt("Twilio had a fault while it took the message: it may or may not have left.")
    if not 200 <= answer.status < 300:
        raise _refusal(answer, other=SendAction.FAIL)
    try:
        created = msgspec.json.decode(answer.body, type=_Created)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _doubt("Twilio's answer could not be read: the message may or may not have left.") from None
    if not created.sid:
        raise _doubt("Twilio's answer names no message: it may or may not have left.")
    if status_of(created.status) is MessageStatus.FAILED:
        code = None if created.error_code is None else str(created.error_code)
        raise _from_rule(rule_for(code), code, other=SendAction.FAIL)
    return SendResult(external_id=created.sid)


def _refusal(answer: HttpAnswer, *, other: SendAction) -> SendError:
    """Return what an answer says that is no success and no fault of Twilio's own."""
    try:
        fault = msgspec.json.decode(answer.body, type=_Fault)
    except (msgspec.DecodeError, UnicodeDecodeError):
        fault = _Fault()
    code = None if fault.code is None else str(fault.code)
    if answer.status == 429:
        # 20429: Too many requests, 2026-11: never processed, always safe to retry.
        wait_s = _retry_after_s(answer.headers)
        return SendError(SendAction.WAIT, "Twilio asked us to slow down.", code=code or "20429", retry_after_s=wait_s)
    if code is None and (answer.status in (401, 403, 404) or 300 <= answer.status < 400):
        reason = "Twilio does not accept our account or its address: an administrator must act."
        return SendError(SendAction.STOP_CHANNEL, reason, code=str(answer.status))
    return _from_rule(rule_for(code), code or str(answer.status), other=other)


def _from_rule(rule: ErrorRule | None, code: str | None, *, other: SendAction) -> SendError:
    if rule is None:
        return SendError(other, f"Twilio refused the message (code {code}).", code=code)
    return SendError(rule.action, rule.reason, code=code, retry_after_s=rule.retry_after_s)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3), a date by the sender's own clock; None if unclear."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        seconds = float(value)
    else:
        until, now = _parse_date(value), _parse_date(headers.get("date"))
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def _parse_date(value: str | None) -> datetime | None:
    """Return an RFC 2822 date as UTC."""
    try:
        at = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _record(row: _Listed, to: str, earliest: datetime) -> SentRecord:
    # A row without a readable date counts: taking it for the message in doubt is safer than sending that again.
    created = _parse_date(row.date_created) or _parse_date(row.date_sent) or earliest
    return SentRecord(
        external_id=row.sid,
        recipient=(row.to or to).removeprefix(WHATSAPP_PREFIX),
        text=row.body or "",
        sent_at=created,
        status=status_of(row.status) or MessageStatus.SENT,
    )
