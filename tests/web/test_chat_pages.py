"""What a page of the shop fetches before the chat is open: its settings and the widget's files."""

import gzip
from pathlib import Path

import pytest

from gateway.domain.contact import ChannelName
from gateway.web.chat_pages import CONFIG_PATH, WIDGET_PATH, ChatFace
from storage.database import Database, open_database
from storage.live.memory import MemoryBus
from tests.support.chat import SHOP, ChatRig, chatting, come_to_the_desk

FACE = ChatFace(
    shop="Calm Shop",
    ask_topic="off",
    ask_email="required",
    topics=("order.status", "other"),
    privacy_url="https://shop.example/privacy",
    answers_within_min=5,
)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    chat = tmp_path / "dist" / "chat"
    (chat / "assets").mkdir(parents=True)
    (chat / "widget.js").write_text("launch()")
    (chat / "assets" / "panel-1a2b.js").write_text("show()")
    (chat / "assets" / "panel-1a2b.js.gz").write_bytes(gzip.compress(b"show()"))
    (tmp_path / "dist" / "secret.js").write_text("secret")
    return tmp_path / "dist"


async def test_the_widget_is_told_what_to_ask_and_whether_anybody_is_there(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    async with chatting(database, bus, tmp_path / "spool", face=FACE, is_attended=False) as rig:
        answer = await rig.api.ask("GET", CONFIG_PATH, {"Origin": SHOP})
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert answer.headers["Vary"] == "Origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json == {
            "shop": "Calm Shop",
            "ask": {"topic": "off", "name": "optional", "email": "required"},
            "topics": ["order.status", "other"],
            "privacy_url": "https://shop.example/privacy",
            "is_open": False,
            "answers_within_min": 5,
            "max_upload_bytes": 10 * 1024 * 1024,
            "has_transcript": True,
        }
        await come_to_the_desk(database, rig.api.clock())
        assert (await rig.api.ask("GET", CONFIG_PATH)).json["is_open"] is True
    await database.close()


async def test_a_shop_without_e_mail_offers_no_transcript(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database: Database = open_database(sqlite_url, bus)
    async with chatting(database, bus, tmp_path / "spool", ways=[ChannelName.SMS]) as rig:
        assert (await rig.api.ask("GET", CONFIG_PATH)).json["has_transcript"] is False
    await database.close()


async def test_a_site_that_may_not_show_the_chat_learns_nothing(quick: ChatRig) -> None:
    answer = await quick.api.ask("GET", CONFIG_PATH, {"Origin": "https://evil.example"})
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_every_site_may_run_the_widget_and_keeps_what_never_changes(
    sqlite_url: str, tmp_path: Path, built: Path
) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    async with chatting(database, bus, tmp_path / "spool", front_end=built) as rig:
        widget = await rig.api.ask("GET", WIDGET_PATH, {"Origin": "https://any.example"})
        assert (widget.status, widget.body) == (200, b"launch()")
        assert widget.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert widget.headers["Cache-Control"] == "no-cache"
        assert widget.headers["Access-Control-Allow-Origin"] == "*"
        assert widget.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        again = await rig.api.ask("GET", WIDGET_PATH, {"If-None-Match": widget.headers["ETag"]})
        assert (again.status, again.headers["Access-Control-Allow-Origin"]) == (304, "*")
        panel = await rig.api.ask("GET", "/chat/assets/panel-1a2b.js", {"Accept-Encoding": "gzip"})
        assert (panel.body, panel.headers["Content-Encoding"]) == (b"show()", "gzip")
        assert "immutable" in panel.headers["Cache-Control"]
        assert panel.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        for name in ("none.js", "..%2f..%2fsecret.js", "%2e%2e%2f%2e%2e%2fsecret.js", "panel-1a2b.js.gz"):
            assert (await rig.api.ask("GET", f"/chat/assets/{name}")).status == 404
    await database.close()


async def test_a_widget_that_was_not_built_says_what_to_do(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    async with chatting(database, bus, tmp_path / "spool", front_end=tmp_path / "none") as rig:
        answer = await rig.api.ask("GET", WIDGET_PATH)
        assert answer.status == 503
        assert "make setup" in answer.json["detail"]
    await database.close()
