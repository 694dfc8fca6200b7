"""The one outbound HTTP session: every request under a time limit, every answer under a size limit, no redirects.

What a caller must know of a failure is whether the provider may have got the request: `NotSent` says it can't have,
`AnswerLost` says nobody knows. Neither carries headers or bodies, so neither can leak a secret.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

_CONNECT_TIMEOUT_S = 5.0
_TOTAL_TIMEOUT_S = 15.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_CONNECTIONS_PER_HOST = 256
# Shorter than a server's usual 60 s: a connection that the other side is about to close loses the request on it.
_KEEP_ALIVE_S = 10.0


class HttpFailure(Exception):
    """A request that got no whole answer."""


class NotSent(HttpFailure):
    """No connection came about, so nothing left this machine."""


class AnswerLost(HttpFailure):
    """The request may have left; the answer did not come, or not whole, or not in time."""


class AnswerTooLarge(HttpFailure):
    """The answer is over the size limit."""


class NotPublic(HttpFailure):
    """The address is one inside our own network; nothing left this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A whole answer, of whatever status; the names in `headers` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _PublicResolver(aiohttp.ThreadedResolver):
    """Names that lead into our own network have no address; checked where it is used, so no name can change after."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        public = [entry for entry in found if ipaddress.ip_address(entry["host"]).is_global]
        if not public:
            raise OSError(f"{host} has no public address")
        return public


def _connector(resolver: aiohttp.ThreadedResolver | None) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(
        resolver=resolver, limit=0, limit_per_host=_CONNECTIONS_PER_HOST, keepalive_timeout=_KEEP_ALIVE_S
    )


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=True
    )


class HttpClient:
    """Make it inside the running loop, once for the process; close it at the end."""

    def __init__(self, *, total_timeout_s: float = _TOTAL_TIMEOUT_S, connect_timeout_s: float = _CONNECT_TIMEOUT_S):
        # Connecting has a limit of its own, below the total one: that is how "nothing left" is told from "no answer".
        self._timeout = aiohttp.ClientTimeout(
            total=total_timeout_s, connect=min(connect_timeout_s, total_timeout_s / 2)
        )
        self._session = _session(_connector(None))
        self._public_session = _session(_connector(_PublicResolver()))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = _MAX_ANSWER_BYTES,
        public_only: bool = False,
    ) -> HttpAnswer:
        """Send one request; a redirect is an answer like any other and is not followed.

        `url` goes out as it is written. With `public_only`, only https to addresses outside our own network.

        Raises:
            NotSent, NotPublic: the provider can't have got it.
            AnswerLost, AnswerTooLarge: the provider may have got it.
        """
        target = _parse_url(url)
        if public_only:
            _require_public(target)
        session = self._public_session if public_only else self._session
        try:
            async with session.request(
                method, target, headers=headers, data=body, allow_redirects=False, timeout=self._timeout
            ) as response:
                content = await _read_capped(response, max_bytes)
                lower = {name.lower(): value for name, value in response.headers.items()}
                return HttpAnswer(status=response.status, headers=lower, body=content)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise NotSent(f"no connection: {type(error).__name__}") from None
        except (TimeoutError, aiohttp.ClientError) as error:
            raise AnswerLost(f"no answer: {type(error).__name__}") from None

    async def close(self) -> None:
        """Let go of the connections."""
        await asyncio.gather(self._session.close(), self._public_session.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def is_loopback(host: str | None) -> bool:
    """Say whether a URL's host is this machine by its literal name."""
    if host == "localhost":
        return True
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_url(url: str) -> URL:
    try:
        target = URL(url, encoded=True)
        _ = target.port  # yarl looks at host and port only when asked, and refuses them then
    except ValueError:
        raise NotSent("no web address") from None
    return target


def _require_public(url: URL) -> None:
    """Addresses written as numbers never meet the resolver, so they are judged here."""
    if url.scheme != "https" or url.host is None:
        raise NotPublic("only https is followed")
    try:
        address = ipaddress.ip_address(url.host)
    except ValueError:
        return
    if not address.is_global:
        raise NotPublic("the address is not a public one")


async def _read_capped(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body; counted after decompression, so that a small body can't unfold into a large one."""
    if (response.content_length or 0) > max_bytes:
        raise AnswerTooLarge(f"over {max_bytes} bytes")
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > max_bytes:
            raise AnswerTooLarge(f"over {max_bytes} bytes")
    return bytes(content)
