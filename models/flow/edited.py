"""What edits of real images become: pictures, and the class that the judge reads along each path."""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.data.dataset import Data
from models.env import Env
from models.events import Curve, Event, Images, Scalars
from models.flow.drawing import drawn, labels_in_turn, standard_noise
from models.flow.edits import AMOUNTS, EXTREME, ROWS, SHARES, Editor, fused, lerp, rows_of_fusion, slerp
from models.flow.networks import Flow
from models.parts.evaluation.judge import Judge

READ = 64  # images of a class that the judge reads, at most
PAIRS = 3  # of classes
TEMPERATURES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3)
DEVIATIONS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)  # of noise that is added
COLUMNS = 8
WAYS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # amounts of an attribute of pixels
MEASURED = 2_000  # training images of which an attribute is computed, at most


def edits(flow: Flow, judge: Judge, data: Data, env: Env, step: int) -> Iterator[Event]:
    """All edits of validation images."""
    editor = Editor(flow, data, env)
    yield temperatures(flow, env, step)
    yield from disturbed(editor, env, step)
    yield from attributes(editor, env, step)
    present = set(data.validation.labels.tolist())  # an official split may lack a class
    neighbours = [(label, label + 1) for label in range(0, len(data.classes) - 1, 2)]
    pairs = [pair for pair in neighbours if present.issuperset(pair)][:PAIRS]
    if pairs:
        yield from transfers(editor, judge, pairs, env, step)
        yield from fusions(editor, judge, pairs, env, step)


def temperatures(flow: Flow, env: Env, step: int) -> Images:
    """A row for each temperature, of the same noise."""
    noise = standard_noise(COLUMNS, flow.shape, env.generator("temperature"))
    labels = labels_in_turn(flow, COLUMNS, env.device)
    rows = [flow.images(drawn(flow, noise, temperature, labels)) for temperature in TEMPERATURES]
    return Images(step, "samples/temperature", torch.cat(rows), columns=COLUMNS)


def disturbed(editor: Editor, env: Env, step: int) -> Iterator[Event]:
    """Noise added at one scale alone, a block of rows for each scale, from the finest: what does each hold?

    In the last column of each block that scale is noise alone. ``edits/scale_N`` is how far an image moves by that, in root mean
    square of pixels in [-1, 1]; scale 1 is the finest.
    """
    images = editor.data.validation.floats()[:READ].to(env.device)
    parts = editor.flow.split_noise(editor.noise(images))
    others = editor.flow.split_noise(standard_noise(len(images), editor.flow.shape, env.generator("injected noise")))

    def with_noise(scale: int, kept: float, added: float) -> Tensor:
        changed = list(parts)
        changed[scale] = kept * parts[scale] + added * others[scale]
        return editor.images(torch.cat([part.flatten(1) for part in changed], 1).view_as(images))

    shown, values = list[Tensor](), dict[str, float]()
    for scale in range(len(parts)):
        columns = [with_noise(scale, 1, deviation) for deviation in DEVIATIONS] + [with_noise(scale, 0, 1)]
        values[f"edits/scale_{scale + 1}"] = float((columns[-1] - images).square().mean().sqrt())
        shown.append(torch.stack([column[: ROWS // 2] for column in columns], 1).flatten(0, 1))
    yield Images(step, "edits/noise", torch.cat(shown), columns=len(DEVIATIONS) + 1)
    yield Scalars(step, values)


def brightness(images: Tensor) -> Tensor:
    """The mean of the pixels of each image, (n,)."""
    return images.flatten(1).mean(1)


def width(images: Tensor) -> Tensor:
    """The spread of the light of each image over its columns, a standard deviation in shares of its width, (n,)."""
    light = (images + 1).sum((1, 2)) + 1e-6
    light = light / light.sum(1, keepdim=True)
    places = torch.linspace(0, 1, light.shape[1], device=light.device)
    mean = (light * places).sum(1, keepdim=True)
    return (light * (places - mean).square()).sum(1).sqrt()


def attributes(editor: Editor, env: Env, step: int) -> Iterator[Event]:
    """Attributes that are computed from pixels, without labels: two rows each.

    ``edits/NAME`` is how much of the difference between the images with most and with least is made by an amount of 1.
    """
    trained = editor.data.train.floats(torch.arange(min(MEASURED, len(editor.data.train)))).to(env.device)
    images = editor.data.validation.floats()[:READ].to(env.device)
    noise, rows, values = editor.noise(images), list[Tensor](), dict[str, float]()
    for name, measure in {"brightness": brightness, "width": width}.items():
        measured = measure(trained)
        direction, n = editor.along(measured), max(1, int(EXTREME * len(measured)))
        rows.append(editor.moved(noise[:2], direction, WAYS))
        ordered = measured.sort().values
        difference = float(ordered[-n:].mean() - ordered[:n].mean())
        change = float(measure(editor.images(noise + direction)).mean() - measure(images).mean())
        values[f"edits/{name}"] = change / difference if difference else 0.0
    yield Images(step, "edits/attributes", torch.cat(rows), columns=len(WAYS))
    yield Scalars(step, values)


def transfers(editor: Editor, judge: Judge, pairs: list[tuple[int, int]], env: Env, step: int) -> Iterator[Event]:
    """Images of a class moved towards another: the share that the judge reads as the target, and how far they moved."""
    rows, shares, distances = list[Tensor](), dict[str, list[float]](), dict[str, list[float]]()
    for source, target in pairs:
        name = f"{editor.data.classes[source]} → {editor.data.classes[target]}"
        images = editor.of_class(source, READ).to(env.device)
        moved = editor.moved(editor.noise(images), editor.towards(source, target), AMOUNTS)
        by_amount = moved.view(len(images), len(AMOUNTS), *images.shape[1:])
        rows.append(by_amount[:2].flatten(0, 1))
        read = judge.predict(moved).argmax(1).view(len(images), -1)
        shares[name] = (read == target).float().mean(0).tolist()
        distances[name] = (by_amount - images[:, None]).square().flatten(2).mean((0, 2)).sqrt().tolist()
    at = AMOUNTS.index(1.0)
    yield Images(step, "edits/transfer", torch.cat(rows), columns=len(AMOUNTS))
    yield Curve(step, "edits/transfer_classes", AMOUNTS, shares, "amount a", "share read as the target")
    yield Curve(step, "edits/transfer_distances", AMOUNTS, distances, "amount a", "distance to the source, RMS")
    values = {"edits/transferred": _mean(share[at] for share in shares.values())}
    values["edits/transferred_least"] = min(share[at] for share in shares.values())
    values["edits/transferred_distance"] = _mean(distance[at] for distance in distances.values())
    yield Scalars(step, values)


def fusions(editor: Editor, judge: Judge, pairs: list[tuple[int, int]], env: Env, step: int) -> Iterator[Event]:
    """Pairs of images of two classes, fused: what the judge reads on the way, and the norm of the noise there."""
    first, second = (images.to(env.device) for images in fused_pairs(editor, pairs, READ // len(pairs)))
    n = len(first)
    labels = [judge.predict(images).argmax(1) for images in (first, second)]
    lines = dict[str, list[float]]()
    for way, images in fused(editor, first, second).items():
        read = [judge.predict(batch) for batch in images]
        for end, label in zip(("first", "second"), labels, strict=True):
            lines[f"{end} class, {way}"] = [float(p.gather(1, label[:, None]).mean()) for p in read]
    yield Curve(step, "edits/fusion_classes", SHARES, lines, "share of the second image", "probability by the judge")
    a, b = editor.noise(first), editor.noise(second)
    norms = {
        name: [float(path(a, b, share).flatten(1).norm(dim=1).mean()) for share in SHARES]
        for name, path in {"noise": lerp, "great circle": slerp}.items()
    }
    yield Curve(step, "edits/fusion_norm", SHARES, norms, "share of the second image", "norm of the noise")
    yield rows_of_fusion(editor, first[:: max(1, n // 3)][:3], second[:: max(1, n // 3)][:3], step)


def fused_pairs(editor: Editor, pairs: list[tuple[int, int]], most: int) -> tuple[Tensor, Tensor]:
    """Two batches whose rows are pairs: at most ``most`` images of each pair of classes, as many as both classes have."""
    first, second = list[Tensor](), list[Tensor]()
    for source, target in pairs:
        a, b = editor.of_class(source, most), editor.of_class(target, most)
        n = min(len(a), len(b))
        first.append(a[:n])
        second.append(b[:n])
    return torch.cat(first), torch.cat(second)


def _mean(values: Iterator[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
