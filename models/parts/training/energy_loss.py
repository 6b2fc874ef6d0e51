"""The part of the loss that raises the likelihood of an energy-based model."""

from torch import Tensor

from models.parts.settings import Penalised


def contrastive_divergence(
    on_data: Tensor, on_samples: Tensor, alpha: float, penalised: Penalised = "all"
) -> tuple[Tensor, Tensor]:
    """Loss and energy gap, E⁺ − E⁻ + α(E⁺² + E⁻²) and E⁺ − E⁻: means over the energies (n,) of data and (m,) of samples.

    The gradient of the gap is that of the negative log-likelihood, were the samples the model's own (Hinton 2002); the
    squares keep energies near 0, which the gap alone leaves free to drift (Du and Mordatch 2019, section 3.3).

    A sample at E⁻ = 1/2α feels nothing: the gap lifts it as strongly as its square pulls it down, and whole classes of
    samples can stay there. With ``penalised`` below_zero, E⁻² counts where E⁻ < 0 alone, and no such point is left.
    """
    gap = on_data.mean() - on_samples.mean()
    of_samples = on_samples if penalised == "all" else on_samples.clamp(max=0)
    return gap + alpha * (on_data.square().mean() + of_samples.square().mean()), gap
