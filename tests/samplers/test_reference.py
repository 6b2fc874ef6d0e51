"""Our samplers beside independent implementations of the same algorithms: extra ``reference``, skipped without it.

Where an algorithm is the same, so are its draws: given the same seed, chains end at the same places step by step. What is
random in another order is compared by what it estimates.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from samplers import annealing, denoising, diagnostics, hmc, langevin, mala, noise, preconditioned, tempering
from samplers.kernel import Kernel, run
from tests.samplers.targets import CENTRES, gaussian, generator, mixture

REASON = "pip install -e '.[reference]' brings the libraries to compare with"
START = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
STEPS = 12


@pytest.fixture
def ebmkit() -> Any:
    return pytest.importorskip("ebm", reason=REASON)


@pytest.fixture
def torchebm() -> Any:
    """Its samplers, and the Gaussian of our targets as a model of its kind."""
    samplers = pytest.importorskip("torchebm.samplers", reason=REASON)
    from torchebm.core import BaseModel

    class Gaussian(BaseModel):
        def forward(self, x: Tensor) -> Tensor:
            return gaussian(x)

    return samplers, Gaussian()


EBMKIT = {
    "langevin": (langevin.build(gaussian, 0.1), ("LangevinDynamics", (0.1, STEPS), {})),
    "langevin, cold, clipped and bounded": (
        langevin.build(gaussian, 0.3, 0.02, 0.2, (-1, 1)),
        ("LangevinDynamics", (0.3, STEPS, 0.02, 0.2, (-1, 1)), {}),
    ),
    "mala": (mala.build(gaussian, 0.15), ("MALA", (0.15, STEPS), {})),
    "hmc": (hmc.build(gaussian, 0.45, 3), ("HMC", (0.45, 3, STEPS), {})),
    "preconditioned": (
        preconditioned.build(gaussian, 0.05, torch.tensor([1.0, 0.5])),
        ("PreconditionedLangevin", (torch.tensor([1.0, 0.5]), 0.05, STEPS), {}),
    ),
}


@pytest.mark.parametrize("name", EBMKIT)
def test_the_same_chains_as_ebmkit(ebmkit: Any, name: str) -> None:
    kernel, (theirs, arguments, options) = EBMKIT[name]
    torch.manual_seed(5)  # it draws from the global generator
    expected = getattr(ebmkit.samplers, theirs)(*arguments, **options).sample(gaussian, START)
    torch.testing.assert_close(run(kernel, START, STEPS, generator(5))[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "theirs", "options"),
    [
        (langevin.build(gaussian, 0.1), "LangevinDynamics", {"step_size": 0.1}),
        (
            langevin.build(gaussian, 0.3, 0.3 * 0.6**0.5, bounds=(-1, 1)),
            "LangevinDynamics",
            {"step_size": 0.3, "noise_scale": 0.3, "clamp": (-1, 1)},
        ),
        (hmc.build(gaussian, 0.45, 3), "HamiltonianMonteCarlo", {"step_size": 0.45, "n_leapfrog_steps": 3}),
    ],
)
def test_the_same_chains_as_torchebm(torchebm: Any, kernel: Kernel, theirs: str, options: dict[str, Any]) -> None:
    samplers, model = torchebm
    expected = getattr(samplers, theirs)(model, **options).sample(x=START, n_steps=STEPS, generator=generator(5))
    torch.testing.assert_close(run(kernel, START, STEPS, generator(5))[0], expected, rtol=1e-4, atol=1e-5)


def test_the_weights_of_modes_as_ebmkit_tempers_them(ebmkit: Any) -> None:
    ladder, start = (1.0, 2.5, 6.0), torch.full((1500, 1), CENTRES[1])
    torch.manual_seed(5)
    theirs = ebmkit.samplers.ParallelTempering(ebmkit.samplers.MALA(0.7), ladder).sample(mixture, start, steps=250)
    kernel = tempering.build(lambda t: mala.build(mixture, 0.7, t), ladder)
    ours, _ = run(kernel, start, 150, generator())
    one, other = (ours < 0).double(), (theirs < 0).double()
    assert abs(one.mean() - other.mean()) < 4 * ((one.var() + other.var()) / 1500).sqrt()


def test_normalisers_as_ebmkit_estimates_them(ebmkit: Any) -> None:
    def energy(x: Tensor) -> Tensor:
        return (x**4 / 2 - x).sum(1)

    torch.manual_seed(5)
    options = {"n_temps": 40, "sampler": ebmkit.samplers.HMC(0.3, 4), "adapt_step_size": False}
    theirs = ebmkit.ais_log_z(energy, (2,), n_chains=500, **options)
    base, betas = annealing.normal((2,)), annealing.ladder(40)
    found = annealing.forward(energy, base, lambda e, beta: hmc.build(e, 0.3, 4), betas, 500, generator())
    assert abs(found.log_z - theirs.log_z) < 4 * (found.standard_error**2 + theirs.stderr**2) ** 0.5
    back = ebmkit.reverse_ais_log_z(energy, found.position, **options)
    ours = annealing.reverse(energy, base, lambda e, beta: hmc.build(e, 0.3, 4), betas, found.position, generator())
    assert abs(ours.log_z - back.log_z) < 4 * (ours.standard_error**2 + back.stderr**2) ** 0.5


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95, -0.5])
@pytest.mark.parametrize("shape", [(4, 500), (2, 101), (8, 40)])
def test_diagnostics_are_those_of_arviz(rho: float, shape: tuple[int, int]) -> None:
    statistics = pytest.importorskip("arviz_stats.base", reason=REASON).array_stats
    draws = torch.randn(*shape, dtype=torch.float64, generator=generator())
    for t in range(1, shape[1]):
        draws[:, t] += rho * draws[:, t - 1]
    draws = draws.exp()  # a skew law: ranks and tails matter
    axes = {"chain_axis": 0, "draw_axis": 1}
    for ours, theirs in (
        (diagnostics.split_rhat, statistics.rhat(draws.numpy(), method="rank", **axes)),
        (diagnostics.effective_sample_size, statistics.ess(draws.numpy(), method="bulk", **axes)),
        (
            diagnostics.tail_effective_sample_size,
            statistics.ess(draws.numpy(), method="tail", prob=(0.05, 0.95), **axes),
        ),
    ):
        assert ours(draws).item() == pytest.approx(float(theirs), rel=1e-4)


@pytest.fixture
def diffusers() -> Any:
    return pytest.importorskip("diffusers", reason=REASON)


@pytest.mark.parametrize(("ours", "theirs"), [("linear", "linear"), ("cosine", "squaredcos_cap_v2")])
def test_noise_schedules_are_those_of_diffusers(diffusers: Any, ours: str, theirs: str) -> None:
    expected = diffusers.DDPMScheduler(beta_schedule=theirs).alphas_cumprod
    torch.testing.assert_close(noise.build(ours, 1000).alpha_bar[1:].float(), expected, rtol=2e-3, atol=1e-7)


DIFFUSERS: dict[str, Any] = {
    "ddim": (denoising.ddim, {"eta": 0.0}, "DDIMScheduler", {}),
    "ddim, eta 1": (denoising.ddim, {"eta": 1.0}, "DDIMScheduler", {}),
    "ddpm, large": (denoising.ddpm, {"large": True}, "DDPMScheduler", {"variance_type": "fixed_large"}),
    "ddpm, small": (denoising.ddpm, {"large": False}, "DDPMScheduler", {"variance_type": "fixed_small"}),
    "dpm_solver": (denoising.dpm_solver, {}, "DPMSolverMultistepScheduler", {"final_sigmas_type": "zero"}),
}


# DPMSolverMultistepScheduler asks NumPy for the square root of a tensor, which NumPy 2.4 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("name", DIFFUSERS)
def test_samplers_of_a_denoiser_step_as_those_of_diffusers(diffusers: Any, name: str) -> None:
    """The same epsilon network, 10 steps of 1,000, the same draws of noise; clipping is off, as not all of theirs clip.

    All steps but the last: with large variances theirs draws noise in a last stride, and the paper's draws none.
    """
    build, options, scheduler, more = DIFFUSERS[name]
    schedule, clip = noise.build("linear", 1000), denoising.CLIPS["off"]

    def epsilon(x: Tensor, time: int) -> Tensor:
        return 0.9 * x * schedule.at(time).sigma + 0.05 * (3 * x).sin()

    more = more | ({} if "Multistep" in scheduler else {"clip_sample": False})
    theirs = getattr(diffusers, scheduler)(1000, 1e-4, 0.02, "linear", timestep_spacing="trailing", **more)
    theirs.set_timesteps(10)
    arguments = {"eta": options["eta"]} if "eta" in options else {}
    expected, draws = START, generator(5)
    for time in theirs.timesteps.tolist()[:-1]:
        arguments |= {} if "Multistep" in scheduler else {"generator": draws}
        expected = theirs.step(epsilon(expected, time + 1), time, expected, **arguments).prev_sample
    times = noise.times("uniform", schedule, 10)

    def denoiser(x: Tensor, time: int) -> Tensor:
        return noise.clean_of("epsilon", epsilon(x, time), x, schedule.at(time))

    kernel = build(denoiser, schedule, times, clip=clip, **options)
    torch.testing.assert_close(run(kernel, START, 9, generator(5))[0], expected, rtol=1e-3, atol=1e-3)
