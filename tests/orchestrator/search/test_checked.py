"""Data are checked with the parameters that are held, not with what the recipe had in their place."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.search import plan
from orchestrator.search.options import request
from orchestrator.search.spec import Spec
from orchestrator.stores import optuna_storage
from tests.models.data.written import numbered, write_npz


def resolved(folder: Path, study: str, data: str, settings: Sequence[str]) -> Spec:
    storage = optuna_storage.connect(f"sqlite:///{folder / 'sweeps.db'}")
    return plan.resolve(request(study, name="held", data=data, set=settings), storage)


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """Images whose sides cannot be halved."""
    return write_npz(tmp_path / "odd.npz", x_train=numbered(60, shape=(7, 9)), x_test=numbered(30, 60, shape=(7, 9)))


def test_the_way_out_of_a_refusal_is_taken(odd: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="7×9 cannot be halved; use --set mixing=checkerboard,scales=1"):
        resolved(tmp_path, "flow", odd, ["scales=1"])
    spec = resolved(tmp_path, "flow", odd, ["mixing=checkerboard", "scales=1"])
    assert spec.fixed == {"mixing": "checkerboard"} and spec.base["scales"] == 1


def test_a_held_parameter_to_which_the_space_adapts_another_is_no_mistake(tmp_path: Path) -> None:
    spec = resolved(tmp_path, "points", "shapes", ["augmentation=5"])
    assert spec.fixed == {"augmentation": 5} and spec.base["masked"] > 5


def test_what_a_search_may_choose_is_judged_before_it_does(odd: str, tmp_path: Path) -> None:
    """With two levels the space has patches of 2×2, which divide no odd side: trials that chose them would fail."""
    with pytest.raises(UserError, match="the search may choose what .* into patches of 2×2; set patch=1"):
        resolved(tmp_path, "image_gpt", odd, ["levels=2"])
    assert resolved(tmp_path, "image_gpt", odd, ["levels=2", "patch=1"]).fixed == {"patch": 1}
