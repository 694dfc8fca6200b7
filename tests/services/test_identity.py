"""Who a visitor is by the shop's word: who is proved, who joins whom, and who never does."""

import asyncio
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select, update

from gateway.domain.contact import AddressKind, ChannelName, CustomerIdentity
from gateway.domain.conversation import EventType
from gateway.domain.errors import Unauthenticated
from gateway.domain.ids import new_id
from gateway.domain.message import Json
from gateway.services.identity import IdentityCheck, SignedIdentity, identify_visitor
from storage import chat
from storage.database import Database, Transaction
from storage.events import list_events
from storage.tables import addresses, contacts, conversations, inbound_keys
from tests.support.api import START
from tests.support.chat import SHOP_SECRET, identity_token
from tests.support.factories import make_address, make_contact, make_conversation, make_message

CHECK = IdentityCheck(secret=SHOP_SECRET, audience="gateway")
MAIL, PHONE = "ana@shop.example", "+351912345678"


def test_all_that_the_shop_signed_is_read() -> None:
    signed = CHECK.verify(
        identity_token(
            jti="one",
            name=" Ana Lima ",
            language="pt-BR",
            email="Ana@Shop.Example",
            email_verified=True,
            phone="+351 912 345 678",
            phone_verified=True,
        ),
        START,
    )
    assert signed == SignedIdentity(
        token_id="one",
        expires_at=START + timedelta(hours=1),
        identity=CustomerIdentity(customer_id="c-1", name="Ana Lima", language="pt-BR", email=MAIL, phone=PHONE),
    )


def test_a_token_may_count_for_longer_than_a_database_can_say() -> None:
    assert CHECK.verify(identity_token(exp=10**18), START).expires_at.year == 9999


@pytest.mark.parametrize(
    "claims",
    [
        {"email": MAIL, "phone": PHONE},
        {"email": MAIL, "email_verified": False, "phone": PHONE, "phone_verified": "true"},
        {"email": MAIL, "email_verified": 1, "phone": PHONE, "phone_verified": None},
        {"email": "no mailbox", "email_verified": True, "phone": "no number", "phone_verified": True},
        {"email": ["x"], "email_verified": True, "phone": 12345, "phone_verified": True},
        {"name": "a\x00b", "language": "not a language!", "email": "a\x00@b.example", "email_verified": True},
        {"name": 7, "language": "x" * 40},
    ],
)
def test_what_is_not_verified_or_makes_no_sense_counts_for_nothing(claims: dict[str, Json]) -> None:
    assert CHECK.verify(identity_token(**claims), START).identity == CustomerIdentity(customer_id="c-1")


def test_without_an_audience_of_our_own_any_will_do_but_none_will_not() -> None:
    check = IdentityCheck(secret=SHOP_SECRET)
    assert check.verify(identity_token(aud="https://shop.example"), START).identity.customer_id == "c-1"
    with pytest.raises(Unauthenticated):
        check.verify(identity_token(aud=None), START)


@pytest.mark.parametrize("audience", ["gateway", ["another", "gateway"]])
def test_the_audience_may_be_one_of_several(audience: Json) -> None:
    assert CHECK.verify(identity_token(aud=audience), START).identity.customer_id == "c-1"


_NOW = int(START.timestamp())


@pytest.mark.parametrize(
    "claims",
    [
        *({name: None} for name in ("sub", "iat", "exp", "jti", "aud")),
        *({name: ""} for name in ("sub", "jti", "aud")),
        {"sub": 7},
        {"sub": "a\x00"},
        {"sub": "x" * 300},
        {"jti": ["x"]},
        {"aud": "another"},
        {"aud": ["another"]},
        {"exp": _NOW - 31},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": _NOW + 31},
        {"nbf": _NOW + 31},
    ],
)
def test_a_token_with_a_claim_missing_or_wrong_is_refused(claims: dict[str, Json]) -> None:
    with pytest.raises(Unauthenticated):
        CHECK.verify(identity_token(**claims), START)


def test_a_token_ends_when_it_says_so() -> None:
    token = identity_token(exp=_NOW + 60)
    CHECK.verify(token, START + timedelta(seconds=80))  # clocks differ a little
    with pytest.raises(Unauthenticated):
        CHECK.verify(token, START + timedelta(seconds=95))


def unsigned() -> str:
    _, payload, _ = identity_token().split(".")
    return f"eyJhbGciOiJub25lIn0.{payload}."


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "..",
        "x" * 10_000,
        "é",
        unsigned(),
        identity_token("another secret, also long enough for HS256"),
        identity_token()[:-2] + "xx",
        jwt.encode({"alg": "HS512"}, {"sub": "c-1"}, OctKey.import_key(SHOP_SECRET * 2), algorithms=["HS512"]),
        identity_token(header={"alg": "HS256", "jku": "https://evil.example/keys"}),
        "eyJhbGciOm51bGwsImNyaXQiOm51bGx9..",
        "eyJhbGciOjd9.e30.",
    ],
)
def test_a_token_that_the_shop_did_not_sign_so_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        CHECK.verify(token, START)


_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
_HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "crit", "b64", "kid", "zip", "jwk", "x"]), _VALUES, max_size=4
)
_SEGMENTS = st.binary(max_size=30) | _HEADERS.map(msgspec.json.encode)


@given(st.text(max_size=200) | st.lists(_SEGMENTS.map(urlsafe_b64encode), min_size=2, max_size=5))
def test_no_token_makes_the_check_fall(token: str | list[bytes]) -> None:
    with pytest.raises(Unauthenticated):
        CHECK.verify(token if isinstance(token, str) else b".".join(token).decode(), START)


def test_the_shops_secret_is_in_no_repr() -> None:
    assert SHOP_SECRET not in repr(CHECK)


def signed(customer: str = "c-1", token_id: str | None = None, **identity: Json) -> SignedIdentity:
    return SignedIdentity(
        token_id=token_id or new_id(),
        expires_at=START + timedelta(hours=1),
        identity=CustomerIdentity(customer_id=customer, **identity),
    )


async def identify(
    db: Database, visitor: str, shown: SignedIdentity, spare: str | None = None, now: datetime = START
) -> str:
    spare = spare or new_id()
    return await db.write(lambda tx: identify_visitor(tx, visitor, shown, now, spare=spare), is_racing=True)


async def owner_of(db: Database, kind: AddressKind, value: str) -> str:
    async with db.read() as conn:
        query = select(addresses.c.contact_id).where(addresses.c.kind == kind, addresses.c.value == value)
        contact_id: str = (await conn.execute(query)).scalar_one()
        return contact_id


async def addresses_of(db: Database, contact_id: str) -> set[tuple[str, str]]:
    async with db.read() as conn:
        query = select(addresses.c.kind, addresses.c.value).where(addresses.c.contact_id == contact_id)
        return {(row.kind, row.value) for row in await conn.execute(query)}


async def visitor_of(db: Database, contact_id: str | None = None) -> tuple[str, str]:
    """Return a visitor with a conversation, and its id."""
    visitor = new_id()
    contact_id = contact_id or await make_contact(db, name=None)
    conversation_id = await make_conversation(db, contact_id, channel=ChannelName.EMAIL)
    async with db.read() as conn:
        query = select(conversations.c.address_id).where(conversations.c.id == conversation_id)
        address_id = (await conn.execute(query)).scalar_one()
    await db.write(lambda tx: _become_visitor(tx, address_id, visitor))
    return visitor, conversation_id


async def _become_visitor(tx: Transaction, address_id: str, visitor: str) -> None:
    await tx.conn.execute(
        update(addresses).where(addresses.c.id == address_id).values(kind=AddressKind.VISITOR, value=visitor)
    )


async def test_a_customer_nobody_knew_gets_a_contact_with_all_that_is_proved(database: Database) -> None:
    visitor = new_id()
    shown = signed(name="Ana Lima", language="pt", email=MAIL, phone=PHONE)
    assert await identify(database, visitor, shown) == visitor
    contact_id = await owner_of(database, AddressKind.CUSTOMER, "c-1")
    assert await addresses_of(database, contact_id) == {
        ("customer", "c-1"),
        ("visitor", visitor),
        ("email", MAIL),
        ("phone", PHONE),
    }
    async with database.read() as conn:
        row = (await conn.execute(contacts.select())).one()
        assert (row.name, row.language) == ("Ana Lima", "pt")
        rows = (await conn.execute(select(addresses))).all()
        assert all(row.verified_at == START for row in rows)
        assert [row.identified_at for row in rows if row.kind == "visitor"] == [START]


async def test_showing_it_again_changes_nothing(database: Database) -> None:
    visitor, shown = new_id(), signed(email=MAIL)
    for _ in range(3):
        assert await identify(database, visitor, shown) == visitor
    async with database.read() as conn:
        assert len((await conn.execute(select(contacts))).all()) == 1
        assert len((await conn.execute(select(addresses))).all()) == 3


async def test_a_visitor_whom_nobody_knew_is_the_customer_from_now_on(database: Database) -> None:
    visitor, conversation_id = await visitor_of(database)
    await identify(database, visitor, signed(email=MAIL))
    contact_id = await owner_of(database, AddressKind.VISITOR, visitor)
    assert await addresses_of(database, contact_id) == {("customer", "c-1"), ("visitor", visitor), ("email", MAIL)}
    async with database.read() as conn:
        events = await list_events(conn, conversation_id, after_seq=0, limit=10)
    assert [event.type for event in events] == [EventType.STARTED, EventType.ADDRESS_ADDED]


async def test_an_anonymous_chat_joins_the_customers_contact(database: Database) -> None:
    customer = await make_contact(database)
    await make_address(database, customer, kind=AddressKind.CUSTOMER, value="c-1")
    await make_conversation(database, customer)
    visitor, chat_id = await visitor_of(database)
    assert await identify(database, visitor, signed()) == visitor
    assert await owner_of(database, AddressKind.VISITOR, visitor) == customer
    async with database.read() as conn:
        row = (await conn.execute(select(conversations).where(conversations.c.id == chat_id))).one()
        assert row.contact_id == customer
        unresolved = select(conversations.c.id).where(conversations.c.status != "resolved")
        assert len((await conn.execute(unresolved)).all()) == 1


async def test_another_customer_on_the_same_browser_is_another_visitor(database: Database) -> None:
    visitor, spare = new_id(), new_id()
    await identify(database, visitor, signed("c-1"))
    assert await identify(database, visitor, signed("c-2"), spare) == spare
    first, second = [await owner_of(database, AddressKind.CUSTOMER, name) for name in ("c-1", "c-2")]
    assert await owner_of(database, AddressKind.VISITOR, visitor) == first
    assert await owner_of(database, AddressKind.VISITOR, spare) == second != first
    async with database.read() as conn:
        assert all("identity_conflicts" not in row.attributes for row in await conn.execute(select(contacts)))


async def test_two_known_people_are_never_merged_by_a_visit(database: Database) -> None:
    """The visitor was linked to a phone number, the customer is somebody else's contact: an agent must say."""
    customer = await make_contact(database)
    await make_address(database, customer, kind=AddressKind.CUSTOMER, value="c-1")
    other = await make_contact(database)
    await make_address(database, other, kind=AddressKind.PHONE, value=PHONE)
    visitor, _ = await visitor_of(database, other)
    spare = new_id()
    assert await identify(database, visitor, signed(), spare) == spare
    assert await owner_of(database, AddressKind.VISITOR, visitor) == other
    assert await owner_of(database, AddressKind.VISITOR, spare) == customer
    async with database.read() as conn:
        row = (await conn.execute(select(contacts).where(contacts.c.id == customer))).one()
        assert [conflict["contact_id"] for conflict in row.attributes["identity_conflicts"]] == [other]


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (AddressKind.EMAIL, MAIL, {"email": MAIL}),
        (AddressKind.PHONE, PHONE, {"phone": PHONE}),
        (AddressKind.WHATSAPP, PHONE, {"phone": PHONE}),
        (AddressKind.PHONE, "+555191234567", {"phone": "+5551991234567"}),
    ],
)
async def test_an_address_that_is_somebody_elses_stays_theirs_and_the_conflict_is_shown(
    database: Database, kind: AddressKind, value: str, shown: dict[str, str]
) -> None:
    other = await make_contact(database)
    await make_address(database, other, kind=kind, value=value)
    visitor, conversation_id = await visitor_of(database)
    for _ in range(2):
        await identify(database, visitor, signed(**shown))
    assert await owner_of(database, kind, value) == other
    customer = await owner_of(database, AddressKind.CUSTOMER, "c-1")
    assert customer != other
    assert {name for name, _ in await addresses_of(database, customer)} == {"customer", "visitor"}
    async with database.read() as conn:
        row = (await conn.execute(select(contacts).where(contacts.c.id == customer))).one()
        (conflict,) = row.attributes["identity_conflicts"]
        assert (conflict["kind"], conflict["contact_id"]) == (kind, other)
        events = await list_events(conn, conversation_id, after_seq=0, limit=10)
        assert [event.type for event in events][1:] == [EventType.IDENTITY_CONFLICT]


async def test_a_claimed_mailbox_is_nobodys_proof(database: Database) -> None:
    other = await make_contact(database)
    await make_address(database, other, kind=AddressKind.EMAIL_CLAIM, value=MAIL, is_verified=False)
    await identify(database, new_id(), signed(email=MAIL))
    customer = await owner_of(database, AddressKind.CUSTOMER, "c-1")
    assert await owner_of(database, AddressKind.EMAIL, MAIL) == customer != other


async def test_a_token_shown_by_another_visitor_is_refused_and_leaves_nothing(database: Database) -> None:
    visitor, thief = new_id(), new_id()
    shown = signed(token_id="once")
    await identify(database, visitor, shown)
    with pytest.raises(Unauthenticated):
        await identify(database, thief, shown)
    with pytest.raises(Unauthenticated):
        await identify(database, thief, signed("c-2", token_id="once"))
    async with database.read() as conn:
        assert len((await conn.execute(select(addresses))).all()) == 2
        assert len((await conn.execute(select(inbound_keys))).all()) == 1


async def test_visitors_who_show_one_identity_at_once_are_one_contact(database: Database) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(identify(database, new_id(), signed(email=MAIL, phone=PHONE)))
    async with database.read() as conn:
        assert len((await conn.execute(select(contacts))).all()) == 1
        assert len((await conn.execute(select(addresses))).all()) == 3 + 8


async def test_a_customer_sees_nothing_of_a_number_that_passed_to_somebody_else(database: Database) -> None:
    contact = await make_contact(database)
    own = await make_address(database, contact, kind=AddressKind.VISITOR)
    phone = await make_address(database, contact, kind=AddressKind.PHONE, value=PHONE)
    conversation_id = await make_conversation(database, contact)
    await make_message(database, conversation_id, address_id=phone, text="mine")
    await make_message(database, conversation_id, address_id=None, text="of somebody in copy")

    async def seen() -> list[str]:
        async with database.read() as conn:
            found = await chat.list_elsewhere(conn, contact, apart_from=own, limit=50)
            return [message.text for message in found]

    assert await seen() == ["mine"]
    other = await make_contact(database)
    await database.write(lambda tx: _move(tx, phone, other))
    assert await seen() == []


async def _move(tx: Transaction, address_id: str, contact_id: str) -> None:
    await tx.conn.execute(update(addresses).where(addresses.c.id == address_id).values(contact_id=contact_id))
