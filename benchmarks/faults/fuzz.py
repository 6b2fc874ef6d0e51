"""Random command lines, mutated data files and broken study files: what ends in a traceback has not survived.

All are made from a seed, so a failure can be played again; SWEEP_FUZZ_SEED is another one. Command lines run in this process,
in an empty folder, those of `sample` in one with a trained flow.
"""

import io
import os
import random
import string
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from click.testing import CliRunner

import studies
from benchmarks._figure import empty_folder
from benchmarks.faults import fuzzed_data
from benchmarks.faults.row import Row
from orchestrator.cli.main import main
from studies.parts.study import StudyError
from tests.support.paths import QUADRATIC

TRIES = 300
SAMPLED = 40  # command lines of `sample`, which draw images where they are right
SEED = os.environ.get("SWEEP_FUZZ_SEED", "")
VALUES = (
    *("", "0", "-1", "1e999", "nan", "x=1", "width=", "=", "a=1,b=2", "{}", "'", "%s", "0x10", "9" * 20, "a" * 5000),
    *("\x1b[31m", "[/red]", "ünï", "\udcff", "../..", "/dev/null", "folder:.", "npz:x.npz", "mnist:1/2", "halved:"),
    *("digits", "tpe", "grid", "start=noise", "step_size=1", "sqlite:///", "postgresql://", "http://["),
    *("shapes", "halved:shapes", "halved:digits", "off:.", "xyz:.", "modelnet40:.", "digits:80/20"),
    *("0,1", "3,3", "a,b"),
)
SETTINGS = (
    *("0", "1", "-1", "2", "16", "0.5", "1e9", "nan", "none", "True", "x", "1,2", "", "[1]", "{}", "9" * 25),
    *("residual", "glow", "realnvp", "denoising_score", "labels", "champion"),
)
TRAINED = ("run", "flow", "--trials", "1", "--workers", "0", "--name", "flow")


def measure(count: int | None = None) -> Iterator[Row]:
    """A row for each kind; tracebacks are printed, the first few of each kind whole."""
    tries = count or TRIES
    yield _row("random command line", tries, _command_line)
    yield _row("mutated data file", tries, fuzzed_data.attempt)
    yield _row("broken study file", tries, _study_file)
    with empty_folder() as folder:
        with _inside(folder), redirect_stdout(io.StringIO()):
            small = ",".join(f"{name}={value}" for name, value in studies.load("flow").smallest.items())
            made = CliRunner().invoke(main, [*TRAINED, "--set", small])
            if made.exit_code:
                raise AssertionError(f"the sweep fails without a fault: {made.output}")
        yield _row("random `sample` of a trained flow", min(tries, SAMPLED), lambda chance: _sample(folder, chance))


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
        chance = random.Random(f"{SEED}{name} {number}")
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
        words += [*_settings(chance, words), "--dry-run"]
    if name == "cluster" and chance.random() < 0.8:
        words[1:1] = [
            chance.choice(["slurm", "kubernetes", "ssh"]),
            *chance.choice([(), ("--hosts", "a"), ("--image", "i")]),
        ]
        study = chance.choice(studies.names())
        words += ["--", chance.choice(["run", "run", "compare", "show"]), study, *_settings(chance, ["run", study])]
    if chance.random() < 0.1:
        words = [*words, "".join(chance.choices(string.printable, k=8))]
    result = CliRunner().invoke(main, words, input="\n")
    if result.exception is None or isinstance(result.exception, SystemExit):
        return ""
    return f"sweep {words!r}\n" + "".join(traceback.format_exception(result.exception))


def _settings(chance: random.Random, words: list[str]) -> list[str]:
    """Options with settings that the study of a command line has, at odd values."""
    found = [word for word in words[1:] if word in studies.names()]
    if not found or chance.random() < 0.3:
        return []
    fields = list(studies.load(found[0]).config.model_fields)
    pairs = [f"{chance.choice(fields)}={chance.choice(SETTINGS)}" for _ in range(chance.randrange(1, 4))]
    return [word for pair in pairs for word in (chance.choice(["--set", "--set", "--fix", "--vary"]), pair)]


def _sample(folder: Path, chance: random.Random) -> str:
    """Images by the trained flow in ``folder``, or edits, with odd options."""
    words = ["sample", "flow", *chance.choice([(), (), ("0",), ("1",), ("-1",), ("x",)])]
    for _ in range(chance.randrange(1, 4)):
        option, values = chance.choice(
            [
                ("--fuse", ("0,1", "3,3", "1", "a,b", "9, 2", "10,1", "", ",", "0,1,2", "²,1")),
                ("--transfer", ("0,1", "3,3", "1", "-1,2", "1,,2", "9" * 30 + ",1")),
                ("--n", ("0", "1", "65", "-3", "1e3", "x")),
                ("--steps", ("0", "1", "5")),
                ("--guidance", ("nan", "2", "-1")),
                ("--class", ("3", "12", "cat", "")),
                ("--seed", ("0", "-1", "9" * 30)),
                ("--device", ("cpu", "cuda:9", "tpu", "")),
                ("-o", ("out.png", "out.jpg", "no/where.png", "/dev/full", "a" * 300 + ".png", "ü.PNG")),
                ("--traverse", ()),
            ]
        )
        words += [option, chance.choice(values)] if values else [option]
    with _inside(folder):
        result = CliRunner().invoke(main, words)
    if result.exception is None or isinstance(result.exception, SystemExit):
        return ""
    return f"sweep {words!r}\n" + "".join(traceback.format_exception(result.exception))


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
