"""What pseudo-labels are worth: the same small network trained on true labels and on cluster ids, read on the test split."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from models.data.dataset import Data, Split
from models.dvae.config import Config
from models.env import Env
from models.events import Event, Matrix, Scalars
from models.parts.clustering import clustering
from models.parts.clustering.clustering import Clusters
from models.parts.clustering.spectral import Ints
from models.parts.evaluation.classes import confusion
from models.parts.evaluation.judge import Network
from models.parts.training.classifier import learn
from models.parts.training.optimisation import seeded_init

BATCH_SIZE = 64
LEARNING_RATE = 2e-3


@dataclass(frozen=True, eq=False)
class Annotation:
    """What a classifier learns, and how its answers are read."""

    members: Tensor  # (m,), numbers of training images
    targets: Tensor  # (m,), of each: a class, or a cluster
    classes: Tensor  # (targets,), the class that each target is read as, or −1

    @staticmethod
    def of_clusters(clusters: Clusters, labels: Ints, n_classes: int, members: Tensor | None = None) -> "Annotation":
        """Cluster ids of the first images, or of ``members`` of them, read by the Hungarian method on all that are clustered."""
        n = len(clusters.ids)
        counts = clustering.contingency(labels[:n], clusters.ids, n_classes, clusters.k)
        members = torch.arange(n) if members is None else members
        return Annotation(
            members, torch.from_numpy(clusters.ids)[members], torch.from_numpy(clustering.hungarian(counts))
        )

    @staticmethod
    def of_classes(labels: Ints, n_classes: int) -> "Annotation":
        """The true classes of the first images."""
        return Annotation(torch.arange(len(labels)), torch.from_numpy(labels), torch.arange(n_classes))


def classifiers(
    config: Config, data: Data, annotations: Mapping[str, Annotation], env: Env, step: int
) -> Generator[Event, None, dict[str, Tensor]]:
    """Accuracy on the test split of classifiers that learned each of ``annotations``: one network, budget and seeds for all.

    Returned is, by name, the target that most of an annotation's classifiers take each test image for.
    """
    n_classes, values, votes = len(data.classes), dict[str, float](), dict[str, Tensor]()
    for name, annotation in annotations.items():
        accuracies, counted, predicted = [], torch.zeros(n_classes, n_classes + 1), []
        budget = config.classifier_steps, config.classifier_seeds
        learned = data.train.images[annotation.members], annotation.targets, len(annotation.classes)
        for predictions in answers(*learned, data.test, env, *budget):
            classes = annotation.classes[predictions]
            accuracies.append(float((classes == data.test.labels).double().mean()))
            with_none = classes.where(classes >= 0, n_classes)  # the last column
            counted += confusion(data.test.labels, with_none, n_classes, n_classes + 1)
            predicted.append(predictions)
        votes[name] = torch.stack(predicted).mode(0).values
        low, high = interval(accuracies)
        mean = sum(accuracies) / len(accuracies)
        ends = {f"classifier/{name}_low": max(0.0, low), f"classifier/{name}_high": min(1.0, high)}
        values |= {f"classifier/{name}": mean} | ends
        columns = [*data.classes, "none"] if bool(counted[:, -1].any()) else data.classes
        per_seed = counted[:, : len(columns)] / len(accuracies)
        yield Matrix(step, f"classifier/confusion_{name}", per_seed, data.classes, columns)
    yield Scalars(step, values)
    return votes


def answers(
    images: Tensor, targets: Tensor, n_targets: int, split: Split, env: Env, steps: int, seeds: int
) -> Iterator[Tensor]:
    """What so many classifiers, one after the other, take the images of ``split`` for: (n,) numbers of targets each.

    Each learns ``targets`` (m,) of ``images`` (m, *shape), bytes, from weights and batches of its own, which are the same
    for any targets.
    """
    pictures, targets = images.to(env.device), targets.to(env.device)
    for seed in range(seeds):
        generator = env.generator(f"classifier {seed}")
        with seeded_init(generator.initial_seed()):
            network = Network((images.shape[1], images.shape[2], images.shape[3]), n_targets)
        network.to(env.device)
        for _ in learn(network, pictures, targets, steps, BATCH_SIZE, LEARNING_RATE, generator, weight_decay=1e-4):
            pass
        network.eval()
        with torch.no_grad():
            parts = [network(batch.to(env.device)).argmax(1) for batch in torch.split(split.floats(), 512)]
        yield torch.cat(parts).cpu()


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of at least two independent values, by Student's t."""
    from scipy.stats import sem, t

    mean, reach = fmean(values), float(t.ppf(0.975, len(values) - 1) * sem(values))
    return mean - reach, mean + reach
