"""Runs the same small sweep on two checkouts and compares what its trials were asked to be and what came out.

    python benchmarks/commits/sweeps.py CHECKOUT CHECKOUT [--trials N] [--study NAME] [--set KEY=VALUE …]
    python benchmarks/commits/sweeps.py CHECKOUT tests/fixtures/asked-settings-197e99b.json
    python benchmarks/commits/sweeps.py --record FILE CHECKOUT

`sweep run STUDY --trials 4 --workers 1 --seed 0 --deterministic --device cpu --data digits` is run in a fresh temporary folder
for each checkout; settings and values are read from `sweep show NAME --json`. Prints a table and exits 1 if any trial differs.
Values are compared to the last bit, and only where both were made with the same processor and torch.

Without --set the smallest ebm that works is trained (SMALL; about 15 seconds of one core a checkout).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SMALL: dict[str, dict[str, Any]] = {
    "ebm": {
        "blocks": 1,
        "width": 4,
        "evaluation_samples": 32,
        "evaluations": 2,
        "buffer_size": 100,
        "evaluation_length": 1,
    }
    | {"network_evaluations": 144},
}
NAME = "compared-commits"


def machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    from importlib.metadata import version

    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    return {"cpu": cpu, "torch": version("torch"), "optuna": version("optuna")}


def sweep(checkout: Path, folder: str, *arguments: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    for name in ("SWEEP_STORAGE", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"):
        env.pop(name, None)
    command = [sys.executable, "-m", "orchestrator", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"{checkout}: sweep {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def played(checkout: Path, study: str, trials: int, deterministic: bool, settings: dict[str, str]) -> dict[str, Any]:
    """The sweep, played on a checkout."""
    options = [
        "--trials",
        str(trials),
        "--workers",
        "1",
        "--seed",
        "0",
        "--device",
        "cpu",
        "--data",
        "digits",
        "--name",
        NAME,
    ]
    options += ["--deterministic"] if deterministic else []
    for key, value in settings.items():
        options += ["--set", f"{key}={value}"]
    with tempfile.TemporaryDirectory(prefix="compare-commits-") as folder:
        sweep(checkout, folder, "run", study, *options)
        shown = json.loads(sweep(checkout, folder, "show", NAME, "--json"))
    kept = ("trial", "outcome", "settings", "values", "reports")
    return {
        "checkout": str(checkout),
        "command": " ".join(["sweep run", study, *options]),
        "machine": machine(),
        "every_trial": [{key: trial[key] for key in kept} for trial in shown["every_trial"]][:trials],
    }


def words(trial: dict[str, Any] | None, key: str, digits: int) -> str:
    if trial is None:
        return "absent"
    return " ".join(
        f"{name}={value:.{digits}g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in trial[key].items()
    )


def compared(first: dict[str, Any], second: dict[str, Any], with_values: bool) -> int:
    """How many trials differ; prints a table."""
    bad = 0
    one, two = ({trial["trial"]: trial for trial in side["every_trial"]} for side in (first, second))
    print("| trial | settings | outcome and values | first | second |\n|---|---|---|---|---|")
    for number in sorted(one.keys() | two.keys()):
        a, b = one.get(number), two.get(number)
        settings = a is not None and b is not None and list(a["settings"].items()) == list(b["settings"].items())
        values = a is not None and b is not None and all(a[key] == b[key] for key in ("outcome", "values", "reports"))
        bad += not settings or (with_values and not values)
        texts = [words(side, "values", 6 if values else 17) or "no value" for side in (a, b)]
        if not settings:
            texts = [f"{text}; {words(side, 'settings', 17)}" for text, side in zip(texts, (a, b), strict=True)]
        says = [f"{side['outcome']} {text}" if side else text for side, text in zip((a, b), texts, strict=True)]
        print(
            f"| {number} | {'same' if settings else 'DIFFER'} | {'same' if values else 'DIFFER'} | {' | '.join(says)} |"
        )
    return bad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides", nargs="+", help="checkouts, or a file that --record wrote", metavar="CHECKOUT")
    parser.add_argument("--record", metavar="FILE")
    parser.add_argument("--study", default="ebm")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--deterministic", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    changed = dict(text.split("=", 1) for text in given.set)
    settings = {key: str(value) for key, value in SMALL.get(given.study, {}).items()} | changed
    asked: list[Any] = [given.study, given.trials, given.deterministic, settings]
    files = [json.loads(Path(side).read_text()) for side in given.sides if Path(side).is_file()]
    if files:  # played as it was recorded
        asked = files[0]["played"]
    sides = [Path(side).resolve() for side in given.sides if not Path(side).is_file()]
    results = files + [played(side, *asked) for side in sides]
    if given.record:
        part = Path(f"{given.record}.part")  # a full disk leaves an older record as it was
        part.write_text(json.dumps({"played": asked, **results[0]}, indent=1) + "\n")
        part.replace(given.record)
        return
    if len(results) != 2:
        parser.error("name two checkouts, or a checkout and a file")
    same_machine = results[0]["machine"] == results[1]["machine"]
    if not same_machine:
        print(f"values are not compared: {results[0]['machine']} then, {results[1]['machine']} now")
    bad = compared(*results, with_values=same_machine)
    print(f"{bad} differ" if bad else "the same")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
