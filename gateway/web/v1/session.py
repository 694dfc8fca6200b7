"""Agents log in and out; anybody asks who they are."""

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web

from gateway.domain.agent import Agent, Role, Scope
from gateway.services.attempts import client_key
from gateway.services.login import change_password, log_in
from gateway.services.passwords import MAX_LENGTH
from gateway.web.auth import client_address, drop_session_cookie, set_session_cookie
from gateway.web.permissions import Action
from gateway.web.routes import JSON, Call, Route
from storage.agents import load_agent
from storage.database import Transaction
from storage.sessions import end_session

_Password = Annotated[str, msgspec.Meta(max_length=MAX_LENGTH)]


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    email: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    password: _Password


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    current: _Password
    new: _Password


class AgentView(msgspec.Struct):
    id: str
    email: str
    name: str
    role: Role
    languages: list[str]


class SessionView(msgspec.Struct):
    agent: AgentView
    expires_at: datetime  # at the latest; sooner if nothing is asked for half a day


class Me(msgspec.Struct):
    """An agent, or the token of a program; and what they may do."""

    permissions: list[Action]
    agent: AgentView | None = None
    token: str | None = None  # its name
    scope: Scope | None = None


def _view(agent: Agent) -> AgentView:
    return AgentView(id=agent.id, email=agent.email, name=agent.name, role=agent.role, languages=list(agent.languages))


async def begin_session(call: Call[LoginBody, None]) -> web.Response:
    logged_in = await log_in(
        call.context.db,
        call.context.logins,
        email=call.body.email,
        password=call.body.password,
        client=client_key(client_address(call.request)),
        now=call.now,
    )
    agent = logged_in.agent
    view = SessionView(
        agent=_view(agent),
        expires_at=logged_in.expires_at,
    )
    response = web.Response(status=201, body=msgspec.json.encode(view), content_type=JSON)
    set_session_cookie(response, call.context, logged_in.cookie)
    return response


async def finish_session(call: Call[None, None]) -> web.Response:
    session = call.principal.session
    if session is not None:

        async def end(tx: Transaction) -> None:
            await end_session(tx, session)

        await call.context.db.write(end)
    response = web.Response(status=204)
    drop_session_cookie(response, call.context)
    return response


async def show_me(call: Call[None, None]) -> Me:
    who = call.principal
    permissions = [action for action in Action if who.may(action)]
    if who.agent_id is None:
        return Me(permissions=permissions, token=who.name, scope=who.scope)
    async with call.context.db.read() as conn:
        agent = await load_agent(conn, who.agent_id)
    return Me(permissions=permissions, agent=_view(agent))


async def set_password(call: Call[PasswordBody, None]) -> None:
    async with call.context.db.read() as conn:
        agent = await load_agent(conn, call.principal.id)
    await change_password(
        call.context.db,
        call.context.logins,
        agent=agent,
        session=call.principal.session,
        current=call.body.current,
        new=call.body.new,
        now=call.now,
    )


ROUTES = (
    Route(
        "POST",
        "/v1/session",
        None,
        begin_session,
        body=LoginBody,
        response=SessionView,
        status=201,
        summary="Log an agent in; the answer sets the session cookie",
        own_transaction=True,
    ),
    Route(
        "DELETE",
        "/v1/session",
        Action.SESSION_END,
        finish_session,
        status=204,
        summary="Log out",
        own_transaction=True,
    ),
    Route("GET", "/v1/me", Action.ME_READ, show_me, response=Me, summary="Who am I, and what may I do"),
    Route(
        "PUT",
        "/v1/me/password",
        Action.ME_PASSWORD,
        set_password,
        body=PasswordBody,
        status=204,
        summary="Change one's own password; ends one's other sessions",
        own_transaction=True,
    ),
)
