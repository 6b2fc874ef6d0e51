"""The loss of an energy-based model."""

from torch import Tensor


def contrastive_divergence(on_data: Tensor, on_samples: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Loss and energy gap, E⁺ − E⁻ + α(E⁺² + E⁻²) and E⁺ − E⁻: means over the energies (n,) of data and of samples.

    The gradient of the gap is that of the negative log-likelihood, were the samples the model's own (Hinton 2002); the
    squares keep energies near 0, which the gap alone leaves free to drift (Du and Mordatch 2019, section 3.3).
    """
    gap = on_data.mean() - on_samples.mean()
    return gap + alpha * (on_data.square().mean() + on_samples.square().mean()), gap
