"""The commands: serve, demo, migrate, agent, token, quarantine, openapi."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from config.settings import Settings, SettingsError, load_settings
from gateway.cli_people import add_people_commands
from gateway.domain.errors import GatewayError
from gateway.domain.ids import parse_id
from gateway.folder import DataFolder, Mode
from gateway.log import configure_logging
from storage.database import Database, open_database
from storage.live.memory import MemoryBus
from storage.migrate import head_revision, migrate
from storage.quarantine import Quarantined, list_quarantined

_PAGE = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    args = _parser().parse_args(arguments)
    try:
        lines = uvloop.run(args.run(args))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except GatewayError as error:
        print(f"{error}", file=sys.stderr)
        return 1
    for line in lines:
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py", description="An omnichannel customer-service gateway.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the gateway, configured from the environment")
    serve.set_defaults(run=_serve)
    demo = commands.add_parser("demo", help="run it with stand-ins for the providers and a seeded shop")
    demo.set_defaults(run=_demo)
    commands.add_parser("migrate", help="create or upgrade the database").set_defaults(run=_migrate)
    commands.add_parser("openapi", help="print the API's description (OpenAPI 3.1)").set_defaults(run=_openapi)
    add_people_commands(commands)
    _add_quarantine_commands(commands)
    for name in ("agent", "token"):
        commands.choices[name].set_defaults(run=_run_on_database)
    return parser


def _add_quarantine_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    quarantine = commands.add_parser("quarantine", help="what could not be handled: list it, try it again")
    actions = quarantine.add_subparsers(required=True, metavar="COMMAND")
    listing = actions.add_parser("list", help="list what waits, oldest first")
    listing.set_defaults(run=_run_on_database, people_command=_list_quarantine)
    replay = actions.add_parser("replay", help="try an entry again, or all of them")
    replay.add_argument("entry", metavar="ID|all")
    replay.set_defaults(run=_replay_quarantine)


def _settings() -> Settings:
    return load_settings(os.environ, Path(".env"))


async def _serve(_args: argparse.Namespace) -> list[str]:
    from gateway.app import open_gateway  # noqa: PLC0415  the small commands start without the web

    settings = _settings()
    configure_logging(level=settings.log.level, is_json=settings.log.format == "json")
    is_embedded = settings.database_url.get_secret_value().startswith("sqlite")
    with DataFolder(settings.data_dir, Mode.SERVE, is_exclusive=is_embedded):
        async with open_gateway(settings) as gateway:
            await gateway.run(_stop_on_signals())
    return []


async def _demo(_args: argparse.Namespace) -> list[str]:
    from gateway.sandbox.demo import run_demo  # noqa: PLC0415  demo mode only: nothing else can reach the stand-ins

    await run_demo(os.environ, _stop_on_signals())
    return []


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


async def _migrate(_args: argparse.Namespace) -> list[str]:
    await migrate(_settings().database_url.get_secret_value())
    return [f"The database is at revision {head_revision()}."]


async def _openapi(_args: argparse.Namespace) -> list[str]:
    from gateway.web.openapi import build_document  # noqa: PLC0415  as in _serve
    from gateway.web.server import API_ROUTES  # noqa: PLC0415

    return [msgspec.json.encode(build_document(API_ROUTES, public_url="/"), order="deterministic").decode()]


async def _run_on_database(args: argparse.Namespace) -> list[str]:
    url = _settings().database_url.get_secret_value()
    await migrate(url)
    db = open_database(url, MemoryBus())
    command: Callable[[argparse.Namespace, Database], Awaitable[list[str]]] = args.people_command
    try:
        return await command(args, db)
    finally:
        await db.close()


async def _list_quarantine(_args: argparse.Namespace, db: Database) -> list[str]:
    return [
        f"{entry.id}\t{entry.raw.source}\t{entry.raw.received_at:%Y-%m-%d %H:%M:%S}Z"
        f"\t{len(entry.raw.body)} bytes\t{entry.error}"
        async for entry in _waiting(db)
    ]


async def _waiting(db: Database) -> AsyncIterator[Quarantined]:
    after = None
    async with db.read() as conn:
        while page := await list_quarantined(conn, after=after, limit=_PAGE):
            after = page[-1].id
            for entry in page:
                yield entry


async def _replay_quarantine(args: argparse.Namespace) -> list[str]:
    from gateway.app import open_intake  # noqa: PLC0415  as in _serve
    from gateway.services.quarantine import replay  # noqa: PLC0415

    settings = _settings()
    configure_logging(level=settings.log.level, is_json=settings.log.format == "json")
    async with open_intake(settings) as (db, intake):
        # All are listed before the first is tried: one that fails again is a new entry, for another day.
        entries = [entry.id async for entry in _waiting(db)] if args.entry == "all" else [parse_id(args.entry)]
        return [f"{entry}\t{(await replay(db, intake.submit, entry, datetime.now(UTC))).state}" for entry in entries]
