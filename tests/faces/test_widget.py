"""The chat widget on a page of the shop that does everything to spoil it."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect

from tests.support.faces import PHONE, RAN, Window, window
from tests.support.gateway import ROOT, GatewayProcess, prepared_gateway
from tests.support.ports import free_port

_CHAT = ROOT / "gateway" / "ui" / "dist" / "chat"
# Everything that a shop's own style might do to what it does not know.
_HOSTILE = (
    "* { all: unset; display: none !important; font-size: 40px !important; color: red !important; }"
    "html, body, gateway-chat { display: block !important; }"
    "button { position: absolute; left: -9999px; }"
)


@pytest.fixture
async def gateway(tmp_path: Path, sqlite_url: str) -> AsyncIterator[GatewayProcess]:
    settings = {"GATEWAY_DATABASE_URL": sqlite_url, "GATEWAY_WEBCHAT__ALLOWED_ORIGINS": f"http://127.0.0.1:{_PORT}"}
    async with prepared_gateway(tmp_path, settings) as process:
        await process.start()
        yield process


_PORT = free_port()


@pytest.fixture
async def shop(gateway: GatewayProcess) -> AsyncIterator[str]:
    """A page on another origin: a strict policy, a hostile style, `?lang=` for its language."""
    socket = gateway.url.replace("http", "ws", 1)
    policy = (
        f"default-src 'none'; script-src {gateway.url}; style-src 'self'; connect-src {gateway.url} {socket}; "
        f"img-src {gateway.url}"
    )

    async def page(request: web.Request) -> web.Response:
        language = "ar" if request.query.get("lang") == "ar" else "en"
        text = (
            f'<!doctype html><html lang="{language}"><head><title>Shop</title><link rel="stylesheet" href="/s.css">'
            f'</head><body><main><h1>Shop</h1></main><script src="{gateway.url}/chat/widget.js"></script></body></html>'
        )
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def style(_request: web.Request) -> web.Response:
        return web.Response(text=_HOSTILE, content_type="text/css")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/s.css", style)
    async with TestServer(app, host="127.0.0.1", port=_PORT) as server:
        yield str(server.make_url("")).rstrip("/")


async def open_chat(shown: Window, shop: str, gateway: GatewayProcess, query: str = "") -> Page:
    shown.complaints.clear()
    await shown.page.goto(f"{shop}/{query}")
    await shown.page.get_by_role("button").first.click()
    await expect(shown.page.get_by_role("dialog")).to_be_visible()
    return shown.page


async def the_conversation(gateway: GatewayProcess) -> str:
    (found,) = (await gateway.get("/v1/conversations"))["items"]
    return str(found["id"])


async def test_before_the_click_there_is_a_button_and_nothing_else(
    browser: Browser, gateway: GatewayProcess, shop: str
) -> None:
    async with window(browser, shop) as shown:
        asked: list[str] = []
        shown.page.on("request", lambda request: asked.append(request.url))
        shown.page.on("websocket", lambda socket: asked.append(socket.url))
        await shown.page.goto(shop)
        await expect(shown.page.get_by_role("button", name="Chat with us")).to_be_visible()
        await shown.page.wait_for_load_state("networkidle")
        assert [url for url in asked if gateway.url in url] == [f"{gateway.url}/chat/widget.js"]
        assert await shown.page.context.cookies() == []
        assert await shown.page.evaluate("() => localStorage.length") == 0
        assert len(shown.page.frames) == 1


async def test_a_visitor_and_an_agent_talk_on_a_hostile_page(
    browser: Browser, gateway: GatewayProcess, shop: str
) -> None:
    async with window(browser, shop) as shown:
        page = await open_chat(shown, shop, gateway)
        box = await page.get_by_role("button", name="Send").bounding_box()
        assert box is not None
        assert box["width"] < 100
        await page.get_by_role("button", name="Where is my parcel").click()
        await page.get_by_role("textbox", name="Write a message").fill("It is late")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="It is late")).not_to_contain_text("not sent yet")
        conversation = await the_conversation(gateway)
        assert (await gateway.get(f"/v1/conversations/{conversation}"))["topic"] == "delivery.tracking"
        await gateway.post(f"/v1/conversations/{conversation}/messages", {"text": "We look into it."})
        await expect(page.get_by_role("listitem").filter(has_text="We look into it.")).to_be_visible()
        await page.keyboard.press("Escape")
        await gateway.post(f"/v1/conversations/{conversation}/messages", {"text": "It is at the depot."})
        await expect(page.get_by_role("button", name="Chat with us")).to_contain_text("1")
        assert not [text for text in shown.complaints if "asked for" not in text]


async def test_what_is_written_offline_survives_a_reload_and_goes_out_once(
    browser: Browser, gateway: GatewayProcess, shop: str
) -> None:
    async with window(browser, shop) as shown:
        page = await open_chat(shown, shop, gateway)
        await page.get_by_role("textbox", name="Write a message").fill("First")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="First")).not_to_contain_text("not sent yet")
        gateway.kill()
        await page.get_by_role("textbox", name="Write a message").fill("While it was away")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="While it was away")).to_contain_text("not sent yet")
        await expect(page.get_by_text("The connection is lost")).to_be_visible(timeout=20_000)
        await gateway.start()
        page = await open_chat(shown, shop, gateway)
        late = page.get_by_role("listitem").filter(has_text="While it was away")
        await expect(late).to_have_count(1)
        await expect(late).not_to_contain_text("not sent yet", timeout=20_000)
    texts = [message["text"] for message in await gateway.messages(await the_conversation(gateway))]
    assert texts == ["First", "While it was away"]


async def test_the_chat_is_read_from_right_to_left_in_arabic(
    browser: Browser, gateway: GatewayProcess, shop: str
) -> None:
    async with window(browser, shop) as shown:
        page = await open_chat(shown, shop, gateway, "?lang=ar")
        await expect(page.get_by_role("dialog")).to_contain_text("كيف يمكننا مساعدتك")
        send = await page.get_by_role("button", name="إرسال", exact=True).bounding_box()
        field = await page.get_by_role("textbox", name="اكتب رسالة").bounding_box()
        assert send is not None
        assert field is not None
        assert send["x"] < field["x"]


async def test_a_phone_gives_the_chat_its_whole_screen(browser: Browser, gateway: GatewayProcess, shop: str) -> None:
    async with window(browser, shop, size=PHONE) as shown:
        page = await open_chat(shown, shop, gateway)
        box = await page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert (round(box["width"]), round(box["height"])) == PHONE


async def test_what_an_agent_or_a_visitor_writes_never_runs(
    browser: Browser, gateway: GatewayProcess, shop: str
) -> None:
    attack = f"<img src=x onerror='window.{RAN}=1'> javascript:window.{RAN}=1"
    async with window(browser, shop) as shown:
        page = await open_chat(shown, shop, gateway)
        await page.get_by_role("textbox", name="Write a message").fill(attack)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="onerror")).not_to_contain_text("not sent yet")
        conversation = await the_conversation(gateway)
        await gateway.post(f"/v1/conversations/{conversation}/messages", {"text": f"Agent {attack}"})
        await expect(page.get_by_role("listitem").filter(has_text="Agent")).to_be_visible()
        assert await page.get_by_role("dialog").get_by_role("link").count() == 0
        assert not await shown.has_run()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_chat(browser: Browser, gateway: GatewayProcess, shop: str, scheme: str) -> None:
    async with window(browser, shop, scheme="dark" if scheme == "dark" else "light") as shown:
        page = await open_chat(shown, shop, gateway)
        await page.get_by_role("textbox", name="Write a message").fill("Hello")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("listitem").filter(has_text="Hello")).not_to_contain_text("not sent yet")
        assert [found for found in await shown.violations() if "gateway-chat" in found] == []


def test_the_widget_is_small() -> None:
    """Issue: the launcher at most 8 KB, with the panel and one language at most 45 KB."""
    launcher = len(gzip.compress((_CHAT / "widget.js").read_bytes()))
    panels = [len(gzip.compress(path.read_bytes())) for path in (_CHAT / "assets").glob("panel-*.js")]
    words = [len(gzip.compress(path.read_bytes())) for path in (_CHAT / "assets").glob("??-*.js")]
    assert launcher <= 8 * 1024
    assert launcher + sum(panels) + max(words) <= 45 * 1024
