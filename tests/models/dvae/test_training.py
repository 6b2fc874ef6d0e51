"""Discrete autoencoders: codes that move, codes that are drawn, collapse by name, and clusters that know no label."""

import copy
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import studies
from models.data import dataset as datasets
from models.data.dataset import Split
from models.dvae import divergence, evaluation, networks, training
from models.dvae.cluster_figures import AS_MANY, CODES, borders
from models.dvae.clusters import core, embedded
from models.dvae.config import Config
from models.dvae.networks import Autoencoder
from models.dvae.pseudo_labels import interval
from models.dvae.quantisers import GumbelCodes, MovingCodes, divergence_from_even, perplexity, usage
from models.env import Env
from models.events import Diverged, Event, Facts, File, Images, Matrix, Scalars, Weights
from models.parts.clustering import clustering
from models.parts.training.augmentation import deform
from models.parts.training.batches import Batches
from tests.support import optimisation
from tests.support.playing import finished

SMALL = {**studies.load("dvae").smallest, "updates": 40}


def config(**changes: Any) -> Config:
    return Config.model_validate(SMALL | changes)


def moving(**changes: Any) -> MovingCodes:
    settings: dict[str, Any] = {"size": 2, "dimension": 2, "commitment": 0.5, "decay": 0.9} | changes
    codes = MovingCodes(**({"restart_below": 0.0, "normalise": False} | settings))
    codes.placed.fill_(True)
    return codes


@pytest.fixture
def chance() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_step_of_the_moving_average_by_hand(chance: torch.Generator) -> None:
    """Counts 0.9·1 + 0.1·n, sums 0.9·e + 0.1·Σz, codes their ratio; an encoding's penalty is half its squared distance."""
    codes = moving()
    codes.codes, codes.sums = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 0.0]], requires_grad=True)
    through, tokens, penalty = codes.learn(z, 0.0, chance)
    assert tokens.tolist() == [0, 0, 1]
    assert through.tolist() == [[0, 0], [0, 0], [4, 0]], "the codes before they move"
    assert penalty.item() == pytest.approx(0.5 * (1 + 1 + 1) / 6)
    assert torch.allclose(codes.counts, torch.tensor([1.1, 1.0]))
    assert torch.allclose(codes.codes, torch.tensor([[0.1 / 1.1, 0.1 / 1.1], [4.1, 0.0]]))
    (through * torch.tensor([[1.0, 2.0]] * 3)).sum().backward()
    assert z.grad is not None and z.grad.tolist() == [[1, 2]] * 3, "the gradient passes straight through"


def test_codes_settle_on_the_means_of_what_they_stand_for(chance: torch.Generator) -> None:
    codes = moving(decay=0.5)
    codes.codes = codes.sums = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    z = torch.tensor([[-3.0, 1.0], [-5.0, 1.0], [2.0, 2.0], [4.0, 0.0]])
    for _ in range(60):
        codes.learn(z, 0.0, chance)
    assert torch.allclose(codes.codes, torch.tensor([[-4.0, 1.0], [3.0, 1.0]]), atol=1e-5)


@pytest.mark.parametrize(("restart_below", "moved"), [(0.0, False), (0.1, True)])
def test_a_dead_code_begins_anew_on_an_encoding_of_the_batch(
    restart_below: float, moved: bool, chance: torch.Generator
) -> None:
    codes = moving(restart_below=restart_below, decay=0.5)
    codes.codes = codes.sums = torch.tensor([[0.0, 0.0], [100.0, 100.0]])
    z = torch.randn(32, 2, generator=chance)
    for _ in range(40):
        codes.learn(z, 0.0, chance)
    assert bool((codes.codes[1].abs() < 5).all()) == moved
    assert len(codes.tokens(z).unique()) == (2 if moved else 1)


def test_normalised_codes_lie_on_the_sphere_and_the_nearest_has_the_largest_cosine(chance: torch.Generator) -> None:
    codes = moving(size=5, dimension=3, normalise=True)
    z = 7 * torch.randn(20, 3, generator=chance)
    assert torch.equal(codes.tokens(z), (z @ codes.codes.T).argmax(1))
    codes.learn(z, 0.0, chance)
    assert torch.allclose(codes.codes.norm(dim=1), torch.ones(5))


def test_gumbel_draws_tokens_with_the_probabilities_of_their_logits(chance: torch.Generator) -> None:
    """At any temperature; 20,000 draws, four standard errors."""
    codes = GumbelCodes(3, 2, 1.0, 0.1, 1.0)
    n, z = 20_000, torch.tensor([[0.5, -1.0]])
    law = codes.logits(z).softmax(1)[0]
    with torch.no_grad():
        through, tokens, _ = codes.learn(z.expand(n, -1), 0.7, chance)
    shares = torch.bincount(tokens, minlength=3) / n
    assert ((shares - law).abs() < 4 * (law * (1 - law) / n).sqrt()).all()
    assert torch.allclose(through, codes.codes[tokens], atol=1e-5), "what goes forward is a code"
    assert (codes.temperature(0), codes.temperature(1)) == (1.0, pytest.approx(0.1))


def test_gumbel_gives_encodings_and_codes_a_gradient(chance: torch.Generator) -> None:
    codes = GumbelCodes(4, 2, 1.0, 0.5, 0.1)
    z = torch.randn(6, 2, generator=chance, requires_grad=True)
    through, _, penalty = codes.learn(z, 0.5, chance)
    (through.square().sum() + penalty).backward()
    assert z.grad is not None and codes.codes.grad is not None
    assert z.grad.abs().sum() > 0 and codes.codes.grad.abs().sum() > 0


def test_measures_of_use_by_hand() -> None:
    assert divergence_from_even(torch.zeros(1, 8)).item() == pytest.approx(0, abs=1e-6)
    assert divergence_from_even(torch.tensor([[100.0, 0, 0, 0]])).item() == pytest.approx(math.log(4))
    tokens = torch.tensor([[0, 0], [1, 1]])
    assert perplexity(tokens, 8) == pytest.approx(2) and usage(tokens, 8) == 0.25


def test_an_image_costs_the_logarithm_of_its_codes(env: Env) -> None:
    """Sixteen tokens of a hundred codes: 16 · log₂ 100 bits."""
    data, few = datasets.load("digits", env.data_folder), config(codebook_size=100)
    facts = next(evaluation.introduce(few, Autoencoder(few, data.shape), data))
    assert isinstance(facts, Facts) and facts.values["codes/tokens"] == 16
    assert facts.values["codes/bits"] == round(16 * math.log2(100), 1) == 106.3


def test_borders_show_the_images_between_clusters(env: Env) -> None:
    data = datasets.load("digits", env.data_folder)
    space = np.array([[0.0], [0.1], [0.2], [0.1], [4.0], [6.0], [10.0], [10.1], [10.2], [10.1]])
    (two,) = clustering.cluster(space, [2], 2, 0, scored=1000)
    shown = borders(space, two, data, 0).images
    assert torch.equal(shown[[0, 8]], data.train.floats(torch.tensor([4, 5] if two.ids[4] == 0 else [5, 4])))
    assert not shown[5:8].any(), "a cluster of five has no more to show"


def test_k_clusters_are_looked_for_in_a_few_dimensions_more() -> None:
    points = np.random.default_rng(0).standard_normal((40, 6))
    spaces = embedded(config(embedding_margin=3), points, 4, 0)
    assert [spaces(k).shape for k in (2, 4)] == [(40, 5), (40, 7)]
    assert embedded(config(embedding="none"), points, 4, 0)(2) is points


def test_the_core_leaves_out_what_lies_between_clusters() -> None:
    """Two tight heaps of four, and two points half way: of ten, the eight of the heaps are kept."""
    space = np.array([[0.0], [0.1], [0.2], [0.1], [4.0], [6.2], [10.0], [10.1], [10.2], [10.1]])
    (two,) = clustering.cluster(space, [2], 2, 0, scored=1000)
    assert core(space, two).tolist() == [0, 1, 2, 3, 6, 7, 8, 9]


def test_the_core_keeps_a_loose_cluster_beside_a_tight_one() -> None:
    """A heap of fifty points, and ten far apart from each other: eight of those stay."""
    heap, loose = np.linspace(0, 0.01, 50), np.linspace(5, 10, 10)
    (two,) = clustering.cluster(np.concatenate([heap, loose])[:, None], [2], 2, 0, scored=1000)
    kept = core(np.concatenate([heap, loose])[:, None], two)
    assert int((kept < 50).sum()) == 40 and int((kept >= 50).sum()) == 8


def test_the_interval_is_students() -> None:
    """0.8, 0.9, 1.0: mean 0.9, standard error 0.1/√3, t 4.3027."""
    assert interval([0.8, 0.9, 1.0]) == pytest.approx((0.9 - 4.3027 * 0.057735, 0.9 + 4.3027 * 0.057735), abs=1e-5)


@pytest.mark.parametrize("quantiser", ["ema", "gumbel"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_tokens_and_images_of_every_size(shape: tuple[int, int, int], quantiser: str) -> None:
    base = studies.load("dvae").base(shape)
    small = base.model_copy(update={"width": 8, "quantiser": quantiser, "codebook_size": 8})
    net = networks.network(small, shape)
    images = torch.rand(3, *shape) * 2 - 1
    tokens = net.tokens(images)
    side = shape[1] // 2**base.halvings
    assert tokens.shape == (3, side, side) and 0 <= int(tokens.min()) <= int(tokens.max()) < 8
    assert net.vectors(tokens).shape == (3, base.code_dimension, side, side)
    assert torch.equal(net(images), net.decode(tokens)) and net(images).shape == images.shape
    plain = Autoencoder(small, shape, plain=True)
    assert plain(images).shape == images.shape


@pytest.mark.parametrize("deformation", [0.0, 0.2])
def test_updates_by_hand(deformation: float, env: Env) -> None:
    """Three updates: what is encoded may be deformed, what is compared with is not; each network's gradient is cut alone."""
    settings = config(deformation=deformation, plain=True)
    data = datasets.load("digits", env.data_folder)
    learner = training.AutoencoderLearner(settings, env, data)
    nets = copy.deepcopy(learner.networks)
    adam = torch.optim.Adam(nets.parameters(), settings.learning_rate)
    real, codes = Batches.of(data.train, settings.batch_size, env.generator("batches")), env.generator("codes")
    for index in range(3):
        images, _ = real.draw()
        encoded = deform(images, deformation, real.generator) if deformation > 0 else images
        progress = index / settings.updates
        drawn, _, penalty = nets["discrete"].learn(encoded, progress, codes)  # type: ignore[operator]
        smooth, _, _ = nets["plain"].learn(encoded, progress, codes)  # type: ignore[operator]
        error, plain_error = (drawn - images).square().mean(), (smooth - images).square().mean()
        measured = learner.update(index).measure()
        expected = {
            "loss": error + penalty,
            "loss/reconstruction": error,
            "loss/penalty": penalty,
            "loss/plain": plain_error,
        }
        for key, value in expected.items():
            assert measured[key] == pytest.approx(value.item(), rel=1e-3, abs=1e-6), key
        losses = [(error + penalty, nets["discrete"]), (plain_error, nets["plain"])]
        optimisation.step(adam, losses, training.GRADIENT_CLIP)
    for weight, other in zip(learner.networks.parameters(), nets.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-3, atol=1e-5)


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(datasets.DataError, match="30×30 pixels cannot be halved 2 times; lower it by --set halvings=1"):
        networks.network(config(halvings=2), (1, 30, 30))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k_least": 5}, "above k_most"),
        ({"k_rule": "given", "k_given": 9}, "is not tried"),
        ({"temperature_end": 2.0}, "above temperature_start"),
        ({"codebook_size": 1}, "greater than or equal to 2"),
        ({"decay": 1.0}, "less than 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes)


def ended(settings: Config, env: Env) -> Diverged:
    with pytest.raises(Diverged) as caught:
        list(training.train(settings, env))
    return caught.value


def test_a_training_that_is_lost_has_a_name(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "GRACE_PERIOD", 10)
    assert ended(config(learning_rate=1e30), env).reason in ("non_finite", "worse_than_mean")
    one = MovingCodes.tokens
    monkeypatch.setattr(MovingCodes, "tokens", lambda self, z: torch.zeros_like(one(self, z)))
    lost = ended(config(), env)
    assert lost.reason == "codebook_collapse" and lost.step < 40


def test_images_that_all_have_the_same_codes_cannot_be_clustered(env: Env) -> None:
    def lose(network: Autoencoder) -> None:
        assert isinstance(network.quantiser, MovingCodes)
        network.quantiser.codes[1:] = 1e6

    with pytest.raises(Diverged, match="only 1 different codes"):
        play(config(), env, lose)


def play(settings: Config, env: Env, meddle: Callable[[Autoencoder], None] | None = None) -> list[Event]:
    """All events; torch's state is looked at between any two."""
    events: list[Event] = []

    def take(event: Event) -> None:
        assert torch.is_grad_enabled() and not torch.is_autocast_enabled()
        events.append(event)

    result = finished(training.train(settings, env), take)
    if meddle:
        meddle(result.network)
    for event in evaluation.report(result, env):
        take(event)
    return events


def numbers(events: list[Event]) -> dict[str, float]:
    return {name: value for event in events if isinstance(event, Scalars) for name, value in event.values.items()}


@pytest.mark.parametrize(
    "changes", [{}, {"quantiser": "gumbel", "clustered": "histogram"}, {"normalise": True, "embedding": "none"}]
)
def test_what_is_reported_stands_beside_its_references(changes: dict[str, Any], env: Env) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    events = play(config(updates=120, learning_rate=5e-3, **changes), env)
    assert torch.equal(before, torch.get_rng_state()), "no global randomness is used"
    values = numbers(events)
    assert all(math.isfinite(value) for value in values.values())
    error, mean = values["reconstruction/validation"], values["reconstruction/mean"]
    assert max(values["fid/real"], values["fid/reconstructions"], values["fid/fresh"]) < values["fid/noise"]
    assert values["prior/bits_by_place"] < values["prior/bits_even"] == 4 and values["prior/bits"] < 4.5
    assert -1 <= values["silhouette/by_place"] <= 1
    assert max(error, values["reconstruction/plain"], values["reconstruction/pca"]) < mean
    assert values["reconstruction/test"] == pytest.approx(error, rel=0.2)
    assert -1 <= values["silhouette"] <= 1 and 2 <= values["clusters/k"] <= 4
    assert values["classifier/true_low"] <= values["classifier/true"] <= values["classifier/true_high"]
    assert {"clusters/acc", "clusters/nmi", "clusters/ari", "classifier/pseudo", "classifier/pseudo_core"} <= set(
        values
    )
    weights = next(event.state for event in events if isinstance(event, Weights))
    again, other = (evaluation.draw(config(**changes), replace(env, seed=seed), weights, 9).images for seed in (0, 1))
    assert again.shape == other.shape == (9, 1, 8, 8) and not torch.equal(again, other)
    counts = next(e.values for e in events if isinstance(e, Matrix) and e.key == "clusters/confusion")
    assert int(counts.sum()) == 60
    objectives = studies.load("dvae").objectives
    assert not any("classifier" in goal.key or "acc" in goal.key for goal in objectives)
    said = [[goal.read(event) is not None for goal in objectives] for event in events]
    assert said.count([True, True]) == 1, "both objectives are of one moment"


def test_shuffled_labels_give_the_same_codes_clusters_and_choice(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels reach agreement, confusion and classifiers alone."""
    plain = play(config(), env)
    data = datasets.load("digits", env.data_folder)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    shuffled = replace(data, train=Split(data.train.images, data.train.labels[order]))
    monkeypatch.setattr(datasets, "load", lambda spec, folder: shuffled)
    other = play(config(), env)
    first, second = numbers(plain), numbers(other)
    read = {name for name in first if name.startswith("classifier/")}
    read |= {f"{group}/{score}" for group in ("clusters", CODES) for score in ("acc", "purity", "nmi", "ari")}
    assert {name: first[name] for name in first.keys() - read} == {name: second[name] for name in second.keys() - read}
    assert first["clusters/nmi"] != second["clusters/nmi"], "the labels really differ"

    def of(events: list[Event]) -> Any:
        return next(e for e in events if isinstance(e, Images) and e.key == "clusters/nearest").images

    def sizes(events: list[Event]) -> Any:
        return next(e for e in events if isinstance(e, Matrix) and e.key == "clusters/confusion").values.sum(0)

    assert torch.equal(of(plain), of(other)) and np.array_equal(sizes(plain), sizes(other))
    files = [np.load(io.BytesIO(file(events).content)) for events in (plain, other)]
    assert all(
        np.array_equal(*(arrays[name] for arrays in files)) for name in ("x_train", "y_train", "x_test", "y_test")
    )


def file(events: list[Event]) -> File:
    return next(event for event in events if isinstance(event, File))


def test_pseudo_labels_are_a_data_set_that_is_read_back(env: Env, tmp_path: Path) -> None:
    events = play(config(updates=120, learning_rate=5e-3), env)
    path = tmp_path / file(events).name
    path.write_bytes(file(events).content)
    data, arrays = datasets.load("digits", env.data_folder), np.load(path)
    again = datasets.load(f"npz:{path}", env.data_folder)
    k = int(numbers(events)["clusters/k"])
    assert again.classes == tuple(map(str, range(k))) and again.shape == data.shape
    assert len(again.train) + len(again.validation) == 60 and len(again.test) == len(data.test)
    sizes = next(e.values for e in events if isinstance(e, Matrix) and e.key == "clusters/confusion").sum(0)
    assert np.bincount(arrays["y_train"]).tolist() == sizes.tolist()
    assert np.array_equal(arrays["x_train"], data.train.images[:60, 0].numpy())
    assert np.array_equal(arrays["true_test"], data.test.labels.numpy())


def test_clusters_are_also_said_at_as_many_as_classes_and_without_the_embedding(env: Env) -> None:
    changes = {"updates": 120, "learning_rate": 5e-3, "clustered_images": 300, "k_most": 11, "silhouette_images": 300}
    events = play(config(**changes), env)
    values, pictures = numbers(events), {event.key for event in events if isinstance(event, Matrix)}
    for group in (AS_MANY, CODES, f"{CODES}_as_many_as_classes"):
        assert 0.2 < values[f"{group}/acc"] <= 1
    assert 2 <= values[f"{CODES}/k"] <= 11 and -1 <= values[f"{CODES}/silhouette"] < values["silhouette"]
    assert {"classifier/pseudo_as_many_as_classes", "classifier/pseudo_on_codes"} <= set(values)
    shares = next(e for e in events if isinstance(e, Matrix) and e.key == f"{AS_MANY}/label_percentages")
    assert shares.values.shape == (10, 10) and ((shares.values.sum(1) - 100).abs() <= 5).all()
    assert {"clusters/label_percentages", f"{AS_MANY}/confusion_mapped"} <= pictures
    without = numbers(play(config(**changes, embedding="none"), env))
    assert not any(name.startswith(CODES) for name in without)
