"""The commands `agent` and `token`."""

import argparse
import io
import sys

import pytest

from gateway.cli_people import add_people_commands
from gateway.domain.errors import BadInput, Conflict, NotFound
from gateway.services.login import LoginGuard, log_in
from gateway.services.tokens import hash_secret
from storage.agents import find_agent
from storage.database import Database
from storage.tokens import find_token
from tests.support.api import PASSWORD, START


async def run(database: Database, *words: str) -> list[str]:
    parser = argparse.ArgumentParser()
    add_people_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(words)
    lines: list[str] = await args.people_command(args, database)
    return lines


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))


async def add_ana(database: Database) -> None:
    await run(
        database, "agent", "add", "Ana@shop.example", "--name", "Ana Lima", "--role", "supervisor",
        "--languages", "en,pt-BR", "--password-stdin",
    )  # fmt: skip


@pytest.mark.usefixtures("typed")
async def test_an_added_agent_can_log_in(database: Database) -> None:
    await add_ana(database)
    found = await log_in(database, LoginGuard(), email="ana@shop.example", password=PASSWORD, client="c", now=START)
    assert (found.agent.name, found.agent.role, found.agent.languages) == ("Ana Lima", "supervisor", ("en", "pt-BR"))


@pytest.mark.usefixtures("typed")
async def test_agents_are_listed_and_disabled(database: Database) -> None:
    await add_ana(database)
    assert "ana@shop.example\tAna Lima\tsupervisor\ten,pt-BR\tactive" in (await run(database, "agent", "list"))[0]
    await run(database, "agent", "disable", "ana@shop.example")
    assert "ended" in (await run(database, "agent", "list"))[0]
    with pytest.raises(NotFound):
        await run(database, "agent", "disable", "nobody@shop.example")


@pytest.mark.usefixtures("typed")
async def test_a_password_is_read_from_standard_input(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_ana(database)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a new password"))
    await run(database, "agent", "password", "ana@shop.example", "--password-stdin")
    await log_in(database, LoginGuard(), email="ana@shop.example", password="a new password", client="c", now=START)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(BadInput):
        await run(database, "agent", "password", "ana@shop.example", "--password-stdin")
    async with database.read() as conn:
        assert await find_agent(conn, "ana@shop.example") is not None


async def test_a_new_token_stands_alone_on_the_last_line(database: Database) -> None:
    secret = (await run(database, "token", "add", "shop", "--scope", "events"))[-1]
    async with database.read() as conn:
        token = await find_token(conn, hash_secret(secret))
    assert token is not None
    assert (token.name, token.scope) == ("shop", "events")
    listed = await run(database, "token", "list")
    assert listed == [f"{token.id}\tshop\tevents\tactive"]


async def test_a_token_is_revoked_by_its_name_or_its_id(database: Database) -> None:
    for name in ("a", "b", "b"):
        await run(database, "token", "add", name, "--scope", "api")
    await run(database, "token", "revoke", "a")
    with pytest.raises(Conflict):
        await run(database, "token", "revoke", "b")
    for line in (await run(database, "token", "list"))[1:]:
        await run(database, "token", "revoke", line.partition("\t")[0])
    assert all("ended" in line for line in await run(database, "token", "list"))
    with pytest.raises(NotFound):
        await run(database, "token", "revoke", "nothing")
