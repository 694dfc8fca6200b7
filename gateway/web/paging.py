"""Lists on the wire: a page of items and an opaque cursor to what comes after it."""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Generic, TypeVar

import msgspec

from gateway.web.problem import malformed

T = TypeVar("T")
C = TypeVar("C", bound=msgspec.Struct)

# What the database can hold; anything beyond is a mistake of the caller's, never a fault of ours.
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", min_length=36, max_length=36)]


class IdCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The usual cursor of a list by id."""

    id: Id


class TimeCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The usual cursor of a list by time and id."""

    at: datetime
    id: Id

    def __post_init__(self) -> None:
        if self.at.utcoffset() != timedelta(0):  # at the ends of the calendar, others have no time in UTC
            raise ValueError("A cursor's time is in UTC.")


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next: str | None = None


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The query of every list; one with filters adds them by subclassing."""

    limit: Limit = 50
    after: Annotated[str, msgspec.Meta(max_length=500)] | None = None


def cut_page(items: list[T], limit: int, cursor_of: Callable[[T], str]) -> Page[T]:
    """Return a page of `items`, which were asked for with one more than `limit`: the surplus says that more follow."""
    if len(items) <= limit:
        return Page(items=items)
    return Page(items=items[:limit], next=cursor_of(items[limit - 1]))


def encode_cursor(cursor: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def decode_cursor(after: str | None, kind: type[C]) -> C | None:
    """Return the cursor that `encode_cursor` made of a `kind`.

    Raises:
        HttpError: 400; it isn't one.
    """
    if after is None:
        return None
    try:
        raw = base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise malformed("The cursor is not one that this list gave out.", path="$.after") from None
