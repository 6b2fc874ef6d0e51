"""Looking at a classifier that generates: how it reads, what its chains end in, what it is sure of, what fools it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data import dataset as datasets
from models.env import Env
from models.events import Curve, Event, Images, Matrix, Progress, Scalars, Weights
from models.jem.chains import Starts, kernel
from models.jem.config import BOUNDS, Config
from models.jem.networks import conditional, in_mode, marginal, network
from models.jem.pretraining import read
from models.parts.evaluation import attacks, calibration, outliers
from models.parts.evaluation.classes import COLUMNS, accuracy, confusion, in_turn, of_slots, rows
from models.parts.evaluation.long_chains import LONGEST, along_chain, energy_curve, run_long_chains
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.pictures import pairs
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from samplers.kernel import energy_and_gradient, run

SHOWN = 64  # images in a grid, chains whose energy is followed
EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)  # of attacks, in shares of the range of a pixel
LABELLED_IMAGES = 2_000  # images of a split whose labels are read for confusion and calibration, at most
FEW = 5  # images, fewer than which say nothing of how often a confidence is right


@dataclass(frozen=True, eq=False)
class Result:
    """A model, trained or on its way, and what is needed to report on it."""

    config: Config
    network: nn.Module  # the averaged one, in eval mode
    plain: nn.Module  # the classifier that it began as, in eval mode
    data: datasets.Data
    quality: Quality
    begins: Starts
    images: Tensor  # of the replay buffer
    step: int


def initial_samples(result: Result, env: Env) -> Iterator[Event]:
    """Fresh chains of the plain classifier: where the picture that plays over training begins."""
    config = result.config
    labels = in_turn(COLUMNS * config.classes, config.classes, env.device)
    yield rows(0, "samples/fresh", sample(config, env, result.network, result.begins, labels)[1], labels)


def sample(config: Config, env: Env, net: nn.Module, begins: Starts, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Starts and ends of fresh chains of E(x, y) for ``labels`` (n,): the same starts at every call."""
    generator = env.generator("evaluation")
    begin = begins.draw(labels, generator)
    with in_mode(net, config.sampling_mode):
        end, _ = run(kernel(config, conditional(net, labels)), begin, config.evaluation_steps, generator)
    return begin, end


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network, a column for each class: ends of fresh chains."""
    data = datasets.load(env.data, env.data_folder)
    net, labels = restored(network(config, data.shape), weights, env.device), in_turn(n, config.classes, env.device)
    ends = sample(config, env, net, Starts.of(config, data, env.device), labels)[1]
    return Images(0, "samples/new", ends, columns=config.classes)


def validation_scores(result: Result, env: Env) -> dict[str, float]:
    """How validation images are read."""
    logits, labels = read(result.network, result.data.validation, env.device)
    return {
        "accuracy/validation": accuracy(logits, labels),
        "loss/classification_validation": float(F.cross_entropy(logits, labels)),
    }


def quick_evaluation(result: Result, env: Env) -> Iterator[Event]:
    """How validation images are read, without new chains."""
    yield Scalars(result.step, validation_scores(result, env))


def evaluate(result: Result, env: Env) -> Iterator[Event]:
    """A look during training: is it getting better, at both?"""
    yield Progress("evaluation", 0, 1)
    yield from _scores(result, env, {})


def _scores(result: Result, env: Env, more: dict[str, float]) -> Iterator[Event]:
    """Fresh chains and the replay buffer as pictures; what both and validation images score, said at once."""
    config, quality, step = result.config, result.quality, result.step
    labels = in_turn(config.evaluation_samples, config.classes, env.device)
    _, fresh = sample(config, env, result.network, result.begins, labels)
    yield rows(step, "samples/fresh", fresh, labels)
    values = validation_scores(result, env) | more
    values |= {"fid/fresh": quality.fid(fresh), "accuracy/conditional": quality.read_as(fresh, labels)}
    if config.generates:
        slots = torch.randperm(len(result.images), generator=env.generator("replayed"), device=env.device)
        slots = slots[: config.evaluation_samples]
        replayed, slot_labels = result.images[slots], of_slots(config.buffer_size, result.data, env.device)[slots]
        yield rows(step, "samples/replay", replayed, slot_labels)
        values["fid/replay"] = quality.fid(replayed)
        if config.target == "label" or config.start == "mixture":  # else no slot was ever told its label
            values["accuracy/replay"] = quality.read_as(replayed, slot_labels)
        real = result.data.validation.floats()[: config.evaluation_samples].to(env.device)
        with torch.no_grad():
            energy = marginal(result.network)
            values["loss/likelihood_validation"] = float(energy(real).mean() - energy(replayed).mean())
    error = 100 * (1 - values["accuracy/validation"])
    values["objective/weighted"] = error + config.fid_weight * values["fid/fresh"]
    yield Scalars(step, values)


def report(result: Result, env: Env) -> Iterator[Event]:
    """All scores of the finished model beside those of the plain classifier, of where chains began, of real images and noise."""
    config, net, data, quality, step = result.config, result.network, result.data, result.quality, result.step
    yield Progress("evaluation", 0, 4)
    labels = in_turn(config.evaluation_samples, config.classes, env.device)
    begin, fresh = sample(config, env, net, result.begins, labels)
    _, plain_samples = sample(config, env, result.plain, result.begins, labels)
    values = quality.anchors(data, env.generator("anchors")) | quality.of_new_images("fresh", fresh)
    values |= {"accuracy/start": quality.read_as(begin, labels), "accuracy/judge": quality.judge.accuracy}
    values |= {"fid/start": quality.fid(begin), "fid/pretrained": quality.fid(plain_samples)}
    yield from _scores(result, env, values)
    shown = min(4, len(fresh) // COLUMNS) * COLUMNS
    yield pairs(step, "samples/start_and_end", begin[:shown], fresh[:shown], COLUMNS)
    counts = confusion(labels, quality.judge.predict(fresh).argmax(1), config.classes)
    yield Matrix(step, "samples/confusion", counts, data.classes, data.classes, "asked", "read by the judge")
    yield from nearest_training_images(fresh[:16], data, step)
    yield Progress("evaluation", 1, 4)
    yield from _classification(result, env)
    yield Progress("evaluation", 2, 4)
    yield from _energy_along_chain(result, env)
    yield Progress("evaluation", 3, 4)
    yield from _outliers(result, env, fresh)
    yield from _adversaries(result, env)
    yield Weights.of(net)
    yield Progress("evaluation", 4, 4)


def _classification(result: Result, env: Env) -> Iterator[Event]:
    """Labels read from real images, and whether the probabilities mean what they say; the plain classifier's beside them.

    The test split is looked at here, after everything else is decided, and nothing is chosen by it.
    """
    data, step, values = result.data, result.step, dict[str, float]()
    for name, split in (("validation", data.validation), ("test", data.test)):
        logits, labels = read(result.network, split, env.device, LABELLED_IMAGES)
        plain_logits, _ = read(result.plain, split, env.device, LABELLED_IMAGES)
        counts = confusion(labels, logits.argmax(1), result.config.classes)
        yield Matrix(step, f"classifier/confusion_{name}", counts, data.classes, data.classes)
        values[f"accuracy/pretrained_{name}"] = accuracy(plain_logits, labels)
        if name == "test":
            values["accuracy/test"] = float(counts.trace() / counts.sum())
            continue
        values |= {
            "calibration/error": calibration.error(logits, labels),
            "calibration/error_pretrained": calibration.error(plain_logits, labels),
        }
        middles, accuracies = calibration.reliability(logits, labels, FEW)
        lines = {"this": accuracies, "plain": calibration.reliability(plain_logits, labels, FEW)[1], "ideal": middles}
        x_label = f"confidence, max p(y|x), where {FEW} images or more have it"
        yield Curve(step, "calibration/reliability", middles, lines, x_label, "share read right")
    yield Scalars(step, values)


def _energy_along_chain(result: Result, env: Env) -> Iterator[Event]:
    """SHOWN fresh chains far beyond the length at which they are scored: their energy beside that of real images."""
    config, net, generator = result.config, result.network, env.generator("energy along a chain")
    labels = in_turn(SHOWN, config.classes, env.device)
    begin, scored = result.begins.draw(labels, generator), config.evaluation_steps
    with in_mode(net, config.sampling_mode):
        steps = max(2 * scored, LONGEST * config.n_steps)
        long = run_long_chains(kernel(config, marginal(net)), begin, steps, config.n_steps, generator)
    yield Scalars(result.step, long.trust)
    yield along_chain(result.step, long)
    real = result.data.validation.floats()[: config.evaluation_samples].to(env.device)
    with torch.no_grad():
        level = float(marginal(net)(real).mean())
    label = f"step (scored at {scored})"
    yield energy_curve(result.step, long.energies.mean(0).tolist(), level, label, "mean energy E(x)")


def _outliers(result: Result, env: Env, fresh: Tensor) -> Iterator[Event]:
    """Three measures of how strange an image is: its energy, want of confidence, and the slope of log p(x) at it."""

    def measures(net: nn.Module) -> dict[str, outliers.Measure]:
        energy = marginal(net)
        return {
            "ood_auroc": energy,
            "ood_auroc_confidence": lambda x: -net(x).softmax(1).amax(1),
            "ood_auroc_gradient": lambda x: energy_and_gradient(energy, x)[1].flatten(1).norm(dim=1),
        }

    values: dict[str, float] = {}
    for prefix, net in (("", result.network), ("pretrained_", result.plain)):
        for name, measure in measures(net).items():
            areas = outliers.auroc(measure, result.data, env, result.config.evaluation_samples, {"fresh": fresh})
            values |= {f"{prefix}{name}/{other.partition('/')[2]}": value for other, value in areas.items()}
    yield Scalars(result.step, values)


def _adversaries(result: Result, env: Env) -> Iterator[Event]:
    """Accuracy on validation images that were moved against the classifier, beside that of the plain one against itself."""
    validation, width = result.data.validation, BOUNDS[1] - BOUNDS[0]
    indices = torch.arange(min(result.config.evaluation_samples, len(validation)))
    x, labels = validation.floats(indices).to(env.device), validation.labels[indices].to(env.device)
    lines: dict[str, list[float]] = {}
    for name, net in (("this", result.network), ("plain", result.plain)):
        moves = [width * epsilon for epsilon in EPSILONS]
        accuracies = attacks.accuracies(net, x, labels, moves, env.generator("attacks"))
        lines |= {f"{name}, {attack}": values for attack, values in accuracies.items()}
    x_label = "ε, in shares of the range of a pixel"
    yield Curve(result.step, "adversarial/accuracy", EPSILONS, lines, x_label, "share read right")
    index = EPSILONS.index(0.1)
    yield Scalars(
        result.step,
        {
            "adversarial/fgsm": lines["this, FGSM"][index],
            "adversarial/pgd": lines["this, PGD"][index],
            "adversarial/pretrained_fgsm": lines["plain, FGSM"][index],
            "adversarial/pretrained_pgd": lines["plain, PGD"][index],
        },
    )
