from pathlib import Path

import pytest

from benchmarks.figures import Figure, Run, merge, text_table, write_docs
from benchmarks.latency import summarise


def figure(
    part: str = "inbound", value: float = 10, *, at_least: float | None = None, at_most: float | None = None
) -> Figure:
    return Figure(part=part, name="speed", value=value, unit="/s", at_least=at_least, at_most=at_most)


@pytest.mark.parametrize(
    ("value", "at_least", "at_most", "is_met"),
    [
        (10, 10, None, True),
        (9.9, 10, None, False),
        (10, None, 10, True),
        (10.1, None, 10, False),
        (10, None, None, None),
    ],
)
def test_a_figure_says_whether_it_is_what_was_asked_for(
    value: float, at_least: float | None, at_most: float | None, is_met: bool | None
) -> None:
    assert figure(value=value, at_least=at_least, at_most=at_most).is_met is is_met


def test_a_miss_is_seen_in_the_table() -> None:
    assert "MISSED" in text_table([figure(at_least=11)])
    assert "MISSED" not in text_table([figure(at_least=9), figure()])


def test_a_run_of_some_parts_keeps_the_figures_of_the_others() -> None:
    before = Run(machine={}, figures=[figure("inbound", 1), figure("chat", 2)])
    now = Run(machine={}, figures=[figure("chat", 3)])
    assert [(kept.part, kept.value) for kept in merge(before, now).figures] == [("inbound", 1), ("chat", 3)]
    assert merge(None, now).figures == now.figures


def test_the_page_gets_the_figures_in_their_place_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Before\n<!-- figures -->\nold\n<!-- end of figures -->\nAfter\n")
    write_docs(page, Run(machine={"python": "3.11"}, figures=[figure(at_least=9)]))
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("# Before\n<!-- figures -->\n")
    assert text.endswith("<!-- end of figures -->\nAfter\n")
    assert "| inbound | speed | 10.0 /s | ≥ 9.00 | met |" in text


def test_a_page_without_a_place_for_figures_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Nothing here")
    with pytest.raises(ValueError, match="no place"):
        write_docs(page, Run(machine={}, figures=[]))


def test_percentiles_are_the_nearest_rank_in_milliseconds() -> None:
    found = summarise([number / 1000 for number in range(100, 0, -1)])
    assert (found.count, found.p50, found.p99, found.most) == (100, 50, 99, 100)
    assert summarise([0.007]).p99 == 7
    assert summarise([]).count == 0
