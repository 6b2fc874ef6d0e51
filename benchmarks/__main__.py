"""``python -m benchmarks [NAME…] [--quick] [--picture PATH]``: the usual ones, or those named; exit status 1 for a miss."""

import argparse
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks._figure import Figure, machine

USUAL = (
    "langevin",
    "samplers",
    "sampling",
    "writing",
    "jem",
    "gan",
    "tracking",
    "orchestration",
    "book",
    "recovery",
    "busy",
    "first_image",
    "report",
    "startup",
)
MAIN_JOB = "ebm_sweep"  # on its own it takes as long as all others, and more
CLUSTER = "cluster"  # needs Ray, an extra
THEORY = "theory"  # no matter of speed: it draws the pictures of docs/theory.md again


def measure(name: str, quick: bool, picture: Path | None) -> Iterator[Figure]:
    """The figures of one benchmark, as they come."""
    if name == MAIN_JOB:
        from benchmarks.speed import main_job

        yield from main_job.measure(picture)
    elif name == THEORY:
        from benchmarks import theory

        yield from theory.measure(quick, picture)
    else:
        module = CLUSTER if name == CLUSTER else f"speed.{name}"
        yield from importlib.import_module(f"benchmarks.{module}").measure(quick)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for; None: that of this process."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What is fast, and what theory says, measured."
    )
    known = (*USUAL, CLUSTER, MAIN_JOB, THEORY)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all but the last three")
    parser.add_argument(
        "--quick", action="store_true", help="repeat little: to see that a benchmark works, not how fast"
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="PATH",
        help=f"file that {MAIN_JOB} copies its best samples to, or folder of {THEORY}'s pictures (docs)",
    )
    options = parser.parse_args(words)
    for name in options.names:
        if name not in known:
            parser.error(f"no benchmark '{name}'; there are {', '.join(known)}")
    return options


def main() -> int:
    """Measure what was asked for, say each figure when it is there, and all of them in the end."""
    options = arguments()
    console = Console(width=120)
    console.print(" · ".join(f"{key} {value}" for key, value in machine().items()), highlight=False)
    found = []
    for name in options.names or USUAL:
        for figure in measure(name, options.quick, options.picture):
            console.print(f"{figure.name}: {figure.measured}", highlight=False, markup=False)
            found.append(figure)
    table = Table("figure", "measured", "target", "ok", box=None, header_style="bold", pad_edge=False)
    for figure in found:
        table.add_row(figure.name, figure.measured, figure.target, {None: "", True: "yes", False: "no"}[figure.ok])
    console.print("\n", table, highlight=False, markup=False)
    return 1 if any(figure.ok is False for figure in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
