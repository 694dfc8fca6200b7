"""What can go wrong, as one tree.

GatewayError
├── BadInput              the caller sent something we can't take; carries paths
├── Unauthenticated       no or wrong credentials
├── Forbidden             known, but not allowed
├── NotFound              no such thing, or not one the caller may see
├── Gone                  was there once, and is not coming back
├── Conflict              true when the caller looked, not any more
├── TooLarge              over a stated limit
├── TooManyRequests       come back after `retry_after_s`
├── Unavailable           the database (or another resource of ours) is away; try again
├── ParseFailure          a provider's bytes that give no message: quarantine
├── FetchFailed           a file of a message could not be fetched; carries whether trying again may help
└── SendError             a provider did not take a message; carries the action that follows
"""

import traceback
from dataclasses import dataclass
from enum import StrEnum


class GatewayError(Exception):
    """The root: an error with a sentence that a caller may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputError:
    """One mistake in what a caller sent; `path` is a JSON path such as `$.text`."""

    path: str
    message: str


class BadInput(GatewayError):
    def __init__(self, message: str, errors: tuple[InputError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class Unauthenticated(GatewayError):
    pass


class Forbidden(GatewayError):
    pass


class NotFound(GatewayError):
    pass


class Gone(GatewayError):
    pass


class Conflict(GatewayError):
    pass


class TooLarge(GatewayError):
    pass


class TooManyRequests(GatewayError):
    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(GatewayError):
    pass


class ParseFailure(GatewayError):
    pass


class FetchFailed(GatewayError):
    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class SendAction(StrEnum):
    """What follows when a provider does not take a message, or says later that it failed."""

    RETRY = "retry"  # a passing fault: again after back-off, counted
    WAIT = "wait"  # never processed (429): again later, not counted
    FAIL = "fail"  # permanent for this message
    SUPPRESS = "suppress"  # permanent, and never send to this address again
    FLAG_ADDRESS = "flag_address"  # permanent: the address can't receive on this channel
    STOP_CHANNEL = "stop_channel"  # our account or set-up is broken: permanent, alert
    IN_DOUBT = "in_doubt"  # the bytes left, the answer is unknown


class SendError(GatewayError):
    """A provider did not take a message. `reason` is in plain words, for the agent."""

    def __init__(
        self, action: SendAction, reason: str, *, code: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.action = action
        self.reason = reason
        self.code = code
        self.retry_after_s = retry_after_s


def trace_lines(error: BaseException) -> list[str]:
    """Return what may be logged of an error: its kinds and places, cause first, never its words.

    An error's words can hold what a customer wrote (a database says which value it refused).
    """
    lines = [] if error.__cause__ is None else [*trace_lines(error.__cause__), "which led to"]
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            lines += [*trace_lines(member), "which is in"]
    frames = traceback.extract_tb(error.__traceback__)
    return [*lines, type(error).__qualname__, *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)]
