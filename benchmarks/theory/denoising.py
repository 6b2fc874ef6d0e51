"""What a network learns that predicts noise: the score of noisy data. And what DDIM's other processes leave as it is.

Numbers of a known mixture become x_t = α x₀ + σ ε, so the density of x_t, its score and the best denoiser are known. Vincent
2011, "A connection between score matching and denoising autoencoders"; Ho et al. 2020, arXiv:2006.11239; Song et al. 2021,
arXiv:2010.02502.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from benchmarks._figure import Figure
from benchmarks.theory.densities import GRID, REAL, WIDTH, Mixture
from orchestrator import files
from orchestrator.figures.canvas import LINES, blank, png
from samplers import denoising, noise
from samplers.kernel import run
from samplers.noise import Mixing

SEEDS = 3
SCHEDULE = noise.build("cosine", 1_000)
TIMES = (100, 400, 800)  # little, some and much noise
SAMPLES, UPDATES, BATCH = 200_000, 4_000, 512
ETAS = (0.0, 0.5, 1.0)
CHAINS = 20_000  # of the forward process of each η
STEPS = (10, 20, 50, 100, 200, 500, 1_000)  # of the inversion
PROCESS_STEPS = 10

Score = Callable[[Tensor], Tensor]


def noised(mixing: Mixing) -> Mixture:
    """The density of x_t."""
    alpha, sigma = float(mixing.alpha), float(mixing.sigma)
    return Mixture(tuple((w, alpha * m, math.hypot(alpha * s, sigma)) for w, m, s in REAL.parts))


def score(mixing: Mixing) -> Score:
    """∇log p of x_t, exact."""
    density = noised(mixing)

    def gradient(x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().double().requires_grad_()
            (slope,) = torch.autograd.grad(density.density(x).log().sum(), x)
        return slope

    return gradient


def denoiser(x: Tensor, time: int) -> Tensor:
    """The mean of the x₀ that could have become x_t, by Tweedie's formula: (x + σ² ∇log p(x)) / α."""
    mixing = SCHEDULE.at(time)
    return (x + float(mixing.sigma) ** 2 * score(mixing)(x)) / float(mixing.alpha)


class NoiseNetwork(nn.Module):
    """ε̂ of numbers x and their times."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(9, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor, times: Tensor) -> Tensor:
        share = times.float() / SCHEDULE.timesteps
        waves = [f(k * math.pi * share) for k in (0.5, 1, 2, 4) for f in (torch.sin, torch.cos)]
        return self.layers(torch.stack([x, *waves], 1)).squeeze(1)


def batch(n: int, generator: Generator, time: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy numbers, their noise and their times, (n,) each; of one time, or of times drawn evenly."""
    times = torch.randint(1, SCHEDULE.timesteps + 1, (n,), generator=generator)
    times = times if time is None else torch.full((n,), time)
    clean = REAL.sample((n,), generator)
    epsilon = torch.randn(n, generator=generator)
    return noise.noised(clean, epsilon, SCHEDULE.at_each(times, clean)), epsilon, times


def train(seed: int, updates: int) -> Mapping[int, NoiseNetwork]:
    """Networks that predict noise by the simple loss, after none, a tenth and all of the updates."""
    torch.manual_seed(seed)
    generator, network = Generator().manual_seed(seed), NoiseNetwork()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    copies = {}
    for update in range(updates + 1):
        if update in (0, updates // 10, updates):
            copies[update] = NoiseNetwork()
            copies[update].load_state_dict(network.state_dict())
        x, epsilon, times = batch(BATCH, generator)
        loss = (network(x, times) - epsilon).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        rate.step()
    return copies


def constant(mixing: Mixing) -> float:
    """Denoising less explicit loss, which no network changes: 1/σ² − ∫ p (∇log p)²."""
    fisher = noised(mixing).density(GRID) * score(mixing)(GRID).square()
    return 1 / float(mixing.sigma) ** 2 - float(fisher.sum()) * WIDTH


def losses(network: NoiseNetwork, time: int, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """Denoising and explicit losses of the score −ε̂/σ at ``n`` numbers, (n,) each, with their graphs."""
    mixing = SCHEDULE.at(time)
    x, epsilon, times = batch(n, Generator().manual_seed(1_000 + seed), time)
    estimate = -network(x, times) / float(mixing.sigma)
    return (estimate + epsilon / float(mixing.sigma)).square(), (estimate - score(mixing)(x).float()).square()


def difference(network: NoiseNetwork, time: int, seed: int, n: int) -> tuple[float, float]:
    """Denoising less explicit loss, and how far it is from the constant, in standard errors."""
    with torch.no_grad():
        differences = torch.sub(*losses(network, time, seed, n))
    error = float(differences.std()) / math.sqrt(n)
    return float(differences.mean()), abs(float(differences.mean()) - constant(SCHEDULE.at(time))) / error


def gradients_apart(network: NoiseNetwork, time: int, seed: int, n: int, parts: int = 100) -> float:
    """Largest distance of the gradients of both losses in a bias of the last layer or its weights, in standard errors."""
    both = torch.stack(losses(network, time, seed, n)).view(2, parts, -1).mean(2)
    last = [network.layers[4].weight, network.layers[4].bias]
    apart = []
    for part in range(parts):
        slopes = [torch.autograd.grad(loss, last, retain_graph=True) for loss in both[:, part]]
        apart.append(torch.cat([(a - b).flatten() for a, b in zip(*slopes, strict=True)]))
    values = torch.stack(apart)
    return float((values.mean(0).abs() / (values.std(0) / math.sqrt(parts))).max())


def score_error(network: NoiseNetwork, time: int) -> float:
    """E_p (−ε̂/σ − ∇log p)² as a share of E_p (∇log p)², exact but for the grid."""
    mixing = SCHEDULE.at(time)
    exact, density = score(mixing)(GRID), noised(mixing).density(GRID)
    with torch.no_grad():
        estimate = -network(GRID.float(), torch.full(GRID.shape, time)).double() / float(mixing.sigma)
    return float((density * (estimate - exact).square()).sum() / (density * exact.square()).sum())


def process(eta: float, seed: int, chains: int) -> Mapping[int, Tensor]:
    """x_t by time, (chains,) each, of the process q_η of a known x₀ = 1: from x_T down, each given the one before and x₀.

    DDIM's step is this process with x̂₀ in place of x₀, so the sampler is run with a denoiser that knows x₀.
    """
    generator, places = Generator().manual_seed(seed), noise.times("uniform", SCHEDULE, PROCESS_STEPS)
    start = noise.noised(torch.ones(chains, 1), torch.randn(chains, 1, generator=generator), SCHEDULE.at(places[0]))
    kernel = denoising.ddim(lambda x, time: torch.ones_like(x), SCHEDULE, places, eta, denoising.CLIPS["off"])
    state, values = kernel.init(start), {}
    for time in places[1:-1]:
        state, _ = kernel.step(state, generator)
        values[time] = state.position.squeeze(1)
    return values


def process_errors(eta: float, seed: int, chains: int) -> float:
    """The largest distance of the mean or the variance of x_t from α x₀ and σ², over times, in standard errors."""
    errors = [0.0]
    for time, x in process(eta, seed, chains).items():
        mixing = SCHEDULE.at(time)
        variance = float(mixing.sigma) ** 2
        errors.append(abs(float(x.mean()) - float(mixing.alpha)) / math.sqrt(variance / chains))
        errors.append(abs(float(x.var()) - variance) / (variance * math.sqrt(2 / (chains - 1))))
    return max(errors)


def inversion_error(steps: int, seed: int, n: int = 2_000) -> float:
    """Root mean squared distance of x₀ from what it comes to: through DDIM's steps up to noise, and down again.

    Going up, x̂₀ and ε̂ are those of the time that is left, so the two ways differ by the length of a step.
    """
    generator, clip = Generator().manual_seed(seed), denoising.CLIPS["off"]
    places = noise.times("uniform", SCHEDULE, steps)
    clean = REAL.sample((n, 1), generator).double()
    x = clean
    for earlier, time in zip(places[::-1], places[-2::-1], strict=False):
        here = max(earlier, 1)  # at 0 there is no noise to predict
        estimate = denoiser(x, here)
        x = noise.noised(estimate, noise.noise_of(estimate, x, SCHEDULE.at(here)), SCHEDULE.at(time))
    back, _ = run(denoising.ddim(denoiser, SCHEDULE, places, 0.0, clip), x, steps, generator)
    return float((back - clean).square().mean().sqrt())


def measure(quick: bool, folder: Path) -> Iterator[Figure]:
    """Both losses and their gradients, the score, the processes of three η, and the error of inversion."""
    updates, n, chains = (UPDATES // 10, SAMPLES // 10, CHAINS // 10) if quick else (UPDATES, SAMPLES, CHAINS)
    trained = [train(seed, updates) for seed in range(SEEDS)]
    for time in TIMES:
        values, distances, slopes = [], [], []
        for seed, networks in enumerate(trained):
            for network in networks.values():
                value, off = difference(network, time, seed, n)
                values.append(value)
                distances.append(off)
                slopes.append(gradients_apart(network, time, seed, n))
        known = constant(SCHEDULE.at(time))
        text = f"{min(values):.3f} to {max(values):.3f}, exact {known:.3f}"
        off = max(distances)
        yield Figure(f"denoising less explicit loss at t = {time}, nine networks", text, "within 4 errors", off <= 4)
        yield Figure(
            f"their gradients at t = {time}", f"{max(slopes):.1f} standard errors apart", "<= 5", max(slopes) <= 5
        )
    errors = {t: [score_error(networks[updates], t) for networks in trained] for t in TIMES}
    for time, shares in errors.items():
        text = f"{sum(shares) / SEEDS:.2%} ({min(shares):.2%} to {max(shares):.2%})"
        yield Figure(f"squared error of −ε̂/σ as a share of the score's, t = {time}", text, "<= 5%", max(shares) <= 0.05)
    for eta in ETAS:
        off = max(process_errors(eta, seed, chains) for seed in range(SEEDS))
        yield Figure(
            f"mean and variance of x_t given x₀, η = {eta:g}", f"{off:.1f} standard errors off", "<= 4", off <= 4
        )
    inverted = {
        steps: [inversion_error(steps, seed) for seed in range(SEEDS)] for steps in STEPS[: 4 if quick else None]
    }
    for steps, distances in inverted.items():
        yield Figure(f"x₀ to noise and back in {steps} steps each way, error", f"{sum(distances) / SEEDS:.2g}")
    files.write_output(folder / "theory_denoising.png", draw(trained[0][updates], inverted))


def draw(network: NoiseNetwork, inverted: Mapping[int, list[float]]) -> bytes:
    """The exact score and the network's at three times; what x_t is by three processes; the inversion over its steps."""
    figure = blank(13, 4, "Predicting noise is knowing the score")
    left, middle, right = figure.subplots(1, 3)
    x = torch.linspace(-4, 4, 200)
    for color, time in zip(LINES, TIMES, strict=False):
        mixing = SCHEDULE.at(time)
        with torch.no_grad():
            estimate = -network(x, torch.full(x.shape, time)) / float(mixing.sigma)
        left.plot(x, score(mixing)(x), color=color, label=f"t = {time}, exact")
        left.plot(x, estimate, color=color, linestyle="--")
    left.plot([], [], color="grey", linestyle="--", label="−ε̂/σ, trained")
    left.set(xlabel="x", ylabel="∇log p of x_t", ylim=(-12, 12))
    for color, eta in zip(LINES, ETAS, strict=False):
        chains = process(eta, 0, CHAINS)
        places = list(chains)
        middle.plot(
            places, [float(chains[t].mean()) for t in places], "o-", markersize=4, color=color, label=f"η = {eta:g}"
        )
        middle.plot(places, [float(chains[t].std()) for t in places], "s--", markersize=4, color=color)
    middle.plot([], [], color="grey", label="mean of x_t given x₀ = 1")
    middle.plot([], [], color="grey", linestyle="--", label="deviation")
    middle.set(xlabel="t")
    steps = list(inverted)
    means = torch.tensor([sum(values) / len(values) for values in inverted.values()])
    right.plot(steps, means, "o-", markersize=4, color=LINES[0], label="measured")
    right.plot(steps, means[-1] * steps[-1] / torch.tensor(steps), color="grey", linestyle="--", label="∝ 1 / steps")
    right.set(xlabel="steps each way", ylabel="error of x₀", xscale="log", yscale="log")
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return png(figure)
