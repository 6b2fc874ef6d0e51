"""How much do the tests notice?  ``python -m benchmarks.mutants [--count 150] [--seed 0] [--area NAME] [--seconds 120]``

Small faults are put into a copy of the code, one at a time, and the fast tests that run its line are played until one fails.
A fault that no test notices is a hole in the tests, or it changes nothing that matters. Harmless ones are listed with a
reason in harmless.toml. First all fast tests run once, some 20 minutes on an idle core, to learn which tests run which line:
that is stored in .cache/mutants until the code or a test changes.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.mutants import forked, reach
from benchmarks.mutants.sample import AREAS, ROOT, Mutant, files, sample

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HARMLESS = Path(__file__).with_name("harmless.toml")
TARGET = 0.95
RESULTS = ("caught", "hung", "harmless", "survived")


def harmless() -> dict[tuple[str, str, str], str]:
    """Changes that matter to nobody, by file and line before and after, with the reason."""
    listed = tomllib.loads(HARMLESS.read_text(encoding="utf-8")).get("harmless", [])
    return {(one["file"], one["before"], one["after"]): one["reason"] for one in listed}


def copy(folder: Path) -> Path:
    """A copy of all files that git knows, to put faults into."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


class Trial:
    """Faults are put into ``folder`` one at a time, and the tests run that reach them."""

    def __init__(self, folder: Path, reached: reach.Reach, limit: float) -> None:
        """``limit``: seconds of tests, as long as they take without a fault, that a fault has to survive."""
        self.folder, self.reach, self.limit = folder, reached, limit
        self.trusted: set[str] = set()  # tests that failed with a fault and pass without one, alone

    def attempt(self, mutant: Mutant) -> tuple[str, str]:
        """What became of it, and by which tests."""
        while True:
            chosen = self.reach.tests(self.folder, mutant.file, mutant.line, self.limit)
            path = self.folder / mutant.file
            original = path.read_bytes()
            path.write_text(mutant.text, encoding="utf-8")
            try:
                run = self._play(chosen)
            finally:
                path.write_bytes(original)
            if not run.status:
                return "survived", f"{len(chosen)} tests of {sum(chosen.values()):.0f} seconds"
            if run.hung or not run.failed:
                return ("hung" if run.hung else "caught"), "before any test" if not run.hung else ""
            (test,) = run.failed[:1]
            if test in self.trusted or not self._play({test: self.reach.seconds[test]}).status:
                self.trusted.add(test)
                return "caught", test
            print(f"fails without a fault too, and is left out: {test}", flush=True)
            self.reach.without(test)

    def _play(self, chosen: dict[str, float]) -> forked.Run:
        places = list(dict.fromkeys(name.partition("::")[0] for name in chosen))
        return forked.run(self.folder, places, chosen, "-x")


def main() -> int:
    """Draw mutants, try each, print what became of it; exit status 1 below the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description="How much do the tests notice?")
    parser.add_argument("--count", type=int, default=150, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--area", choices=sorted(AREAS), action="append", help="all, unless named")
    parser.add_argument(
        "--seconds",
        type=float,
        default=120,
        help="of tests, as long as they took when they were measured, that a fault has to survive",
    )
    parser.add_argument("--list", action="store_true", help="print the sample and try none")
    options = parser.parse_args()
    drawn = sample(options.area or list(AREAS), options.count, options.seed)
    if options.list:
        print(*drawn, sep="\n")
        return 0
    known, results = harmless(), Counter[tuple[str, str]]()
    forked.preload()
    with tempfile.TemporaryDirectory() as temporary:
        folder = copy(Path(temporary, "copy"))
        every_file = [path.relative_to(ROOT).as_posix() for area in AREAS for path in files(area)]
        trial = Trial(folder, reach.measured(folder, every_file, ROOT / ".cache" / "mutants"), options.seconds)
        began = time.monotonic()
        for mutant in drawn:
            reason = known.get((mutant.file, mutant.before, mutant.after))
            result, by = ("harmless", reason) if reason else trial.attempt(mutant)
            results[mutant.area, result] += 1
            print(f"{result:9} {mutant}\n    {by}", flush=True)
    return summary(results, time.monotonic() - began)


def summary(results: Counter[tuple[str, str]], seconds: float) -> int:
    """Print the table; returns the exit status."""
    print(f"\n{'area':14}{'mutants':>8}" + "".join(f"{result:>10}" for result in RESULTS))
    for area in sorted({area for area, _ in results}):
        row = [results[area, result] for result in RESULTS]
        print(f"{area:14}{sum(row):8}" + "".join(f"{count:10}" for count in row))
    total = Counter[str]()
    for (_, result), count in results.items():
        total[result] += count
    noticed, survived = total["caught"] + total["hung"], total["survived"]
    share = noticed / max(1, noticed + survived)
    print(f"{share:.1%} of what matters is noticed (target {TARGET:.0%}), in {seconds / 60:.0f} minutes")
    return 0 if share >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
