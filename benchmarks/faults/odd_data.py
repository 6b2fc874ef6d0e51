"""Every study that reads data, on data of odd shapes, sizes, values and classes: refused in the plan, or played to the end.

What a refusal advises by ``--set`` is followed, so a sentence with a way out that leads nowhere has not survived. Budgets
are the smallest of the studies, and judges learn for a moment. ``count`` is the number of data sets; None stands for all.
"""

import io
import math
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import optuna
from click.testing import CliRunner
from optuna.samplers import RandomSampler
from pydantic import BaseModel

import studies
from benchmarks._figure import empty_folder
from benchmarks.faults import odd_sets
from benchmarks.faults.row import Row
from models.data import kinds
from models.parts.evaluation import judge
from models.points import pointnet
from orchestrator.cli.main import main
from orchestrator.delivery.delivery import Delivery
from orchestrator.delivery.memory import MemoryStore
from orchestrator.delivery.outbox import Outbox
from orchestrator.messages import Ended, Task
from orchestrator.search.spec import Spec
from orchestrator.supervisor import estimate
from orchestrator.supervisor.machine import Machine
from orchestrator.worker.trial import run_trial
from studies.parts import typed
from studies.parts.study import Study

ADVICE = re.compile(r"(?:--set |set )(\w+)=([\w.]*\w)")
FOLLOWED = 4  # ways out, one after the other
POINTS_OF_SPACE = 25  # that are looked at for each study and data set
LONGEST = 400  # letters of a refusal
STUDIES = os.environ.get("SWEEP_ODD_STUDIES", "").split()  # of these alone, where one is looked into
SETS = os.environ.get("SWEEP_ODD_SETS", "").split(";")  # likewise, by what their names begin with


def measure(count: int | None = None) -> Iterator[Row]:
    """A row for images and one for point clouds; what did not survive is printed."""
    judge.TRAINING = {channels: (20, 32) for channels in judge.TRAINING}
    pointnet.UPDATES = 20
    estimate._timed_elsewhere = _a_pass
    for kind, noun, written in (
        ("images", "odd images", odd_sets.images()),
        ("clouds", "odd point clouds", odd_sets.clouds()),
    ):
        names = [name for name in STUDIES or studies.names() if studies.load(name).data_kind == kind]
        names = [name for name in names if not studies.load(name).model_of]
        sets = [(name, write) for name, write in written.items() if name.startswith(tuple(SETS))]
        yield _row(f"a study with {noun}", sets[:count], names)


def _a_pass(spec: Spec, machine: Machine) -> float:
    """A pass of the network that a plan would time, in this process, so that what fails is seen."""
    study = spec.load_study()
    assert study.workload is not None
    workload = study.workload(study.config.model_validate(estimate.timed(spec)), spec.image_shape)
    workload.forward(min(2, workload.images)).sum().backward()  # type: ignore[no-untyped-call]
    return 1.0


def _row(fault: str, sets: Sequence[tuple[str, odd_sets.Write]], names: Sequence[str]) -> Row:
    tried = survived = refused = 0
    for data, write in sets:
        with empty_folder() as folder:
            before = Path.cwd()
            os.chdir(folder)
            try:
                spec = write()
                for name in names:
                    tried += 1
                    outcome = _tried(name, spec)
                    survived += not outcome.startswith("lost")
                    refused += outcome.startswith("refused")
                    print(f"{data}, {name}: {outcome}", file=sys.stderr, flush=True)
            finally:
                os.chdir(before)
    return Row(
        f"{fault} ({refused} refused before anything starts)",
        tried,
        survived,
        "nothing" if survived == tried else f"{tried - survived} trials",
    )


def _tried(name: str, spec: str) -> str:
    """What became of a study on data: "refused …", "complete", "diverged …", or "lost …"."""
    try:
        changes, refusal = _planned(name, spec)
        if refusal:
            return refusal
        if problem := _space(studies.load(name), spec, changes):
            return f"lost: {problem}"
        return _played(name, spec, changes)
    except Exception:
        return f"lost: {traceback.format_exc()}"


def _planned(name: str, spec: str) -> tuple[dict[str, str], str]:
    """The settings with which a dry run is not refused, advice being followed; or what to say of the refusal."""
    settings, met = dict[str, str](), list[str]()
    for _ in range(FOLLOWED + 1):
        words = ["run", name, "--data", spec, "--dry-run", "--yes"]
        for key, value in settings.items():
            words += ["--set", f"{key}={value}"]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            result = CliRunner().invoke(main, words)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return {}, f"lost: {''.join(traceback.format_exception(result.exception))}"
        if not result.exit_code:
            return settings, ""
        sentence = " ".join(result.output.split())
        if sentence in met or len(sentence) > LONGEST:
            return {}, f"lost: a refusal whose way out is none, or that is too long: {sentence}"
        met.append(sentence)
        advice = ADVICE.findall(sentence)
        if not advice:
            return {}, f"refused: {sentence}"
        settings |= dict(advice)
    return {}, f"lost: refused again and again: {met}"


def _meant(study: Study[Any, Any], changes: dict[str, str]) -> dict[str, Any]:
    """Values of settings as a command line reads them."""
    fields = {key: typed.field(study.config.model_fields[key]) for key in changes}
    return {key: field.validate_python(typed.meant(changes[key], field)) for key, field in fields.items()}


def _space(study: Study[Any, Any], spec: str, changes: dict[str, str]) -> str:
    """What is wrong with a point of the study's space on these data: settings that no plan has seen; '' for nothing."""
    reader = kinds.reader(spec, Path("data"), study.data_kind)
    data, advised = reader.load(), _meant(study, changes)
    base = study.config.model_validate(study.base(reader.shape).model_dump() | advised)
    for number in range(POINTS_OF_SPACE):
        try:
            config = study.space(optuna.create_study(sampler=RandomSampler(seed=number)).ask(), base)
            study.check(study.config.model_validate(config.model_dump() | advised), data)
        except ValueError as error:
            return f"the search may choose what is refused: {error}"
    return ""


def _smallest(study: Study[Any, Any], spec: str, changes: dict[str, str]) -> BaseModel:
    """The study's smallest settings with ``changes``; where they do not suit the data, with what is advised."""
    reader = kinds.reader(spec, Path("data"), study.data_kind)
    data, settings = reader.load(), dict(study.smallest) | _meant(study, changes)
    for _ in range(FOLLOWED):
        try:
            config = study.config.model_validate(study.base(reader.shape).model_dump() | settings)
        except ValueError:  # the smallest settings are of the recipe for digits
            config = study.config.model_validate(study.base((1, 8, 8)).model_dump() | settings)
        try:
            study.check(config, data)
        except ValueError as error:
            settings |= _meant(study, dict(ADVICE.findall(str(error))))
    study.check(config, data)
    return config


def _played(name: str, spec: str, changes: dict[str, str]) -> str:
    """A trial with these settings, from its first event to its last."""
    config = _smallest(studies.load(name), spec, changes)
    folder = Path("trials", name)
    task = Task(
        sweep="odd",
        study=name,
        trial=0,
        config=config.model_dump(mode="json"),
        data=spec,
        data_folder="data",
        cache_folder="cache",
        folder=str(folder),
        seed=7,
        device="cpu",
        threads=1,
        checkpoint_seconds=1e9,
    )
    folder.mkdir(parents=True)
    outbox = Outbox(folder)
    outbox.begin("key", "trial 0", {}, {})
    outbox.close()
    end = None
    trial = run_trial(task)
    for message in trial:
        end = message
    assert isinstance(end, Ended)
    store = MemoryStore()
    Delivery(folder, store).drain()
    (record,) = store.records.values()
    odd = sorted({key for _, key, value in record.points if not math.isfinite(value)})
    if end.outcome not in ("complete", "diverged"):
        return f"lost: {end.outcome} {end.reason} {end.detail[-1500:]}"
    said = f"{end.outcome} {end.reason} {end.values}"
    if odd and end.outcome == "complete":
        return f"lost: not finite: {', '.join(odd)}"
    return said
