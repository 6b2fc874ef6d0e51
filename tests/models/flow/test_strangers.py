"""Scores of strangers by a flow that is a Gaussian around grey, where each is a formula; and the background flow."""

import pytest
import torch

import studies
from models.data import dataset as datasets
from models.data.dataset import Data
from models.env import Env
from models.events import Progress
from models.flow.background import STAGE, background, redrawn
from models.flow.config import Config
from models.flow.networks import Flow
from models.flow.strangers import SCORES, UNITS, Scores, gradient_norm, histogram, latent
from models.parts.evaluation.outliers import chances
from tests.support.playing import finished

SMALL = Config.model_validate(dict(studies.load("flow").smallest))


@pytest.fixture
def digits(env: Env) -> Data:
    return datasets.load("digits", env.data_folder)


@pytest.fixture
def gaussian(digits: Data) -> Flow:
    """A flow whose noise is x − ½ in another order."""
    settings = SMALL.model_copy(update={"mixing": "reverse", "normalise": "none", "levels": 17})
    return Flow(settings, digits.shape)


def test_the_gradient_and_the_noise_of_a_gaussian_are_the_distance_from_its_centre(gaussian: Flow, env: Env) -> None:
    images = torch.zeros(3, 1, 8, 8) + torch.tensor([-1.0, 0.0, 0.5]).view(3, 1, 1, 1)
    ranks = torch.tensor([0, 8, 12])
    cells = torch.rand(3, 1, 8, 8, generator=env.generator("cells"))
    distance = ((ranks.view(3, 1, 1, 1) + cells) / 17 - 0.5).flatten(1).norm(dim=1)
    torch.testing.assert_close(gradient_norm(gaussian, images, env.generator("cells")), distance)
    torch.testing.assert_close(latent(gaussian, images, env.generator("cells")), distance)


def test_simple_images_are_likelier_and_complexity_mends_it(gaussian: Flow, digits: Data, env: Env) -> None:
    """Nalisnick's failure without a network: grey is the likeliest image of all, and no digit."""
    score = Scores(gaussian, gaussian, digits, env.generator("cells"))
    grey = torch.zeros(50, 1, 8, 8)
    by_kind = {"validation": score(digits.validation.floats()[:50]), "grey": score(grey)}
    found = {name: value for name, _, value in chances(by_kind)}
    assert found.keys() == set(SCORES) == UNITS.keys()
    assert found["likelihood"] < 0.05 and found["complexity"] > 0.95 and found["typicality"] > 0.95
    assert by_kind["grey"]["likelihood"].mean() > 0, "in bits per dimension of the levels"


def test_a_ratio_to_itself_tells_nothing(gaussian: Flow, digits: Data, env: Env) -> None:
    images = digits.validation.floats()[:20]
    ratio = Scores(gaussian, gaussian, digits, env.generator("cells"))(images)["ratio"]
    assert ratio.tolist() == [0] * 20, "each pixel is at the same place of its cell for both"
    assert "ratio" not in Scores(gaussian, None, digits, env.generator("cells"))(images)


def test_what_overflows_is_as_strange_as_can_be(gaussian: Flow, digits: Data, env: Env) -> None:
    score = Scores(gaussian, None, digits, env.generator("cells"))
    gaussian.top.mean.data.fill_(1e30)
    assert all(values.isfinite().all() for values in score(digits.validation.floats()[:3]).values())


def test_a_share_of_pixels_is_drawn_anew() -> None:
    images = torch.full((200, 1, 8, 8), -1.0)
    noisy = redrawn(images, None, 0.2, 17, torch.Generator().manual_seed(0))
    assert float((noisy != images).float().mean()) == pytest.approx(0.2 * 16 / 17, abs=0.01)
    torch.testing.assert_close(noisy.unique(), torch.arange(17) / 8 - 1)


def test_a_pixel_of_another_image_has_the_same_place() -> None:
    columns = torch.linspace(-1, 1, 8).expand(200, 1, 8, 8)
    mixed = redrawn(columns, columns + 2, 0.5, 17, torch.Generator().manual_seed(0))
    change = mixed - columns
    assert torch.equal(change.round().unique(), torch.tensor([0.0, 2.0]))
    assert float(change.mean()) == pytest.approx(1, abs=0.05) and float((change - change.round()).abs().max()) < 1e-6


def test_a_background_flow_begins_as_the_trained_one_and_learns_noisy_images(
    gaussian: Flow, digits: Data, env: Env
) -> None:
    settings, events = SMALL.model_copy(update={"background_updates": 60}), list[Progress]()
    weights = {name: weight.clone() for name, weight in gaussian.state_dict().items()}
    trained = finished(background(gaussian, settings, digits, env), lambda event: events.append(event))  # type: ignore[arg-type]
    real = digits.validation.floats()[:200]
    images = redrawn(real[:100], real[100:], 0.5, 17, env.generator("noise"))
    x = (images + 1) / 2 * 16 / 17 + 0.5 / 17
    with torch.no_grad():
        assert float(trained.log_density(x).mean()) > float(gaussian.log_density(x).mean())
    assert all(torch.equal(weight, weights[name]) for name, weight in gaussian.state_dict().items())
    assert {event.stage for event in events} == {STAGE} and events[-1].done == events[-1].total == 60
    begun = finished(background(gaussian, settings.model_copy(update={"background_updates": 0}), digits, env))
    assert torch.equal(begun.log_density(x), gaussian.log_density(x)) and not begun.training


def test_a_histogram_has_all_images_of_each_kind() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = {
        "validation": torch.randn(300, generator=generator, dtype=torch.float64),
        "far": torch.full((50,), 1e30, dtype=torch.float64),
    }
    curve = histogram("likelihood", scores, 3)
    assert all(sum(shares) == pytest.approx(1, abs=1e-6) for shares in curve.lines.values())
    assert curve.lines["far"][-1] == 1 and max(curve.x) < 100, "what is far beyond is in the outer bin"
