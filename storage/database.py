"""The database: how it is opened, read and written; SQLite or PostgreSQL, told apart here and nowhere above.

Reads run on connections of their own. A write is a function that is handed a `Transaction`: it is run again from its
start when the database gave it up (serialization fault, deadlock), and what it wanted to be told live is published
after the commit.
"""

import asyncio
import random
import sqlite3
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import msgspec
from sqlalchemy import event, make_url, pool
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.domain.errors import Unavailable
from storage.live.contract import LiveBus, Notice

T = TypeVar("T")

_WRITE_ATTEMPTS = 6
_CLOSE_TIMEOUT_S = 3.0  # each idle connection would wait for half a minute, one after the other
# SQLSTATE: serialization_failure, deadlock_detected
_RETRYABLE_STATES = frozenset({"40001", "40P01"})
_UNIQUE_VIOLATION = "23505"
# Classes 08 (connection), 53 (resources), 57 (operator intervention), 58 (system); 25006 is a read-only server, as
# after a failover (PostgreSQL documentation, appendix A)
_AWAY_CLASSES = frozenset({"08", "53", "57", "58"})
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    }
)


@dataclass(slots=True)
class Transaction:
    """One write in progress: its connection, and the notices that go out once it is committed."""

    conn: AsyncConnection
    notices: list[Notice] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_postgresql(self) -> bool:
        return self.conn.dialect.name == "postgresql"


class Database:
    """Both ways to one database; open it with `open_database`."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, bus: LiveBus) -> None:
        self._reader = reader
        self._writer = writer
        self._bus = bus
        self._lock = asyncio.Lock() if writer.dialect.name == "sqlite" else None

    @property
    def is_postgresql(self) -> bool:
        return self._writer.dialect.name == "postgresql"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reading.

        Raises:
            Unavailable: the database is away.
        """
        try:
            async with self._reader.connect() as conn:
                yield conn
        except (DBAPIError, PoolTimeout, OSError) as error:
            if is_away(error):
                raise Unavailable("The database can't be reached.") from error
            raise

    async def write(self, work: Callable[[Transaction], Awaitable[T]], *, is_racing: bool = False) -> T:
        """Run `work` in one transaction and commit it; `work` may run several times, so it must not act outside.

        `is_racing` says that a unique key decides between writers here: the loser looks again instead of failing.

        Raises:
            Unavailable: the database is away, or gave the transaction up again and again.
        """
        retryable = _RETRYABLE_STATES | {_UNIQUE_VIOLATION} if is_racing else _RETRYABLE_STATES
        for attempt in range(_WRITE_ATTEMPTS):
            try:
                return await self._write_once(work)
            except (DBAPIError, PoolTimeout, OSError) as error:
                state = _sqlstate(error)
                if state == _UNIQUE_VIOLATION and attempt == _WRITE_ATTEMPTS - 1:
                    raise  # nobody raced: the work itself breaks the key
                if state in retryable:
                    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311  jitter, not a secret
                    continue
                if is_away(error):
                    raise Unavailable("The database can't be reached.") from error
                raise
        raise Unavailable("The database gave this write up again and again.")

    async def _write_once(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        if self._lock is None:
            return await self._commit(work)
        async with self._lock:
            return await self._commit(work)

    async def _commit(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._writer.begin() as conn:
            tx = Transaction(conn)
            result = await work(tx)
        for act in tx.after_commit:
            act()
        if tx.notices:
            await self._bus.publish(tx.notices)
        return result

    async def close(self) -> None:
        """Take leave of the database; one that does not answer is left without a word."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._reader.dispose()
                if self._writer is not self._reader:
                    await self._writer.dispose()


def _encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def open_database(url: str, bus: LiveBus, *, pool_size: int = 10) -> Database:
    """Return the database at `url` (`sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`); nothing is connected yet."""
    common: dict[str, Any] = {
        "hide_parameters": True,  # an error in the log must not carry what a customer wrote
        "json_serializer": _encode_json,
        "json_deserializer": msgspec.json.decode,
    }
    if make_url(url).get_backend_name() == "sqlite":
        common |= {
            "poolclass": pool.AsyncAdaptedQueuePool,
            "max_overflow": 0,
            "connect_args": {"factory": _SqliteConnection},
        }
        writer = create_async_engine(url, pool_size=1, **common)
        reader = create_async_engine(url, pool_size=4, pool_timeout=10, **common)
        _prepare_sqlite(writer, begin="BEGIN IMMEDIATE", pragmas=("synchronous=FULL",))
        _prepare_sqlite(reader, begin="BEGIN", pragmas=("query_only=ON",))
        return Database(reader, writer, bus)
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        connect_args={
            "timeout": 3,
            "command_timeout": 30,
            "server_settings": {"application_name": "gateway", "jit": "off"},
        },
        **common,
    )
    return Database(engine, engine, bus)


class _SqliteConnection(sqlite3.Connection):
    """Closing it ends its cursors' statements too: one left half read by a cancelled task would keep the lock."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._open: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, *args: Any, **options: Any) -> Any:
        cursor = super().cursor(*args, **options)
        self._open.add(cursor)
        return cursor

    def close(self) -> None:
        for cursor in list(self._open):
            cursor.close()
        super().close()


def _prepare_sqlite(engine: AsyncEngine, *, begin: str, pragmas: Sequence[str]) -> None:
    # The driver's own implicit BEGIN would come late and deferred; SQLAlchemy's documented recipe hands it to us.
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=5000", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _sqlstate(error: BaseException) -> str | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    return state if isinstance(state, str) else None


def is_away(error: BaseException) -> bool:
    """True where the error speaks of the database being away, not of what was asked of it."""
    if isinstance(error, (PoolTimeout, DisconnectionError, OSError, TimeoutError, Unavailable)):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = _sqlstate(error)
    if state is not None:
        return state[:2] in _AWAY_CLASSES or state == "25006" or state in _RETRYABLE_STATES
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE_AWAY
    if isinstance(origin, (asyncpg.InterfaceError, ConnectionError)):
        return True
    return isinstance(error, (OperationalError, InterfaceError)) and not isinstance(origin, sqlite3.Error)


def sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"
