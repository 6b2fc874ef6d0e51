"""A sweep is packed and unpacked, and its copy continues; packed files are damaged; unpacking is killed.

A round trip survives if `show --json` says the same of all finished trials, run ids aside, if the copy ends its trials, and if
`doctor` finds it whole. A damaged file survives if it is refused with status 2 and nothing is made. A killed `unpack` survives
if the next one ends with status 0, and `doctor` finds its sweep, and nothing else, whole.
"""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks._figure import empty_folder
from benchmarks.faults import databases
from benchmarks.faults.forked import Command
from benchmarks.faults.row import Row

STUDY = Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py"


def measure(count: int | None = None) -> Iterator[Row]:
    """Round trips, damaged files, and kills of `unpack`: ``count`` of each, else 5, 100 and 20."""
    with empty_folder() as folder:
        places: dict[str, Mapping[str, str]] = {"files": {}}
        if databases.SERVER in os.environ:
            places["PostgreSQL databases"] = databases.new()
        for place, stores in places.items():
            packed = folder / f"{place}.zip"
            shown = _pack(folder / f"home of {place}", packed, stores)
            trips = [_trip(folder / f"trip {number} of {place}", shown, packed) for number in range(count or 5)]
            yield _row(f"a sweep packed from {place}, unpacked elsewhere into files and continued", trips, "copies")
        packed = folder / "files.zip"
        damaged = [_refused(folder, packed, random.Random(number)) for number in range(count or 100)]
        yield _row("a packed file cut or changed anywhere", damaged, "files accepted")
        seconds = _undisturbed(folder / "undisturbed", packed)
        kills = [
            _killed(folder / f"kill-{i}", packed, random.Random(i).uniform(0, seconds)) for i in range(count or 20)
        ]
        yield _row("kill −9 while `sweep unpack` works", kills, "folders")


def _row(fault: str, survived: list[bool], what: str) -> Row:
    lost = len(survived) - sum(survived)
    return Row(fault, len(survived), sum(survived), f"{lost} {what}" if lost else "nothing")


def _pack(home: Path, packed: Path, stores: Mapping[str, str]) -> list[Any]:
    """Make a sweep and pack it; returns what is told of its finished trials."""
    home.mkdir()
    run = ("run", str(STUDY), "--name", "toy", "--trials", "3", "--workers", "0", "--pruner", "none")
    for words in (run, ("enqueue", "toy", "x=0.25"), ("pack", "toy", "-o", str(packed))):
        _sweep(home, *words, stores=stores)
    return _shown(home, stores)


def _trip(folder: Path, shown: list[Any], packed: Path) -> bool:
    folder.mkdir()
    _sweep(folder, "unpack", str(packed))
    same = _shown(folder) == shown
    _sweep(folder, "resume", "toy", "--trials", "4", "--workers", "0")
    grown = len(_shown(folder)) == 4
    return same and grown and Command(folder, "doctor", "toy").succeeds("after a round trip")


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


def _undisturbed(folder: Path, packed: Path) -> float:
    """Seconds that `sweep unpack` takes here."""
    folder.mkdir()
    began = time.monotonic()
    _sweep(folder, "unpack", str(packed))
    return time.monotonic() - began


def _killed(folder: Path, packed: Path, moment: float) -> bool:
    folder.mkdir()
    command = Command(folder, "unpack", str(packed))
    time.sleep(moment)
    with suppress(ProcessLookupError):  # it has ended already
        os.kill(command.pid, signal.SIGKILL)
    command.end()
    if "toy" not in _sweep(folder, "list", "--json") and not Command(folder, "unpack", str(packed)).succeeds("killed"):
        return False
    left = [path.name for path in (folder / ".sweeps").iterdir() if path.name.startswith(".unpack")]
    return not left and len(_shown(folder)) == 3 and Command(folder, "doctor").succeeds("after a kill")


def _shown(folder: Path, stores: Mapping[str, str] | None = None) -> list[Any]:
    """What is told of the finished trials, without their runs."""
    trials = json.loads(_sweep(folder, "show", "toy", "--json", stores=stores))["every_trial"]
    return [{**trial, "run": ""} for trial in trials if trial["outcome"] not in ("waiting", "running")]


def _sweep(folder: Path, *arguments: str, stores: Mapping[str, str] | None = None) -> str:
    """What a command prints; AssertionError where it does not succeed."""
    command = Command(folder, *arguments, variables=stores)
    assert command.succeeds(" ".join(arguments)), arguments
    return command.output.read_text()
