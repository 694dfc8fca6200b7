"""The countable rules of the house, over the whole tree. Each rule is a function from a module to what breaks it.

Where a rule would make the code worse, the exception stands here as data, with its reason.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.settings import settings_table

ROOT = Path(__file__).parents[2]
ROOMS = ("gateway", "channels", "templates", "routing", "storage", "config", "tests", "benchmarks")

# Drafted by a program, read top to bottom, never changed afterwards.
DRAFTED = "storage/migrations/versions/"
# The two boundaries: a request answered with 500, an item counted and parked.
BROAD_HANDLERS = Counter({"gateway/web/problem.py": 1, "gateway/workers/run_item.py": 1})
# The length of an outage under load is what is tried there.
TIMED_TESTS = frozenset({"tests/faults/test_outage.py"})
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc"})
BANNED_CALLS = frozenset({"asyncio.create_task", "asyncio.ensure_future", "loop.create_task", "hasattr"})
PASTED_LINES, PASTED_SHARE = 6, 0.03
FILLERS = frozenset("a an and are as at by for from in is it its of on or that the this to with".split())

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    path: str
    source: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        return self.path.startswith("tests/")

    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)


def read_module(path: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    return Module(path.relative_to(ROOT).as_posix(), source, ast.parse(source))


def sample(source: str, path: str = "gateway/sample.py") -> Module:
    return Module(path, source, ast.parse(source))


MODULES = [
    read_module(path)
    for path in [*ROOT.glob("main.py"), *(path for room in ROOMS for path in sorted(ROOT.glob(f"{room}/**/*.py")))]
    if not path.relative_to(ROOT).as_posix().startswith(DRAFTED)
]


def long_file(module: Module) -> Iterator[str]:
    lines = module.source.count("\n")
    if lines > 500:
        yield f"{lines} lines"


def long_function(module: Module) -> Iterator[str]:
    for node in module.nodes():
        if isinstance(node, Function) and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 60:
            yield f"{node.name} has {lines} lines"


def wide_class(module: Module) -> Iterator[str]:
    for node in module.nodes():
        if isinstance(node, ast.ClassDef):
            public = {item.name for item in node.body if isinstance(item, Function) and item.name[0] != "_"}
            if len(public) > 12:
                yield f"{node.name} has {len(public)} public methods"


def echo_docstring(module: Module) -> Iterator[str]:
    for node in module.nodes():
        if isinstance(node, Function | ast.ClassDef) and (text := ast.get_docstring(node)):
            name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", node.name).replace("_", " ")
            if stems(text) <= stems(name):
                yield f"{node.name}: {text}"


def stems(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {re.sub(r"(es|s|ing|ed)$", "", word) for word in words if word not in FILLERS}


def banned_import(module: Module) -> Iterator[str]:
    for node in module.nodes():
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name in {"main", "mock"} or name.startswith("unittest.mock"):
                yield f"line {node.lineno} imports {name}"
            if name.split(".")[0] in {"tests", "benchmarks"} and not module.path.startswith(("tests/", "benchmarks/")):
                yield f"line {node.lineno} imports {name}"


def banned_call(module: Module) -> Iterator[str]:
    for node in module.nodes():
        if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_CALLS:
            yield f"line {node.lineno} calls {ast.unparse(node.func)}"


def full_init(module: Module) -> Iterator[str]:
    if module.path.endswith("__init__.py") and module.source.strip():
        yield "is not empty"


def vague_name(module: Module) -> Iterator[str]:
    if Path(module.path).stem in BANNED_NAMES:
        yield "does not say what is in it"


def fixed_sleep(module: Module) -> Iterator[str]:
    """A fixed sleep outside a loop waits for time to pass, not for a condition; a random moment is another thing."""
    for test in module.nodes():
        if isinstance(test, Function) and test.name.startswith("test_") and module.path not in TIMED_TESTS:
            looped = {id(node) for loop in ast.walk(test) if isinstance(loop, ast.While) for node in ast.walk(loop)}
            for node in ast.walk(test):
                is_sleep = isinstance(node, ast.Call) and ast.unparse(node.func) in {"asyncio.sleep", "time.sleep"}
                if is_sleep and id(node) not in looped and re.search(r"sleep\((?!0\))[\d.]+\)", ast.unparse(node)):
                    yield f"{test.name} sleeps"


RULES: dict[Callable[[Module], Iterator[str]], Module] = {
    long_file: sample("x = 1\n" * 501),
    long_function: sample("def long() -> None:\n" + "    x = 1\n" * 60),
    wide_class: sample("class Wide:\n" + "".join(f"    def method_{n}(self) -> None: ...\n" for n in range(13))),
    echo_docstring: sample('def load_contact() -> None:\n    """Loads the contacts."""'),
    banned_import: sample("from unittest import mock"),
    banned_call: sample("import asyncio\nasyncio.create_task(run())"),
    full_init: sample("from x import y", "gateway/__init__.py"),
    vague_name: sample("", "gateway/utils.py"),
    fixed_sleep: sample("import time\ndef test_it() -> None:\n    time.sleep(1)", "tests/test_sample.py"),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Callable[[Module], Iterator[str]]) -> None:
    assert [f"{module.path}: {found}" for module in MODULES for found in rule(module)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_sees_what_breaks_it(rule: Callable[[Module], Iterator[str]]) -> None:
    assert list(rule(RULES[rule]))


def count_broad_handlers(module: Module) -> int:
    broad = {"Exception", "BaseException"}
    count = 0
    for node in module.nodes():
        if isinstance(node, ast.ExceptHandler):
            names = (
                {ast.unparse(part) for part in ast.walk(node.type) if isinstance(part, ast.Name)}
                if node.type
                else broad
            )
            count += not broad.isdisjoint(names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            count += not broad.isdisjoint(ast.unparse(argument) for argument in node.args)
    return count


def test_broad_handlers_stand_at_the_two_boundaries_and_nowhere_else() -> None:
    found = Counter({module.path: count for module in MODULES if (count := count_broad_handlers(module))})
    assert found == BROAD_HANDLERS


@pytest.mark.parametrize(
    "handler", ["except:", "except Exception:", "except (OSError, BaseException) as error:", "except Exception as e:"]
)
def test_a_broad_handler_is_counted(handler: str) -> None:
    assert count_broad_handlers(sample(f"try:\n    pass\n{handler}\n    pass")) == 1
    assert count_broad_handlers(sample("with suppress(Exception):\n    pass")) == 1
    assert count_broad_handlers(sample("try:\n    pass\nexcept OSError:\n    pass")) == 0


def pasted_share(modules: list[Module]) -> tuple[float, list[str]]:
    """Return the share of lines that stand in a window of lines found elsewhere too, and where these are."""
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    total = 0
    for module in modules:
        lines = [
            (number, text)
            for number, line in enumerate(module.source.splitlines(), 1)
            if (text := line.strip()) and not text.startswith(("#", "import ", "from ")) and len(text) > 3
        ]
        total += len(lines)
        for start in range(len(lines) - PASTED_LINES + 1):
            part = lines[start : start + PASTED_LINES]
            windows[tuple(text for _, text in part)].append((module.path, start))
    pasted = [places for places in windows.values() if len(places) > 1]
    covered = {(path, start + step) for places in pasted for path, start in places for step in range(PASTED_LINES)}
    return len(covered) / max(total, 1), [str(places) for places in pasted]


def test_hardly_anything_is_pasted() -> None:
    for modules in ([module for module in MODULES if not module.is_test], MODULES):
        share, places = pasted_share(modules)
        assert share <= PASTED_SHARE, "\n".join(places)


def test_pasted_lines_are_seen() -> None:
    text = "".join(f"statement_{n} = {n}\n" for n in range(PASTED_LINES))
    assert pasted_share([sample(text, "a.py"), sample(text, "b.py")])[0] == 1
    assert pasted_share([sample(text, "a.py")])[0] == 0


def test_every_setting_is_changed_by_some_test() -> None:
    tests = "\n".join(module.source for module in MODULES if module.is_test)
    names = re.findall(r"`(GATEWAY_\w+)`", settings_table())
    assert len(names) > 20
    paths = {name: name.removeprefix("GATEWAY_").lower().replace("__", ".") for name in names}
    assert [name for name in names if name not in tests and f'"{paths[name]}"' not in tests] == []
