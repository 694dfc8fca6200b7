"""Nothing but loopback is reachable from the tests' process.

An audit hook (PEP 578) sees every connection and name look-up that goes through Python's sockets, asyncio's among
them. uvloop's do not: tests run on asyncio's own loop, and a gateway started as a process is given local addresses.
"""

import errno
import ipaddress
import os
import sys
from dataclasses import dataclass, field

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


@dataclass(slots=True)
class Guard:
    """What was refused since somebody looked last; the test that did it fails for it, even if it took no notice."""

    is_on: bool = False
    refused: list[str] = field(default_factory=list)

    def take_refused(self) -> list[str]:
        refused, self.refused = self.refused, []
        return refused

    def check(self, event: str, args: tuple[object, ...]) -> None:
        if not self.is_on or not event.startswith("socket."):
            return
        host: object = None
        if event in _CONNECTS and isinstance(args[-1], tuple):
            host = args[-1][0]
        elif event == "socket.getaddrinfo":
            host = args[0]
        if isinstance(host, str | bytes) and not is_loopback(host, is_name=event == "socket.getaddrinfo"):
            self.refused.append(f"{event} {host!r}")
            raise OSError(errno.ENETUNREACH, "Tests reach nothing but loopback.")


def is_loopback(host: str | bytes, *, is_name: bool = False) -> bool:
    """True for what stays on this machine; with `is_name`, any literal address, since resolving it asks nobody."""
    name = os.fsdecode(host)
    if name in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return is_name or address.is_loopback or address.is_unspecified


guard = Guard()
sys.addaudithook(guard.check)
