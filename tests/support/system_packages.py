"""Install the programs that tests and benchmarks use from Debian: as root and where missing; else say what is missing.

Nothing is asked and no service is started. It never fails: a test whose program is missing says so itself.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Program, package, what for.
_WANTED = (
    ("chromium", "chromium", "browser tests"),
    ("dovecot", "dovecot-imapd", "IMAP tests"),
    ("smtp-sink", "postfix", "mail benchmarks"),
    ("wrk", "wrk", "HTTP benchmarks"),
)
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
_POLICY = Path("/usr/sbin/policy-rc.d")


def find_program(name: str) -> Path | None:
    """Return where a program is; servers stand in folders that are not on every user's path."""
    found = shutil.which(name, path=_PATH)
    return Path(found) if found else None


def main() -> None:
    missing = {package: purpose for program, package, purpose in _WANTED if find_program(program) is None}
    if not missing:
        return
    packages = " ".join(missing)
    purposes = ", ".join(missing.values())
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"Not there, and not installed by an ordinary user: {packages} ({purposes}).")
        return
    print(f"Installing {packages} ({purposes}) ...", flush=True)
    with _no_services():
        _run("apt-get", "update", "-qq")
        # One by one: a package that can't be had must not keep the others away.
        failed = [
            name for name in missing if not _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", name)
        ]
    if failed:
        print(f"Could not be installed: {' '.join(failed)}. After a repair: rm .venv/.ready-system-* and again.")


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting what they bring (Debian: invoke-rc.d(8), 101 is "forbidden by policy")."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _run(*command: str) -> bool:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NONINTERACTIVE_SEEN": "true"}
    done = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print("\n".join(done.stderr.splitlines()[-5:]))
    return done.returncode == 0


if __name__ == "__main__":
    main()
