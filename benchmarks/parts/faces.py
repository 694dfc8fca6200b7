"""The pages in a real browser: how soon the inbox can be used, how soon a message is painted, how much travels."""

import time
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page

from benchmarks.figures import Figure
from benchmarks.launch import Stage
from tests.support.browser import running_browser
from tests.support.demo import DemoProcess
from tests.support.faces import log_in, window
from tests.support.gateway import ROOT

_DIST = ROOT / "gateway" / "ui" / "dist"
_COLD = 7
_MESSAGES = 60
# Notes, in the page itself, when a text is first there after a frame was painted; the clock is the machine's.
_WATCH = """
() => {
  window.painted = {};
  const look = () => {
    for (const element of document.querySelectorAll('.message .words')) {
      const text = element.textContent;
      if (text.startsWith('Painted ') && !window.painted[text]) window.painted[text] = Date.now();
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
"""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Gzip, in bytes."""

    inbox: int
    launcher: int
    panel: int


async def measure(stage: Stage) -> list[Figure]:
    folder = stage.folder / "faces"
    folder.mkdir()
    async with DemoProcess(folder, {}) as demo, running_browser() as browser:
        demo.keep_ports()
        await demo.start()
        cold = sorted([await _open_cold(browser, demo) for _ in range(_COLD)])
        painted = sorted(await _paint(browser, demo))
    sizes = _sizes()
    kb = 1024
    return [
        Figure(
            part="faces",
            name="inbox from cold to its first row",
            value=cold[_COLD // 2],
            unit="s",
            at_most=1.0,
            note=f"median of {_COLD}, {cold[0]:.2f} to {cold[-1]:.2f} s; nothing cached, headless Chromium",
        ),
        Figure(
            part="faces",
            name="written by SMS to painted in the open conversation",
            value=painted[int(len(painted) * 0.95)] * 1000,
            unit="ms",
            at_most=200,
            note=f"p95 of {len(painted)}, median {painted[len(painted) // 2] * 1000:.0f} ms; by webhook",
        ),
        Figure(part="faces", name="inbox, all of it", value=sizes.inbox / kb, unit="KB", at_most=150, note="gzip"),
        Figure(
            part="faces", name="widget before the click", value=sizes.launcher / kb, unit="KB", at_most=8, note="gzip"
        ),
        Figure(
            part="faces",
            name="widget after the click",
            value=(sizes.launcher + sizes.panel) / kb,
            unit="KB",
            at_most=45,
            note="gzip, with the largest language",
        ),
    ]


async def _open_cold(browser: Browser, demo: DemoProcess) -> float:
    async with window(browser, demo.url) as shown:
        await log_in(shown.page.context, demo)
        began = time.perf_counter()
        await shown.page.goto(demo.url, wait_until="commit")
        await shown.page.locator(".row").first.wait_for()
        return time.perf_counter() - began


async def _paint(browser: Browser, demo: DemoProcess) -> list[float]:
    await demo.post("/sandbox/messages", {"customer": "c-1", "channel": "sms", "text": "Is anybody there?"})
    (conversation,) = await demo.conversations_of()
    async with window(browser, demo.url) as shown:
        await log_in(shown.page.context, demo)
        await shown.page.goto(f"{demo.url}/?c={conversation['id']}")
        await shown.page.get_by_role("log").get_by_text("Is anybody there?").wait_for()
        await shown.page.evaluate(_WATCH)
        return [await _paint_one(shown.page, demo, f"Painted {number}") for number in range(_MESSAGES)]


async def _paint_one(page: Page, demo: DemoProcess, text: str) -> float:
    began = time.time()
    await demo.post("/sandbox/messages", {"customer": "c-1", "channel": "sms", "text": text})
    await page.wait_for_function("(text) => window.painted[text]", arg=text)
    at_ms: float = await page.evaluate("(text) => window.painted[text]", text)
    return at_ms / 1000 - began


def _sizes() -> _Sizes:
    pages, chat = _DIST / "pages", _DIST / "chat"
    assets = [path for path in (pages / "assets").glob("*.gz") if not path.name.startswith("sandbox")]
    words = max(_size(path) for path in (chat / "assets").glob("??-*.js.gz"))
    return _Sizes(
        inbox=_size(pages / "inbox.html.gz") + sum(map(_size, assets)),
        launcher=_size(chat / "widget.js.gz"),
        panel=sum(map(_size, (chat / "assets").glob("panel-*.js.gz"))) + words,
    )


def _size(path: Path) -> int:
    return path.stat().st_size
