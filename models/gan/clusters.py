"""Clusters of images in the place of labels: found by the program itself, without a look at any label."""

from dataclasses import replace

from models.data.dataset import Data, Split
from models.gan.config import Config
from models.parts.clustering.figures import figure_clusters


def told_data(config: Config, data: Data) -> Data:
    """The data with what the networks are told of an image in the place of its label.

    With labels=clusters that is its cluster among those of the training images; the same at every call.
    """
    if config.labels != "clusters":
        return data
    splits = (data.train, data.validation, data.test)
    ids = figure_clusters([split.images for split in splits], config.clusters)
    train, validation, test = (Split(split.images, labels) for split, labels in zip(splits, ids, strict=True))
    return replace(data, train=train, validation=validation, test=test)
