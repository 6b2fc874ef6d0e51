"""The mixture of Gaussians that models are compared with."""

import torch

from models.data.dataset import Split
from models.parts.evaluation.gaussians import mixture_images


def test_samples_have_the_mean_and_covariance_of_the_images_of_their_class() -> None:
    chance = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    along = torch.randn(400, 1, 1, 1, generator=chance) * torch.tensor([[20.0, -10.0], [0.0, 5.0]])
    images = (100 + 60 * labels.view(-1, 1, 1, 1) + along).clamp(0, 255).round().to(torch.uint8)
    split = Split(images, labels)
    samples = mixture_images(split, 2, 40_000, chance)
    for label in (0, 1):
        mine, real = samples[label::2].flatten(1), split.floats(labels == label).flatten(1)
        torch.testing.assert_close(mine.mean(0), real.mean(0), atol=0.01, rtol=0)
        torch.testing.assert_close(mine.T.cov(correction=0), real.T.cov(correction=0), atol=0.002, rtol=0)


def test_samples_are_cut_to_the_range_of_images() -> None:
    split = Split(torch.tensor([0, 0, 255, 255], dtype=torch.uint8).view(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    assert mixture_images(split, 1, 100, torch.Generator().manual_seed(0)).abs().max() == 1
