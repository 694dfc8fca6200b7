"""Ids are UUIDs of version 7 that sort in the order in which they were made."""

import uuid

import pytest

from gateway.domain.errors import NotFound
from gateway.domain.ids import new_id, parse_id


def test_ids_of_one_process_sort_by_age_also_within_a_millisecond() -> None:
    ids = [new_id() for _ in range(20_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_an_id_is_a_uuid_of_version_7() -> None:
    parsed = uuid.UUID(new_id())
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_an_id_is_read_in_any_spelling() -> None:
    id_ = new_id()
    assert parse_id(id_.upper()) == id_


@pytest.mark.parametrize("text", ["", "abc", "1; drop table", "\x00", "g" * 32])
def test_what_is_no_id_names_nothing(text: str) -> None:
    with pytest.raises(NotFound):
        parse_id(text)
