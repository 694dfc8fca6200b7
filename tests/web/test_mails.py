"""A mail is shown as it was laid out, in a page that runs nothing and loads nothing unasked."""

from collections.abc import AsyncIterator

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import update

from gateway.domain.contact import ChannelName
from gateway.domain.message import StoredBlob
from storage.attachments import insert_upload
from storage.database import Database, Transaction
from storage.live.contract import LiveBus
from storage.messages import claim_uploads
from storage.tables import attachments, messages
from tests.support.api import START, Api, Headers, serving
from tests.support.factories import make_contact, make_conversation, make_message


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as served:
        yield served


@pytest.fixture
async def agent(api: Api) -> Headers:
    return await api.as_agent()


async def make_mail(database: Database, html: str | None) -> str:
    contact = await make_contact(database)
    conversation = await make_conversation(database, contact)
    message = await make_message(database, conversation, channel=ChannelName.EMAIL)
    await database.write(lambda tx: tx.conn.execute(update(messages).where(messages.c.id == message).values(html=html)))
    return message


async def test_mail_is_shown_where_nothing_runs(database: Database, api: Api, agent: Headers) -> None:
    mail = await make_mail(database, '<p>Hello</p><img data-src="https://far.example/x.png">')
    answer = await api.ask("GET", f"/v1/messages/{mail}/html", agent)
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    [image] = LexborHTMLParser(answer.body.decode()).css("img")
    assert "src" not in image.attributes


async def test_remote_images_come_when_asked_for(database: Database, api: Api, agent: Headers) -> None:
    mail = await make_mail(database, '<img data-src="//far.example/x.png"><img data-src="https://far.example/y.png">')
    asked = await api.ask("GET", f"/v1/messages/{mail}/html?images=true", agent)
    images = LexborHTMLParser(asked.body.decode()).css("img")
    assert [image.attributes["src"] for image in images] == ["https://far.example/x.png", "https://far.example/y.png"]
    assert "https:" in asked.headers["Content-Security-Policy"]
    unasked = await api.ask("GET", f"/v1/messages/{mail}/html", agent)
    assert "https: http:" not in unasked.headers["Content-Security-Policy"]


async def test_images_of_the_mail_itself_are_links_to_its_files(database: Database, api: Api, agent: Headers) -> None:
    mail = await make_mail(database, '<img src="cid:logo%40shop"><img src="cid:unknown">')
    blob = StoredBlob(sha256="0" * 64, size=3)

    async def attach(tx: Transaction) -> None:
        upload = await insert_upload(
            tx, owner="agent:x", filename="logo.png", content_type="image/png", blob=blob, now=START
        )
        await claim_uploads(tx, mail, "agent:x", [upload.id])
        here = update(attachments).where(attachments.c.id == upload.id)
        await tx.conn.execute(here.values(content_id="<logo@shop>", is_inline=True))

    await database.write(attach)
    answer = await api.ask("GET", f"/v1/messages/{mail}/html", agent)
    known, unknown = LexborHTMLParser(answer.body.decode()).css("img")
    assert str(known.attributes["src"]).startswith("https://desk.example/files/")
    assert "src" not in unknown.attributes


async def test_message_without_html_has_no_such_page(database: Database, api: Api, agent: Headers) -> None:
    mail = await make_mail(database, None)
    assert (await api.ask("GET", f"/v1/messages/{mail}/html", agent)).status == 404


async def test_nobody_else_sees_a_mail(database: Database, api: Api) -> None:
    mail = await make_mail(database, "<p>Hello</p>")
    assert (await api.ask("GET", f"/v1/messages/{mail}/html")).status == 401
