"""``python -m benchmarks.faults [NAME…] [--count N]``: the table of faults as Markdown; exit status 1 unless all survived."""

import argparse
import importlib
import sys

from benchmarks.faults.row import HEAD, Row

# Each is a file of this folder with a function measure(count), which yields a Row for each fault that it tries. The count
# is how often to try a fault; None stands for the number that the file thinks enough.
SCRIPTS = (
    *("chaos", "combinations", "first_seconds", "fuzz", "last_seconds"),
    *("moved_folders", "odd_data", "pack", "refusals", "store_errors"),
)


def main() -> int:
    """Try what was asked for. Each row is said on standard error when it is there, and the table is printed in the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description="Faults, tried many times.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}; all unless you name some")
    parser.add_argument("--count", type=int, metavar="N", help="how often to try each fault")
    options = parser.parse_args()
    for name in options.names:
        if name not in SCRIPTS:
            parser.error(f"no script '{name}'; there are {', '.join(SCRIPTS)}")
    rows = list[Row]()
    for name in options.names or SCRIPTS:
        for row in importlib.import_module(f"benchmarks.faults.{name}").measure(options.count):
            print(row.markdown(), file=sys.stderr, flush=True)
            rows.append(row)
    print("\n".join([HEAD, *(row.markdown() for row in rows)]))
    return 0 if all(row.survived == row.tried for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
