"""A classifier that generates: energies and losses by hand, normalisation while sampling, what is told."""

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import studies
from models.data import dataset as datasets
from models.env import Env
from models.events import Checkpoint, Curve, DataUsed, Diverged, Event, Images, Matrix, Scalars
from models.jem import networks, training
from models.jem.chains import Starts, kernel
from models.jem.config import BOUNDS, Config
from models.jem.divergence import DivergenceMonitor
from models.jem.losses import warmup_share
from models.jem.networks import conditional, in_mode, marginal
from models.parts.evaluation import judge as judges
from models.parts.evaluation.classes import of_slots
from samplers import proximal
from samplers.kernel import run
from tests.models.jem.small_jem import config
from tests.support.playing import exported, finished, gone_on

BATCH_NORM = {"norm": "batch", "start": "mixture", "sampler": "proximal"}


class Fixed(nn.Module):
    """The same logits for every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), -1) + 0 * x.flatten(1).sum(1, keepdim=True)


def test_energies_by_hand() -> None:
    """Logits log 1, log 2, log 5: E(x) = −log 8, and E(x, y) − E(x) = −log p(y|x)."""
    net, x = Fixed([0.0, math.log(2), math.log(5)]), torch.zeros(2, 1, 2, 2)
    torch.testing.assert_close(marginal(net)(x), torch.full((2,), -math.log(8)))
    difference = conditional(net, torch.tensor([1, 2]))(x) - marginal(net)(x)
    torch.testing.assert_close(difference, -torch.tensor([2 / 8, 5 / 8]).log())


@pytest.mark.parametrize("kind", ["none", "batch", "group"])
@pytest.mark.parametrize(
    "network",
    [{"width": 8}, {"network": "resnet18", "width": 64}, {"network": "wide_resnet", "width": 32, "depth": 10}],
)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32)])
def test_every_network_reads_every_size(kind: str, network: dict[str, Any], shape: tuple[int, int, int]) -> None:
    net = networks.network(config(norm=kind, classes=4, **network), shape).eval()
    x = torch.rand(3, *shape)
    assert net(x).shape == (3, 4)
    torch.testing.assert_close(net(x)[:1], net(x[:1]), rtol=1e-3, atol=1e-5)
    normalised = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm)]
    assert bool(normalised) == (kind != "none")


def test_an_exported_network_takes_any_number_of_images() -> None:
    net = networks.network(config(norm="batch"), (1, 8, 8))
    x = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(exported(net)(x), net(x))


def test_large_networks_have_the_sizes_that_are_published() -> None:
    """11.2 million weights of ResNet-18 at 32×32 with ten classes, 36.5 million of Wide-ResNet-28-10."""
    for settings, millions in (({"network": "resnet18", "width": 64}, 11.2), ({}, 36.5)):
        recipe = studies.load("jem").base((3, 32, 32)).model_copy(update={"norm": "batch", **settings})
        net = networks.network(recipe, (3, 32, 32))
        assert sum(weight.numel() for weight in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_chains_are_normalised_as_the_settings_say_and_leave_the_averages_alone() -> None:
    torch.manual_seed(0)
    net = networks.network(config(norm="batch"), (1, 8, 8)).train()
    net(torch.rand(64, 1, 8, 8))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    x, others = torch.rand(2, 1, 8, 8), torch.rand(2, 6, 1, 8, 8)
    for mode, alike in (("eval", True), ("train", False)):
        with in_mode(net, mode):  # type: ignore[arg-type]
            one, other = (net(torch.cat([x, more]))[:2] for more in others)
            assert torch.allclose(one, other) == alike, "what a chain sees of its neighbours"
            assert not any(weight.requires_grad for weight in net.parameters())
    assert net.training and all(weight.requires_grad for weight in net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    net(x)
    assert not torch.equal(net.body[1].running_mean, before["body.1.running_mean"]), "real images do enter them"
    assert net.body[1].num_batches_tracked == 2


def test_inner_steps_behind_the_first_layer_are_one_longer_step() -> None:
    """M × N of JEM++ with the network's own first convolution, which is linear, against what training runs."""
    torch.manual_seed(0)
    net = networks.network(config(width=8), (1, 8, 8)).requires_grad_(False)
    first, rest = net.body[0], net.body[1:]

    def behind(z: Tensor) -> Tensor:
        return -net.head(rest(z).flatten(1)).logsumexp(1)

    begin = torch.rand(5, 1, 8, 8) * 2 - 1
    clamp = 0.5 * proximal_gradient(net, begin).abs().max().item()
    settings = config(sampler="proximal", step_size=0.2, inner_steps=5, clamp=clamp, noise=0.01)
    apart = proximal.build(behind, 0.2, clamp, 0.01, 5, first, BOUNDS)
    one, info = run(apart, begin, 3, torch.Generator().manual_seed(1))
    other, _ = run(kernel(settings, marginal(net)), begin, 3, torch.Generator().manual_seed(1))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert 0 < (info.gradient.abs() >= clamp).float().mean() < 0.5, "the clamp is felt, and not everywhere"
    assert (one - begin).abs().max() > 0.01


def proximal_gradient(net: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(marginal(net)(x).sum(), x)
    return gradient


def test_start_and_step_are_two_switches(env: Env) -> None:
    """The mixture is that of the training images of the label, noise knows no label; the clamp bounds a step."""
    data = datasets.load("digits", env.data_folder)
    labels = torch.arange(200) % 10
    means = torch.stack([data.train.floats()[data.train.labels == label].mean(0) for label in range(10)])
    right = {}
    for start in ("noise", "mixture"):
        begin = Starts.of(config(start=start), data, "cpu").draw(labels, env.generator("x"))
        assert begin.shape == (200, 1, 8, 8) and begin.abs().max() <= 1
        nearest = torch.cdist(begin.flatten(1), means.flatten(1)).argmin(1)
        right[start] = float((nearest == labels).float().mean())
    assert right["noise"] < 0.25 and right["mixture"] > 0.8

    def steep(x: Tensor) -> Tensor:
        return 100 * x.flatten(1).sum(1)

    begin, moved = torch.zeros(2, 1, 8, 8), {}
    for sampler in ("langevin", "proximal"):
        settings = config(sampler=sampler, step_size=0.1, clamp=0.5, noise=0.0)
        end, _ = run(kernel(settings, steep), begin, 1, env.generator("y"))
        moved[sampler] = end.min().item()
    assert moved == {"langevin": -1.0, "proximal": pytest.approx(-0.05)}


@pytest.mark.parametrize("changes", [{"target": "label"}, BATCH_NORM])
def test_a_resumed_training_equals_an_uninterrupted_one(changes: dict[str, Any], env: Env) -> None:
    """Every number after the interruption is the same, and so are all weights and averages, to the last bit."""
    whole, half = config(**changes), 7
    told, again = gone_on(lambda state: training.train(whole, env, state), half)
    numbers, later = ([e for e in said if isinstance(e, Scalars) and e.step > half] for said in (told, again))
    numbers, later = ([e for e in said if "pretraining/loss_train" not in e.values] for said in (numbers, later))
    assert len(numbers) > 20 and numbers == later
    last, last_again = ([e for e in said if isinstance(e, Checkpoint)][-1].state() for said in (told, again))
    for name in ("network", "average"):
        assert all(torch.equal(tensor, last_again[name][key]) for key, tensor in last[name].items())
    assert torch.equal(last["buffer"], last_again["buffer"])


def test_what_is_reported_at_the_end_stands_beside_its_anchors(env: Env) -> None:
    values, pictures = dict[str, float](), dict[str, Images | Matrix | Curve]()
    reports = 0
    for event in studies.load("jem").play(config(start="mixture", width=16, pretrain_updates=100), env):
        if isinstance(event, Scalars):
            values |= event.values
            reports += {"fid/fresh", "accuracy/validation", "objective/weighted"} <= event.values.keys()
        elif isinstance(event, Images | Matrix | Curve):
            pictures[event.key] = event
    assert reports == 2, "objectives are said together, at each evaluation"
    assert {f"fid/{name}" for name in ("fresh", "replay", "start", "real", "noise", "pretrained")} <= values.keys()
    assert values["fid/start"] < 0.5 * values["fid/noise"], "a mixture start scores well before any training"
    assert values["accuracy/start"] > 0.5, "and is read as its class"
    weighted = 100 * (1 - values["accuracy/validation"]) + values["fid/fresh"]
    assert values["objective/weighted"] == pytest.approx(weighted)
    for name in ("ood_auroc", "ood_auroc_confidence", "ood_auroc_gradient"):
        assert {f"{name}/noise", f"{name}/train", f"pretrained_{name}/noise"} <= values.keys()
    assert {"loss/classification", "loss/likelihood", "loss/classification_validation"} <= values.keys()
    assert {"loss/likelihood_validation", "calibration/error", "chain/drift_4x", "adversarial/pgd"} <= values.keys()
    assert all(math.isfinite(value) for value in values.values())
    assert min(values["accuracy/test"], values["accuracy/pretrained_test"]) > 0.5
    curve = pictures["adversarial/accuracy"]
    assert isinstance(curve, Curve) and curve.lines.keys() == {
        f"{a}, {b}" for a in ("this", "plain") for b in ("FGSM", "PGD")
    }
    assert (
        curve.lines["this, PGD"][0]
        == curve.lines["this, FGSM"][0]
        == pytest.approx(values["accuracy/validation"], abs=0.2)
    )
    assert {"samples/fresh", "samples/replay", "samples/start_and_end", "samples/confusion"} <= pictures.keys()
    assert {"classifier/confusion_test", "calibration/reliability", "chain/energy"} <= pictures.keys()


def test_without_the_likelihood_it_is_a_plain_classifier_of_the_same_budget(env: Env) -> None:
    plain = config(likelihood_weight=0.0)
    assert plain.updates == 120 and config().updates == 20
    keys = {key for event in training.train(plain, env) if isinstance(event, Scalars) for key in event.values}
    assert {"loss/classification", "accuracy/validation"} <= keys
    assert not {key for key in keys if key.startswith(("energy/", "chain/", "fid/replay"))}


@pytest.mark.parametrize(("noised", "deviation"), [("both", 0.3), ("data", 0.0)])
def test_samples_are_seen_under_the_noise_of_real_images_and_kept_without_it(
    noised: str, deviation: float, env: Env, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain black and plain white images, and chains that stay where the mixture has them: at these very images."""
    images, labels = np.repeat(np.uint8([0, 255]), 100)[:, None, None].repeat(8, 1).repeat(8, 2), np.arange(200) // 100
    np.savez(tmp_path / "plain.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    learned: list[Tensor] = []

    def heard(*given: Any) -> nn.Module:
        net = network(*given)
        net.body.register_forward_pre_hook(
            lambda body, batch: learned.append(batch[0].detach()) if next(body.parameters()).requires_grad else None
        )
        return net

    network = networks.network
    monkeypatch.setattr(training, "network", heard)
    still = {"start": "mixture", "step_size": 1e-9, "noise": 0.0, "data_noise": 0.3, "noised": noised}
    plain = replace(env, data=f"npz:{tmp_path / 'plain.npz'}")
    kept = finished(training.train(config(**still, classes=2, pretrain_updates=0), plain)).images
    assert torch.equal(kept, kept.sign())
    of_samples, of_real = (torch.cat(learned[first::2]) for first in (0, 1))
    assert len(of_samples) == len(of_real) == 20 * 64
    pixels = of_real.numel()
    for seen, wanted in ((of_samples, deviation), (of_real, 0.3)):
        off = seen.sub(seen.sign()).square().mean().sqrt().item()
        assert off == pytest.approx(wanted, abs=5 * wanted / (2 * pixels) ** 0.5)


def test_slots_have_labels_as_frequent_as_images(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    counts = torch.bincount(of_slots(1000, data, "cpu"), minlength=10)
    assert counts.sum() == 1000 and counts.min() > 70


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"learning_rate": 1e18, "parameter_grad_clip": 1e18, "warmup": 0}, "non_finite|energy_out_of_bounds"),
        (
            {"learning_rate": 1.0, "warmup": 0, "likelihood_weight": 50.0, "network_evaluations": 6 * 200},
            "energy_out_of_bounds|forgotten|saturation|outrun",
        ),
    ],
)
def test_divergence_has_a_name_and_keeps_what_it_looked_like(changes: dict[str, Any], reason: str, env: Env) -> None:
    said: list[Event] = []
    with pytest.raises(Diverged, match=reason):
        said.extend(event for event in training.train(config(**changes), env) if not said.append(event))
    assert [event for event in said if isinstance(event, Images)][-1].key == "samples/training"


def report(accuracy: float, gap: float | None = None, loss: float = 1.0) -> dict[str, float]:
    chains = {"energy/data": gap or 0.0, "energy/samples": 0.0, "chain/saturation": 0.0, "chain/saturation_data": 0.0}
    return {"loss": loss, "accuracy/train": accuracy} | ({} if gap is None else chains)


LONG = config(network_evaluations=12 * 400)
LATE = LONG.updates  # past the grace period


@pytest.mark.parametrize(("alpha", "bound"), [(0.0, -5.0), (0.1, -5.0), (0.01, -50.0)])
def test_chains_that_are_outrun_are_noticed_at_a_gap_of_the_size_that_the_regularisation_leaves(
    alpha: float, bound: float
) -> None:
    """Three reports in a row of a gap below the bound; one above begins the count anew."""
    monitor, regularised = DivergenceMonitor.begin(0.9, 10), LONG.model_copy(update={"energy_regularisation": alpha})
    for gap in (1.2, 1.2, 0.8, 1.2, 1.2):
        monitor = monitor.update(LATE, regularised, report(0.9, gap * bound))
    assert monitor.outrun == 2 and DivergenceMonitor.of(asdict(monitor)) == monitor
    with pytest.raises(Diverged, match="outrun"):
        monitor.update(LATE, regularised, report(0.9, 1.2 * bound))


def test_forgetting_by_hand() -> None:
    """Began at 0.9, chance 0.1: lost below 0.5. From 0.9 by 0.8 · mean + 0.2 · 0.1 that takes four reports."""
    monitor = DivergenceMonitor.begin(0.9, 10)
    for _ in range(3):
        monitor = monitor.update(LATE, LONG, report(0.1))
    assert monitor.accuracy == pytest.approx(0.9 * 0.512 + 0.1 * 0.488)
    assert DivergenceMonitor.of(asdict(monitor)) == monitor
    with pytest.raises(Diverged, match="forgotten"):
        monitor.update(LATE, LONG, report(0.1))
    monitor.update(1, LONG, report(0.1))
    with pytest.raises(Diverged, match="non_finite"):
        monitor.update(LATE, LONG, report(1.0, loss=math.inf))
    untrained = DivergenceMonitor.begin(0.0, 10).update(LATE, LONG, report(0.0))
    assert untrained.accuracy == pytest.approx(0.08)


def test_the_weight_of_the_likelihood_rises_over_the_warmup_and_stays() -> None:
    settings = config(warmup=3)
    assert [warmup_share(settings, update) for update in (0, 1, 2, 3, 4, 1000)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert warmup_share(config(warmup=0), 0) == 1


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_clamped_chains_of_the_recipe_can_cross_the_range_of_a_pixel(shape: tuple[int, int, int]) -> None:
    """Within one update: where they went a quarter of it, proximal chains from noise were outrun by the data."""
    recipe = studies.load("jem").base(shape)
    reach = recipe.n_steps * recipe.inner_steps * recipe.step_size * recipe.clamp
    assert reach >= BOUNDS[1] - BOUNDS[0]


@pytest.mark.parametrize(
    ("size", "smaller"), [((28, 28), {"width": 8}), ((32, 32, 3), {"depth": 10, "width": 16, "batch_size": 4})]
)
@pytest.mark.parametrize("more", [{}, {"start": "mixture", "sampler": "proximal", "norm": "batch"}])
def test_the_recipe_of_larger_images_makes_an_update(
    size: tuple[int, ...],
    smaller: dict[str, Any],
    more: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of it but its size, on random images: its depth, width, batch and length are a GPU's."""
    chance = np.random.RandomState(0)
    images = {f"x_{part}": chance.randint(0, 256, (60, *size)).astype(np.uint8) for part in ("train", "test")}
    np.savez(tmp_path / "images.npz", **images, y_train=np.arange(60) % 10, y_test=np.arange(60) % 10)
    channels = (*size, 1)[2]
    monkeypatch.setitem(judges.TRAINING, channels, (2, 16))
    recipe = studies.load("jem").base((channels, *size[:2])).model_dump() | smaller | more
    recipe |= {"n_steps": 2, "pretrain_updates": 2, "evaluation_length": 1, "buffer_size": 100, "least_accuracy": 0.0}
    for event in training.train(
        Config.model_validate(recipe), Env(f"npz:{tmp_path / 'images.npz'}", cache_folder=tmp_path)
    ):
        if isinstance(event, Checkpoint):
            break
    assert isinstance(event, Checkpoint) and event.step == 1
    assert all(tensor.isfinite().all() for tensor in event.state()["network"].values())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "resnet18"}, "64 channels"),
        ({"network": "wide_resnet", "depth": 12}, "6n \\+ 4"),
        ({"buffer_size": 10}, "below the 64 chains of an update"),
        ({"n_chains": 65}, "above batch_size=64"),
        ({"classification_weight": 0.0, "likelihood_weight": 0.0}, "raise one"),
        ({"evaluation_samples": 16}, "fewer than two a class"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(**changes)


def test_other_numbers_of_classes_are_refused_with_the_way_out(env: Env) -> None:
    data = datasets.load(env.data, env.data_folder)
    training.check(config(classes=10), data)
    with pytest.raises(datasets.DataError, match="digits has 10 classes; say --set classes=10"):
        training.check(config(classes=12), data)
    with pytest.raises(datasets.DataError, match="--set classes=10"):
        finished(event for event in training.train(config(classes=12), env) if not isinstance(event, DataUsed))
