"""What each command says of a store or a file that is damaged, away or of another version.

A sweep is made once. For each fault its folder is copied to the same place, damaged, and given to each command. A command
survives if it does what it is for and ends with status 0, or ends with another status and the way out that mends this fault.
Output that is neither is printed on standard error.
"""

import os
import random
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks._figure import empty_folder
from benchmarks.faults.row import Row
from tests.support.forks import ForkServer

STUDY = str(Path(__file__).parents[2] / "tests" / "toy_studies" / "quadratic.py")
OUTBOX, PAGE = ".sweeps/toy/trial-0/outbox", 4096
COMMANDS = {  # a command, and what it prints when it has worked
    "list": r"toy .* 2/2",
    "show toy": "2 of 2 trials finished",
    "report toy": "report of toy",
    "resume toy --trials 3 --workers 0": "3/3 finished",
    f"run {STUDY} --name other --trials 1 --workers 0": "1/1 finished",
    "enqueue toy x=0.5": "tried first",
    "sync toy": "nothing waits|delivered",
    "doctor toy": "toy: whole",
    "doctor toy --repair": "toy: whole|repaired",
    "sample toy 0 -o drawn.png": r"drawn\.png",
    "pack toy -o toy.zip": "toy.zip",
    "rm toy --yes": "removed",
}
OF_FILES = [command for command in COMMANDS if command.split()[0] in ("report", "doctor", "sample", "sync")]


class Fault(NamedTuple):
    """What damages the file or folder ``path`` of a sweep's folder, by a source of chance, and the way out that mends it."""

    path: str
    damage: Callable[[Path, random.Random], object]
    way_out: str
    commands: list[str]
    times: int = 1  # that it is tried, each time by another chance


def measure(count: int | None = None) -> Iterator[Row]:
    """A row a fault, tried ``count`` times, else as often as it says, with each command."""
    with empty_folder() as folder:
        server = ForkServer(folder / "output")
        try:
            yield from _rows(server, folder / "place", folder / "template", count)
        finally:
            server.close()


def _rows(server: ForkServer, place: Path, template: Path, count: int | None) -> Iterator[Row]:
    place.mkdir()
    made = server.sweep(place, {}, ("run", STUDY, *"--name toy --trials 2 --workers 0".split()))
    if made.status:
        raise AssertionError(f"the sweep fails without a fault: {made.output}")
    shutil.copytree(place, template)
    for name, fault in faults().items():
        tries = [(command, number) for command in fault.commands for number in range(count or fault.times)]
        survived = 0
        for command, number in tries:
            shutil.rmtree(place)
            shutil.copytree(template, place)
            fault.damage(place / fault.path, random.Random(number))
            survived += _survives(server, place, command, fault.way_out, name)
        lost = f"{len(tries) - survived} commands without a way out" if survived < len(tries) else "nothing"
        yield Row(f"{name}: commands", len(tries), survived, lost)


def _survives(server: ForkServer, place: Path, line: str, way_out: str, name: str) -> bool:
    status, output, _ = server.sweep(place, {}, tuple(line.split()))
    expected = way_out if status else COMMANDS[line]
    if "Traceback" not in output and re.search(expected, output):
        return True
    print(f"{name}: sweep {line}: status {status}: {output.strip()[-600:]}", file=sys.stderr)
    return False


def faults() -> dict[str, Fault]:
    """All of them, by name."""
    table = dict[str, Fault]()
    for database in ("sweeps.db", "mlflow.db"):
        anew = "begin a new sweep" if database == "sweeps.db" else "`sweep doctor --repair`, which makes"
        mend = rf"{database} is damaged \(.*put a back-up in its place, or move the file away, .*{anew}"
        empty = f"{database} is empty.*put a back-up|doctor toy --repair"
        for what, damage, way_out in (
            ("random bytes in the first page", _random(0, 1), mend),
            ("random bytes in the middle", _random(0.1, 15), mend),
            ("random bytes at the end", _random(0.98, 2), mend),
            ("zeros in the header", lambda path, chance: _write(path, 0, bytes(100)), mend),
            ("cut to half", lambda path, chance: os.truncate(path, path.stat().st_size // 2), mend),
            ("no bytes", lambda path, chance: os.truncate(path, 0), empty),
            ("a text", lambda path, chance: path.write_text("text " * 1000), mend),
            ("a folder", _folder, f"{database} is a folder; .* move it away"),
            ("a newer version", _sql("update alembic_version set version_num='v9.0.0'"), "install that version"),
        ):
            table[f"{database}: {what}"] = Fault(database, damage, way_out, list(COMMANDS))
        table[f"{database}: 1 kB overwritten anywhere"] = Fault(database, _anywhere, mend, list(COMMANDS), 10)
    deleted = _sql("update experiments set lifecycle_stage='deleted' where name='quadratic'")
    table["mlflow.db: experiment deleted"] = Fault(
        "mlflow.db", deleted, "restore|doctor toy --repair", [line for line in COMMANDS if not line.startswith("run")]
    )
    weights, samples = ".sweeps/toy/trial-0/weights.safetensors", ".sweeps/toy/trial-0/samples.png"
    for name, path, damage, way_out in (
        ("weights: cut", weights, _cut, "put a back-up in its place|choose another trial"),
        ("weights: a folder", weights, _folder, "put a back-up in its place|choose another trial"),
        ("samples.png: cut", samples, _cut, "doctor toy --repair"),
        ("sent.json: cut", f"{OUTBOX}/sent.json", _cut, "doctor toy --repair"),
        ("outbox: a copied file", f"{OUTBOX}/000001 (copy).jsonl", lambda path, chance: path.touch(), "move it away"),
    ):
        table[name] = Fault(path, damage, way_out, OF_FILES)
    return table


def _write(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def _anywhere(path: Path, chance: random.Random) -> None:
    _write(path, int(chance.random() * (path.stat().st_size - 1024)), chance.randbytes(1024))


def _random(share: float, pages: int) -> Callable[[Path, random.Random], object]:
    """Random bytes in so many pages of a database, from this share of it on."""

    def damage(path: Path, chance: random.Random) -> None:
        _write(path, int(path.stat().st_size * share) // PAGE * PAGE, chance.randbytes(PAGE * pages))

    return damage


def _sql(statement: str) -> Callable[[Path, random.Random], object]:
    def damage(path: Path, chance: random.Random) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return damage


def _cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, min(30, path.stat().st_size))


def _folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()
