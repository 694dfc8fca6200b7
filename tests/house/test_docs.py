"""The words keep up with the tree: links lead somewhere, named commands exist, records of decisions have one form."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
RECORDS = sorted(ROOT.glob("docs/adr/*.md"))
HEADINGS = ["Context", "Decision", "Consequences"]
AFTERWARDS = [[], ["Measurements"]]

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")


def anchors(page: Path) -> set[str]:
    """Return what a link may name behind `#`: the headings as GitHub spells them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path, text: str) -> Iterator[str]:
    for target in _LINK.findall(_FENCE.sub("", text)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or not place.is_relative_to(ROOT) or (anchor and anchor not in anchors(place)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page, page.read_text(encoding="utf-8"))) == []


def test_a_link_that_leads_nowhere_is_seen() -> None:
    good = "[a](docs/policy.md) [b](#settings) [c](docs/reliability.md#limits) [d](https://example.com)"
    assert list(broken_links(README, good)) == []
    bad = ["docs/none.md", "#nowhere", "docs/reliability.md#nowhere", "../elsewhere.md"]
    assert list(broken_links(README, " ".join(f"[x]({target})" for target in bad))) == bad


def code_lines(text: str) -> list[str]:
    """Return each line of a fenced block and each span of code between back-ticks."""
    blocks = [line for block in _FENCE.findall(text) for line in block.splitlines()]
    return [*blocks, *_CODE.findall(_FENCE.sub("", text))]


def made_targets(text: str) -> set[str]:
    return {name for line in code_lines(text) for name in re.findall(r"(?<![\w-])make ([a-z][a-z-]*)", line)}


def commands(text: str) -> set[tuple[str, ...]]:
    """Return the words behind each `main.py`, up to the first argument."""
    found = (words for line in code_lines(text) for words in re.findall(r"main\.py((?: [a-z]+)+)(?![\w@.-])", line))
    return {tuple(words.split()) for words in found}


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = made_targets(README.read_text(encoding="utf-8"))
    assert {"run", "test"} <= named
    assert named - targets == set()


def test_every_command_in_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    named = commands(README.read_text(encoding="utf-8"))
    assert {("serve",), ("demo",), ("migrate",), ("agent", "add"), ("quarantine", "replay")} <= named
    for words in sorted(named):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert (words, ended.value.code) == (words, 0)
        assert " ".join(words) in capsys.readouterr().out


@pytest.mark.parametrize("words", [("server",), ("agent", "remove")])
def test_a_command_that_does_not_exist_is_seen(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_commands_are_read_from_spans_and_blocks() -> None:
    spans = "`make run`, make sense, `python main.py agent add EMAIL --name N`"
    text = f"{spans}\n```sh\nmake test  # x\n./main.py serve\n```\n"
    assert made_targets(text) == {"run", "test"}
    assert commands(text) == {("agent", "add"), ("serve",)}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_of_a_decision_has_its_number_and_the_usual_headings(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    number, _, _ = record.stem.partition("-")
    assert re.match(rf"# {number}\. [A-Z]", text)
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert found in [HEADINGS + more for more in AFTERWARDS]


def test_records_of_decisions_are_numbered_without_gaps() -> None:
    assert [record.stem[:5] for record in RECORDS] == [f"{number:04}-" for number in range(1, len(RECORDS) + 1)]
