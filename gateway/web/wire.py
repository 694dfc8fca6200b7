"""From a request's bytes to typed values; every mistake has a path, and none is a fault of ours."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from gateway.domain.errors import BadInput, InputError, NotFound, TooLarge
from gateway.domain.ids import parse_id
from gateway.web.problem import HttpError, malformed

S = TypeVar("S", bound=msgspec.Struct)

_BODY_TIMEOUT_S = 30
_MAX_PARAMETERS = 50

# How msgspec words where a mistake is, and which field it speaks of (msgspec 0.22, "Object ... field" errors).
_PATH = re.compile(r"(?P<message>.*) - at `(?P<path>\$.*)`", re.DOTALL)
_KEY_PATH = re.compile(r"(?P<message>.*) - at `key` in `(?P<path>\$.*)`", re.DOTALL)
_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(?P<field>.*)`", re.DOTALL)


async def read_body(request: web.Request, limit: int, *, timeout_s: float = _BODY_TIMEOUT_S) -> bytes:
    """Return the whole body, decompressed.

    Raises:
        TooLarge: it has more than `limit` bytes.
        HttpError: 400 or 408; it broke off, or takes for ever.
    """
    too_large = TooLarge(f"The body may have {limit} bytes.")
    if (request.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise HttpError(HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time.") from None
    except ConnectionError:
        raise malformed("The body broke off.") from None
    return bytes(body)


def decode_body(raw: bytes, kind: type[S] | None) -> S | None:
    """Decode JSON; nothing at all counts as `{}`.

    Raises:
        HttpError: 400; it is no JSON.
        BadInput: it is not what `kind` says.
    """
    try:
        if kind is None:
            _refuse_content(raw)
            return None
        decoded = msgspec.json.decode(raw or b"{}", type=kind)
        if b"\\u0000" in raw:
            _refuse_nul(msgspec.json.decode(raw))
    except msgspec.ValidationError as error:
        mistake = _locate(str(error))
        raise BadInput("The body is not what this takes.", (mistake,)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise malformed("The body is not JSON in UTF-8.") from None
    except RecursionError:
        raise malformed("The body is nested too deeply.") from None
    return decoded


def decode_query(raw: str, kind: type[S] | None) -> S | None:
    """Decode a query string as it came, percent signs and all.

    Raises:
        HttpError: 400; it is not what `kind` says.
    """
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise malformed("The query is not percent-encoded UTF-8, or has too many parameters.") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise malformed("This parameter may be given once.", path=f"$.{name}")
        if "\x00" in value:
            raise malformed("A NUL character can't be part of it.", path=f"$.{name}")
        if kind is None or name not in kind.__struct_fields__:
            raise malformed("There is no such parameter.", path=f"$.{name}")
        values[name] = value
    if kind is None:
        return None
    try:
        return msgspec.convert(values, type=kind, strict=False)
    except msgspec.ValidationError as error:
        mistake = _locate(str(error))
        raise malformed(mistake.message, path=mistake.path) from None


def decode_path(values: Mapping[str, str]) -> dict[str, str]:
    """Return the path's parameters, those named `id` or `*_id` as canonical ids.

    Raises:
        NotFound: one can't be the name of anything.
    """
    decoded = {}
    for name, value in values.items():
        if not value.isprintable():
            raise NotFound("There is nothing with this name.")
        decoded[name] = parse_id(value) if name == "id" or name.endswith("_id") else value
    return decoded


def _refuse_content(raw: bytes) -> None:
    if raw and msgspec.json.decode(raw) != {}:
        mistake = InputError(path="$", message="This takes no body.")
        raise BadInput(mistake.message, (mistake,))


def _refuse_nul(value: Any) -> None:
    """PostgreSQL can't keep U+0000 in text, and nobody writes it."""
    for path in _paths_of_nul(value, "$"):
        mistake = InputError(path=path, message="A NUL character can't be part of it.")
        raise BadInput("The body is not what this takes.", (mistake,))


def _paths_of_nul(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\x00" in value:
            yield path
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _paths_of_nul(item, f"{path}[{position}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\x00" in key:
                yield path
            yield from _paths_of_nul(item, f"{path}.{key}")


def _locate(words: str) -> InputError:
    path, message = "$", words
    found = _KEY_PATH.fullmatch(words) or _PATH.fullmatch(words)
    if found is not None:
        path, message = found["path"], found["message"]
    field = _FIELD.fullmatch(message)
    return InputError(path=f"{path}.{field['field']}" if field else path, message=message)
