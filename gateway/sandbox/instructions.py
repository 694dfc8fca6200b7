"""What a stand-in is told to do wrong: instructions for certain recipients, followed a number of times."""

from collections.abc import Collection
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Generic, Protocol, TypeVar


class Instruction(Protocol):
    """`to`: the recipient, where * and ? stand for any characters; `times`: None is for good."""

    @property
    def kind(self) -> StrEnum: ...

    to: str
    times: int | None


T = TypeVar("T", bound=Instruction)


class Instructions(Generic[T]):
    """Instructions in the order they came; the first that fits is followed, and used up."""

    def __init__(self) -> None:
        self._waiting: list[T] = []

    def add(self, instruction: T) -> None:
        self._waiting.append(instruction)

    def clear(self) -> None:
        self._waiting.clear()

    def take(self, *recipients: str, kinds: Collection[StrEnum] | None = None) -> T | None:
        """Return the first one that is for any of the recipients, and of one of the kinds where these are given."""
        for instruction in self._waiting:
            is_wanted = kinds is None or instruction.kind in kinds
            if is_wanted and any(fnmatchcase(recipient, instruction.to) for recipient in recipients):
                self._use_up(instruction)
                return instruction
        return None

    def _use_up(self, instruction: T) -> None:
        if instruction.times is None:
            return
        instruction.times -= 1
        if instruction.times <= 0:
            self._waiting.remove(instruction)
