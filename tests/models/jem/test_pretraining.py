"""What JEM begins with: trained once for all who agree on it, or the user's own, or refused for it reads too little."""

from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file

from models.data import dataset as datasets
from models.env import Env
from models.events import Checkpoint, Curve, Diverged, Event, Facts, Progress
from models.jem import networks, training
from models.jem import pretraining as _jem_pretraining
from models.jem.config import Config
from tests.models.jem.small_jem import config
from tests.support.playing import finished


def test_a_classifier_is_trained_once_for_all_trials_that_agree_on_it(
    env: Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = datasets.load("digits", env.data_folder)
    mine = Env("digits", 0, cache_folder=tmp_path)
    said: list[Event] = []

    def obtain(settings: Config, where: Env) -> _jem_pretraining.Pretrained:
        said.clear()
        found: _jem_pretraining.Pretrained = finished(_jem_pretraining.obtain(settings, data, where), said.append)
        return found

    first = obtain(config(), mine)
    before = [event for event in said if not isinstance(event, Progress)]
    curves = [event for event in before if isinstance(event, Curve)]
    assert {curve.key for curve in curves} == {"pretraining/loss", "pretraining/accuracy"}
    assert all(curve.lines.keys() == {"train", "validation"} for curve in curves)
    trains = _jem_pretraining._train
    monkeypatch.setattr(_jem_pretraining, "_train", None)  # it would be called
    again = obtain(config(step_size=1.0, likelihood_weight=0.1), Env("digits", 99, cache_folder=tmp_path))
    assert all(torch.equal(weight, again.weights[name]) for name, weight in first.weights.items())
    assert [event for event in said if not isinstance(event, Progress)] == before
    with pytest.raises(TypeError):
        obtain(config(pretrain_learning_rate=1e-3), mine)
    monkeypatch.setattr(_jem_pretraining, "_train", trains)
    (file,) = tmp_path.glob("classifier-*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    assert torch.equal(obtain(config(), mine).weights["head.bias"], first.weights["head.bias"]), "made anew, the same"

    file.unlink()
    with FileLock(file.with_suffix(".lock")):  # as another process has it that trains the same
        asking = _jem_pretraining.obtain(config(), data, mine)
        waiting = [next(asking) for _ in range(2)]
    assert all(isinstance(event, Progress) and event.stage == "pretraining" for event in waiting), (
        "alive while it waits"
    )
    assert len(list(asking)) > 4 and file.exists()


def test_a_classifier_of_ones_own_is_what_training_begins_with(env: Env, tmp_path: Path) -> None:
    """Its name is a hash of its weights, its history what it reads; what does not fit is refused with the way out."""
    data, mine = (
        datasets.load("digits", env.data_folder),
        config(norm="batch", classifier=str(tmp_path / "mine.safetensors")),
    )
    with pytest.raises(ValueError, match=r"mine\.safetensors: there is no such file; give a .safetensors"):
        finished(_jem_pretraining.obtain(mine, data, env))
    torch.manual_seed(3)
    weights = networks.network(mine, data.shape).state_dict()
    save_file(weights, tmp_path / "mine.safetensors")
    said: list[Event] = []
    found: _jem_pretraining.Pretrained = finished(_jem_pretraining.obtain(mine, data, env), said.append)
    assert found.weights.keys() == weights.keys()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in found.weights.items())
    assert Facts({"pretraining/hash": found.digest}) in said and len(found.digest) == 16
    net = networks.network(mine, data.shape).eval()
    net.load_state_dict(weights)
    with torch.no_grad():
        right = net(data.validation.floats()).argmax(1) == data.validation.labels
    assert found.history["accuracy_validation"] == [pytest.approx(right.float().mean().item())]
    with pytest.raises(
        ValueError, match=r"mine\.safetensors has no weights of this network .*set network, width.* or give another"
    ):
        finished(_jem_pretraining.obtain(mine.model_copy(update={"width": 5}), data, env))
    events = training.train(mine, env)
    begun = next(event for event in events if isinstance(event, Checkpoint))
    events.close()
    assert (begun.state()["network"]["head.weight"] - weights["head.weight"]).abs().max() < 2e-3, "an update from it"


def test_a_classifier_that_reads_too_little_does_not_begin_to_generate(env: Env) -> None:
    """After one update; one that was never meant to be trained may begin, as JEM's authors' did."""
    barely = config(pretrain_updates=1, least_accuracy=0.85)
    with pytest.raises(
        Diverged, match="untaught at step 0: .* least_accuracy=0.85; raise pretrain_updates or lower it"
    ):
        finished(training.train(barely, env))
    data = datasets.load("digits", env.data_folder)
    for enough in ({"least_accuracy": 0.0}, {"pretrain_updates": 0}):
        finished(_jem_pretraining.obtain(barely.model_copy(update=enough), data, env))
