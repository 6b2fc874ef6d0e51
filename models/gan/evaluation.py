"""Looking at two rivals: scores of what the generator draws, which classes it draws, what the critic makes of images."""

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from models.data import dataset as datasets
from models.env import Env
from models.events import Curve, Event, Facts, Images, Matrix, Progress, Scalars, Weights
from models.gan import losses
from models.gan.clusters import told_data
from models.gan.conditioning import conditions, generator_input
from models.gan.config import RECIPES, Config
from models.gan.networks import Critic, binarised, network
from models.gan.networks import Generator as Network
from models.parts.evaluation import calibration
from models.parts.evaluation.classes import in_turn
from models.parts.evaluation.neighbours import nearest_training_images
from models.parts.evaluation.quality import Quality
from models.parts.networks.blocks import restored
from models.parts.training.reporting import finite

SHOWN = 64  # images in a grid
BATCH = 256  # images drawn or judged at a time
STEPS = 8  # images on the way from one to another
N_PATHS = 8
BARS = 60  # of a histogram


@dataclass(frozen=True, eq=False)
class Result:
    """Trained rivals and what is needed to report on them."""

    config: Config  # resolved
    network: Network  # the averaged generator
    critic: Critic
    data: datasets.Data
    told: datasets.Data  # the same with the labels that the networks are told
    quality: Quality
    step: int
    history: list[tuple[float, float]]  # epochs, and fid/generated then


def binary(config: Config, data: datasets.Data) -> bool:
    """Whether images are thresholded: as is said, or where the training images are black and white alone."""
    if config.binary is not None:
        return config.binary
    return bool(((data.train.images == 0) | (data.train.images == 255)).all())


def generate(net: Network, noise: Tensor, threshold: bool) -> Tensor:
    """Images of noise (n, latent_size), on its device."""
    with torch.no_grad():
        images = torch.cat([net(batch) for batch in torch.split(noise, BATCH)])
    return binarised(images) if threshold else images


def conditions_of(config: Config, told: datasets.Data, env: Env, n: int, salt: str) -> Tensor:
    """What n images are to be (n,), the same at every call: as frequent as in training, or a hidden class by chance."""
    generator = env.generator(f"{salt}, classes")
    indices = torch.randint(len(told.train), (n,), generator=generator, device=env.device)
    return conditions(config, told.train.labels.to(env.device)[indices], generator)


def generation_inputs(config: Config, told: datasets.Data, env: Env, n: int, salt: str) -> Tensor:
    """What ``n`` images are drawn of, (n, inputs): the same at every call."""
    noise = torch.randn(n, config.latent_size, generator=env.generator(salt), device=env.device)
    return generator_input(config, noise, conditions_of(config, told, env, n, salt))


def samples(result: Result, env: Env) -> Tensor:
    """Images that are shown and scored, always of the same noise."""
    config = result.config
    return generate(
        result.network,
        generation_inputs(config, result.told, env, config.evaluation_samples, "evaluation"),
        binary(config, result.data),
    )


def draw(config: Config, env: Env, weights: Mapping[str, Tensor], n: int) -> Images:
    """``n`` new images by a trained network."""
    data = datasets.load(env.data, env.data_folder)
    net = restored(network(config, data.shape), weights, env.device)
    inputs = generation_inputs(config, told_data(config, data), env, n, "samples")
    return Images(0, "samples/new", generate(net, inputs, binary(config, data)))


def introduce(result: Result, env: Env) -> Iterator[Event]:
    """The recipe of the loss, and images of the untrained generator: where the picture that plays over training begins."""
    config = result.config
    yield Facts({f"recipe/{name}": str(getattr(config, name)) for name in RECIPES[config.loss]})
    images = samples(result, env)
    yield Images(0, "samples/generated", images[:SHOWN])
    yield Scalars(0, {"fid/untrained": result.quality.fid(images)})


def evaluate(result: Result, env: Env) -> Generator[Event, None, dict[str, float]]:
    """All scores of what is drawn now, with the pictures that play over training; returns what was said."""
    yield Progress("evaluation", 0, 1)
    images, quality = samples(result, env), result.quality
    yield Images(result.step, "samples/generated", images[:SHOWN])
    scores = quality.of_new_images("generated", images)
    yield Scalars(result.step, scores)
    return scores


def report(result: Result, env: Env) -> Iterator[Event]:
    """Scores beside their anchors, ways between images, nearest neighbours, classes, FID over epochs, and the critic."""
    config, data, step, quality = result.config, result.data, result.step, result.quality
    yield Progress("evaluation", 0, 2)
    images = samples(result, env)
    raw = generate(
        result.network, generation_inputs(config, result.told, env, len(images), "evaluation"), threshold=False
    )
    undecided = {
        "samples/undecided": float((raw.abs() < 0.9).float().mean())
    }  # pixels that are neither black nor white
    anchors = quality.anchors(data, env.generator("anchors"))
    yield Scalars(step, anchors | undecided)
    scores = yield from evaluate(result, env)
    yield Progress("evaluation", 1, 2)
    yield from nearest_training_images(images[:16], data, step)
    yield Images(step, "samples/interpolation", interpolation(result, env), columns=STEPS)
    if data.has_classes:
        yield classes(result, images)
    yield from over_epochs(result, scores["fid/generated"], anchors)
    yield from critic_report(result, images, raw, env)
    yield Weights.of(result.network)
    yield Progress("evaluation", 2, 2)


def interpolation(result: Result, env: Env) -> Tensor:
    """Images along the way from one noise to another, a row each, on great circles, as noise lies near a sphere.

    White 2016, arXiv:1609.04468. A row is of one class, cluster or hidden class where the generator is given one.
    """
    config, data = result.config, result.data
    begin, end = torch.randn(
        2 * N_PATHS, config.latent_size, generator=env.generator("interpolation"), device=env.device
    ).chunk(2)
    cosine = torch.nn.functional.cosine_similarity(begin, end)[:, None, None]
    angle = cosine.clamp(-0.999, 0.999).acos()
    share = torch.linspace(0, 1, STEPS, device=begin.device)[None, :, None]
    way = ((1 - share) * angle).sin() * begin[:, None] + (share * angle).sin() * end[:, None]
    labels = in_turn(N_PATHS, max(1, config.conditions), env.device).repeat_interleave(STEPS)
    return generate(
        result.network, generator_input(config, (way / angle.sin()).flatten(0, 1), labels), binary(config, data)
    )


def classes(result: Result, images: Tensor) -> Matrix:
    """How often the judge sees each class in real and in generated images."""
    judge, names = result.quality.judge, result.data.classes
    real = result.data.validation.floats()[: len(images)]
    rows = [
        torch.bincount(judge.predict(batch).argmax(1).cpu(), minlength=len(names)) / len(batch)
        for batch in (real, images)
    ]
    return Matrix(result.step, "classes/shares", torch.stack(rows), ("real", "generated"), names, "images", "read as")


def over_epochs(result: Result, last: float, anchors: Mapping[str, float]) -> Iterator[Event]:
    """FID over epochs, one being as many real images as there are for training, beside its anchor."""
    epochs = result.config.real_batches(result.step) * result.config.batch_size / len(result.data.train)
    points = [*result.history, (epochs, last)]
    lines = {"generated": [fid for _, fid in points], "real": [anchors["fid/real"]] * len(points)}
    yield Curve(
        result.step, "fid/over_epochs", [epoch for epoch, _ in points], lines, "epoch", "FID by the judge", log_y=True
    )


def critic_report(result: Result, images: Tensor, raw: Tensor, env: Env) -> Iterator[Event]:
    """What the critic can tell apart, how steep it is, what became of its weights; calibration where it is a probability.

    ``raw`` are the images as the critic knows them, not thresholded.
    """
    from sklearn.metrics import roc_auc_score

    config, data, step = result.config, result.data, result.step
    critic = result.critic.eval()
    shown = images if config.straight_through else raw
    indices = torch.arange(min(len(shown), len(data.train)))
    sets = {
        "train": data.train.floats(indices),
        "validation": data.validation.floats()[: len(shown)],
        "generated": shown,
    }

    labels = {
        "train": result.told.train.labels[indices],
        "validation": result.told.validation.labels[: len(shown)],
        "generated": conditions_of(config, result.told, env, len(shown), "evaluation"),
    }

    def critic_values(name: str) -> Tensor:
        parts = zip(torch.split(sets[name], BATCH), torch.split(labels[name], BATCH), strict=True)
        with torch.no_grad():
            return torch.cat(
                [critic(batch.to(env.device), batch_labels.to(env.device)).cpu() for batch, batch_labels in parts]
            )

    values = {name: critic_values(name) for name in sets}
    scores = {f"critic/mean_{name}": float(value.mean()) for name, value in values.items()}
    for name, low, high in (("auroc", "generated", "validation"), ("auroc_seen", "validation", "train")):
        truth = torch.cat([torch.zeros(len(values[low])), torch.ones(len(values[high]))])
        scores[f"critic/{name}"] = float(roc_auc_score(truth, torch.cat([values[low], values[high]])))
    pairs = min(BATCH, len(sets["validation"]), len(shown))
    real, fake = sets["validation"][:pairs].to(env.device), shown[:pairs]
    points = {"real": real, "generated": fake, "between": losses.between(real, fake, env.generator("between"))}
    slopes = {}
    for name, batch in points.items():
        batch_labels = labels["generated" if name == "generated" else "validation"][:pairs].to(env.device)
        slopes[name] = losses.gradient_norms(partial(critic, labels=batch_labels), batch)
    scores |= {f"critic/slope_{name}": float(slope.mean()) for name, slope in slopes.items()}
    scores["critic/slope_deviation"] = float(slopes["between"].std() / slopes["between"].mean())
    yield weights(result)
    if config.log_odds:
        odds = torch.cat([values["validation"], values["generated"]])
        logits = torch.stack([torch.zeros_like(odds), odds], 1)
        truth = torch.cat([torch.ones(len(values["validation"])), torch.zeros(len(values["generated"]))]).long()
        middles, right = calibration.reliability(logits, truth)
        lines = {"discriminator": right, "calibrated": middles}
        yield Curve(step, "calibration/reliability", middles, lines, "confidence", "share that it has right")
        scores["calibration/error"] = calibration.error(logits, truth)
    yield Scalars(step, finite(scores))


def weights(result: Result) -> Curve:
    """How the weights of the critic's convolutions and its last layer are spread; by clipping they pile up at ±c."""
    flat = torch.cat([w.detach().flatten().cpu() for w in result.critic.parameters() if w.dim() > 1])
    bound = max(float(flat.abs().max()), 1e-12)
    counts = torch.histc(flat, BARS, -bound, bound) / len(flat)
    middles = [bound * ((2 * i + 1) / BARS - 1) for i in range(BARS)]
    line = {"share of all": [float(count) or math.nan for count in counts]}
    return Curve(result.step, "critic/weights", middles, line, "weight of the critic", "share", log_y=True)
