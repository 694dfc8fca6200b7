import pytest

from gateway.domain.contact import Address, AddressKind
from gateway.domain.errors import NotFound
from gateway.domain.ids import new_id
from storage.contacts import find_contacts, find_root, load_contact, load_family
from storage.database import Database
from storage.deliveries import suppress
from storage.merges import save_merged_into
from tests.support.factories import NOW, make_address, make_contact, minutes


async def test_contact_is_shown_with_its_addresses_and_what_may_be_sent_there(database: Database) -> None:
    contact = await make_contact(database, name="Ana Lima")
    await make_address(database, contact, kind=AddressKind.PHONE, value="+351912345678")
    await make_address(
        database, contact, kind=AddressKind.EMAIL_CLAIM, value="ana@example.com", is_verified=False, at=NOW + minutes(1)
    )
    await database.write(
        lambda tx: suppress(tx, Address(kind=AddressKind.PHONE, value="+351912345678"), "She wrote STOP.", NOW)
    )
    async with database.read() as conn:
        shown = await load_contact(conn, contact)
        with pytest.raises(NotFound):
            await load_contact(conn, new_id())
    assert (shown.name, shown.merged_into_id) == ("Ana Lima", None)
    phone, claim = shown.addresses
    assert (phone.kind, phone.value, phone.verified_at) == (AddressKind.PHONE, "+351912345678", NOW)
    assert (phone.suppressed_reason, phone.suppressed_at) == ("She wrote STOP.", NOW)
    assert (claim.verified_at, claim.suppressed_reason, claim.last_inbound_at) == (None, None, NOW + minutes(1))


async def test_suppression_of_another_kind_of_address_does_not_count(database: Database) -> None:
    contact = await make_contact(database)
    await make_address(database, contact, kind=AddressKind.WHATSAPP, value="+351912345678")
    await database.write(lambda tx: suppress(tx, Address(kind=AddressKind.PHONE, value="+351912345678"), "STOP", NOW))
    async with database.read() as conn:
        assert (await load_contact(conn, contact)).addresses[0].suppressed_reason is None


async def test_contacts_are_found_by_the_exact_value_of_an_address(database: Database) -> None:
    ana, eva = await make_contact(database), await make_contact(database)
    for kind in (AddressKind.PHONE, AddressKind.WHATSAPP):
        await make_address(database, ana, kind=kind, value="+351912345678")
    await make_address(database, eva, value="+351912345679")
    async with database.read() as conn:
        assert [contact.id for contact in await find_contacts(conn, ["+351912345678", "x"], limit=10)] == [ana]
        assert await find_contacts(conn, ["+35191234567"], limit=10) == []
        assert await find_contacts(conn, ["%"], limit=10) == []


async def test_family_and_root_follow_merges_through_several_steps(database: Database) -> None:
    first, second, third, other = [await make_contact(database) for _ in range(4)]
    await database.write(lambda tx: save_merged_into(tx, first, second))
    await database.write(lambda tx: save_merged_into(tx, second, third))
    async with database.read() as conn:
        assert await load_family(conn, third) == {first, second, third}
        assert await load_family(conn, second) == {first, second}
        assert [await find_root(conn, contact) for contact in (first, second, third, other)] == [
            third,
            third,
            third,
            other,
        ]
        with pytest.raises(NotFound):
            await find_root(conn, new_id())
