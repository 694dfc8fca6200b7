"""What the tests of web chat stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database, open_database
from storage.live.contract import LiveBus
from storage.live.memory import MemoryBus
from tests.support.chat import ChatRig, chatting


@pytest.fixture
async def rig(database: Database, bus: LiveBus, tmp_path: Path) -> AsyncIterator[ChatRig]:
    """Web chat with all that stands behind it, on each kind of database."""
    async with chatting(database, bus, tmp_path / "spool") as rig:
        yield rig


@pytest.fixture
async def quick(sqlite_url: str, tmp_path: Path) -> AsyncIterator[ChatRig]:
    """The same for what does not concern the database."""
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    async with chatting(database, bus, tmp_path / "spool") as rig:
        yield rig
    await database.close()
