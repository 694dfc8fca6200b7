"""The people who answer, and the programs that speak for them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What kind of work an agent does."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an API token is for."""

    EVENTS = "events"
    API = "api"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    id: str
    email: str  # lower case; what they log in with
    name: str
    role: Role
    languages: tuple[str, ...]  # BCP 47
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A program's way in; the secret itself is shown once and kept nowhere."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    revoked_at: datetime | None = None
