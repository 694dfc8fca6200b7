"""The commands `agent` and `token`: who may work with the gateway."""

import argparse
import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.domain.agent import ApiToken, Role, Scope
from gateway.domain.errors import BadInput, Conflict
from gateway.domain.ids import parse_id
from gateway.services.agents import add_agent, disable_agent, reset_password
from gateway.services.passwords import Passwords
from gateway.services.tokens import make_token
from storage.agents import list_agents
from storage.database import Database
from storage.tokens import find_tokens_by_name, list_tokens, revoke_token

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

# What a command does with an open, migrated database; it returns the lines to print.
PeopleCommand = Callable[[argparse.Namespace, Database], Awaitable[list[str]]]

_PAGE = 500


def add_people_commands(subparsers: "Subparsers") -> None:
    """Add both commands; the chosen one's `PeopleCommand` is then in `args.people_command`."""
    agents = subparsers.add_parser("agent", help="add, list and disable agents, reset passwords")
    _add_agent_commands(agents.add_subparsers(required=True, metavar="COMMAND"))
    tokens = subparsers.add_parser("token", help="make, list and revoke API tokens")
    _add_token_commands(tokens.add_subparsers(required=True, metavar="COMMAND"))


def _add_agent_commands(commands: "Subparsers") -> None:
    add = _command(commands, "add", "add an agent", run_agent_add)
    add.add_argument("email", metavar="EMAIL")
    add.add_argument("--name", required=True)
    add.add_argument("--role", choices=[role.value for role in Role], default=Role.AGENT.value)
    add.add_argument("--languages", default="en", metavar="en,fr", help="BCP 47, best first")
    disable = _command(commands, "disable", "keep an agent out and end their sessions", run_agent_disable)
    disable.add_argument("email", metavar="EMAIL")
    password = _command(commands, "password", "set an agent's password and end their sessions", run_agent_password)
    password.add_argument("email", metavar="EMAIL")
    for command in (add, password):
        command.add_argument("--password-stdin", action="store_true", help="read one line instead of asking")
    _command(commands, "list", "list all agents", run_agent_list)


def _add_token_commands(commands: "Subparsers") -> None:
    add = _command(commands, "add", "make a token and print it, this once, alone on the last line", run_token_add)
    add.add_argument("name", metavar="NAME")
    add.add_argument("--scope", choices=[scope.value for scope in Scope], required=True)
    revoke = _command(commands, "revoke", "revoke a token for good", run_token_revoke)
    revoke.add_argument("token", metavar="ID_OR_NAME")
    _command(commands, "list", "list all tokens, revoked ones too", run_token_list)


def _command(commands: "Subparsers", name: str, summary: str, command: PeopleCommand) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(people_command=command)
    return parser


async def run_agent_add(args: argparse.Namespace, db: Database) -> list[str]:
    agent = await add_agent(
        db,
        Passwords(),
        email=args.email,
        name=args.name,
        role=Role(args.role),
        languages=[language.strip() for language in args.languages.split(",") if language.strip()],
        password=_ask_password(from_stdin=args.password_stdin),
        now=datetime.now(UTC),
    )
    return [f"Added {agent.email} as {agent.role}, {agent.id}."]


async def run_agent_list(_args: argparse.Namespace, db: Database) -> list[str]:
    async with db.read() as conn:
        agents = await list_agents(conn)
    return [
        "\t".join((agent.id, agent.email, agent.name, agent.role, ",".join(agent.languages), _state(agent.disabled_at)))
        for agent in agents
    ]


async def run_agent_disable(args: argparse.Namespace, db: Database) -> list[str]:
    agent = await disable_agent(db, email=args.email, now=datetime.now(UTC))
    return [f"Disabled {agent.email}."]


async def run_agent_password(args: argparse.Namespace, db: Database) -> list[str]:
    password = _ask_password(from_stdin=args.password_stdin)
    agent = await reset_password(db, Passwords(), email=args.email, password=password)
    return [f"Set the password of {agent.email}; their sessions have ended."]


async def run_token_add(args: argparse.Namespace, db: Database) -> list[str]:
    now = datetime.now(UTC)
    made = await db.write(lambda tx: make_token(tx, name=args.name, scope=Scope(args.scope), now=now))
    return [f"Made the token {made.token.name!r} ({made.token.scope}), {made.token.id}. It is shown once:", made.secret]


async def run_token_list(_args: argparse.Namespace, db: Database) -> list[str]:
    tokens: list[ApiToken] = []
    async with db.read() as conn:
        while page := await list_tokens(conn, after=tokens[-1].id if tokens else None, limit=_PAGE):
            tokens += page
    return ["\t".join((token.id, token.name, token.scope, _state(token.revoked_at))) for token in tokens]


async def run_token_revoke(args: argparse.Namespace, db: Database) -> list[str]:
    async with db.read() as conn:
        named = await find_tokens_by_name(conn, args.token)
    if len(named) > 1:
        raise Conflict(f"{len(named)} tokens have this name: say which by its id (token list).")
    token_id = named[0].id if named else parse_id(args.token)
    token = await db.write(lambda tx: revoke_token(tx, token_id, datetime.now(UTC)))
    return [f"Revoked {token.name!r}, {token.id}."]


def _state(ended_at: datetime | None) -> str:
    return "active" if ended_at is None else f"ended {ended_at:%Y-%m-%d %H:%M}Z"


def _ask_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise BadInput("The two are not the same.")
    return password
