"""Plans refuse a sampler or a pruner that does not fit, or say what it does; `resume` changes them; `doctor` names that."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import studies
from orchestrator.errors import UserError
from orchestrator.messages import Ended
from orchestrator.repair import doctor
from orchestrator.search import book as books
from orchestrator.search import capabilities, combinations, new_sweep, plan, steer
from orchestrator.search.book import Book
from orchestrator.search.options import request
from orchestrator.terminal import as_json, tables
from tests.support.bench import Bench
from tests.support.cli import sweep
from tests.support.paths import QUADRATIC, ROOT

TWO = str(ROOT / "tests" / "toy_studies" / "two_objectives.py")
EBM_NUMBERS = ["step_size=10", "n_steps=20", "noise_start=0.01", "learning_rate=0.001", "energy_regularisation=0.1"]


def spec_of(bench: Bench, study: str, **options: Any) -> Any:
    return plan.resolve(request(study, name="asked", **options), bench.storage)


def play(book: Book, trials: int) -> None:
    for _ in range(trials):
        trial = book.ask()
        book.tell(trial.number, Ended("complete", tuple(trial.number + 1.0 for _ in book.spec.objectives)))


def resume(bench: Bench, name: str, trials: int | None = None, **wanted: Any) -> Book:
    """The sweep as it goes on: the changes are stored by who drives it."""
    book = books.load(bench.storage, name)
    book.update(**steer.resumed(book, trials, **wanted))
    return book


def printed(drawn: Any) -> str:
    console = Console(file=io.StringIO(), width=300)
    console.print(drawn)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (TWO, {"sampler": "cmaes"}, "searches one objective, and there are 2; take --sampler tpe, random, grid or gp"),
    (TWO, {"pruner": "asha"}, "--pruner asha compares trials by one objective, and there are 2; take --pruner none"),
    (TWO, {"pruner": "hyperband"}, "--pruner hyperband compares trials by one objective"),
    (
        "ebm",
        {"sampler": "cmaes", "fix": [*EBM_NUMBERS, "schedule=constant"]},
        "there is none to search; take --sampler tpe",
    ),
    ("ebm", {"pruner": "asha", "set": ["evaluations=1"]}, "a trial has 1 report here; take --pruner none"),
    (
        "ebm",
        {"fix": ["schedule=constant", "noise_end=0.001"]},
        "noise_end: no configuration with schedule=constant has it",
    ),
    ("jem", {"deterministic": True, "pruner": "asha"}, "--deterministic cannot prune by asha"),
]


@pytest.mark.parametrize(("study", "options", "sentence"), REFUSED)
def test_what_does_not_fit_is_refused_with_the_way_out(
    bench: Bench, study: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        spec_of(bench, study, **options)


NOTES: list[tuple[str, dict[str, Any], str]] = [
    (TWO, {}, "no trial is pruned: median compares trials by one objective, and there are 2"),
    (
        "ebm",
        {"set": ["evaluations=2"]},
        "no trial is pruned: median ends a trial early by its reports, and a trial has 2 reports",
    ),
    ("ebm", {"sampler": "cmaes"}, "it chooses start, schedule, noise_end, coupled at random"),
    ("ebm", {"sampler": "gp"}, "it chooses noise_end, coupled at random"),
    ("ebm", {"sampler": "cmaes"}, "cmaes learns after 14 completed trials, and the total is 12"),
    (QUADRATIC, {"sampler": "grid", "trials": 5}, "the grid has 3 points, so the sweep ends after 3 trials"),
    ("ebm", {"sampler": "grid"}, "the grid has 9,234 points; 12 of them are tried"),
    (QUADRATIC, {"fix": ["x=0.5"]}, "nothing is left to search: trials differ only by their seeds"),
]


@pytest.mark.parametrize(("study", "options", "sentence"), NOTES)
def test_the_plan_says_what_may_not_be_expected(
    bench: Bench, study: str, options: dict[str, Any], sentence: str
) -> None:
    spec = spec_of(bench, study, **options)
    notes = combinations.notes(spec, studies.load(study))
    assert any(sentence in note for note in notes), notes


def test_a_usual_plan_has_nothing_to_say(bench: Bench) -> None:
    assert not combinations.notes(spec_of(bench, "ebm"), studies.load("ebm"))


def test_what_another_setting_keeps_from_being_searched_can_be_set(bench: Bench) -> None:
    held = spec_of(bench, "dvae", set=["k_least=3"])
    assert held.fixed == {"k_least": 3} and "k_least" not in held.set
    given = spec_of(bench, "dvae", set=["k_rule=given", "k_least=3"], fix=["embedding=spectral"])
    assert given.fixed == {"embedding": "spectral"} and (given.set["k_least"], given.base["k_least"]) == (3, 3)


def test_a_missing_library_is_named_with_the_way_to_install_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    present = capabilities.importlib.util.find_spec
    monkeypatch.setattr(
        capabilities.importlib.util, "find_spec", lambda name: None if name == "cmaes" else present(name)
    )
    with pytest.raises(
        UserError, match="--sampler cmaes needs cmaes, which is not installed here; install it: pip install cmaes"
    ):
        spec_of(bench, QUADRATIC, sampler="cmaes")


def test_a_grid_that_is_too_large_is_refused_and_a_space_without_an_end_too(bench: Bench, tmp_path: Path) -> None:
    text, end = Path(QUADRATIC).read_text(), "return base.model_copy(update="
    wide, endless = str(tmp_path / "wide.py"), str(tmp_path / "endless.py")
    numbers = "[suggest.suggest_float(f'y{i}', 0, 1) for i in range(14)]"
    Path(wide).write_text(text.replace(end, f"{numbers}\n    {end}"))
    spec_of(bench, wide)
    with pytest.raises(UserError, match="this grid has 14,348,907 of at most 1,000,000; take --sampler tpe"):
        spec_of(bench, wide, sampler="grid")
    loop = "i = 0\n    while suggest.suggest_categorical(f'more{i}', [True, False]):\n        i += 1"
    Path(endless).write_text(text.replace(end, f"{loop}\n    {end}"))
    with pytest.raises(UserError, match="the space has no end: it asks for more1000 after 1000 others"):
        spec_of(bench, endless)


def test_a_change_is_stored_with_its_first_trial_and_said(bench: Bench) -> None:
    book = bench.book(trials=20, sampler="cmaes")
    play(book, 3)
    left = book.ask()
    changed = resume(bench, "toy", sampler="grid", pruner="none")
    assert (changed.spec.sampler, changed.spec.pruner) == ("grid", "none")
    assert changed.spec.history("sampler") == {0: "cmaes", 4: "grid"}
    assert changed.total() == 4 + 3, "the grid has three points, and begins now"
    (adopted,) = changed.adopt()
    assert adopted.params == left.params, "a trial that runs keeps its settings"
    changed.tell(adopted.number, Ended("complete", (1.0,)))
    play(changed, 3)
    assert sorted(trial.params["x"] for trial in changed.finished()[4:]) == [-1.0, 0.0, 1.0]
    resume(bench, "toy", sampler="tpe")
    again = resume(bench, "toy", sampler="random")
    assert again.spec.history("sampler") == {0: "cmaes", 4: "grid", 7: "random"}
    assert as_json.sweep(again, None)["changes"][0] == {"before": 4, "sampler": "cmaes", "pruner": "median"}
    assert "sampler cmaes, from trial 4 grid, from trial 7 random · pruner median, from trial 4 none" in printed(
        tables.sweep(again)
    )
    same = plan.settle(
        plan.resolve(request(QUADRATIC, name="toy", trials=20, sampler="cmaes"), bench.storage), bench.storage
    )
    assert same is not None and same.spec.sampler == "random", "the first command still goes on with it"


@pytest.mark.parametrize(
    "changes",
    [{"sampler": "cmaes"}, {"pruner": "asha"}, {"pruner": "median"}, {"sampler": "random", "pruner": "hyperband"}],
)
def test_a_change_that_does_not_fit_changes_nothing(bench: Bench, changes: dict[str, Any]) -> None:
    book = new_sweep.create(bench.storage, spec_of(bench, TWO))
    play(book, 2)
    before = book.notes()
    with pytest.raises(UserError, match="and there are 2; take --"):
        resume(bench, "asked", 30, **changes)
    assert books.load(bench.storage, "asked").notes() == before


def test_a_sweep_that_an_earlier_version_began_in_vain_goes_on(bench: Bench) -> None:
    """CMA-ES with two objectives: each resume ended with a traceback, and left a trial without parameters."""
    spec = spec_of(bench, TWO, trials=6).model_copy(update={"sampler": "cmaes", "pruner": "median"})
    book = new_sweep.create(bench.storage, spec)
    with pytest.raises(ValueError, match="multi-objective"):
        play(book, 6)
    (left,) = book.trials_running()
    assert not left.params
    with pytest.raises(UserError, match="cannot go on: .* go on with another sampler:  .* resume asked --sampler tpe"):
        resume(bench, "asked")
    output = io.StringIO()
    assert doctor.visit([books.load(bench.storage, "asked")], False, Console(file=output, width=200)) == 1
    assert "it cannot go on: --sampler cmaes searches one objective, and there are 2" in output.getvalue()
    assert "resume asked --sampler tpe" in output.getvalue()

    resumed = resume(bench, "asked", sampler="tpe")
    (adopted,) = resumed.adopt()
    assert adopted.number == left.number and resumed.spec.history("sampler") == {0: "cmaes", left.number: "tpe"}
    resumed.tell(left.number, Ended("complete", (1.0, 2.0)))
    play(resumed, 5 - left.number)
    assert len(resumed.finished()) == resumed.total() == 6
    same = plan.settle(plan.resolve(request(TWO, name="asked", trials=6), bench.storage), bench.storage)
    assert same is not None, "its pruner, which never acted, is no other setting"


def test_a_comparison_has_no_sampler_to_change(bench: Bench) -> None:
    bench.book(name="arms", vary=["x=0.1,0.2"], trials=None, seeds=2)
    with pytest.raises(UserError, match="'arms' is a comparison: its arms are what it tries"):
        resume(bench, "arms", sampler="random")


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["schedule=constant", "noise_end=0.001"], "noise_end: no configuration with schedule=constant has it"),
        (["step_size=100"], "step_size=100 is outside the search space"),
    ],
)
def test_what_no_trial_can_have_is_not_enqueued(bench: Bench, texts: list[str], sentence: str) -> None:
    book = new_sweep.create(bench.storage, spec_of(bench, "ebm"))
    with pytest.raises(UserError, match=sentence):
        steer.configuration(book, texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("cmaes", "asha"),
        *(pytest.param(*pair, marks=pytest.mark.long) for pair in (("gp", "hyperband"), ("random", "median"))),
    ],
)
def test_real_processes_play_what_fits(bench: Bench, sampler: str, pruner: str) -> None:
    words = ("--sampler", sampler, "--pruner", pruner, "--trials", "8", "--workers", "2", "--name", "toy")
    done = sweep("run", QUADRATIC, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(books.load(bench.storage, "toy").finished()) == 8


@pytest.mark.slow
def test_real_processes_refuse_what_does_not_fit(bench: Bench) -> None:
    for option in ("--dry-run", "--workers=0"):
        done = sweep("run", TWO, "--sampler", "cmaes", option)
        assert done.returncode == 2 and "searches one objective" in done.stderr and "Traceback" not in done.stderr
    done = sweep("run", TWO, "--trials", "2", "--name", "two", "--workers", "0")
    assert done.returncode == 0 and "note: no trial is pruned" in done.stdout
    done = sweep("resume", "two", "--trials", "4", "--sampler", "cmaes")
    assert done.returncode == 2 and "take --sampler" in done.stderr
    done = sweep("resume", "two", "--trials", "4", "--sampler", "random", "--workers", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from trial 2 random" in sweep("show", "two").stdout
