"""The bound of a VAE on binary MNIST in nats per test image, by one code and by 1,000, as ladder VAEs publish it.

    python -m benchmarks.pages.vae_mnist [--device cuda] [--updates 50000] [--width 64] [--layers 1] [--images 10000] [--seed 0]

A pixel is white above one half. Published for three layers on statically binarised MNIST, whose pixels were drawn once with
their grey as probability, so that it is another data set: −ELBO 82.14 and 79.24 nats by 1,000 importance samples
(github.com/addtt/ladder-vae-pytorch). The defaults are for a GPU; `--updates 1500 --width 16 --images 200` is for a processor.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from models.data import dataset as datasets
from models.data.dataset import Data, Split
from models.env import Env
from models.parts.evaluation import judge as judges
from models.parts.evaluation.quality import Quality
from models.parts.training import cache
from models.parts.training.optimisation import learning_rate, set_learning_rate
from models.vae.bound import importance_bound, log_weights, terms
from models.vae.config import Config
from models.vae.evaluation import pixels_of
from models.vae.networks import Autoencoder
from models.vae.training import AutoencoderLearner

CODES, AT_ONCE, SAID = 1_000, 100, 20  # codes per image; images at a time; reports


def binary(data: Data) -> Data:
    """The same with pixels of two levels: white above one half."""

    def two_levels(split: Split) -> Split:
        return Split((split.images > 127).to(torch.uint8) * 255, split.labels)

    train, validation, test = map(two_levels, (data.train, data.validation, data.test))
    return replace(data, train=train, validation=validation, test=test)


def nats(network: Autoencoder, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """−ELBO and the negative importance bound of 1,000 codes of ``images``, (n,) each."""
    bounds = list[Tensor](), list[Tensor]()
    with torch.no_grad():
        for batch in torch.split(images, AT_ONCE):
            pixels = pixels_of(batch, 2, generator)
            posterior = network.posterior(pixels.images)
            bounds[0].append(-terms(network, posterior, posterior.draw(generator), pixels, generator).bound)
            weights = [log_weights(network, posterior, pixels, generator) for _ in range(CODES)]
            bounds[1].append(-importance_bound(torch.stack(weights)))
    return torch.cat(bounds[0]), torch.cat(bounds[1])


def main() -> None:
    """Train, say how it goes, and print both bounds with their standard errors over images."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages.vae_mnist", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--data-folder", type=Path, default=Path("data"), help="where MNIST is, or is put")
    parser.add_argument("--cache-folder", type=Path, default=Path(".sweeps/cache"), help="where the judge is kept")
    for name, value in (("updates", 50_000), ("width", 64), ("layers", 1), ("images", 10_000), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    env = Env("mnist", options.seed, options.device, options.data_folder, options.cache_folder)
    data = datasets.load(env.data, env.data_folder)
    judge = cache.at_once(judges.obtain(data, env.cache_folder, env.device))
    quality = Quality.against_validation(judge, data, 64)
    large = options.width >= 32
    config = Config(
        likelihood="bernoulli",
        latent_size=32,
        stochastic_layers=options.layers,
        width=options.width,
        hidden=512 if large else 256,
        blocks=2 if large else 1,
        batch_size=128 if large else 64,
        learning_rate=1e-3 if large else 2e-3,
        updates=options.updates,
        head="none",
    )
    learner, begun = AutoencoderLearner(config, env, binary(data), quality), time.process_time()
    for index in range(config.updates):
        set_learning_rate(learner.optimizer, learning_rate(config.learning_rate, index, config.updates))
        outcome = learner.update(index)
        if (index + 1) % max(1, config.updates // SAID) == 0:
            values = outcome.measure()
            print(f"{index + 1}: loss {values['loss']:.1f}, KL {values['latent/kl']:.1f} nats", flush=True)
    seconds = time.process_time() - begun
    images = learner.data.test.floats()[: options.images]
    bounds = nats(learner.network, images, env.generator("bound"))
    for name, bound in zip(("-ELBO", f"{CODES:,} codes"), bounds, strict=True):
        error = bound.std() / len(bound) ** 0.5
        print(f"{name}: {bound.mean():.2f} ± {error:.2f} nats, {len(bound):,} test images")
    print(f"{seconds:.0f} processor seconds of training")


if __name__ == "__main__":
    main()
