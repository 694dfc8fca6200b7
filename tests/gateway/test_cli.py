"""The commands as an operator types them."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.message import RawInbound, Source
from storage.database import Transaction, open_database, sqlite_url
from storage.live.memory import MemoryBus
from storage.migrate import head_revision
from storage.quarantine import insert_quarantined, list_quarantined
from tests.support.gateway import ROOT, SECRET_KEY

KEY = {"GATEWAY_SECRET_KEY": SECRET_KEY}


async def run(folder: Path, *words: str, stdin: str = "", **settings: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "main.py"),
        *words,
        cwd=folder,
        env={"GATEWAY_DATA_DIR": str(folder / "data"), **KEY, **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_migrate_makes_the_database_and_says_so_also_the_second_time(tmp_path: Path) -> None:
    for _ in range(2):
        status, out, _ = await run(tmp_path, "migrate")
        assert (status, out.strip()) == (0, f"The database is at revision {head_revision()}.")


async def test_an_agent_and_a_token_are_made_on_an_empty_machine(tmp_path: Path) -> None:
    words = ("agent", "add", "ana@shop.example", "--name", "Ana", "--role", "supervisor", "--languages", "pt,en")
    assert (await run(tmp_path, *words, "--password-stdin", stdin="correct horse battery\n"))[0] == 0
    _, agents, _ = await run(tmp_path, "agent", "list")
    assert "ana@shop.example" in agents
    _, out, _ = await run(tmp_path, "token", "add", "shop", "--scope", "api")
    secret = out.strip().splitlines()[-1]
    assert secret.startswith("gw_")
    _, tokens, _ = await run(tmp_path, "token", "list")
    assert "shop" in tokens
    assert secret not in tokens


async def test_all_wrong_settings_are_told_at_once_without_a_traceback(tmp_path: Path) -> None:
    status, _, err = await run(
        tmp_path, "serve", GATEWAY_SECRET_KEY="short", GATEWAY_HTTP__LISTEN="nowhere", GATEWAY_TYPO="x"
    )
    assert status == 2
    for name in ("GATEWAY_SECRET_KEY", "GATEWAY_HTTP__LISTEN", "GATEWAY_TYPO"):
        assert name in err
    assert "Traceback" not in err


async def test_a_quarantine_that_is_empty_lists_nothing(tmp_path: Path) -> None:
    assert (await run(tmp_path, "quarantine", "list"))[:2] == (0, "")


@pytest.mark.parametrize("entry", ["018f0000-0000-7000-8000-000000000000", "nonsense"])
async def test_replaying_what_is_not_there_says_so_in_one_line(tmp_path: Path, entry: str) -> None:
    status, out, err = await run(tmp_path, "quarantine", "replay", entry)
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("There is no")


async def test_replaying_all_goes_on_behind_the_first_page_and_tries_each_once(tmp_path: Path) -> None:
    await run(tmp_path, "migrate")
    db = open_database(sqlite_url(tmp_path / "data" / "gateway.sqlite"), MemoryBus())
    now = datetime.now(UTC)
    raw = RawInbound(source=Source.TWILIO_MESSAGE, received_at=now, body=b"")

    async def fill(tx: Transaction) -> None:
        for _ in range(501):
            await insert_quarantined(tx, raw, "It can't be read.", now)

    await db.write(fill)
    status, out, _ = await run(tmp_path, "quarantine", "replay", "all")
    async with db.read() as conn:
        again = await list_quarantined(conn, after=None, limit=1000)
    await db.close()
    assert (status, len(out.splitlines())) == (0, 501)
    assert len(again) == 501  # each failed again, and is a new entry
