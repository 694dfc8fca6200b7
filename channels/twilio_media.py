"""Fetches what a customer sent along: the media URLs of an inbound MMS or WhatsApp message."""

import re
from dataclasses import dataclass, field
from email.message import Message

from yarl import URL

from channels.http import AnswerTooLarge, HttpAnswer, HttpClient, HttpFailure, NotPublic, is_loopback
from channels.twilio import TwilioAccount
from channels.twilio_form import media_name, media_type
from gateway.domain.errors import FetchFailed
from gateway.domain.text import storable_text

_SCHEMES = frozenset({"http", "https"})
_MAX_HOPS = 5
_MAX_NAME_LENGTH = 120
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_IN_A_NAME = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedMedia:
    """`content_type` and `filename` are what the other side claims, made safe to write down; nobody looked inside."""

    content: bytes = field(repr=False)
    content_type: str
    filename: str


class MediaFetcher:
    """Media resource, 2026-11: Basic authentication, then a redirect to a storage that must not see it."""

    def __init__(self, account: TwilioAccount, http: HttpClient, *, max_bytes: int) -> None:
        self._http = http
        self._max_bytes = max_bytes
        self._api = URL(account.api_url).origin()
        self._authorization = account.authorization

    async def fetch_media(self, url: str) -> FetchedMedia:
        """Return the file behind a media URL; it must be one of the API's own host.

        Raises:
            FetchFailed: `is_final` where another try can't help.
        """
        target = _parse_url(url)
        if not self._is_api(target):
            raise FetchFailed("The file is not on the provider's own host.", is_final=True)
        for _ in range(_MAX_HOPS):
            answer = await self._get(target)
            if answer.status not in _REDIRECTS:
                return _read_media(answer)
            target = self._next_hop(target, answer)
        raise FetchFailed("The provider redirects in a circle.", is_final=True)

    def _is_api(self, url: URL) -> bool:
        return url.scheme in _SCHEMES and url.host is not None and url.origin() == self._api

    def _next_hop(self, current: URL, answer: HttpAnswer) -> URL:
        target = current.join(_parse_url(answer.headers.get("location", "")))
        if target.scheme not in _SCHEMES or target.host is None:
            raise FetchFailed("The provider redirects to something that is no web address.", is_final=True)
        return target.with_user(None)

    async def _get(self, url: URL) -> HttpAnswer:
        # The API's host is our own setting. Any other host was named by an answer: https and a public address, or this
        # machine where the API (a stand-in) is on it too.
        is_ours = self._is_api(url) or (is_loopback(self._api.host) and is_loopback(url.host))
        headers = {"Authorization": self._authorization} if self._is_api(url) else {}
        try:
            return await self._http.request(
                "GET", str(url), headers=headers, max_bytes=self._max_bytes, public_only=not is_ours
            )
        except NotPublic:
            raise FetchFailed("The provider redirects to an address that is not public.", is_final=True) from None
        except AnswerTooLarge:
            raise FetchFailed(f"The file is over {self._max_bytes} bytes.", is_final=True) from None
        except HttpFailure:
            raise FetchFailed("The provider could not be reached.", is_final=False) from None


def _parse_url(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        _ = url.port  # yarl looks at host and port only when asked, and refuses them then
    except ValueError:
        raise FetchFailed("The file's address can't be read.", is_final=True) from None
    return url


def _read_media(answer: HttpAnswer) -> FetchedMedia:
    if answer.status != 200:
        # Only "gone" is for good (RFC 9110, 15.5.11): a file may not be there yet, a token may be rotated.
        raise FetchFailed(f"The provider answered {answer.status}.", is_final=answer.status == 410)
    content_type = media_type(answer.headers.get("content-type", ""))
    return FetchedMedia(content=answer.body, content_type=content_type, filename=_name_of(answer, content_type))


def _name_of(answer: HttpAnswer, content_type: str) -> str:
    header = Message()
    header["Content-Disposition"] = answer.headers.get("content-disposition", "")
    claimed = storable_text(header.get_filename(""))
    name = _NOT_IN_A_NAME.sub("_", claimed.replace("\\", "/").rpartition("/")[2]).strip(" .")
    return name[-_MAX_NAME_LENGTH:] or media_name("media", content_type)
