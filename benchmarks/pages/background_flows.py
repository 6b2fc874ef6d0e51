"""Which background flow tells images of another kind best: the choice of the settings `background_…` of a flow.

    python -m benchmarks.pages.background_flows FOLDER [DATA] [DATA_FOLDER]

FOLDER has the trained flow of a trial, `.sweeps/NAME/trial-0` say. The other images are grey letters of matplotlib's
fonts, drawn here for this choice alone: what a flow is judged by in its report, MNIST above all, is not looked at. Ren et al.
2019, arXiv:1906.02845, choose on other strangers too. A row is a background flow: the chance that a letter's ratio of
likelihoods is stranger than that of a validation image.
"""

import random
import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import roc_auc_score
from torch import Tensor

from models.data import dataset as datasets
from models.env import Env
from models.flow.background import background
from models.flow.config import Config
from models.flow.frozen_sampling.training import load_network
from models.flow.strangers import Scores
from models.parts.evaluation import frozen
from models.parts.training.cache import at_once

IMAGES = 250  # of each kind
LARGE, LETTERS = 112, "ABCDEFGHIJ"  # pixels of a side before a letter is made small
ROWS = (  # background_pixels, background_noise, background_updates
    *(("uniform", share, 60) for share in (0.02, 0.1)),
    *(("place", share, updates) for share in (0.1, 0.5) for updates in (60, 200)),
    ("place", 0.5, 500),
)


def letters(side: int) -> Tensor:
    """White letters on black, (IMAGES, 1, side, side) in [-1, 1]: of many fonts and sizes, a little turned and moved."""
    draws, images = random.Random(0), []
    fonts = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVu*.ttf"))
    for index in range(IMAGES):
        font = ImageFont.truetype(str(draws.choice(fonts)), draws.randint(72, 100))
        image, letter = Image.new("L", (LARGE, LARGE)), LETTERS[index % len(LETTERS)]
        place = tuple(LARGE / 2 + draws.uniform(-6, 6) for _ in range(2))
        ImageDraw.Draw(image).text(place, letter, fill=255, font=font, anchor="mm")
        turned = image.rotate(draws.uniform(-15, 15), resample=Image.Resampling.BILINEAR)
        images.append(np.asarray(turned.resize((side, side), Image.Resampling.BOX)))
    return torch.tensor(np.stack(images))[:, None] / 127.5 - 1


def ratio(scores: Scores, images: Tensor) -> Tensor:
    """log p of the background flow − log p of each image, (n,), in nats."""
    nats, others = scores.log_densities(images)
    assert others is not None
    return others - nats


def main(folder: str, data_name: str = "fashion_mnist:80/20", data_folder: str = "data") -> None:
    """Print the table."""
    torch.set_num_threads(1)
    env = Env(data_name, 0, "cpu", Path(data_folder), Path(".sweeps/cache"))
    data = datasets.load(env.data, env.data_folder)
    config, flow = Config.model_validate(frozen.read(folder)[0]), load_network(folder, data.shape, env.device)
    strange, usual = letters(data.shape[-1]), data.validation.floats()[:IMAGES]
    truth = np.repeat([0, 1], IMAGES)
    print("| `background_pixels` | `background_noise` | `background_updates` | AUROC of letters |\n|---|---|---|---|")
    for pixels, share, updates in ROWS:
        changes = {"background_pixels": pixels, "background_noise": share, "background_updates": updates}
        other = at_once(background(flow, Config.model_validate(config.model_dump() | changes), data, env))
        scores = Scores(flow, other, data, env.generator("cells"))
        ratios = torch.cat([ratio(scores, usual), ratio(scores, strange)])
        print(f"| {pixels} | {share} | {updates} | {roc_auc_score(truth, ratios):.3f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
