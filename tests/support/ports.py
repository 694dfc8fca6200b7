"""Free ports on the loopback interface, and waiting until somebody listens on one."""

import socket
import time


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until_listening(port: int, timeout_s: float = 10) -> None:
    """Block until a connection to `port` is taken.

    Raises:
        TimeoutError: nobody took one in time.
    """
    deadline = time.monotonic() + timeout_s
    while not is_listening(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Nothing listens on 127.0.0.1:{port} after {timeout_s} s.")
        time.sleep(0.01)
