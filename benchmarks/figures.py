"""Figures: what was measured against what was asked for; as a table, as JSON, and in docs/performance.md."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

_BETWEEN = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured value; `at_least` or `at_most` is what issue or design ask for, where they do."""

    part: str
    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)}"
        return f"≤ {_number(self.at_most)}" if self.at_most is not None else ""

    @property
    def is_met(self) -> bool | None:
        """None: nothing was asked for."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most is not None else None

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "MISSED"}[self.is_met]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmarks, as it is kept."""

    machine: Mapping[str, str]
    figures: Sequence[Figure]


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


_HEAD = ("part", "what", "figure", "asked for", "")


def _rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    return [
        (figure.part, figure.name, f"{_number(figure.value)} {figure.unit}".strip(), figure.target, figure.verdict)
        for figure in figures
    ]


def text_table(figures: Sequence[Figure]) -> str:
    rows = [_HEAD, *_rows(figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{figure.part}, {figure.name}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, *notes])


def markdown_table(run: Run) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in run.machine.items())
    rows = [_HEAD, ("---",) * len(_HEAD), *_rows(run.figures)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [f"- {figure.part}, {figure.name}: {figure.note}" for figure in run.figures if figure.note]
    return "\n".join([f"Measured on: {machine}.", "", *lines, *([""] if notes else []), *notes]) + "\n"


def merge(before: Run | None, now: Run) -> Run:
    """Return `now` with the figures of `before` for the parts that did not run this time."""
    ran = {figure.part for figure in now.figures}
    kept = [figure for figure in before.figures if figure.part not in ran] if before is not None else []
    return Run(machine=now.machine, figures=[*kept, *now.figures])


def write_docs(page: Path, run: Run) -> None:
    """Put the run's table in its place on the page.

    Raises:
        ValueError: the page has no such place.
    """
    text, count = _BETWEEN.subn(lambda found: found[1] + markdown_table(run) + found[2], page.read_text())
    if count != 1:
        raise ValueError(f"{page.name} has no place for the figures.")
    page.write_text(text)
