"""Conversations over HTTP: listed, searched, read and worked on."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from gateway.domain.agent import Role, Scope
from gateway.domain.ids import new_id
from gateway.domain.message import Direction, Json
from storage.attachments import insert_upload
from storage.blobs import Blobs
from storage.database import Database
from storage.live.contract import LiveBus
from storage.messages import claim_uploads
from tests.support.api import START, Api, Headers, serving
from tests.support.factories import make_agent, make_contact, make_conversation, make_message, minutes


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus, queues=frozenset({"general", "billing"})) as served:
        yield served


@pytest.fixture
async def agent(api: Api) -> Headers:
    return await api.as_agent(email="ben@shop.example")


async def listed(api: Api, headers: Headers, query: str = "") -> list[str]:
    answer = await api.ask("GET", f"/v1/conversations{query}", headers)
    assert answer.status == 200, answer.json
    return [item["id"] for item in answer.json["items"]]


async def act(api: Api, headers: Headers, conversation: str, name: str, body: Json = None, status: int = 200) -> Json:
    answer = await api.ask("POST", f"/v1/conversations/{conversation}/{name}", headers, json=body or {})
    assert answer.status == status, answer.json
    return answer.json


async def test_conversation_says_what_an_agent_needs_to_know(database: Database, api: Api, agent: Headers) -> None:
    contact = await make_contact(database, name="Ana Lima")
    conversation = await make_conversation(database, contact, at=START)
    answer = await api.ask("GET", f"/v1/conversations/{conversation}", agent)
    assert answer.status == 200
    assert answer.json == {
        "id": conversation,
        "status": "open",
        "contact": {"id": contact, "name": "Ana Lima", "language": None},
        "queue": "general",
        "topic": None,
        "language": None,
        "channel": "sms",
        "assignee": None,
        "deadlines": {"due_at": None},
        "subject": None,
        "preview": "Hello",
        "last_seq": 1,
        "created_at": "2026-11-02T09:00:00Z",
        "last_message_at": "2026-11-02T09:00:00Z",
        "waiting_since": "2026-11-02T09:00:00Z",
        "snoozed_until": None,
        "resolved_at": None,
        "previous_id": None,
        "joined_into_id": None,
    }


async def test_list_is_filtered_and_paged_to_its_end(database: Database, api: Api, agent: Headers) -> None:
    made = [await make_conversation(database, at=START + minutes(number)) for number in range(5)]
    made.reverse()
    assert await listed(api, agent) == made
    assert await listed(api, agent, "?status=open&queue=general&assignee=none&channel=sms") == made
    assert await listed(api, agent, "?status=resolved") == []
    assert await listed(api, agent, "?language=pt") == []
    assert await listed(api, agent, "?topic=refund") == []
    visited, after = [], ""
    while True:
        page = (await api.ask("GET", f"/v1/conversations?limit=2{after}", agent)).json
        visited += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert visited == made


async def test_assignee_is_an_agent_me_or_none(database: Database, api: Api) -> None:
    ben = await api.add_agent(email="ben@shop.example")
    session = await api.session_of(ben)
    mine, nobodys = await make_conversation(database), await make_conversation(database)
    await act(api, session, mine, "assign", {"agent_id": ben.id})
    assert await listed(api, session, "?assignee=me") == [mine]
    assert await listed(api, session, f"?assignee={ben.id}") == [mine]
    assert await listed(api, session, f"?assignee={new_id()}") == []
    assert await listed(api, session, "?assignee=none") == [nobodys]
    program = await api.as_program()
    assert await listed(api, program, f"?assignee={ben.id}") == [mine]
    for headers, assignee in ((program, "me"), (session, "ben")):
        refused = await api.ask("GET", f"/v1/conversations?assignee={assignee}", headers)
        assert (refused.status, refused.paths) == (400, ["$.assignee"])


@pytest.mark.parametrize(
    "query", ["status=asleep", "channel=fax", "limit=501", "limit=0", "after=x", "queue=", "colour=red", "q=%00"]
)
async def test_list_refuses_what_it_does_not_know(api: Api, agent: Headers, query: str) -> None:
    answer = await api.ask("GET", f"/v1/conversations?{query}", agent)
    assert (answer.status, answer.paths) == (400, [f"$.{query.partition('=')[0]}"])


async def test_search_finds_words_and_narrows_like_the_list(database: Database, api: Api, agent: Headers) -> None:
    wanted, other = await make_conversation(database), await make_conversation(database)
    await make_message(database, wanted, text="Where is my order 10023?")
    await make_message(database, other, text="敏感肌に使えますか")
    assert await listed(api, agent, "?q=ORDER%20100") == [wanted]
    assert await listed(api, agent, "?q=%E6%95%8F%E6%84%9F") == [other]
    assert await listed(api, agent, "?q=order&status=resolved") == []
    assert await listed(api, agent, "?q=%3F%21") == []


async def test_messages_carry_everything_and_links_to_their_files(database: Database, api: Api, agent: Headers) -> None:
    conversation = await make_conversation(database, at=START)
    message = await make_message(database, conversation, text="See this", author_name="Ana Lima", at=START)
    file = await attach(database, api.context.blobs, message)
    await make_message(database, conversation, text="Thanks", direction=Direction.OUTBOUND)
    answer = await api.ask("GET", f"/v1/conversations/{conversation}/messages", agent)
    first, second = answer.json["items"]
    url = first["attachments"][0].pop("url")
    contact = (await api.ask("GET", f"/v1/conversations/{conversation}", agent)).json["contact"]["id"]
    assert first == {
        "id": message,
        "conversation_id": conversation,
        "seq": 2,
        "direction": "inbound",
        "channel": "sms",
        "author": {"kind": "customer", "id": contact, "name": "Ana Lima"},
        "subject": None,
        "text": "See this",
        "html": None,
        "attachments": [
            {
                "id": file,
                "filename": "a.txt",
                "content_type": "text/plain",
                "size": 5,
                "state": "ready",
                "is_inline": False,
                "content_id": None,
                "error": None,
            }
        ],
        "language": None,
        "topics": [],
        "status": "received",
        "error": None,
        "error_code": None,
        "reply_to_id": None,
        "cc": [],
        "template": None,
        "at": "2026-11-02T09:00:00Z",
        "send_at": None,
    }
    assert (second["direction"], second["status"], second["seq"]) == ("outbound", "queued", 3)
    fetched = await api.ask("GET", url.removeprefix("https://desk.example"))
    assert (fetched.status, fetched.body) == (200, b"hello")


async def attach(db: Database, blobs: Blobs, message: str) -> str:
    blob = await blobs.put(b"hello")
    stored = await db.write(
        lambda tx: insert_upload(
            tx, owner="visitor:1", filename="a.txt", content_type="text/plain", blob=blob, now=START
        )
    )
    await db.write(lambda tx: claim_uploads(tx, message, "visitor:1", [stored.id]))
    return stored.id


@pytest.mark.parametrize("what", ["messages", "events"])
async def test_numbered_lists_go_on_after_a_number_and_from_page_to_page(
    database: Database, api: Api, agent: Headers, what: str
) -> None:
    conversation = await make_conversation(database)
    for _ in range(4):
        await make_message(database, conversation)
    path = f"/v1/conversations/{conversation}/{what}"
    page = (await api.ask("GET", f"{path}?after_seq=2&limit=2", agent)).json
    assert [item["seq"] for item in page["items"]] == [3, 4]
    rest = (await api.ask("GET", f"{path}?after_seq=2&limit=2&after={page['next']}", agent)).json
    assert [item["seq"] for item in rest["items"]] == [5]
    assert rest["next"] is None
    assert (await api.ask("GET", f"{path}?after_seq=-1", agent)).paths == ["$.after_seq"]


async def test_everything_that_happened_has_its_actor_and_reason(database: Database, api: Api, agent: Headers) -> None:
    conversation = await make_conversation(database)
    me = (await api.ask("GET", "/v1/me", agent)).json["agent"]["id"]
    await act(api, agent, conversation, "topic", {"topic": "refund", "reason": "She says so."})
    await act(api, await api.as_program(), conversation, "transfer", {"queue": "billing"})
    items = (await api.ask("GET", f"/v1/conversations/{conversation}/events", agent)).json["items"]
    assert [item["type"] for item in items] == [
        "conversation.started", "conversation.topic_set", "conversation.transferred",
    ]  # fmt: skip
    assert items[1]["data"] == {"from": None, "to": "refund", "reason": "She says so."}
    assert (items[1]["actor_kind"], items[1]["actor_id"]) == ("agent", me)
    assert items[2]["actor_kind"] == "system"


async def test_an_agent_works_on_a_conversation(database: Database, api: Api) -> None:
    ben = await api.add_agent(email="ben@shop.example")
    session = await api.session_of(ben)
    conversation = await make_conversation(database)
    assigned = await act(api, session, conversation, "assign", {"agent_id": ben.id})
    assert assigned["assignee"] == {"id": ben.id, "name": ben.name}
    moved = await act(api, session, conversation, "transfer", {"queue": "billing", "reason": "Money."})
    assert (moved["queue"], moved["assignee"]) == ("billing", None)
    until = (START + timedelta(days=1)).isoformat()
    asleep = await act(api, session, conversation, "snooze", {"until": until})
    assert (asleep["status"], asleep["snoozed_until"]) == ("snoozed", "2026-11-03T09:00:00Z")
    done = await act(api, session, conversation, "resolve")
    assert (done["status"], done["snoozed_until"], done["resolved_at"]) == ("resolved", None, "2026-11-02T09:00:00Z")
    await act(api, session, conversation, "resolve", status=409)
    again = await act(api, session, conversation, "reopen", {"reason": "She called."})
    assert (again["status"], again["resolved_at"]) == ("open", None)
    note = await act(api, session, conversation, "notes", {"text": "Call back", "mentions": [ben.id]}, 201)
    assert (note["type"], note["data"]) == ("note.added", {"text": "Call back", "mentions": [ben.id]})
    assert note["seq"] == again["last_seq"] + 1


@pytest.mark.parametrize(
    ("name", "body", "path"),
    [
        ("notes", {"text": ""}, "$.text"),
        ("notes", {"text": "x" * 5001}, "$.text"),
        ("notes", {"text": "x", "mentions": [new_id()]}, "$.mentions[0]"),
        ("notes", {"text": "x", "colour": "red"}, "$.colour"),
        ("assign", {}, "$.agent_id"),
        ("assign", {"agent_id": new_id()}, "$.agent_id"),
        ("transfer", {"queue": "nowhere"}, "$.queue"),
        ("snooze", {"until": "2026-11-02T09:00:00Z"}, "$.until"),
        ("snooze", {"until": "2026-11-03T09:00:00"}, "$.until"),
        ("topic", {"topic": "Not a topic"}, "$.topic"),
    ],
)
async def test_action_says_where_its_input_is_wrong(
    database: Database, api: Api, agent: Headers, name: str, body: Json, path: str
) -> None:
    conversation = await make_conversation(database)
    answer = await api.ask("POST", f"/v1/conversations/{conversation}/{name}", agent, json=body)
    assert (answer.status, answer.paths) == (422, [path])


async def test_conversation_is_not_reopened_beside_another(database: Database, api: Api, agent: Headers) -> None:
    contact = await make_contact(database)
    old = await make_conversation(database, contact, is_resolved=True)
    new = await make_conversation(database, contact)
    problem = await act(api, agent, old, "reopen", status=409)
    assert new in problem["detail"]


async def test_unknown_conversations_and_queues_are_not_found(api: Api, agent: Headers) -> None:
    for path in ("", "/messages", "/events", "/draft"):
        assert (await api.ask("GET", f"/v1/conversations/{new_id()}{path}", agent)).status == 404
    assert (await api.ask("POST", f"/v1/conversations/{new_id()}/resolve", agent, json={})).status == 404
    assert (await api.ask("POST", "/v1/queues/nowhere/next", agent)).status == 404


async def test_next_is_given_out_once_and_then_nothing_waits(database: Database, api: Api, agent: Headers) -> None:
    conversation = await make_conversation(database)
    taken = await api.ask("POST", "/v1/queues/general/next", agent)
    assert (taken.status, taken.json["id"]) == (200, conversation)
    assert taken.json["assignee"]["id"] == (await api.ask("GET", "/v1/me", agent)).json["agent"]["id"]
    assert (await api.ask("POST", "/v1/queues/general/next", agent)).status == 404


async def test_draft_is_its_agents_own(database: Database, api: Api, agent: Headers) -> None:
    conversation = await make_conversation(database)
    other = await api.as_agent(Role.ADMIN)
    path = f"/v1/conversations/{conversation}/draft"
    kept = await api.ask("PUT", path, agent, json={"text": "Dear Ana"})
    assert (kept.status, kept.json) == (200, {"text": "Dear Ana", "updated_at": "2026-11-02T09:00:00Z"})
    assert (await api.ask("GET", path, agent)).json == kept.json
    assert (await api.ask("GET", path, other)).json == {"text": "", "updated_at": None}
    await api.ask("PUT", path, agent, json={"text": ""})
    assert (await api.ask("GET", path, agent)).json == {"text": "", "updated_at": None}
    assert (await api.ask("GET", path, await api.as_program())).status == 403


async def test_nobody_reads_or_acts_without_the_right(database: Database, api: Api) -> None:
    conversation = await make_conversation(database)
    events_only = await api.as_program(Scope.EVENTS)
    for headers, status in ((None, 401), (events_only, 403)):
        for method, path in (
            ("GET", "/v1/conversations"),
            ("GET", f"/v1/conversations/{conversation}"),
            ("GET", f"/v1/conversations/{conversation}/messages"),
            ("GET", f"/v1/conversations/{conversation}/events"),
            ("POST", f"/v1/conversations/{conversation}/resolve"),
            ("POST", "/v1/queues/general/next"),
        ):
            assert (await api.ask(method, path, headers)).status == status


async def test_disabled_agent_is_not_assigned(database: Database, api: Api, agent: Headers) -> None:
    gone = await make_agent(database, disabled_at=START)
    conversation = await make_conversation(database)
    problem = await act(api, agent, conversation, "assign", {"agent_id": gone}, 422)
    assert problem["errors"] == [{"path": "$.agent_id", "message": "This agent is disabled."}]


async def test_repeated_action_with_one_key_is_done_once(database: Database, api: Api, agent: Headers) -> None:
    conversation = await make_conversation(database)
    headers = {**agent, "Idempotency-Key": "note-1"}
    first = await act(api, headers, conversation, "notes", {"text": "Once"}, 201)
    assert await act(api, headers, conversation, "notes", {"text": "Once"}, 201) == first
    events = (await api.ask("GET", f"/v1/conversations/{conversation}/events", agent)).json["items"]
    assert [event["type"] for event in events].count("note.added") == 1
