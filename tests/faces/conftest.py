"""The faces are tried as they are: a demo as `make run` starts it, and a real browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.browser import running_browser
from tests.support.demo import DemoProcess
from tests.support.gateway import ROOT
from tests.support.parts import PartMissing, give_up

_BUILT = ROOT / "gateway" / "ui" / "dist" / "pages" / "inbox.html"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if not _BUILT.exists():
        give_up(PartMissing("The front end is not built: run `make setup`."))
    try:
        async with running_browser() as browser:
            yield browser
    except PartMissing as missing:
        give_up(missing)


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[DemoProcess]:
    async with DemoProcess(tmp_path, {}) as process:
        process.keep_ports()
        await process.start()
        yield process
