"""Built files of the front end, served from memory: read once, each under its path, with its `.gz` beside it."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from gateway.domain.errors import NotFound, Unavailable

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
# Names under `assets/` hold a hash of what is in them, so what a name stands for never changes.
_FOREVER = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"


@dataclass(frozen=True, slots=True)
class StaticFile:
    content: bytes
    gzipped: bytes | None
    content_type: str
    etag: str


class StaticFiles:
    """The files of one folder; only what was there when it was first asked is ever served, so no path leads out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Mapping[str, StaticFile] | None = None
        self._lock = asyncio.Lock()

    async def find(self, name: str) -> StaticFile:
        """Return a file by its path in the folder, with slashes.

        Raises:
            NotFound: there is no such file.
            Unavailable: there is no folder: the front end was not built.
        """
        async with self._lock:
            if self._files is None:
                self._files = await asyncio.to_thread(_read_folder, self._folder)
        if name not in self._files:
            raise NotFound("There is no such file.")
        return self._files[name]

    async def answer(self, request: web.Request, name: str, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return the answer to a GET of this file, as `find`; 304 where the asker has it."""
        file = await self.find(name)
        caching = _FOREVER if name.startswith("assets/") else _ASK_EACH_TIME
        base = {"ETag": file.etag, "Cache-Control": caching, "Vary": "Accept-Encoding", **(headers or {})}
        if file.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=base)
        if file.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            zipped = {**base, "Content-Encoding": "gzip", "Content-Type": file.content_type}
            return web.Response(body=file.gzipped, headers=zipped)
        return web.Response(body=file.content, headers={**base, "Content-Type": file.content_type})


def _read_folder(folder: Path) -> dict[str, StaticFile]:
    if not folder.is_dir():
        raise Unavailable("The front end is not built: run `make setup`.")
    return {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    zipped = path.with_name(path.name + ".gz")
    digest = hashlib.sha256(content).hexdigest()[:32]
    return StaticFile(
        content=content,
        gzipped=zipped.read_bytes() if zipped.exists() else None,
        content_type=_TYPES[path.suffix],
        etag=f'"{digest}"',
    )
