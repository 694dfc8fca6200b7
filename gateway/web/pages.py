"""`/` and its files: the agents' inbox. Whoever isn't logged in is shown the log-in by the page itself."""

from pathlib import Path

from aiohttp import web

from gateway.web.static import StaticFiles

# Where gateway/ui/build.js puts what it built.
FRONT_END = Path(__file__).parent.parent / "ui" / "dist"

# Nothing but our own files, and no code or style that stands in a page: what a customer writes can't become either.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Pages:
    """The pages of a built front end; `is_demo` tells them that nothing here is real."""

    def __init__(self, front_end: Path = FRONT_END, *, is_demo: bool = False) -> None:
        self._files = StaticFiles(front_end / "pages")
        self._is_demo = is_demo

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self.show_inbox), web.get("/assets/{name}", self.show_asset)]

    async def show_inbox(self, request: web.Request) -> web.Response:
        return await self.show(request, "inbox-demo.html" if self._is_demo else "inbox.html")

    async def show_asset(self, request: web.Request) -> web.Response:
        return await self._files.answer(request, f"assets/{request.match_info['name']}")

    async def show(self, request: web.Request, name: str) -> web.Response:
        """Answer with one of the built pages."""
        return await self._files.answer(request, name, _HEADERS)
