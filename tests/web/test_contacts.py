"""Contacts over HTTP: found by an address, read with what is known of them, merged and parted."""

from collections.abc import AsyncIterator
from decimal import Decimal
from urllib.parse import quote

import pytest

from gateway.domain.agent import Scope
from gateway.domain.contact import Address, AddressKind
from gateway.domain.ids import new_id
from storage.database import Database
from storage.deliveries import suppress
from storage.live.contract import LiveBus
from storage.orders import Money, Order, insert_order
from tests.support.api import START, Api, Headers, serving
from tests.support.factories import make_address, make_contact, make_conversation

PHONE = "+5511987654321"


@pytest.fixture
async def api(database: Database, bus: LiveBus) -> AsyncIterator[Api]:
    async with serving(database, bus) as served:
        yield served


@pytest.fixture
async def agent(api: Api) -> Headers:
    return await api.as_agent()


def order(contact: str) -> Order:
    return Order(
        id=new_id(),
        contact_id=contact,
        external_id="o-1",
        number="10023",
        status="paid",
        placed_at=START,
        total=Money(amount=Decimal("54.00"), currency="EUR"),
        items=[{"sku": "SERUM-30", "quantity": 1}],
    )


async def test_contact_is_shown_with_addresses_orders_and_conversations(
    database: Database, api: Api, agent: Headers
) -> None:
    contact = await make_contact(database, name="Ana Lima", at=START)
    address = await make_address(database, contact, value=PHONE, at=START)
    await database.write(lambda tx: suppress(tx, Address(kind=AddressKind.PHONE, value=PHONE), "STOP", START))
    conversation = await make_conversation(database, contact, is_resolved=True, at=START)
    placed = order(contact)
    await database.write(lambda tx: insert_order(tx, placed))
    shown = (await api.ask("GET", f"/v1/contacts/{contact}", agent)).json
    assert (shown["id"], shown["name"], shown["merged_into"]) == (contact, "Ana Lima", None)
    assert shown["addresses"][0] == {
        "id": address,
        "kind": "phone",
        "value": PHONE,
        "display_name": None,
        "verified": True,
        "verified_at": "2026-11-02T09:00:00Z",
        "last_inbound_at": "2026-11-02T09:00:00Z",
        "suppressed": {"reason": "STOP", "at": "2026-11-02T09:00:00Z"},
        "undeliverable_reason": None,
    }
    assert shown["orders"] == [
        {
            "id": placed.id,
            "external_id": "o-1",
            "number": "10023",
            "status": "paid",
            "placed_at": "2026-11-02T09:00:00Z",
            "total": {"amount": "54.00", "currency": "EUR"},
            "items": [{"sku": "SERUM-30", "quantity": 1}],
            "shipments": [],
            "refunds": [],
        }
    ]
    assert [found["id"] for found in shown["conversations"]] == [conversation]


@pytest.mark.parametrize("address", [PHONE, "+551187654321", "+55 11 98765-4321"])
async def test_number_is_found_in_each_of_its_forms(database: Database, api: Api, agent: Headers, address: str) -> None:
    contact = await make_contact(database)
    await make_address(database, contact, kind=AddressKind.WHATSAPP, value=PHONE)
    await make_address(database, contact, kind=AddressKind.PHONE, value=PHONE)
    answer = await api.ask("GET", f"/v1/contacts?address={quote(address, safe='')}", agent)
    assert [found["id"] for found in answer.json["items"]] == [contact]


async def test_mailbox_is_found_however_it_is_written_and_a_claim_is_marked(
    database: Database, api: Api, agent: Headers
) -> None:
    proved, claimed = await make_contact(database), await make_contact(database)
    await make_address(database, proved, kind=AddressKind.EMAIL, value="ana@example.com")
    await make_address(database, claimed, kind=AddressKind.EMAIL_CLAIM, value="ana@example.com", is_verified=False)
    found = (await api.ask("GET", "/v1/contacts?address=Ana@Example.com", agent)).json["items"]
    assert {item["id"]: item["addresses"][0]["verified"] for item in found} == {proved: True, claimed: False}
    for other in ("ana@example", "%25", "*", "na@example.com"):
        assert (await api.ask("GET", f"/v1/contacts?address={other}", agent)).json["items"] == []


async def test_contacts_are_merged_and_parted_again(database: Database, api: Api, agent: Headers) -> None:
    ana, other = await make_contact(database), await make_contact(database)
    await make_address(database, other, value=PHONE)
    placed = order(other)
    await database.write(lambda tx: insert_order(tx, placed))
    conversation = await make_conversation(database, other)
    body = {"contact_id": other, "reason": "She told us her number."}
    merged = await api.ask("POST", f"/v1/contacts/{ana}/merge", agent, json=body)
    assert merged.status == 200
    assert PHONE in [address["value"] for address in merged.json["addresses"]]
    card = (await api.ask("GET", f"/v1/contacts/{ana}", agent)).json
    assert [found["number"] for found in card["orders"]] == ["10023"]
    assert [found["id"] for found in card["conversations"]] == [conversation]
    gone = (await api.ask("GET", f"/v1/contacts/{other}", agent)).json
    assert (gone["merged_into"], gone["addresses"]) == (ana, [])
    assert (await api.ask("POST", f"/v1/contacts/{ana}/merge", agent, json=body)).status == 409
    itself = await api.ask("POST", f"/v1/contacts/{ana}/merge", agent, json={"contact_id": ana})
    assert (itself.status, itself.paths) == (422, ["$.contact_id"])
    parted = await api.ask("POST", f"/v1/contacts/{other}/unmerge", agent)
    assert (parted.status, parted.json["merged_into"]) == (200, None)
    assert PHONE in [address["value"] for address in parted.json["addresses"]]
    assert (await api.ask("GET", f"/v1/contacts/{ana}", agent)).json["orders"] == []
    assert (await api.ask("POST", f"/v1/contacts/{other}/unmerge", agent)).status == 409


async def test_there_is_no_list_of_everybody(api: Api, agent: Headers) -> None:
    for query in ("", "?address=", "?limit=10"):
        assert (await api.ask("GET", f"/v1/contacts{query}", agent)).status == 400


async def test_unknown_contact_is_not_found(database: Database, api: Api, agent: Headers) -> None:
    contact = await make_contact(database)
    assert (await api.ask("GET", f"/v1/contacts/{new_id()}", agent)).status == 404
    assert (await api.ask("POST", f"/v1/contacts/{new_id()}/unmerge", agent)).status == 404
    answer = await api.ask("POST", f"/v1/contacts/{contact}/merge", agent, json={"contact_id": new_id()})
    assert answer.status == 404


async def test_nobody_reads_contacts_without_the_right(database: Database, api: Api) -> None:
    contact = await make_contact(database)
    for headers, status in ((None, 401), (await api.as_program(Scope.EVENTS), 403)):
        for method, path in (
            ("GET", f"/v1/contacts/{contact}"),
            ("GET", "/v1/contacts?address=x"),
            ("POST", f"/v1/contacts/{contact}/merge"),
            ("POST", f"/v1/contacts/{contact}/unmerge"),
        ):
            assert (await api.ask(method, path, headers)).status == status
