"""What a demo keeps in its data folder so that it is the same after every start: its secrets and its ports."""

import os
import secrets
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

import msgspec

from gateway.domain.errors import GatewayError

_FILE = "demo.json"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
HOST = "127.0.0.1"


class PortTaken(GatewayError):
    """A port that was asked for can't be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepsakes:
    password: str = field(repr=False)  # every agent's
    api_token: str = field(repr=False)
    admin_token: str = field(repr=False)
    twilio_auth_token: str = field(repr=False)
    identity_secret: str = field(repr=False)
    ports: Mapping[str, int] = field(default_factory=dict)  # by what listens there


def load_keepsakes(folder: Path) -> Keepsakes | None:
    """Return what an earlier start kept in this folder."""
    with suppress(FileNotFoundError):
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=Keepsakes)
    return None


def make_keepsakes() -> Keepsakes:
    """Return new, random secrets."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
    return Keepsakes(
        password="-".join(groups),
        api_token=f"gw_demo_{secrets.token_urlsafe(32)}",
        admin_token=f"gw_demo_admin_{secrets.token_urlsafe(32)}",
        twilio_auth_token=secrets.token_hex(16),
        identity_secret=secrets.token_urlsafe(48),
    )


def save_keepsakes(folder: Path, keepsakes: Keepsakes) -> None:
    """Keep them, for the owner's eyes only; a process killed here leaves the old file or the new one."""
    draft = folder / f"{_FILE}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(keepsakes))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _FILE)


def choose_ports(
    keepsakes: Keepsakes, defaults: Mapping[str, int], reserved: Collection[int]
) -> tuple[Keepsakes, list[str]]:
    """Return `keepsakes` with a port for each name in `defaults`, and a sentence where that is not the default one.

    The port of the last start comes first, then the default, then a free one. `reserved` are for somebody else.
    """
    chosen: dict[str, int] = {}
    remarks = []
    for name, default in defaults.items():
        wanted = dict.fromkeys((keepsakes.ports.get(name, default), default))
        taken = {*reserved, *chosen.values()}
        free = [port for port in wanted if port not in taken and find_obstacle(HOST, port) is None]
        chosen[name] = free[0] if free else _free_port(taken)
        if chosen[name] != default:
            remarks.append(f"Port {default} was taken, so {name} is on {chosen[name]}.")
    return replace(keepsakes, ports={**keepsakes.ports, **chosen}), remarks


def _free_port(taken: Collection[int]) -> int:
    while True:
        with socket.create_server((HOST, 0)) as probe:
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


def find_obstacle(host: str, port: int) -> str | None:
    """Return why nobody can listen there, None if somebody can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return None


def is_loopback(host: str) -> bool:
    """True for this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
