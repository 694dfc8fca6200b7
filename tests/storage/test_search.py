import pytest

from gateway.domain.conversation import ConversationStatus
from gateway.domain.errors import Conflict
from storage.conversations import ConversationFilter, search_conversations
from storage.database import Database, Transaction
from storage.search import MOST_MATCHES, SearchRow, find_conversations, forget_conversation_texts, index_messages
from tests.support.factories import NOW, make_contact, make_conversation, make_message


async def find(db: Database, text: str, *, limit: int = 50) -> list[str]:
    async with db.read() as conn:
        return await find_conversations(conn, text, limit=limit)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Où est ma commande #10023 ?", "ou commande"),
        ("Where was it shipped to?", "ship"),
        ("Please refund order 10023", "10023"),
        ("敏感肌に使えますか", "敏感"),
        ("我的订单在哪里", "订"),
        ("我的订单在哪里", "里"),
        ("주문을 확인해 주세요", "주문"),
        ("สวัสดีครับ สินค้าเสียหาย", "สินค้า"),
        ("مَرحَبًا", "مرحبا"),
        ('it\'s NOT (here) AND it* "hurts" a:b | c & !d', "NOT here AND it hurts"),
        ("write to ana@example.com", "ana@example.com"),
    ],
)
async def test_message_is_found_by_its_words_and_pairs(database: Database, text: str, query: str) -> None:
    conversation = await make_conversation(database)
    await make_message(database, conversation, text=text)
    assert await find(database, query) == [conversation]


@pytest.mark.parametrize("query", ["hip", "10024", "refund shipped", "里哪", "", "  ", "?!", '"', "\x00", "👋"])
async def test_message_is_not_found_by_what_it_does_not_say(database: Database, query: str) -> None:
    conversation = await make_conversation(database)
    await make_message(database, conversation, text="Where was order 10023 shipped to? 我的订单在哪里 👋")
    assert await find(database, query) == []


async def test_newest_match_comes_first_and_a_conversation_once(database: Database) -> None:
    first, second = await make_conversation(database), await make_conversation(database)
    for conversation in (first, second, first):
        await make_message(database, conversation, text="refund")
    assert await find(database, "refund") == [first, second]
    assert await find(database, "refund", limit=1) == [first]


async def test_messages_of_one_batch_are_each_found(database: Database) -> None:
    rows = [
        SearchRow(message_id=None, conversation_id=await make_conversation(database), at=NOW, text=text)
        for text in ("serum", "", "?!", "cream")
    ]
    await database.write(lambda tx: index_messages(tx, rows))
    assert await find(database, "serum") == [rows[0].conversation_id]
    assert await find(database, "cream") == [rows[3].conversation_id]


async def test_forgotten_conversation_is_not_found_while_others_are(database: Database) -> None:
    gone, kept = await make_conversation(database), await make_conversation(database)
    for conversation in (gone, kept):
        await make_message(database, conversation, text="refund 退款")
    await database.write(lambda tx: forget_conversation_texts(tx, gone))
    assert await find(database, "refund") == [kept]
    assert await find(database, "退款") == [kept]


async def test_search_is_narrowed_before_its_matches_are_counted(database: Database) -> None:
    contact = await make_contact(database)
    wanted = await make_conversation(database, contact, is_resolved=True)
    other = await make_conversation(database, contact)
    await make_message(database, wanted, text="refund")
    many = [SearchRow(message_id=None, conversation_id=other, at=NOW, text="refund") for _ in range(MOST_MATCHES + 1)]
    await database.write(lambda tx: index_messages(tx, many))
    async with database.read() as conn:
        for narrowed, expected in (
            (ConversationFilter(), [other]),
            (ConversationFilter(status=ConversationStatus.RESOLVED), [wanted]),
            (ConversationFilter(is_unassigned=True, queue="other"), []),
        ):
            found = await search_conversations(conn, "refund", narrowed, limit=50)
            assert [conversation.id for conversation in found] == expected


async def test_text_of_a_transaction_that_failed_is_not_found(database: Database) -> None:
    conversation = await make_conversation(database)

    async def work(tx: Transaction) -> None:
        row = SearchRow(message_id=None, conversation_id=conversation, at=NOW, text="refund")
        await index_messages(tx, [row])
        raise Conflict

    with pytest.raises(Conflict):
        await database.write(work)
    assert await find(database, "refund") == []
