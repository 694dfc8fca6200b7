"""Who may do what: one table of actions against agents' roles and tokens' scopes.

`docs/permissions.md` is generated from it (`permissions_page`), and a test holds the two together.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.agent import Role, Scope
from gateway.domain.errors import Forbidden
from gateway.domain.message import AuthorKind
from storage.events import Actor


class Action(StrEnum):
    """Everything that the API lets somebody do."""

    ME_READ = "me.read"
    ME_PASSWORD = "me.password"  # noqa: S105  the name of an action
    SESSION_END = "session.end"
    LIVE_SUBSCRIBE = "live.subscribe"
    CONVERSATION_READ = "conversation.read"
    CONVERSATION_REPLY = "conversation.reply"
    CONVERSATION_SEE = "conversation.see"
    CONVERSATION_DRAFT = "conversation.draft"
    CONVERSATION_NOTE = "conversation.note"
    CONVERSATION_TAKE = "conversation.take"
    CONVERSATION_ASSIGN = "conversation.assign"
    CONVERSATION_TRANSFER = "conversation.transfer"
    CONVERSATION_RESOLVE = "conversation.resolve"
    CONVERSATION_SNOOZE = "conversation.snooze"
    CONVERSATION_REOPEN = "conversation.reopen"
    CONVERSATION_SET_TOPIC = "conversation.set_topic"
    MESSAGE_RESEND = "message.resend"
    MESSAGE_CANCEL = "message.cancel"
    ATTACHMENT_UPLOAD = "attachment.upload"
    ATTACHMENT_READ = "attachment.read"
    CONTACT_READ = "contact.read"
    CONTACT_MERGE = "contact.merge"
    CONTACT_UNMERGE = "contact.unmerge"
    QUARANTINE_READ = "quarantine.read"
    QUARANTINE_REPLAY = "quarantine.replay"
    TOKEN_READ = "token.read"  # noqa: S105
    TOKEN_MANAGE = "token.manage"  # noqa: S105
    METRICS_READ = "metrics.read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who may do one action. Roles and scopes are kept apart: both have an `admin`, and they compare equal."""

    roles: frozenset[Role]
    scopes: frozenset[Scope]


_AGENTS = frozenset(Role)
_SUPERVISORS = frozenset({Role.SUPERVISOR, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})
_ANY_TOKEN = frozenset(Scope)
_API_TOKENS = frozenset({Scope.API, Scope.ADMIN})
_ADMIN_TOKENS = frozenset({Scope.ADMIN})
_NO_TOKEN: frozenset[Scope] = frozenset()

_EVERYBODY = Grant(roles=_AGENTS, scopes=_ANY_TOKEN)
_AGENTS_ONLY = Grant(roles=_AGENTS, scopes=_NO_TOKEN)
_DAILY_WORK = Grant(roles=_AGENTS, scopes=_API_TOKENS)
_OVERSIGHT = Grant(roles=_SUPERVISORS, scopes=_ADMIN_TOKENS)
_ADMINISTRATION = Grant(roles=_ADMINS, scopes=_ADMIN_TOKENS)

GRANTS: dict[Action, Grant] = {
    Action.ME_READ: _EVERYBODY,
    Action.ME_PASSWORD: _AGENTS_ONLY,
    Action.SESSION_END: _AGENTS_ONLY,
    Action.LIVE_SUBSCRIBE: _DAILY_WORK,
    Action.CONVERSATION_READ: _DAILY_WORK,
    Action.CONVERSATION_REPLY: _DAILY_WORK,
    Action.CONVERSATION_SEE: _AGENTS_ONLY,  # a program reads, and has looked at nothing
    Action.CONVERSATION_DRAFT: _AGENTS_ONLY,  # a draft belongs to the person who types it
    Action.CONVERSATION_NOTE: _DAILY_WORK,
    Action.CONVERSATION_TAKE: _AGENTS_ONLY,  # whoever takes it is its assignee, and a program can't be
    Action.CONVERSATION_ASSIGN: _DAILY_WORK,
    Action.CONVERSATION_TRANSFER: _DAILY_WORK,
    Action.CONVERSATION_RESOLVE: _DAILY_WORK,
    Action.CONVERSATION_SNOOZE: _DAILY_WORK,
    Action.CONVERSATION_REOPEN: _DAILY_WORK,
    Action.CONVERSATION_SET_TOPIC: _DAILY_WORK,
    Action.MESSAGE_RESEND: _DAILY_WORK,
    Action.MESSAGE_CANCEL: _DAILY_WORK,
    Action.ATTACHMENT_UPLOAD: _DAILY_WORK,
    Action.ATTACHMENT_READ: _DAILY_WORK,
    Action.CONTACT_READ: _DAILY_WORK,
    Action.CONTACT_MERGE: _DAILY_WORK,
    Action.CONTACT_UNMERGE: _DAILY_WORK,
    Action.QUARANTINE_READ: _ADMINISTRATION,
    Action.QUARANTINE_REPLAY: _ADMINISTRATION,
    Action.TOKEN_READ: _ADMINISTRATION,
    Action.TOKEN_MANAGE: _ADMINISTRATION,
    Action.METRICS_READ: Grant(roles=_SUPERVISORS, scopes=_ANY_TOKEN),  # figures only, nothing of a customer's
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: an agent with a role or a program with a scope, never both; neither is nobody."""

    id: str
    name: str
    role: Role | None = None
    scope: Scope | None = None
    session: str | None = None  # hash of the session cookie, where that is how they proved it

    @property
    def key(self) -> str:
        """`agent:<id>` or `token:<id>`: owner of what they upload and of their idempotency keys."""
        return f"{'agent' if self.role else 'token'}:{self.id}"

    @property
    def agent_id(self) -> str | None:
        return self.id if self.role else None

    @property
    def actor(self) -> Actor:
        return Actor(kind=AuthorKind.AGENT if self.role else AuthorKind.SYSTEM, id=self.id)

    def may(self, action: Action) -> bool:
        grant = GRANTS[action]
        return self.role in grant.roles if self.role else self.scope in grant.scopes

    def require(self, action: Action) -> None:
        """Stop whoever may not do this.

        Raises:
            Forbidden: this principal may not.
        """
        if not self.may(action):
            raise Forbidden(f"This needs the right to {action.value}.")


NOBODY = Principal(id="", name="")


def permissions_page() -> str:
    """Return the table as the Markdown of `docs/permissions.md`."""
    columns = [*(("role", role.value) for role in Role), *(("scope", scope.value) for scope in Scope)]
    head = " | ".join(f"{kind} `{name}`" for kind, name in columns)
    lines = [
        "# Permissions",
        "",
        "Generated from `gateway/web/permissions.py`; don't edit. Agents have a role (session cookie), programs a",
        "scope (API token). `/metrics` also answers whoever asks from the machine itself.",
        "",
        f"| action | {head} |",
        f"| --- |{' :-: |' * len(columns)}",
    ]
    for action in Action:
        grant = GRANTS[action]
        marks = [role in grant.roles for role in Role] + [scope in grant.scopes for scope in Scope]
        lines.append(f"| `{action.value}` | {' | '.join('yes' if mark else '-' for mark in marks)} |")
    return "\n".join(lines) + "\n"
