"""The built front end is served from memory, to browsers that are told to run nothing else."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.web.pages import Pages
from storage.database import Database, open_database
from storage.live.memory import MemoryBus
from tests.support.api import Api, serving


@pytest.fixture
async def database_of_none(sqlite_url: str) -> AsyncIterator[Database]:
    database = open_database(sqlite_url, MemoryBus())
    yield database
    await database.close()


@pytest.fixture
def built(tmp_path: Path) -> Path:
    pages = tmp_path / "dist" / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "inbox.html").write_text("<html>real</html>")
    (pages / "inbox-demo.html").write_text("<html data-demo>demo</html>")
    (pages / "assets" / "inbox-1a2b.js").write_text("run()")
    (pages / "assets" / "inbox-1a2b.js.gz").write_bytes(gzip.compress(b"run()"))
    (tmp_path / "dist" / "secret.js").write_text("secret")
    return tmp_path / "dist"


@pytest.fixture
async def api(database_of_none: Database, built: Path) -> AsyncIterator[Api]:
    async with serving(database_of_none, MemoryBus(), others=Pages(built).routes()) as served:
        yield served


async def test_inbox_is_a_page_that_runs_its_own_files_alone(api: Api) -> None:
    answer = await api.ask("GET", "/")
    assert (answer.status, answer.body) == (200, b"<html>real</html>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_demo_mode_shows_the_page_that_offers_its_log_in(database_of_none: Database, built: Path) -> None:
    async with serving(database_of_none, MemoryBus(), others=Pages(built, is_demo=True).routes()) as api:
        assert b"data-demo" in (await api.ask("GET", "/")).body


async def test_what_the_browser_has_is_not_sent_again(api: Api) -> None:
    first = await api.ask("GET", "/")
    again = await api.ask("GET", "/", {"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_hashed_files_are_kept_for_good_and_travel_compressed(api: Api) -> None:
    answer = await api.ask("GET", "/assets/inbox-1a2b.js", {"Accept-Encoding": "gzip"})
    assert answer.body == b"run()"  # the client has unpacked it
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    plain = await api.ask("GET", "/assets/inbox-1a2b.js", {"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2f..%2fsecret.js", "%2e%2e%2f%2e%2e%2fsecret.js", "inbox-1a2b.js.gz"]
)
async def test_no_path_leads_out_of_the_folder(api: Api, name: str) -> None:
    assert (await api.ask("GET", f"/assets/{name}")).status == 404


async def test_page_that_was_not_built_says_what_to_do(database_of_none: Database, tmp_path: Path) -> None:
    async with serving(database_of_none, MemoryBus(), others=Pages(tmp_path / "none").routes()) as api:
        answer = await api.ask("GET", "/")
    assert answer.status == 503
    assert "make setup" in answer.json["detail"]
