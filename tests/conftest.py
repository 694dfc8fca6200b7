"""What every test may ask for: real databases, a real Redis, the live bus. Servers start once, when first needed."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from storage.database import Database, open_database, sqlite_url
from storage.live.contract import LiveBus
from storage.live.memory import MemoryBus
from storage.migrate import migrate
from tests.support.loopback import guard
from tests.support.parts import PartMissing, give_up
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.redis import RedisServer, running_redis

_TEMPLATE = "gateway_template"
# Quick answers first: what fails in a second should not wait for what takes a minute.
_ORDER = ("house", "domain", "routing", "config", "channels", "storage", "services", "gateway")
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, int]:
    parts = item.path.parts
    rooms = [_ORDER.index(part) for part in parts[parts.index("tests") :] if part in _ORDER]
    return item.get_closest_marker("faults") is not None, rooms[-1] if rooms else len(_ORDER)


@pytest.fixture(scope="session", autouse=True)
def _loopback_guard() -> Iterator[None]:
    guard.is_on = True
    yield
    guard.is_on = False


@pytest.fixture(autouse=True)
def _loopback_only() -> Iterator[None]:
    """Fail a test that tried to reach another machine, also where the code under test took the refusal calmly."""
    yield
    assert guard.take_refused() == []


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresServer]:
    """The session's server, for databases of one's own; a test that stops a server starts its own instead."""
    try:
        with running_postgres() as server:
            yield server
    except PartMissing as missing:
        give_up(missing)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    try:
        with running_redis() as server:
            yield server
    except PartMissing as missing:
        give_up(missing)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "gateway.sqlite"
    _migrate(sqlite_url(path))
    return path


@pytest.fixture(scope="session")
def _postgresql_template(postgresql_server: PostgresServer) -> str:
    _migrate(postgresql_server.create_database(_TEMPLATE))
    return _TEMPLATE


def _migrate(url: str) -> None:
    # In a thread of its own: the caller's event loop, if there is one, stays as it is.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, migrate(url)).result()


@pytest.fixture
def sqlite_url_empty(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "empty.sqlite")


@pytest.fixture
def postgresql_url_empty(postgresql_server: PostgresServer) -> Iterator[str]:
    name = f"empty_{next(_numbers)}"
    yield postgresql_server.create_database(name)
    postgresql_server.drop_database(name)


@pytest.fixture(name="sqlite_url")
def migrated_sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    path = tmp_path / "gateway.sqlite"
    shutil.copyfile(_sqlite_template, path)
    return sqlite_url(path)


@pytest.fixture
def postgresql_url(postgresql_server: PostgresServer, _postgresql_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    name = f"test_{next(_numbers)}"
    yield postgresql_server.create_database(name, template=_postgresql_template)
    postgresql_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """A database with nothing in it: the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url_empty")
    return url


@pytest.fixture
def bus() -> LiveBus:
    return MemoryBus()


@pytest.fixture
async def database(database_url: str, bus: LiveBus) -> AsyncIterator[Database]:
    """A fresh, migrated database, opened, with `bus` as its live bus: the test runs once on each kind."""
    opened = open_database(database_url, bus)
    yield opened
    await opened.close()
