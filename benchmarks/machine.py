"""What a process has used of the machine, and what machine it is."""

import os
import platform
import resource
from datetime import UTC, datetime
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """Return the processor time of all threads of a process, user and system (proc_pid_stat(5), fields 14 and 15)."""
    # The name of the program, in brackets, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def allow_open_files(wanted: int) -> None:
    """Raise this process's limit of open files, and so that of the processes it starts.

    Raises:
        RuntimeError: the hard limit is below `wanted`.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"This needs {wanted} open files; the limit here is {hard}.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def describe_machine() -> dict[str, str]:
    """Return what somebody has to know to compare two runs."""
    info = Path("/proc/cpuinfo")
    models = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in models if line.startswith("model name")), "")
    return {
        "processor": f"{os.cpu_count()} x {model or platform.machine()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
    }
