"""Stopped while its database is away, a gateway leaves on disk what it acknowledged, and the next one replays it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from storage.migrate import migrate
from tests.support.gateway import GatewayProcess, prepared_gateway
from tests.support.parts import PartMissing, give_up
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.tcp_door import TcpDoor, standing_before

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

SID = "AC" + "6" * 32
TOKEN = "a-token-of-the-last-stop"
SHOP = "+15005550006"
COUNT = 30


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    try:
        with running_postgres() as server:
            yield server
    except PartMissing as missing:
        give_up(missing)


@pytest.fixture
async def door(postgres: PostgresServer) -> AsyncIterator[TcpDoor]:
    async with standing_before(postgres.port) as door:
        yield door


@pytest.fixture
async def gateway(postgres: PostgresServer, door: TcpDoor, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    url = postgres.create_database("stopped")
    await migrate(url)
    settings = {
        "GATEWAY_DATABASE_URL": url.replace(f":{postgres.port}/", f":{door.port}/"),
        "GATEWAY_TWILIO__ACCOUNT_SID": SID,
        "GATEWAY_TWILIO__AUTH_TOKEN": TOKEN,
        "GATEWAY_TWILIO__SMS_FROM": SHOP,
    }
    async with prepared_gateway(tmp_path, settings) as process:
        yield process


async def post_sms(gateway: GatewayProcess, number: int) -> int:
    url = f"{gateway.url}/webhooks/twilio/messages"
    form = {
        "MessageSid": f"SM{number:032x}",
        "AccountSid": SID,
        "From": f"+4477009000{number:02}",
        "To": SHOP,
        "Body": f"text {number}",
    }
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, form)}
    async with gateway.http.post(url, data=form, headers=headers) as answer:
        return answer.status


async def stop(gateway: GatewayProcess) -> None:
    """Stop it as an operator does, and see that it went by itself before the usual 30 s are over."""
    async with asyncio.timeout(30):
        await asyncio.to_thread(gateway.stop)
    assert gateway.process is not None
    assert gateway.process.returncode == 0, "It had to be killed."


async def see_all_replayed(gateway: GatewayProcess) -> None:
    await gateway.start()
    async with asyncio.timeout(60):
        while (found := Counter(message["text"] for message in await gateway.all_messages())).total() < COUNT:
            await asyncio.sleep(0.1)
    assert found == {f"text {number}": 1 for number in range(COUNT)}


def spooled_bytes(gateway: GatewayProcess) -> int:
    return sum(path.stat().st_size for path in (gateway.folder / "data" / "spool").glob("*.spool"))


async def test_with_the_database_gone_the_spool_outlives_the_process(
    gateway: GatewayProcess, postgres: PostgresServer
) -> None:
    await gateway.start()
    postgres.stop()
    assert set(await asyncio.gather(*(post_sms(gateway, number) for number in range(COUNT)))) == {200}
    await stop(gateway)
    assert spooled_bytes(gateway) > 0
    postgres.start()
    await see_all_replayed(gateway)
    assert spooled_bytes(gateway) == 0


@pytest.mark.parametrize("drain_s", [None, 0.5], ids=["all the time", "no time to drain"])
async def test_with_the_database_frozen_what_is_under_way_is_written_down_before_it_is_acknowledged(
    gateway: GatewayProcess, door: TcpDoor, drain_s: float | None
) -> None:
    gateway.drain_s = drain_s
    await gateway.start()
    assert await post_sms(gateway, 0) == 200  # so that there are connections to freeze
    door.shut()
    async with asyncio.TaskGroup() as tasks:
        posts = [tasks.create_task(post_sms(gateway, number)) for number in range(1, COUNT)]
        while not door.held_bytes:
            await asyncio.sleep(0.01)
        await stop(gateway)
    assert {post.result() for post in posts} == {200}
    assert ("gateway.drain_timed_out" in gateway.log.read_text()) is (drain_s is not None)
    assert spooled_bytes(gateway) > 0
    door.open()
    await see_all_replayed(gateway)
    assert spooled_bytes(gateway) == 0
