"""The benchmarks: `python -m benchmarks [PART ...]`. One run at a time, on a machine that does nothing else."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, Run, merge, text_table, write_docs
from benchmarks.launch import Stage
from benchmarks.machine import allow_open_files, describe_machine
from benchmarks.parts import chat, faces, inbound, lists, outbound, start
from tests.support.postgres import running_postgres
from tests.support.processes import scratch_folder

_ROOT = Path(__file__).parent.parent
_LATEST = Path(__file__).parent / "results" / "latest.json"
_PAGE = _ROOT / "docs" / "performance.md"
_OPEN_FILES = 12_000

_PARTS: dict[str, Callable[[Stage], Awaitable[list[Figure]]]] = {
    "inbound": inbound.measure,
    "sms": outbound.measure_sms,
    "email": outbound.measure_email,
    "chat": chat.measure,
    "start": start.measure,
    "lists": lists.measure,
    "faces": faces.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts asked for; return 1 where a figure misses what is asked of it."""
    args = _parser().parse_args(arguments)
    allow_open_files(_OPEN_FILES)
    before = msgspec.json.decode(_LATEST.read_bytes(), type=Run) if _LATEST.exists() else None
    machine = describe_machine()
    figures = asyncio.run(_measure(args.parts or list(_PARTS), dict(args.settings)))
    run = merge(before, Run(machine=machine, figures=figures))
    _LATEST.parent.mkdir(exist_ok=True)
    _LATEST.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    if args.write_docs:
        write_docs(_PAGE, run)
    print(text_table(figures))
    return int(any(figure.is_met is False for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure the gateway against its targets.")
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], metavar="PART", help=", ".join(_PARTS))
    parser.add_argument("--write-docs", action="store_true", help="put the figures into docs/performance.md")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting of the gateway to try, e.g. GATEWAY_DELIVERY__CONCURRENCY=128",
    )
    return parser


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("NAME=VALUE")
    return name, value


async def _measure(parts: Sequence[str], settings: dict[str, str]) -> list[Figure]:
    figures: list[Figure] = []
    with running_postgres(is_durable=True) as postgres, scratch_folder("gateway-benchmarks") as folder:
        stage = Stage(folder=folder, postgres=postgres, settings=settings)
        for part in parts:
            print(f"{part} ...", file=sys.stderr, flush=True)
            figures += await _PARTS[part](stage)
    return figures


if __name__ == "__main__":
    sys.exit(main())
