"""A real browser: Debian's Chromium, headless, driven by Playwright."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.support.parts import PartMissing
from tests.support.system_packages import find_program

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Give a headless Chromium.

    Raises:
        PartMissing: there is none here.
    """
    path = find_program("chromium")
    if path is None:
        raise PartMissing("Chromium is not installed: run `make setup-test` as root, or install it.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
