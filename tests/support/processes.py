"""Child processes that never outlive the process that started them, not even when that one is killed."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

# The kernel sends the death signal when the *thread* ends that started the child (prctl(2)), so one thread that lives
# as long as the interpreter starts them all.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


def start_process(
    command: Sequence[str | Path],
    *,
    log: Path,
    user: int | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, its output appended to `log`; `user` needs root."""

    def bind_to_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=bind_to_parent,  # noqa: PLW1509  one prctl call, no lock is taken
            )

    return _STARTER.submit(start).result()


def stop_process(process: subprocess.Popen[bytes], how: signal.Signals, timeout_s: float = 20) -> None:
    """Ask the process to end and wait; kill it when it takes too long."""
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def scratch_folder(kind: str, user: int | None = None) -> Iterator[Path]:
    """Lend a folder that `user` may write to, and sweep away what killed processes left of this kind."""
    place = Path(tempfile.gettempdir())
    if user is not None and not can_reach(place):
        place = Path("/tmp")
    for left in place.glob(f"{kind}-*-*"):
        if not is_alive(int(left.name.split("-")[-2])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-{os.getpid()}-", dir=place))
    try:
        if user is not None:
            os.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def can_reach(folder: Path) -> bool:
    """True where every user of the machine may enter the folder."""
    return all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents))
