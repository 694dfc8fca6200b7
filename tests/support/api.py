"""The HTTP application on a real socket, with a clock in the test's hand and people to ask as."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import aiohttp
import msgspec
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import AbstractRouteDef, Application, Request
from argon2 import PasswordHasher

from gateway.domain.agent import Agent, Role, Scope
from gateway.domain.message import Json, RawInbound
from gateway.services.agents import add_agent
from gateway.services.login import LoginGuard
from gateway.services.passwords import Passwords
from gateway.services.receive import Receipt, ReceiptState
from gateway.services.tokens import hash_secret, make_token, new_secret
from gateway.web.auth import COOKIE
from gateway.web.context import Context
from gateway.web.routes import Route
from gateway.web.server import API_ROUTES, build_app
from storage.blobs import open_blobs
from storage.database import Database
from storage.live.contract import LiveBus
from storage.sessions import insert_session

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
PUBLIC_URL = "https://desk.example"
PASSWORD = "correct horse battery"

Headers = Mapping[str, str]


def quick_passwords() -> Passwords:
    """Argon2id at its least: tests check what we do with it, not how hard it is."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass
class Clock:
    time: datetime = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, by: timedelta) -> None:
        self.time += by


@dataclass(kw_only=True)
class Api:
    context: Context
    clock: Clock
    client: TestClient[Request, Application]
    submitted: list[RawInbound] = field(default_factory=list)

    async def add_agent(self, role: Role = Role.AGENT, email: str | None = None) -> Agent:
        return await add_agent(
            self.context.db,
            self.context.logins.passwords,
            email=email or f"{role}@shop.example",
            name=f"An {role}",
            role=role,
            languages=["en"],
            password=PASSWORD,
            now=self.clock(),
        )

    async def as_agent(self, role: Role = Role.AGENT, email: str | None = None) -> Headers:
        """Return the headers of a new agent's session, as a page of ours would send them."""
        return await self.session_of(await self.add_agent(role, email))

    async def session_of(self, agent: Agent) -> Headers:
        secret = new_secret()
        now = self.clock()
        await self.context.db.write(
            lambda tx: insert_session(
                tx, token_hash=hash_secret(secret), agent_id=agent.id, now=now, expires_at=now + timedelta(hours=12)
            )
        )
        return {"Cookie": f"{COOKIE}={secret}", "Origin": PUBLIC_URL}

    async def as_program(self, scope: Scope = Scope.API) -> Headers:
        """Return the headers of a new token."""
        now = self.clock()
        made = await self.context.db.write(lambda tx: make_token(tx, name=f"a program ({scope})", scope=scope, now=now))
        return {"Authorization": f"Bearer {made.secret}"}

    async def ask(
        self,
        method: str,
        path: str,
        headers: Headers | None = None,
        *,
        json: Json = None,
        data: bytes | None = None,
    ) -> "Answer":
        """Send `json`, or `data` with whatever type `headers` names, and return the whole answer."""
        async with self.client.request(
            method, path, headers=dict(headers or {}), json=json, data=data and BytesIO(data), allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return msgspec.json.decode(self.body)

    @property
    def paths(self) -> list[str]:
        """Where the mistakes are, of a problem."""
        return [error["path"] for error in self.json["errors"]]


@asynccontextmanager
async def serving(
    database: Database,
    bus: LiveBus,
    *,
    routes: Sequence[Route] = API_ROUTES,
    others: Sequence[AbstractRouteDef] = (),
    **changes: Json,
) -> AsyncIterator[Api]:
    """Serve the API on a free port; `changes` replace fields of the context."""
    clock = Clock()
    submitted: list[RawInbound] = []

    async def submit(raw: RawInbound) -> Receipt:
        submitted.append(raw)
        return Receipt(state=ReceiptState.ACCEPTED)

    context = Context(
        db=database,
        bus=bus,
        blobs=open_blobs("memory:"),
        submit=submit,
        public_url=PUBLIC_URL,
        secret_key=b"a secret of the tests, 32 bytes..",
        logins=LoginGuard(passwords=quick_passwords()),
        now=clock,
    )
    context = replace(context, **changes)
    app = build_app(context, routes=routes, others=others)
    # What a jar would send back is what a test means to say itself.
    async with TestClient(TestServer(app), cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield Api(context=context, clock=clock, client=client, submitted=submitted)
