"""A sweep is packed and unpacked, and its copy continues; packed files are damaged; unpacking is killed.

A round trip survives if `show --json` says the same of all finished trials, run ids aside, if the copy ends its trials, and if
`doctor` finds it whole. A damaged file survives if it is refused with status 2 and nothing is made. A killed `unpack` survives
if the next one ends with status 0, and `doctor` finds its sweep, and nothing else, whole.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._figure import SWEEP, empty_folder, environment
from benchmarks.faults.row import Row

STUDY = Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py"
LIMIT = 300  # seconds that no command takes unless it hangs


def measure(count: int | None = None) -> Iterator[Row]:
    """Round trips, damaged files, and kills of `unpack`: ``count`` of each, else 5, 100 and 20."""
    with empty_folder() as folder:
        home = folder / "home"
        home.mkdir()
        _sweep(home, "run", str(STUDY), "--name", "toy", "--trials", "3", "--workers", "1", "--pruner", "none")
        _sweep(home, "enqueue", "toy", "x=0.25")
        packed = folder / "toy.zip"
        _sweep(home, "pack", "toy", "-o", str(packed))
        seconds = time.monotonic()
        trips = [_trip(folder / f"trip-{number}", home, packed) for number in range(count or 5)]
        seconds = (time.monotonic() - seconds) / len(trips) / 3
        yield _row("a sweep packed, unpacked elsewhere and continued", trips, "copies")
        damaged = [_refused(folder, packed, random.Random(number)) for number in range(count or 100)]
        yield _row("a packed file cut or changed anywhere", damaged, "files accepted")
        kills = [
            _killed(folder / f"kill-{i}", packed, random.Random(i).uniform(0, seconds)) for i in range(count or 20)
        ]
        yield _row("kill −9 while `sweep unpack` works", kills, "folders")


def _row(fault: str, survived: list[bool], what: str) -> Row:
    lost = len(survived) - sum(survived)
    return Row(fault, len(survived), sum(survived), f"{lost} {what}" if lost else "nothing")


def _trip(folder: Path, home: Path, packed: Path) -> bool:
    folder.mkdir()
    _sweep(folder, "unpack", str(packed))
    same = _shown(folder) == _shown(home)
    _sweep(folder, "resume", "toy", "--trials", "4", "--workers", "1")
    grown = len(_shown(folder)) == 4
    return same and grown and _sweep(folder, "doctor", "toy", check=False).returncode == 0


def _refused(folder: Path, packed: Path, chance: random.Random) -> bool:
    """Whether a file that was cut, or has other bytes somewhere, is refused by its reader, and nothing is written elsewhere."""
    from orchestrator.errors import UserError
    from orchestrator.transfer import archive

    content, path, out = bytearray(packed.read_bytes()), folder / "damaged.zip", folder / "out"
    if chance.random() < 0.5:
        content = content[: chance.randrange(len(content))]
    else:
        at = chance.randrange(len(content))
        content[at] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    try:
        archive.extract(path, out, archive.read(path))
    except UserError:
        return True
    # A bit of the zip that says nothing of names and contents, such as a time, does no harm.
    whole = folder / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    whole.mkdir()
    archive.extract(packed, whole, archive.read(packed))
    return _files(out) == _files(whole)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _killed(folder: Path, packed: Path, moment: float) -> bool:
    folder.mkdir()
    process = subprocess.Popen(
        [*SWEEP, "unpack", str(packed)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait(LIMIT)
    listed = _sweep(folder, "list", "--json", check=False).stdout
    if "toy" not in listed and _sweep(folder, "unpack", str(packed), check=False).returncode:
        return False
    left = [path.name for path in (folder / ".sweeps").iterdir() if path.name.startswith(".unpack")]
    return not left and len(_shown(folder)) == 3 and _sweep(folder, "doctor", check=False).returncode == 0


def _shown(folder: Path) -> list[Any]:
    """What is told of the finished trials, without their runs."""
    trials = json.loads(_sweep(folder, "show", "toy", "--json").stdout)["every_trial"]
    return [{**trial, "run": ""} for trial in trials if trial["outcome"] not in ("waiting", "running")]


def _sweep(folder: Path, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [*SWEEP, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, timeout=LIMIT
    )
    if done.returncode:
        print(
            f"status {done.returncode} of {arguments[0]}: {(done.stdout + done.stderr).strip()[-400:]}", file=sys.stderr
        )
    if check:
        done.check_returncode()
    return done
