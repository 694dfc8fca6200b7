"""The sandbox in a browser: a newcomer is a customer on every channel."""

import pytest
from playwright.async_api import Browser, expect

from tests.support.demo import DemoProcess
from tests.support.faces import PHONE, Window, window


async def open_sandbox(shown: Window) -> None:
    await shown.page.goto(f"{shown.url}/sandbox")
    await expect(shown.page.get_by_role("heading", level=1)).to_be_visible()


async def test_a_newcomer_writes_by_phone_and_mail_and_reads_the_answers(browser: Browser, demo: DemoProcess) -> None:
    async with window(browser, demo.url) as shown:
        page = shown.page
        await open_sandbox(shown)
        await page.get_by_label("Text message").fill("By SMS, from a page")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("list", name="Messages").get_by_text("By SMS, from a page")).to_be_visible()
        await page.get_by_role("tab", name="WhatsApp").click()
        await page.get_by_label("WhatsApp message").fill("By WhatsApp, from a page")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("By WhatsApp, from a page")).to_be_visible()
        await page.get_by_label("Subject").fill("From a page")
        await page.get_by_role("textbox", name="Mail").fill("By mail, from a page")
        await page.get_by_role("button", name="Send mail").click()
        await expect(page.get_by_role("list", name="Mails").get_by_text("From a page", exact=True)).to_be_visible()

        (conversation,) = await demo.conversations_of("c-1")
        texts = [message["text"].strip() for message in await demo.messages(conversation["id"])]
        assert texts == [f"By {channel}, from a page" for channel in ("SMS", "WhatsApp", "mail")]
        path = f"/v1/conversations/{conversation['id']}/messages"
        await demo.post(path, {"text": "We read it on your phone.", "channel": "whatsapp"})
        await demo.post(path, {"text": "We read it in your mail.", "channel": "email"})
        answer = page.get_by_role("listitem").filter(has_text="We read it on your phone.")
        await expect(answer).to_contain_text("read")
        mail = page.get_by_role("list", name="Mails").get_by_role("group").filter(has_text="Re: From a page")
        await mail.click()
        await expect(mail).to_contain_text("We read it in your mail.")
        assert shown.complaints == []


async def test_a_switch_makes_something_go_wrong_and_says_that_it_is_on(browser: Browser, demo: DemoProcess) -> None:
    async with window(browser, demo.url) as shown:
        page = shown.page
        await open_sandbox(shown)
        await page.get_by_text("What can go wrong").click()
        await page.get_by_label("Every report comes twice").check()
        await page.get_by_label("Reports come late").check()
        await expect(page.get_by_label("Every report comes twice")).not_to_be_checked()
        await expect(page.get_by_text("something is on")).to_be_visible()
        await page.reload()
        await page.get_by_text("What can go wrong").click()
        await expect(page.get_by_label("Reports come late")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 860), PHONE])
async def test_everybody_can_use_the_sandbox(
    browser: Browser, demo: DemoProcess, scheme: str, size: tuple[int, int]
) -> None:
    async with window(browser, demo.url, size=size, scheme="dark" if scheme == "dark" else "light") as shown:
        await open_sandbox(shown)
        await shown.page.get_by_text("What can go wrong").click()
        assert await shown.violations() == []
        is_wider = await shown.page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
        assert not is_wider
