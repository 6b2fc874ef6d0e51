"""Random command lines, mutated data files and broken study files: what ends in a traceback has not survived.

All are made from a seed, so a failure can be played again. Command lines run in this process, in an empty folder.
"""

import io
import os
import random
import string
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

import studies
from benchmarks._figure import empty_folder
from benchmarks.faults.row import Row
from models.data import dataset
from models.data.dataset import DataError
from orchestrator.cli.main import main
from studies.parts.study import StudyError
from tests.support.paths import QUADRATIC

TRIES = 300
VALUES = (
    *("", "0", "-1", "1e999", "nan", "x=1", "width=", "=", "a=1,b=2", "{}", "'", "%s", "0x10", "9" * 20, "a" * 5000),
    *("\x1b[31m", "[/red]", "ünï", "\udcff", "../..", "/dev/null", "folder:.", "npz:x.npz", "mnist:1/2", "halved:"),
    *("digits", "tpe", "grid", "start=noise", "step_size=1", "sqlite:///", "postgresql://", "http://["),
)


def measure(count: int | None = None) -> Iterator[Row]:
    """A row for each kind; tracebacks are printed, the first few of each kind whole."""
    tries = count or TRIES
    yield _row("random command line", tries, _command_line)
    yield _row("mutated data file", tries, _data_file)
    yield _row("broken study file", tries, _study_file)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _row(name: str, tries: int, attempt: Callable[[random.Random], str]) -> Row:
    survived, shown = 0, set[str]()
    for number in range(tries):
        chance = random.Random(f"{name} {number}")
        with empty_folder() as folder, _inside(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            try:
                problem = attempt(chance)
            except Exception:
                problem = traceback.format_exc()
        survived += not problem
        last = problem.strip().splitlines()[-1] if problem else ""
        if last and last not in shown:
            shown.add(last)
            print(f"{name} {number}: {problem}", file=sys.stderr)
    lost = f"{tries - survived} tracebacks" if survived < tries else "nothing"
    return Row(name, tries, survived, lost)


def _command_line(chance: random.Random) -> str:
    """What went wrong; '' for a command that is refused in a sentence or shows something. No sweep is begun."""
    name = chance.choice([command for command in main.commands if command != "ui"])
    words = [name]
    for _ in range(chance.randrange(5)):
        options = [option for parameter in main.commands[name].params for option in parameter.opts if option[:1] == "-"]
        words.append(chance.choice([*options, *options, *VALUES, *studies.names()]))
        if chance.random() < 0.7:
            words.append(chance.choice(VALUES))
    if name in ("run", "compare"):
        words.append("--dry-run")
    if chance.random() < 0.1:
        words = [*words, "".join(chance.choices(string.printable, k=8))]
    result = CliRunner().invoke(main, words, input="\n")
    if result.exception is None or isinstance(result.exception, SystemExit):
        return ""
    return f"sweep {words!r}\n" + "".join(traceback.format_exception(result.exception))


def _data_file(chance: random.Random) -> str:
    """An .npz file or a folder of images, of odd shapes, types and values, with bytes changed or missing."""
    if chance.random() < 0.5:
        spec, files = _arrays(chance), [Path("set.npz")]
    else:
        spec, files = _pictures(chance), sorted(Path("set").rglob("*.*"))
    for _ in range(chance.randrange(4)):
        file = chance.choice(files)
        content = bytearray(file.read_bytes())
        if content and chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        elif content:
            place = chance.randrange(len(content))
            content[place : place + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
        file.write_bytes(content)
    try:
        data = dataset.load(spec, Path())
        dataset.floats(data.train.images)
    except DataError as error:
        return "" if len(str(error)) <= 600 and "\n" not in str(error) else f"no sentence: {error}"
    return ""


def _arrays(chance: random.Random) -> str:
    arrays: dict[str, Any] = {}
    for part in ("train", "test", "val"):
        if part != "val" or chance.random() < 0.2:
            n, side = chance.choice([0, 1, 30, 60]), chance.choice([0, 1, 4, 8])
            shape = chance.choice(
                [(n, side, side), (n, side, side + 1, 3), (n,), (n, side), (side, side, n), (n, 4, 4, 2)]
            )
            arrays[f"x_{part}"] = _filled(chance, shape)
            arrays[f"y_{part}"] = _filled(chance, chance.choice([(n,), (n, 1), (n, 3), ()]), labels=True)
    for name in [name for name in arrays if chance.random() < 0.05]:
        del arrays[name]
    save = chance.choice([np.savez, np.savez_compressed])
    save("set.npz", **arrays)
    if chance.random() < 0.1:
        with zipfile.ZipFile("set.npz", "a") as archive:
            archive.writestr(chance.choice(["x_train.npy", "notes.txt", "y_train"]), chance.randbytes(30))
    return "npz:set.npz"


def _filled(chance: random.Random, shape: tuple[int, ...], labels: bool = False) -> NDArray[Any]:
    """Mostly what it should be."""
    generator = np.random.default_rng(chance.randrange(10**6))
    if chance.random() < 0.7:
        return generator.integers(0, 3 if labels else 256, shape).astype(np.int64 if labels else np.uint8)
    kind = chance.choice(["f4", "f8", "f2", "c8", "u2", "i1", "i8", "u8", "?", "U3", "S2", "O", "M8[s]", ">u2", ">f8"])
    values = generator.integers(0, chance.choice([1, 2, 100, 256]), shape)
    if kind in ("f4", "f8", ">f8") and chance.random() < 0.5:
        return np.where(values == 0, chance.choice([np.nan, np.inf, -1e300]), values).astype(np.float64)
    return values.astype(kind)


def _pictures(chance: random.Random) -> str:
    for name in chance.choice(
        [("a", "b"), ("a",), ("train", "test"), ("a/x", "b"), ("train/a", "train/b", "test/a"), ("[/]", "\x07")]
    ):
        folder = Path("set", name)
        folder.mkdir(parents=True)
        for number in range(chance.choice([1, 3, 12])):
            mode = chance.choice(["L", "L", "L", "RGB", "1", "P", "RGBA", "I;16", "I", "F", "CMYK", "LA"])
            side = chance.choice([8, 8, 8, 1, 5])
            suffix = chance.choice([".png", ".png", ".png", ".tiff", ".bmp", ".jpg", ".gif", ".webp", ".txt"])
            try:
                Image.new(mode, (side, 8)).save(folder / f"{number}{suffix}")
            except (OSError, ValueError, KeyError):  # not every format has every mode
                Image.new("L", (8, 8)).save(folder / f"{number}.png")
    return "folder:set" + chance.choice(["", "", ":size=8", ":85/10/5", ":size=28:invert:binary", ":80/20"])


def _study_file(chance: random.Random) -> str:
    """The toy study with lines removed, doubled, exchanged or changed."""
    lines = Path(QUADRATIC).read_text().splitlines()
    for _ in range(chance.randrange(1, 4)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        change = chance.randrange(5)
        if change == 0:
            del lines[at]
        elif change == 1:
            lines.insert(at, lines[other])
        elif change == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif change == 3:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        else:
            words = lines[at].split(" ")
            words[chance.randrange(len(words))] = chance.choice(
                ["None", "0", "lambda: 1/0", "\x00", "é", "raise", "()", "'x'"]
            )
            lines[at] = " ".join(words)
        lines = lines or [""]
    Path("study.py").write_text("\n".join(lines))
    for words in (["studies", "study.py"], ["run", "study.py", "--dry-run"]):
        result = CliRunner().invoke(main, words)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return "\n".join(lines) + "\n" + "".join(traceback.format_exception(result.exception))
    try:
        studies.load("study.py")
    except StudyError:
        pass
    return ""
