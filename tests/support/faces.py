"""Pages as people see them: watched for what they must never do, and held to the rules of accessibility."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from tests.support.demo import DemoProcess
from tests.support.gateway import ROOT

_AXE = ROOT / "gateway" / "ui" / "node_modules" / "axe-core" / "axe.min.js"
# What payloads of tests call; a page in which it is set has run what a stranger wrote.
RAN = "__ran"
DESKTOP, PHONE = (1280, 860), (390, 844)


@dataclass
class Window:
    """One browser window; `complaints` is everything that a page should not say or ask for."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def watch(self, *, allowed: tuple[str, ...] = ()) -> None:
        """Note errors of scripts, refusals by the policy, failed answers of our own, requests to anybody else."""
        ours = (self.url, self.url.replace("http", "ws", 1), "blob:", "data:", *allowed)

        def on_console(message: ConsoleMessage) -> None:
            is_network = "Failed to load resource" in message.text or "WebSocket connection" in message.text
            if message.type == "error" and not is_network:
                self.complaints.append(message.text)

        def on_request(request: Request) -> None:
            if not request.url.startswith(ours):
                self.complaints.append(f"asked for {request.url}")

        def on_response(response: Response) -> None:
            if response.status >= 500:
                self.complaints.append(f"{response.status} from {response.url}")

        self.page.on("console", on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", on_request)
        self.page.on("response", on_response)

    async def has_run(self) -> bool:
        """True if something that a stranger wrote was run, in the page or in one of its frames."""
        return any([bool(await frame.evaluate(f"() => Boolean(window.{RAN})")) for frame in self.page.frames])

    async def violations(self) -> list[str]:
        """Return what axe finds, WCAG 2.2 A and AA: the rule, and where."""
        session = await self.page.context.new_cdp_session(self.page)
        # Past the page's policy, which rightly lets no other script in.
        await session.send("Runtime.evaluate", {"expression": _AXE.read_text(encoding="utf-8")})
        found: dict[str, Any] = await self.page.evaluate(
            "() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
        )
        return [
            f"{one['id']}: {node['target']} {node['html'][:120]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


@asynccontextmanager
async def window(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    locale: str = "en-US",
) -> AsyncIterator[Window]:
    """Give a window of somebody's own: no cookie and no storage is shared."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale=locale, reduced_motion="reduce"
    )
    context.set_default_timeout(10_000)
    try:
        opened = Window(await context.new_page(), url)
        opened.watch()
        yield opened
    finally:
        await context.close()


async def log_in(context: BrowserContext, demo: DemoProcess, agent: str | None = None) -> None:
    """Log one of the demo's agents in, by name; without one, the one whom the start names."""
    body = {}
    if agent is not None:
        agents = (await demo.get("/sandbox/agents"))["items"]
        body = {"agent": next(item["id"] for item in agents if item["name"].startswith(agent))}
    answer = await context.request.post(f"{demo.url}/sandbox/session", data=body, headers={"Origin": demo.url})
    assert answer.status == 204, await answer.text()
