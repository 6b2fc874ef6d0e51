"""Probabilities that add up, causality, and writing token by token what is computed for all places at once."""

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.autoregressive.config import BayesNetConfig, Config, ImageGPTConfig
from models.autoregressive.networks import Network, class_nats, n_classes, nats_by_place, network, sequences
from models.autoregressive.sampling import draw_tokens
from models.parts.training.optimisation import seeded_init

BAYES_NETS = [
    {"neighbours": neighbours, "cpd": cpd, "position": position}
    for neighbours, cpd, position in itertools.product([3, 8, 15, 24], ["linear", "mlp"], ["none", "bias", "own"])
]
TRANSFORMERS: list[dict[str, Any]] = [
    {"position": "none"},
    {"position": "learned", "heads": 1},
    {"position": "context"},
    {"position": "context", "classes": 3},
]


def made(config: Config, shape: tuple[int, int, int]) -> Network:
    """A network with random weights that are large enough to matter."""
    with seeded_init(1):
        net = network(config, shape)
        for weight in net.parameters():
            torch.nn.init.normal_(weight, 0, 0.4)
    return net.eval()


def bayes_net(shape: tuple[int, int, int] = (1, 3, 3), **settings: Any) -> Network:
    return made(BayesNetConfig.model_validate({"width": 5} | settings), shape)


def image_gpt(shape: tuple[int, int, int] = (1, 3, 3), **settings: Any) -> Network:
    return made(ImageGPTConfig.model_validate({"width": 8, "layers": 2, "heads": 2} | settings), shape)


def all_images(side: int) -> Tensor:
    """All binary images as tokens of single pixels, (2 ** side², side²)."""
    return torch.tensor(list(itertools.product([0, 1], repeat=side * side)))


@pytest.mark.parametrize("settings", BAYES_NETS)
def test_probabilities_of_all_images_of_a_bayes_net_add_up_to_one(settings: dict[str, Any]) -> None:
    nats = nats_by_place(bayes_net(**settings), all_images(3)).sum(1)
    assert float(nats.exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("settings", TRANSFORMERS)
def test_probabilities_of_all_images_of_a_transformer_add_up_to_one(settings: dict[str, Any]) -> None:
    """With classes, of their mixture."""
    nats = nats_by_place(image_gpt(**settings), all_images(3)).sum(1)
    assert float(nats.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_the_mixture_of_classes_is_their_mean() -> None:
    net = image_gpt(classes=3)
    by_class = class_nats(net, all_images(3)).double()
    torch.testing.assert_close(nats_by_place(net, all_images(3)).sum(1), by_class.logsumexp(1) - math.log(3))


@pytest.mark.parametrize("net", [bayes_net(neighbours=8, position="own"), bayes_net(cpd="mlp"), image_gpt()], ids=repr)
def test_ancestral_samples_are_as_frequent_as_their_probability(net: Network) -> None:
    """40,000 images: a chi-squared of 511 degrees of freedom, which is below 640 but for one time in ten thousand."""
    n = 40_000
    drawn = draw_tokens(net, n, torch.Generator().manual_seed(0))
    expected = n * nats_by_place(net, all_images(3)).sum(1).exp()
    numbers = (drawn * 2 ** torch.arange(8, -1, -1)).sum(1)
    counts = torch.bincount(numbers, minlength=512).double()
    often = expected >= 5
    rest = float(expected[~often].sum()), float(counts[~often].sum())
    chi_squared = float(((counts - expected).square() / expected)[often].sum()) + (rest[1] - rest[0]) ** 2 / max(
        rest[0], 1
    )
    freedom = int(often.sum())
    assert chi_squared < freedom + 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("settings", BAYES_NETS[::3] + [{"levels": 3, "cpd": "mlp"}, {"levels": 4, "position": "own"}])
def test_a_logit_of_a_bayes_net_depends_on_no_later_pixel(settings: dict[str, Any]) -> None:
    net = bayes_net((1, 5, 4), **settings)
    tokens = torch.randint(net.tokens.levels, (3, 20), generator=torch.Generator().manual_seed(0))
    logits = net(tokens)
    for place in range(20):
        changed = tokens.clone()
        changed[:, place:] = (changed[:, place:] + 1) % net.tokens.levels
        torch.testing.assert_close(net(changed)[:, : place + 1], logits[:, : place + 1])


@pytest.mark.parametrize("settings", [*TRANSFORMERS, {"patch": 2}])
def test_gradients_of_a_transformers_logit_reach_no_later_token(settings: dict[str, Any]) -> None:
    """Its input at a place is made of earlier tokens; the embeddings of the tokens themselves are followed."""
    shape = (1, 4, 6)
    net = image_gpt(shape, **settings)
    tokens = torch.randint(net.tokens.size, (1, net.tokens.places), generator=torch.Generator().manual_seed(0))
    embedded = net.before(tokens).detach().requires_grad_(True)

    def replaced(numbers: Tensor) -> Tensor:
        return (
            embedded[:, : numbers.shape[1]]
            if numbers.shape[1] == net.tokens.places - 1
            else F.embedding(numbers, weight)
        )

    weight, module = net.before.weight, net.before
    for place in range(net.tokens.places):
        module.forward = replaced
        logits = net(sequences(net, tokens, torch.zeros(1, dtype=torch.int64)))
        (gradient,) = torch.autograd.grad(logits[0, place].square().sum(), embedded)
        reached = gradient[0].abs().sum(1) > 0
        assert not bool(reached[place:].any())
        assert bool(reached[:place].all()), "and every earlier one is seen"


@pytest.mark.parametrize("settings", [*TRANSFORMERS, {"patch": 2}, {"levels": 5}])
def test_logits_with_the_cache_are_those_without(settings: dict[str, Any]) -> None:
    net = image_gpt((1, 6, 4), **settings)
    check_steps(net, 1e-5)


@pytest.mark.parametrize("settings", [*BAYES_NETS, {"levels": 5, "position": "bias"}, {"levels": 3, "cpd": "mlp"}])
def test_a_pixel_alone_has_the_logits_that_it_has_among_all(settings: dict[str, Any]) -> None:
    check_steps(bayes_net((1, 6, 4), **settings), 1e-5)


def check_steps(net: Network, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(net.tokens.size, (3, net.tokens.places), generator=generator)
    labels = torch.tensor([2, 0, 1])
    with torch.no_grad():
        whole = net(sequences(net, tokens, labels))
        state = net.start(3, labels) if n_classes(net) else net.start(3)
        for place in range(net.tokens.places):
            logits = net.step(state, place, tokens[:, place - 1] if place else None)
            torch.testing.assert_close(logits, whole[:, place], atol=tolerance, rtol=tolerance)


def test_the_tokens_above_are_seen_at_once_only_with_context() -> None:
    """In one layer whose attention is switched off, the place's own input is all there is."""
    for position, expected in (("learned", False), ("context", True)):
        net = image_gpt((1, 4, 4), position=position, layers=1)
        torch.nn.init.zeros_(net.blocks[0].attention.output.weight)
        tokens = torch.zeros(1, 16, dtype=torch.int64)
        for distance, seen in ((5, True), (4, True), (3, True), (2, False), (6, False)):
            above = tokens.clone()
            above[0, 9 - distance] = 1
            assert bool((net(tokens)[0, 9] != net(above)[0, 9]).any()) == (expected and seen)


def test_dropout_is_drawn_by_its_generator_alone() -> None:
    net = image_gpt(dropout=0.3).train()
    tokens = all_images(3)[5:7]
    first, again = (net(tokens, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, net(tokens))
    assert torch.equal(net(tokens), net(tokens)), "none where images are scored"


def test_what_is_given_is_kept_and_the_rest_is_drawn() -> None:
    for net in (bayes_net((1, 4, 4)), image_gpt((1, 4, 4)), image_gpt((1, 4, 4), classes=2)):
        given = torch.randint(2, (7, 16), generator=torch.Generator().manual_seed(0))
        labels = torch.arange(7) % 2  # which a network without classes ignores
        drawn = draw_tokens(net, 7, torch.Generator().manual_seed(1), given=given, hidden_from=8, labels=labels)
        assert torch.equal(drawn[:, :8], given[:, :8]) and not torch.equal(drawn[:, 8:], given[:, 8:])
