"""Files over HTTP: uploaded, looked at, and fetched by whoever has a link, always as a download."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.domain.agent import Scope
from gateway.domain.ids import new_id
from gateway.domain.message import Json
from storage.attachments import insert_upload
from storage.database import Database
from storage.live.contract import LiveBus
from storage.messages import claim_uploads
from tests.support.api import PUBLIC_URL, START, Answer, Api, Headers, serving
from tests.support.factories import make_conversation, make_message

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus, max_upload_bytes=100_000) as served:
        yield served


@pytest.fixture
async def agent(api: Api) -> Headers:
    return await api.as_agent()


def as_form(content: bytes, filename: str = "a.png", kind: str = "image/png") -> tuple[dict[str, str], bytes]:
    head = (
        f'--xyz\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: {kind}\r\n\r\n'
    )
    return {"Content-Type": "multipart/form-data; boundary=xyz"}, head.encode() + content + b"\r\n--xyz--\r\n"


async def upload(api: Api, headers: Headers, content: bytes = PNG, **more: str) -> Answer:
    kind, body = as_form(content, **more)
    return await api.ask("POST", "/v1/attachments", {**headers, **kind}, data=body)


async def fetch(api: Api, uploaded: Json) -> Answer:
    return await api.ask("GET", uploaded["url"].removeprefix(PUBLIC_URL))


async def test_form_is_uploaded_looked_at_and_fetched(api: Api, agent: Headers) -> None:
    answer = await upload(api, agent)
    assert answer.status == 201
    url = answer.json["url"]
    assert url.startswith(f"{PUBLIC_URL}/files/")
    assert {name: answer.json[name] for name in ("filename", "content_type", "size", "state", "error")} == {
        "filename": "a.png", "content_type": "image/png", "size": 58, "state": "ready", "error": None,
    }  # fmt: skip
    assert (await api.ask("GET", f"/v1/attachments/{answer.json['id']}", agent)).json == answer.json
    assert (await fetch(api, answer.json)).body == PNG


async def test_body_itself_is_uploaded_under_the_name_in_the_query(api: Api) -> None:
    headers = {**await api.as_program(), "Content-Type": "text/plain"}
    answer = await api.ask("POST", "/v1/attachments?filename=notes.txt", headers, data=b"hello")
    assert answer.status == 201
    assert (answer.json["filename"], answer.json["content_type"]) == ("notes.txt", "text/plain")
    unnamed = await api.ask("POST", "/v1/attachments", headers, data=b"hello")
    assert unnamed.status == 415


async def test_file_over_the_limit_is_refused(api: Api, agent: Headers) -> None:
    assert (await upload(api, agent, bytes(100_000))).status == 201
    assert (await upload(api, agent, bytes(100_001))).status == 413
    assert (await upload(api, agent, bytes(1_000_000))).status == 413
    headers = {**agent, "Content-Type": "application/pdf"}
    assert (await api.ask("POST", "/v1/attachments?filename=a", headers, data=bytes(100_001))).status == 413


@pytest.mark.parametrize(
    "body", [b"", b"--xyz--", b"--xyz\r\n\r\nx\r\n--xyz--", b"--xyz\r\nContent-Disposition: form-"]
)
async def test_form_without_a_file_is_refused(api: Api, agent: Headers, body: bytes) -> None:
    headers = {**agent, "Content-Type": "multipart/form-data; boundary=xyz"}
    assert (await api.ask("POST", "/v1/attachments", headers, data=body or b"\r\n")).status == 400


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><a/>", "application/xml"),
        (b"alert(1)", "text/javascript"),
    ],
)
async def test_what_a_browser_would_run_goes_out_as_unknown_bytes(
    api: Api, agent: Headers, content: bytes, kind: str
) -> None:
    fetched = await fetch(api, (await upload(api, agent, content, kind=kind)).json)
    assert fetched.headers["Content-Type"] == "application/octet-stream"
    assert fetched.body == content


async def test_file_of_a_message_with_a_dangerous_type_goes_out_as_unknown_bytes(
    database: Database, api: Api, agent: Headers
) -> None:
    blob = await api.context.blobs.put(b"<script>")
    stored = await database.write(
        lambda tx: insert_upload(tx, owner="x", filename="a", content_type="text/html", blob=blob, now=START)
    )
    message = await make_message(database, await make_conversation(database))
    await database.write(lambda tx: claim_uploads(tx, message, "x", [stored.id]))
    shown = await api.ask("GET", f"/v1/attachments/{stored.id}", agent)
    assert (await fetch(api, shown.json)).headers["Content-Type"] == "application/octet-stream"


async def test_file_is_a_download_that_no_page_of_ours_can_come_from(api: Api, agent: Headers) -> None:
    fetched = await fetch(api, (await upload(api, agent, filename="订单 &quot; 5%.png")).json)
    assert fetched.headers["Content-Disposition"] == (
        "attachment; filename=\"__ &quot; 5_.png\"; filename*=UTF-8''%E8%AE%A2%E5%8D%95%20%26quot%3B%205%25.png"
    )
    assert fetched.headers["X-Content-Type-Options"] == "nosniff"
    assert fetched.headers["Content-Security-Policy"].startswith("sandbox;")
    assert fetched.headers["Cache-Control"].startswith("private")
    assert fetched.headers["Content-Length"] == "58"
    assert "Set-Cookie" not in fetched.headers


async def test_link_needs_no_credentials_and_ends(api: Api, agent: Headers) -> None:
    uploaded = (await upload(api, agent)).json
    assert (await fetch(api, uploaded)).status == 200
    head = await api.ask("HEAD", uploaded["url"].removeprefix(PUBLIC_URL))
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "58", b"")
    api.clock.advance(timedelta(hours=26))
    assert (await fetch(api, uploaded)).status == 410


@pytest.mark.parametrize("token", ["x", "..%2f..%2fetc%2fpasswd", "A" * 75, "%00", "ü", "a" * 5000])
async def test_wrong_link_leads_nowhere(api: Api, token: str) -> None:
    answer = await api.ask("GET", f"/files/{token}")
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await api.ask("GET", "/files/")).status == 404
    assert (await api.ask("GET", "/files")).status == 404


async def test_file_whose_bytes_are_gone_is_not_found(database: Database, api: Api, agent: Headers) -> None:
    uploaded = (await upload(api, agent)).json
    blob = await api.context.blobs.put(PNG)
    await api.context.blobs.delete(blob.sha256)
    assert (await fetch(api, uploaded)).status == 404


async def test_upload_is_its_owners_alone_until_it_is_sent(database: Database, api: Api, agent: Headers) -> None:
    uploaded = (await upload(api, agent)).json
    path = f"/v1/attachments/{uploaded['id']}"
    me = (await api.ask("GET", "/v1/me", agent)).json["agent"]["id"]
    other = await api.as_agent(email="eva@shop.example")
    assert (await api.ask("GET", path, other)).status == 404
    message = await make_message(database, await make_conversation(database))
    await database.write(lambda tx: claim_uploads(tx, message, f"agent:{me}", [uploaded["id"]]))
    assert (await api.ask("GET", path, other)).status == 200


async def test_nobody_uploads_or_looks_without_the_right(api: Api, agent: Headers) -> None:
    uploaded = (await upload(api, agent)).json
    for headers, status in (({}, 401), (await api.as_program(Scope.EVENTS), 403)):
        assert (await upload(api, headers)).status == status
        assert (await api.ask("GET", f"/v1/attachments/{uploaded['id']}", headers)).status == status
    foreign = {**agent, "Origin": "https://evil.example"}
    assert (await upload(api, foreign)).status == 403
    assert (await api.ask("GET", f"/v1/attachments/{new_id()}", agent)).status == 404
