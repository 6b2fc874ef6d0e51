"""``python -m benchmarks [langevin] [tracking] [orchestration] [ebm_sweep] [--picture FILE]``; exit status 1 for a miss."""

import argparse
import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks._figure import Figure, machine

QUICK = ("langevin", "tracking", "orchestration")
SLOW = ("ebm_sweep",)  # minutes


def measure(name: str, picture: Path | None) -> Iterator[Figure]:
    """The figures of one benchmark, as they come."""
    module = importlib.import_module("benchmarks.main_job" if name == "ebm_sweep" else f"benchmarks.{name}")
    yield from (partial(module.measure, picture) if name == "ebm_sweep" else module.measure)()


def main() -> int:
    """Measure what was asked for, say each figure when it is there, and all of them in the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What is fast, measured.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK + SLOW)}; all but the last")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where ebm_sweep copies its best samples to")
    options = parser.parse_args()
    for name in options.names:
        if name not in QUICK + SLOW:
            parser.error(f"no benchmark '{name}'; there are {', '.join(QUICK + SLOW)}")

    console = Console(width=120)
    console.print(" · ".join(f"{key} {value}" for key, value in machine().items()), highlight=False)
    found = []
    for name in options.names or QUICK:
        for figure in measure(name, options.picture):
            console.print(f"{figure.name}: {figure.measured}", highlight=False, markup=False)
            found.append(figure)
    table = Table("figure", "measured", "target", "ok", box=None, header_style="bold", pad_edge=False)
    for figure in found:
        table.add_row(figure.name, figure.measured, figure.target, {None: "", True: "yes", False: "no"}[figure.ok])
    console.print("\n", table, highlight=False, markup=False)
    return 1 if any(figure.ok is False for figure in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
