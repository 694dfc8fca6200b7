"""Files that visitors upload: theirs alone, bounded, never served as what they pretend to be."""

from pathlib import Path

from gateway.domain.ids import new_id
from gateway.domain.message import Json
from gateway.services.chat import sign_visitor
from gateway.web.chat import UPLOAD_PATH
from gateway.web.limits import ChatLimits, Rate
from storage.database import open_database
from storage.live.memory import MemoryBus
from tests.support.chat import SHOP, ChatRig, chatting
from tests.support.sockets import SECRET

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


async def upload(rig: ChatRig, visitor: str, content: bytes, **headers: str) -> tuple[int, Json]:
    answer = await rig.api.ask(
        "POST",
        f"{UPLOAD_PATH}?filename=photo.png",
        {"Authorization": f"Bearer {visitor}", "Content-Type": "image/png", "Origin": SHOP} | headers,
        data=content,
    )
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    return answer.status, answer.json


async def test_a_file_is_uploaded_sent_and_shown_with_a_link(rig: ChatRig) -> None:
    async with rig.client() as ana, rig.client() as ben:
        status, file = await upload(rig, ana.visitor, PNG)
        assert (status, file["filename"], file["content_type"], file["size"]) == (
            201,
            "photo.png",
            "image/png",
            len(PNG),
        )
        await ben.send("message", id="c1", text="mine?", attachments=[file["id"]])
        assert (await ben.next("error"))["code"] == "unknown_attachment"
        first = await ana.say("", "c1", attachments=[file["id"]])
        (shown,) = (await ana.next("message"))["attachments"]
        assert shown["url"].startswith("https://desk.example/files/")
        assert {key: shown[key] for key in file} == file
        assert await ana.say("", "c1", attachments=[file["id"]]) == first  # the same again, after a lost answer


async def test_an_uploaded_page_is_not_served_as_one(rig: ChatRig) -> None:
    async with rig.client() as ana:
        status, file = await upload(rig, ana.visitor, b"<script>alert(1)</script>")
        assert (status, file["content_type"]) == (201, "application/octet-stream")


async def test_uploads_need_a_visitor_a_body_and_a_limit(sqlite_url: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    database = open_database(sqlite_url, bus)
    limits = ChatLimits(upload_bytes=100, uploads=Rate(per_s=0, burst=4))
    async with chatting(database, bus, tmp_path / "spool", limits=limits) as rig, rig.client() as ana:
        assert (await upload(rig, "nobody", PNG))[0] == 401
        assert (await upload(rig, ana.visitor, PNG, Authorization="Basic x"))[0] == 401
        assert (await upload(rig, ana.visitor, b""))[0] == 400
        assert (await upload(rig, ana.visitor, b"x" * 101))[0] == 413
        assert (await upload(rig, ana.visitor, PNG))[0] == 201
        assert (await upload(rig, ana.visitor, PNG))[0] == 201
        assert (await upload(rig, ana.visitor, PNG))[0] == 429
    await database.close()


async def test_browsers_of_other_sites_may_not_upload(quick: ChatRig) -> None:
    headers = {"Origin": "https://evil.example", "Authorization": f"Bearer {sign_visitor(SECRET, new_id())}"}
    answer = await quick.api.ask("POST", UPLOAD_PATH, headers, data=PNG)
    assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (403, None)
    assert (await quick.api.ask("OPTIONS", UPLOAD_PATH, {"Origin": "https://evil.example"})).status == 403
    allowed = await quick.api.ask("OPTIONS", UPLOAD_PATH, {"Origin": SHOP})
    assert (allowed.status, allowed.headers["Access-Control-Allow-Headers"]) == (204, "authorization, content-type")
