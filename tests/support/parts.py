"""What the tests need from outside Python, and what happens where a part can't be had."""

import os
from typing import NoReturn

import pytest


class PartMissing(Exception):
    """A server or program that tests need is not on this machine; the message says what to install."""


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def give_up(missing: PartMissing) -> NoReturn:
    """Skip what needs the part; in CI, where everything must be there, fail it."""
    if is_ci():
        pytest.fail(f"{missing} (a skip, if this were not CI)", pytrace=False)
    pytest.skip(str(missing))
