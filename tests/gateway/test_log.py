"""The log: one JSON object a line, with what happened; never words, addresses or secrets."""

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterator

import msgspec
import pytest
import structlog

from gateway.domain.delivery import MessageStatus
from gateway.domain.errors import ParseFailure
from gateway.domain.ids import new_id
from gateway.log import HIDDEN, configure_logging

Lines = Callable[[], list[dict[str, object]]]
log = structlog.get_logger("gateway.test")
SECRETS = ("hunter2", "ana@example.com", "+351912345678", "Where is my parcel")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, access, mail = logging.getLogger(), logging.getLogger("aiohttp.access"), logging.getLogger("mail.log")
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    root.handlers = []  # so that the set-up does not close what pytest catches lines with
    yield
    structlog.reset_defaults()
    root.handlers, sys.excepthook = handlers, hook
    root.setLevel(level)
    access.disabled = False
    mail.setLevel(logging.NOTSET)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    configure_logging(level="info", is_json=True, stream=stream)

    def read() -> list[dict[str, object]]:
        return [msgspec.json.decode(line, type=dict[str, object]) for line in stream.getvalue().splitlines()]

    return read


def fail(words: str) -> None:
    raise ValueError(words)


def test_a_line_says_what_happened_with_ids_and_route_templates(lines: Lines) -> None:
    id_ = new_id()
    log.info(
        "message.sent", message=id_, status=MessageStatus.SENT, route="/v1/conversations/{id}", items=3, took_s=0.5
    )
    (line,) = lines()
    assert line.pop("timestamp")
    assert line == {
        "event": "message.sent",
        "level": "info",
        "message": id_,
        "status": "sent",
        "route": "/v1/conversations/{id}",
        "items": 3,
        "took_s": 0.5,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reason", "Where is my parcel?"),
        ("who", "ana@example.com"),
        ("who", "+351912345678"),
        ("who", "whatsapp:+351912345678"),
        ("who", "912345678"),
        ("path", "/u/x?token=hunter2"),
        ("auth_token", "hunter2"),
        ("password", "hunter2"),
        ("message", "hunter2"),
        ("text", "hunter2"),
        ("parts", ["ok", "Where is my parcel?"]),
        ("form", {"Body": "hunter2", "From": "+351912345678"}),
        ("body", b"hunter2"),
        ("thing", ParseFailure("hunter2")),
    ],
)
def test_words_addresses_and_secrets_are_hidden(lines: Lines, stream: io.StringIO, key: str, value: object) -> None:
    log.info("something.happened", **{key: value})
    assert HIDDEN in str(lines()[0][key])
    assert not any(secret in stream.getvalue() for secret in SECRETS)


def test_an_error_is_logged_with_its_places_and_without_its_words(lines: Lines, stream: io.StringIO) -> None:
    try:
        try:
            fail("Where is my parcel?")
        except ValueError as error:
            raise ParseFailure("ana@example.com") from error
    except ParseFailure:
        log.exception("parse.failed")
    trace = str(lines()[0]["trace"])
    assert "ValueError" in trace
    assert "ParseFailure" in trace
    assert "test_log.py" in trace
    assert not any(secret in stream.getvalue() for secret in SECRETS)


async def test_the_members_of_an_error_group_are_told(lines: Lines) -> None:
    async def crash() -> None:
        fail("hunter2")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(crash())
    log.error("workers.crashed", exc_info=caught.value)
    trace = str(lines()[0]["trace"])
    assert "ValueError" in trace
    assert "in crash" in trace or " crash" in trace
    assert "hunter2" not in trace


def test_libraries_lines_keep_their_template_and_lose_their_arguments(lines: Lines, stream: io.StringIO) -> None:
    library = logging.getLogger("some.library")
    library.warning("%r said %s", "ana@example.com", "Where is my parcel?")
    library.warning("Task 'hunter2' for ana@example.com, +351 912 345 678 failed\nfuture: Where is my parcel?")
    try:
        fail("hunter2")
    except ValueError:
        library.exception("It broke")
    first, second, third = lines()
    assert (first["event"], first["logger"], first["level"]) == ("%r said %s", "some.library", "warning")
    assert second["event"] == f"Task {HIDDEN} for {HIDDEN} {HIDDEN} failed"
    assert "ValueError" in str(third["trace"])
    assert not any(secret in stream.getvalue() for secret in SECRETS)


def test_the_access_log_and_the_mail_commands_stay_silent(lines: Lines) -> None:
    logging.getLogger("aiohttp.access").error("GET /u/hunter2")
    logging.getLogger("mail.log").info("%r >> %r", "peer", "RCPT TO:<ana@example.com>")
    assert lines() == []


def test_lines_below_the_level_are_dropped(lines: Lines) -> None:
    log.debug("quiet")
    logging.getLogger("some.library").debug("quiet")
    assert lines() == []


def test_a_crash_of_the_process_is_logged_without_its_words(lines: Lines) -> None:
    sys.excepthook(ValueError, ValueError("hunter2"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    (line,) = lines()
    assert (line["event"], line["level"], line["trace"]) == ("process.crashed", "critical", ["ValueError"])


def test_lines_for_people_are_guarded_alike(stream: io.StringIO) -> None:
    configure_logging(level="info", is_json=False, stream=stream)
    log.info("something.happened", text="hunter2")
    assert "something.happened" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
