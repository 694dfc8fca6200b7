"""Which sites may show the shop's chat: their pages are let in, and their browsers let them read our answers."""

from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web

from gateway.domain.errors import Forbidden


@dataclass(frozen=True, slots=True)
class ShopOrigins:
    allowed: Collection[str]  # lower case

    def require(self, request: web.Request) -> None:
        """Refuse a page of somebody else's; who sends no Origin is no browser.

        Raises:
            Forbidden: the Origin is none of ours.
        """
        origin = request.headers.get("Origin")
        if origin is not None and not self._allows(origin):
            raise Forbidden("This site may not show the chat (Origin).")

    def let_read(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the shop's pages read the answer (CORS, Fetch standard 2026)."""
        origin = request.headers.get("Origin")
        response.headers["Vary"] = "Origin"
        if origin is not None and self._allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin

    def _allows(self, origin: str) -> bool:
        return origin.lower() in self.allowed
