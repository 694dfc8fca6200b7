"""The inbox in a browser: the whole story of a newcomer, and what must hold when things go wrong."""

from collections.abc import Mapping

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.domain.contact import ChannelName
from tests.support.demo import DemoProcess
from tests.support.faces import PHONE, RAN, Window, log_in, window

ENDS: Mapping[str, str] = {"email": "sent", "sms": "delivered", "whatsapp": "read"}

ATTACK = f"<img src=x onerror='window.{RAN}=1'><script>window.{RAN}=1</script>"


async def open_inbox(shown: Window, demo: DemoProcess, agent: str | None = None) -> Page:
    await log_in(shown.page.context, demo, agent)
    await shown.page.goto(shown.url)
    await expect(shown.page.get_by_role("list", name="Conversations")).to_be_visible()
    return shown.page


async def write(demo: DemoProcess, channel: str, text: str, customer: str = "c-1") -> None:
    await demo.post("/sandbox/messages", {"customer": customer, "channel": channel, "text": text})


async def answer(page: Page, text: str) -> None:
    await page.get_by_role("textbox", name="Reply").fill(text)
    await page.keyboard.press("Control+Enter")


async def test_a_newcomer_sees_every_channel_in_one_conversation_and_answers_on_each(
    browser: Browser, demo: DemoProcess
) -> None:
    async with window(browser, demo.url) as shown, window(browser, demo.url) as customers:
        page = shown.page
        await page.goto(demo.url)
        await page.get_by_role("button", name="Look around as the demo's agent").click()
        await expect(page.get_by_role("list", name="Conversations")).to_be_visible()

        sandbox = customers.page
        await sandbox.goto(f"{demo.url}/sandbox")
        await sandbox.get_by_role("button", name="Fale connosco").click()
        await sandbox.get_by_role("textbox", name="Escreva uma mensagem").fill("Words by webchat")
        await sandbox.keyboard.press("Enter")
        for channel in ENDS:
            await write(demo, channel, f"Words by {channel}")

        row = page.get_by_role("listitem").filter(has_text="Ana Lima")
        await expect(row).to_have_count(1)
        await row.get_by_role("button").click()
        stream = page.get_by_role("log", name="Messages")
        own = sandbox.get_by_role("dialog").get_by_role("listitem").filter(has_text="Words by webchat")
        await expect(own).to_contain_text("lida")  # the agent has looked at it
        for channel in ChannelName:
            await expect(stream.get_by_text(f"Words by {channel}")).to_be_visible()
        for channel, end in ENDS.items():
            await page.get_by_role("combobox", name="Channel").select_option(channel)
            await answer(page, f"An answer by {channel}")
            sent = stream.get_by_role("article").filter(has_text=f"An answer by {channel}")
            await expect(sent).to_contain_text(end, timeout=25_000)
        await page.get_by_role("combobox", name="Channel").select_option("webchat")
        await answer(page, "An answer by webchat")
        await expect(sandbox.get_by_text("An answer by webchat", exact=True)).to_be_visible(timeout=25_000)
        seen = stream.get_by_role("article").filter(has_text="An answer by webchat")
        await expect(seen).to_contain_text("read", timeout=10_000)
        assert shown.complaints == []
        assert customers.complaints == []


async def test_an_answer_is_taken_back_within_its_ten_seconds(browser: Browser, demo: DemoProcess) -> None:
    await write(demo, "sms", "Where is it")
    async with window(browser, demo.url) as shown:
        page = await open_inbox(shown, demo)
        await page.get_by_role("listitem").filter(has_text="Ana Lima").get_by_role("button").click()
        await expect(page.get_by_role("log").get_by_text("Where is it")).to_be_visible()
        await answer(page, "Too quick")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("textbox", name="Reply")).to_have_value("Too quick")
        await expect(page.get_by_role("article").filter(has_text="Too quick")).to_contain_text("taken back")
    assert not [item for item in await demo.sent_to() if "Too quick" in item["text"]]


async def test_two_agents_on_one_conversation_see_each_other_and_nobody_answers_over_the_other(
    browser: Browser, demo: DemoProcess
) -> None:
    await write(demo, "sms", "Who answers")
    async with window(browser, demo.url) as first, window(browser, demo.url) as second:
        noor, lena = await open_inbox(first, demo), await open_inbox(second, demo, "Lena")
        for page in (noor, lena):
            await page.get_by_role("listitem").filter(has_text="Ana Lima").get_by_role("button").click()
            await expect(page.get_by_role("log").get_by_text("Who answers")).to_be_visible()
        await lena.get_by_role("textbox", name="Reply").press_sequentially("Lena begins")
        await expect(noor.get_by_text("Lena Vogt is writing")).to_be_visible()
        # The line breaks for one of them just while the other answers.
        await second.page.context.set_offline(True)
        await answer(noor, "Noor was first")
        await expect(noor.get_by_role("article").filter(has_text="Noor was first")).to_be_visible()
        await lena.keyboard.press("Control+Enter")
        await second.page.context.set_offline(False)
        refused = lena.get_by_role("article").filter(has_text="Lena begins")
        await expect(refused).to_contain_text("Your words are kept", timeout=20_000)
        await refused.get_by_role("button", name="Back to my words").click()
        await expect(lena.get_by_role("textbox", name="Reply")).to_have_value("Lena begins")
        await expect(lena.get_by_role("article").filter(has_text="Noor was first")).to_be_visible()


async def test_nothing_typed_is_lost_when_the_server_dies_and_the_page_catches_up(
    browser: Browser, demo: DemoProcess
) -> None:
    await write(demo, "sms", "Before the end")
    async with window(browser, demo.url) as shown:
        page = await open_inbox(shown, demo)
        await page.get_by_role("listitem").filter(has_text="Ana Lima").get_by_role("button").click()
        await expect(page.get_by_role("log").get_by_text("Before the end")).to_be_visible()
        await page.get_by_role("textbox", name="Reply").press_sequentially("Half a sen")
        demo.kill()
        await page.get_by_role("textbox", name="Reply").press_sequentially("tence")
        await expect(page.get_by_text("The connection is lost")).to_be_visible(timeout=20_000)
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_text("on its way to the gateway")).to_be_visible()
        await demo.start()
        await expect(page.get_by_text("The connection is lost")).to_be_hidden(timeout=30_000)
        await expect(page.get_by_role("article").filter(has_text="Half a sentence")).to_contain_text(
            "waits to be sent", timeout=20_000
        )
        await write(demo, "sms", "After the start")
        await expect(page.get_by_role("log").get_by_text("After the start")).to_be_visible(timeout=20_000)
        await page.get_by_role("textbox", name="Reply").press_sequentially("A draft that stays")
        demo.kill()
        await page.close()
        await demo.start()
        page = shown.page = await shown.page.context.new_page()
        await open_inbox(shown, demo)
        await page.get_by_role("listitem").filter(has_text="Ana Lima").get_by_role("button").click()
        await expect(page.get_by_role("textbox", name="Reply")).to_have_value("A draft that stays")
    (conversation,) = await demo.conversations_of()
    texts = [message["text"] for message in await demo.messages(conversation["id"])]
    assert texts.count("Half a sentence") == 1


async def test_what_strangers_write_never_runs(browser: Browser, demo: DemoProcess) -> None:
    await demo.post(
        "/sandbox/messages", {"customer": "c-1", "channel": "email", "text": ATTACK, "subject": f"About {ATTACK}"}
    )
    await write(demo, "whatsapp", f"https://x.example/{ATTACK}")
    async with window(browser, demo.url) as shown:
        page = await open_inbox(shown, demo)
        await page.get_by_role("listitem").filter(has_text="Ana Lima").get_by_role("button").click()
        await expect(page.get_by_role("log").get_by_text("onerror").first).to_be_visible()
        await page.get_by_role("textbox", name="Reply").fill(ATTACK)
        assert not await shown.has_run()


async def test_a_phone_shows_one_column_and_goes_back(browser: Browser, demo: DemoProcess) -> None:
    await write(demo, "sms", "On the go")
    async with window(browser, demo.url, size=PHONE) as shown:
        page = await open_inbox(shown, demo)
        await page.get_by_role("listitem").filter(has_text="Ana Lima").get_by_role("button").click()
        await expect(page.get_by_role("log").get_by_text("On the go")).to_be_visible()
        await expect(page.get_by_role("list", name="Conversations")).to_be_hidden()
        assert not await page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        await page.go_back()
        await expect(page.get_by_role("list", name="Conversations")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_inbox(browser: Browser, demo: DemoProcess, scheme: str) -> None:
    async with window(browser, demo.url, scheme="dark" if scheme == "dark" else "light") as shown:
        await shown.page.goto(demo.url)
        await expect(shown.page.get_by_role("heading", level=1)).to_be_visible()
        assert await shown.violations() == []
        page = await open_inbox(shown, demo)
        await page.keyboard.press("j")
        await expect(page.get_by_role("log")).to_be_visible()
        await expect(page.get_by_role("complementary")).to_be_visible()
        assert await shown.violations() == []


async def test_keys_walk_through_the_list_and_act(browser: Browser, demo: DemoProcess) -> None:
    async with window(browser, demo.url) as shown:
        page = await open_inbox(shown, demo)
        await page.keyboard.press("j")
        first = await page.locator(".row.is-here .name").text_content()
        await page.keyboard.press("j")
        await expect(page.locator(".row.is-here .name")).not_to_have_text(first or "")
        await page.keyboard.press("k")
        await expect(page.locator(".row.is-here .name")).to_have_text(first or "")
        await page.keyboard.press("e")
        await expect(page.get_by_text("Resolved.", exact=True)).to_be_visible()
        await page.keyboard.press("u")
        await expect(page.locator(".row").filter(has_text=first or "")).to_be_visible()
        await page.keyboard.press("?")
        await expect(page.get_by_text("Next conversation")).to_be_visible()
