"""A folder of four sweeps is moved, renamed, copied, zipped, packed; all that its owner may want is done where it is then.

Each act counts as tried, and as survived where its result is right. Where the folder was copied or packed, no file of the
original may change; else nothing may be made at the old place. With SWEEP_TEST_POSTGRESQL, which names a server whose role
may create databases (as in `tests/postgresql.sh`), the same is tried with a store on it, and with an MLflow server.

``python -m benchmarks.faults.moved_folders [WAY ...]`` prints what was wrong.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults.four_sweeps import NETWORK, SWEEPS, Owner, attempt, make, sums
from benchmarks.faults.row import Row
from tests.support.servers import VARIABLE, MlflowServer, Postgresql


def _move(owner: Owner, target: Path) -> None:
    shutil.move(owner.folder, target)


def _copy(owner: Owner, target: Path) -> None:
    shutil.copytree(owner.folder, target)


def _zip(owner: Owner, target: Path) -> None:
    archive = shutil.make_archive(str(owner.folder.parent / "zipped"), "zip", owner.folder)
    shutil.rmtree(owner.folder)
    shutil.unpack_archive(archive, target)


def _pack(owner: Owner, target: Path) -> None:
    """Each sweep by itself, into files. The files that its trainer asks for are its owner's to bring."""
    target.mkdir(parents=True)
    for name in ("gate", "journal"):
        shutil.copy(owner.folder / name, target)
    for name in SWEEPS:
        packed = str(target.parent / f"{name}.zip")
        owner.types("pack", name, "-o", packed)
        Owner(target, {}).types("unpack", packed)


class Way(NamedTuple):
    """How the folder comes to another place."""

    name: str  # of the folder there
    bring: Callable[[Owner, Path], None]
    stays: bool  # whether the original is still there


WAYS: dict[str, Way] = {
    "moved": Way("elsewhere/deeper/project", _move, False),
    "renamed, with a space, a comma and letters of other alphabets": Way("my sweeps, ümläut ۱", _move, False),
    "zipped and unpacked": Way("unpacked", _zip, False),
    "packed and unpacked, sweep by sweep": Way("another machine", _pack, True),
    "copied": Way("copy", _copy, True),
}


def bring(way: str, owner: Owner, parent: Path) -> Owner:
    """Bring the folder to another place in one of the WAYS; returns its owner there."""
    name, act, _ = WAYS[way]
    target = parent / name
    target.parent.mkdir(parents=True, exist_ok=True)
    act(owner, target)
    return Owner(target, {} if act is _pack else owner.stores)


@contextmanager
def stores(place: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """The variables that name the stores, one of which is a server."""
    postgresql = Postgresql(os.environ[VARIABLE])
    if place == "PostgreSQL":
        yield {"SWEEP_STORAGE": postgresql.database(), **postgresql.environment}
        postgresql.clear()
        return
    folder.mkdir()
    server = MlflowServer(folder)
    try:
        yield {"MLFLOW_TRACKING_URI": server.address, **server.environment}
    finally:
        server.stop()


def measure(count: int | None, ways: tuple[str, ...] = tuple(WAYS), show: bool = False) -> Iterator[Row]:
    """A row for each way, tried ``count`` times, and for each way to go on with a store that is a server."""
    with tempfile.TemporaryDirectory(prefix="moved-") as top:
        owner = Owner(Path(top, "made"), {})
        expected = make(owner)
        for way in ways:
            wrong = list[dict[str, str]]()
            for turn in range(count or 1):
                place = Path(top, f"{list(WAYS).index(way)}-{turn}")
                there = Owner(place / "project", {})
                shutil.copytree(owner.folder, there.folder)
                there.types("list")  # it is at home there
                wrong.append(_try(way, there, place, expected))
            yield _row(f"a folder of four sweeps is {way}", wrong, show)
        if VARIABLE not in os.environ:
            return
        for store in ("PostgreSQL", "an MLflow server"):
            with stores(store, Path(top, store)) as variables:
                for way in ways:
                    if way != "copied":  # a copy may not go on: tests/orchestrator/faults/test_moved_folders.py
                        place = Path(top, f"{store} {list(WAYS).index(way)}")
                        there = Owner(place / "project", variables)
                        wrong = [_try(way, there, place, make(there, (NETWORK,)))]
                        yield _row(f"the same with {store}, {way}", wrong, show)
                        left = there.folder if WAYS[way].stays else place / WAYS[way].name
                        for name in SWEEPS:  # the next way has sweeps of these names too
                            Owner(left, variables).types("rm", name, "--yes")


def _try(way: str, owner: Owner, place: Path, expected: Mapping[str, object]) -> dict[str, str]:
    source, before = owner.folder, sums(owner.folder)
    there = bring(way, owner, place)
    wrong = attempt(there, source, expected)
    if WAYS[way].stays:
        changed = sorted(name for name, text in sums(source).items() if before.get(name) != text)
        wrong["the original"] = f"changed: {changed}" if changed else ""
    else:
        wrong["the old place"] = f"{list(source.iterdir())} was made there" if source.exists() else ""
    return wrong


def _row(fault: str, attempts: list[dict[str, str]], show: bool) -> Row:
    acts = [(name, text) for wrong in attempts for name, text in wrong.items()]
    lost = [f"{name} ({text})" if show else name for name, text in acts if text]
    return Row(fault, len(acts), len(acts) - len(lost), ", ".join(lost) or "nothing")


if __name__ == "__main__":
    for row in measure(None, tuple(sys.argv[1:]) or tuple(WAYS), show=True):
        print(row.markdown(), flush=True)
