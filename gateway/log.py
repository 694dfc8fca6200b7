"""Logging: what happened, with ids and route templates; never bodies, addresses, queries or secrets.

Every line passes two processors, whoever wrote it (the libraries' lines through `logging` too):

- An error becomes its kinds and places. Its words are left out, ours too: they may quote what a customer wrote.
- A value is kept only if it looks like something that we may keep: a number, a time, an id, one word without an `@`
  or a run of digits as long as a telephone number. What stands under a telling key (`text`, `token`) must be an id or
  a number. Anything else becomes `[hidden]`. This is the second guard: the first is not to log it.

Of a library's line only the template stays, without its arguments, and its first line at that: a library may write
whole objects into the lines below.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import TextIO

import msgspec
import structlog
from structlog.typing import Processor

from gateway.domain.errors import trace_lines

HIDDEN = "[hidden]"
# fmt: off
_TELLING = frozenset({
    "address", "addresses", "authorization", "body", "caption", "cc", "content", "cookie", "customer", "data",
    "email", "from", "headers", "html", "key", "mail", "message", "name", "params", "password", "payload", "peer",
    "phone", "preview", "profile", "query", "raw", "recipient", "secret", "sender", "subject", "text", "to", "token",
    "url", "user", "value",
})
# fmt: on
_OURS = frozenset({"event", "level", "timestamp", "trace"})
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WORD = re.compile(r"[^\s@?&=\"'`]{0,200}")
# Seven digits are the shortest subscriber number that says whose it is; hexadecimal runs are ids and hashes.
_PHONE = re.compile(r"(?<![0-9a-zA-Z-])\+?\d(?:[ ().-]?\d){6,}(?![0-9a-zA-Z-])")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\S*@\S*|\?\S+")


def configure_logging(*, level: str, is_json: bool, stream: TextIO | None = None) -> None:
    """Send all lines of `level` and above to `stream` (standard error), one JSON object each, or for people."""
    out = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_encode)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            replace_error,
            hide_words,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[LibraryHandler()], level=max(number, logging.INFO), force=True)
    logging.getLogger("aiohttp.access").disabled = True  # its lines have paths with tokens in them
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd tells every command
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sys.excepthook = _log_crash


class LibraryHandler(logging.Handler):
    """Takes the lines of libraries over into ours: template and error, no arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(record.levelno, str(record.msg), logger=record.name, exc_info=error)


def replace_error(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Put `trace`, without the error's words, in the place of `exc_info` and of a ready-made `exception`."""
    error = event.pop("exc_info", None)
    event.pop("exception", None)
    event.pop("stack_info", None)
    if error is True or isinstance(error, tuple):
        error = sys.exc_info()[1] if error is True else error[1]
    if isinstance(error, BaseException):
        event["trace"] = trace_lines(error)
    return event


def hide_words(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Hide every value that may be somebody's words, address or secret."""
    for key, value in event.items():
        if key not in _OURS:
            event[key] = _guard(key, value)
    event["event"] = _tidy(str(event.get("event", "")))
    return event


def _guard(key: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float | datetime):
        return value
    if isinstance(value, Mapping):
        return {str(inner): _guard(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_guard(key, item) for item in value]
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, PurePath):
        value = value.name
    if not isinstance(value, str) or (_is_telling(key) and not _ID.fullmatch(value)):
        return HIDDEN
    return value if _WORD.fullmatch(value) and not _PHONE.search(value) else HIDDEN


def _is_telling(key: str) -> bool:
    return not _TELLING.isdisjoint(key.lower().split("_"))


def _tidy(text: str) -> str:
    """Return the first line of a line's own words, without what was quoted in it or looks like an address."""
    first = text.partition("\n")[0][:200]
    return _PHONE.sub(HIDDEN, _QUOTED.sub(HIDDEN, first))


def _encode(event: object, **_options: object) -> str:
    return msgspec.json.encode(event).decode()


def _log_crash(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process.crashed", exc_info=error)
