"""A sweep gets a name that no other has, however many are begun at once."""

import pytest

from orchestrator import session
from orchestrator.search import book as books
from orchestrator.search import new_sweep, plan
from orchestrator.search.options import request
from orchestrator.stores.optuna_storage import NameTaken
from orchestrator.tracking import datasets_page
from tests.support.bench import Bench
from tests.support.paths import QUADRATIC


def test_sweeps_that_are_planned_at_once_get_names_of_their_own(bench: Bench) -> None:
    specs = [plan.resolve(request(QUADRATIC, trials=1), bench.storage) for _ in range(3)]
    assert {spec.name for spec in specs} == {"quadratic-digits-1"}
    made = [new_sweep.create(bench.storage, spec).spec for spec in specs]
    assert [spec.name for spec in made] == [f"quadratic-digits-{number}" for number in (1, 2, 3)]
    assert [spec.folder for spec in made] == [f"{specs[0].folder.removesuffix('1')}{number}" for number in (1, 2, 3)]
    assert [books.load(bench.storage, spec.name).spec for spec in made] == made


@pytest.mark.parametrize(
    ("data", "name"), [("halved:persian", "quadratic-halved-persian-1"), ("persian:80/20", "quadratic-persian-1")]
)
def test_a_name_says_which_data(bench: Bench, data: str, name: str) -> None:
    assert plan.resolve(request(QUADRATIC, data=data), bench.storage).name == name
    assert datasets_page.names("both", ["digits", "halved:digits"]) == ["both-digits", "both-halved-digits"]
    assert datasets_page.names(None, ["halved:mnist", "halved:persian"]) == [None, None]


def test_a_chosen_name_is_not_changed(bench: Bench) -> None:
    specs = [plan.resolve(request(QUADRATIC, trials=1, name="toy"), bench.storage) for _ in range(2)]
    new_sweep.create(bench.storage, specs[0])
    with pytest.raises(NameTaken):
        new_sweep.create(bench.storage, specs[1])
    assert books.load(bench.storage, "toy").spec.id == specs[0].id


def test_the_same_command_at_once_finds_the_sweep_that_the_faster_one_made(bench: Bench) -> None:
    specs = [plan.resolve(request(QUADRATIC, trials=1, name="toy"), bench.storage) for _ in range(2)]
    found = [session.make(spec, bench.storage).spec.id for spec in specs]
    assert found == [specs[0].id] * 2
