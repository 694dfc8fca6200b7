"""The ground that the other tests stand on: servers that come, go and never stay behind; a guard that guards."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from storage.migrate import current_revision, migrate
from tests.support.loopback import guard, is_loopback
from tests.support.parts import PartMissing, give_up
from tests.support.ports import is_listening
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.redis import RedisServer, running_redis

ROOT = Path(__file__).parents[2]
_HOLD_SERVERS = """
import time
from tests.support.postgres import running_postgres
from tests.support.redis import running_redis
with running_postgres() as postgres, running_redis() as redis:
    print(postgres.port, redis.port, flush=True)
    time.sleep(60)
"""


def wait_until_closed(port: int, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while is_listening(port):
        assert time.monotonic() < deadline, f"somebody still listens on port {port}"
        time.sleep(0.02)


async def test_a_stopped_postgresql_comes_back_on_its_port_with_its_data(postgresql_server: PostgresServer) -> None:
    with running_postgres() as server:
        url = server.create_database("kept")
        await migrate(url)
        server.stop()
        assert not is_listening(server.port)
        server.start()
        assert await current_revision(url) is not None
        server.kill()
        server.start()
        assert await current_revision(url) is not None
    assert server.port != postgresql_server.port


def test_a_stopped_redis_comes_back_on_its_port(redis_server: RedisServer) -> None:
    with running_redis() as server:
        server.stop()
        assert not is_listening(server.port)
        server.start()
        assert is_listening(server.port)
    wait_until_closed(server.port)
    assert server.port != redis_server.port


@pytest.mark.usefixtures("postgresql_server", "redis_server")
def test_servers_end_when_the_process_that_started_them_is_killed() -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD_SERVERS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        ports = [int(word) for word in holder.stdout.readline().split()]
        assert len(ports) == 2
        assert all(is_listening(port) for port in ports)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    for port in ports:
        wait_until_closed(port)


def test_connections_to_other_machines_are_refused_and_noted() -> None:
    with socket.socket() as sock, pytest.raises(OSError, match="loopback"):
        sock.connect(("192.0.2.1", 9))
    with pytest.raises(OSError, match="loopback"):
        socket.getaddrinfo("example.com", 80)
    assert len(guard.take_refused()) == 2


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", b"localhost", ""])
def test_loopback_is_what_stays_on_this_machine(host: str | bytes) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "2001:db8::1", "localhost.example.com"])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(("value", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_part_is_a_skip_and_in_ci_a_failure(
    monkeypatch: pytest.MonkeyPatch, value: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setitem(os.environ, "CI", value)
    with pytest.raises(outcome, match="no such server"):
        give_up(PartMissing("no such server"))
