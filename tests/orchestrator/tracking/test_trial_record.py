"""What a trial and a sweep are called in MLflow, and what their pages say in words."""

import csv
import io
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from orchestrator import session
from orchestrator.delivery.entries import Begin, End, Note
from orchestrator.devices import Resources
from orchestrator.messages import Ended
from orchestrator.search.book import Book
from orchestrator.supervisor.machine import Machine
from orchestrator.tracking import connection, descriptions, saved_view, trial_record
from tests.support.bench import PATIENT, Bench


def driven(bench: Bench, **options: object) -> tuple[Book, MlflowClient]:
    """A sweep with MLflow's own store, from beginning to end."""
    book = bench.book(**{"pruner": "none", **options})
    assert session.drive(book, Machine("inline", Resources(("cpu",), 1), PATIENT), Console(file=io.StringIO())) == 0
    return book, MlflowClient(book.spec.tracking_uri)


def test_trials_are_named_by_what_came_of_them(bench: Bench) -> None:
    book = bench.book(trials=3, pruner="none")
    bench.drive(book)
    for trial in book.trials():
        name = bench.record(book, trial.number).name
        assert name == f"trial {trial.number} · distance {trial.values[0]:.3g} · x = {trial.params['x']:.2f}"
    crashed = bench.book(name="crashed", trials=1, set=["mode=diverge"])
    bench.drive(crashed)
    shown = bench.record(crashed, 0)
    assert shown.name.startswith("trial 0 · diverged · x = ")
    assert "**diverged**: runaway" in shown.description and "it was told to" in shown.description


def test_a_trial_that_is_left_for_later_keeps_its_name(bench: Bench, tmp_path: Path) -> None:
    book = bench.book()
    trial_record.end(tmp_path, book.spec, 4, "x = 1", Ended("stopped"))
    lines = [
        json.loads(line) for path in (tmp_path / "outbox").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    assert [(line["do"], line["name"]) for line in lines] == [("end", "trial 4 · x = 1")]


def test_a_value_stands_beside_what_it_is_read_against(bench: Bench) -> None:
    spec = bench.book().spec.model_copy(update={"objectives": [("fid/fresh", "minimize"), ("accuracy", "maximize")]})
    end = Ended(
        "complete", (3.5, 0.9), seconds=65, group_values={"fid/fresh": 3.5, "fid/real": 0.1, "accuracy/judge": 0.99}
    )
    said = descriptions.trial(spec, 2, end)
    assert "**fid/fresh 3.5** (lower is better) · real 0.1\n" in said
    assert "**accuracy 0.9** (higher is better) · judge 0.99\n" in said
    assert "complete after 1:05" in said and f"`sweep show {spec.name} 2`" in said
    assert descriptions.result(spec, end) == "fid 3.5 · accuracy 0.9"


def test_the_fid_of_new_images_has_a_row_that_says_how_many_they_are(bench: Bench) -> None:
    spec = bench.book().spec
    spec = spec.model_copy(
        update={"base": spec.base | {"evaluation_samples": 1000}, "objectives": [("error", "minimize")]}
    )
    values = {"error": 0.5, "fid/generated": 3.5, "fid/real": 0.1}
    said = descriptions.trial(spec, 2, Ended("complete", (0.5,), group_values=values), "fid/generated")
    assert "**error 0.5** (lower is better)\n\n**fid/generated 3.5** · real 0.1\n\n" in said
    assert "fid/generated is of 1,000 new images" in said
    assert "images" not in descriptions.trial(
        spec, 2, Ended("complete", (0.5,), group_values={"error": 0.5}), "fid/fresh"
    )


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("sweep run ebm --set width=8,blocks=1 --trials 2", "sweep run ebm --set width=8 --set blocks=1 --trials 2"),
        ("sweep run ebm --fix start=noise", "sweep run ebm --fix start=noise"),
        ("sweep run jem --set 'classifier=my file,norm=batch'", "sweep run jem --set 'classifier=my file,norm=batch'"),
        ("sweep compare ebm --vary n_steps=10,20", "sweep compare ebm --vary n_steps=10,20"),
    ],
)
def test_a_command_with_many_settings_can_break_where_it_is_shown(typed: str, shown: str, bench: Bench) -> None:
    book, _ = driven(bench, trials=1)
    told = Book(book.optuna_study, book.spec.model_copy(update={"command": typed}))
    assert f"Made by `{shown}`; go on" in descriptions.sweep(told, "")


def test_the_page_of_a_sweep(bench: Bench) -> None:
    """Its description with links, its table of trials, its settings in a file, the best trial found by a tag."""
    book, client = driven(bench, trials=3)
    run = client.get_run(book.spec.run)
    said, best = run.data.tags["mlflow.note.content"], book.best()[0]
    found = client.search_runs([run.info.experiment_id], "tags.best = 'yes' and tags.data = 'digits'")
    assert [one.data.tags["trial"] for one in found] == [str(best.number)]
    address = f"#/experiments/{run.info.experiment_id}/runs/{found[0].info.run_id}?workflowType=machine_learning"
    assert f"[trial\N{NO-BREAK SPACE}{best.number}]({address})" in said
    assert "3 of 3 trials finished: 3 complete." in said and f"best_samples.png&run_uuid={book.spec.run}" in said
    assert set(run.data.params) == {
        "sweep/" + key for key in ("study", "data", "data digest", "sampler", "pruner", "seed", "version")
    }
    table = list(csv.DictReader(io.StringIO(_text(client, book, "trials.csv"))))
    assert [(row["trial"], float(row["distance"])) for row in table] == [
        (str(t.number), t.values[0]) for t in book.trials()
    ]
    assert json.loads(_text(client, book, "config.json")) == {k: v for k, v in book.spec.base.items() if k != "x"}
    more, _ = driven(bench, trials=9)
    now = more.best()[0].number
    best_now = client.search_runs([run.info.experiment_id], "tags.best = 'yes'")
    assert [one.data.tags["trial"] for one in best_now] == [str(now)], "and only one is tagged"


def _text(client: MlflowClient, book: Book, path: str) -> str:
    return Path(client.download_artifacts(book.spec.run, path)).read_text()


def test_the_view_that_the_page_of_runs_opens_with(bench: Bench) -> None:
    book, client = driven(bench, trials=2)
    view = client.get_experiment_by_name("quadratic").tags["mlflow.sharedViewState.toy"]
    envelope = json.loads(view)
    state = json.loads(envelope["state"])
    assert envelope["name"] == "toy" and isinstance(envelope["createdAt"], int)
    trials = client.search_runs([client.get_run(book.spec.run).info.experiment_id], state["searchFilter"])
    assert {run.data.tags["trial"] for run in trials} == {"0", "1"}, "its filter is one that MLflow understands"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`distance`", True)
    assert [card["type"] for card in state["compareRunCharts"]] == ["LINE", "PARALLEL", "LINE", "IMAGE"]
    said = {key for run in trials for key in run.data.metrics}
    assert {card["metricKey"] for card in state["compareRunCharts"] if card["type"] == "LINE"} <= said
    wide = book.spec.model_copy(update={"space": {f"a_parameter_with_a_long_name_{i}": {} for i in range(200)}})
    assert len(saved_view.text(Book(book.optuna_study, wide))) <= saved_view.LONGEST
    store = connection.connect(book.spec.tracking_uri, "--tracking-uri", "quadratic")
    found = store.pages("toy")
    assert list(found) == ["trials", "sweep"] and "viewStateShareKey=toy" in found["trials"]
    assert found["sweep"].endswith(f"/runs/{book.spec.run}?workflowType=machine_learning")
    store.forget(book.spec.id, "toy")
    assert "mlflow.sharedViewState.toy" not in client.get_experiment_by_name("quadratic").tags


def test_a_name_that_is_given_at_the_end_is_the_run_s(bench: Bench) -> None:
    store = connection.connect("sqlite:///mlflow.db", "--tracking-uri", "toy")
    run = store.begin(Begin(key="k/0", name="trial 0", params={}, tags={})).run
    closing = [Note(markdown="[it](run:abc)"), End(status="FINISHED", tags={}, name="trial 0 · fid 3")]
    for _ in range(2):
        store.deliver(run, closing)
    found = store.client.get_run(run)
    assert found.info.run_name == found.data.tags["mlflow.runName"] == "trial 0 · fid 3"
    assert (
        found.data.tags["mlflow.note.content"]
        == f"[it](#/experiments/{store.experiment}/runs/abc?workflowType=machine_learning)"
    )
