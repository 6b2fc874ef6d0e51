"""What the recipes of energies at 28×28 have in common: chains that can get from noise to digits."""

import pytest

import studies

SQUARED_DISTANCE = 987  # of uniform noise from MNIST's digits, a mean
SHAPE = (1, 28, 28)


@pytest.mark.parametrize("name", ["ebm", "conditional_ebm", "jem", "jem_weighted"])
def test_the_regularisation_lets_energies_fall_as_far_as_a_chain_needs(name: str) -> None:
    """A chain of N steps a needs a fall of d²/(aN), and α(E⁺² + E⁻²) holds energies within about 1/2α."""
    base = studies.load(name).base(SHAPE)
    assert 2 * base.energy_regularisation * SQUARED_DISTANCE / (base.step_size * base.n_steps) <= 1


@pytest.mark.parametrize("name", ["conditional_ebm", "jem", "jem_weighted"])
def test_no_sample_can_stay_at_half_of_one_over_alpha_and_chains_are_young(name: str) -> None:
    base = studies.load(name).base(SHAPE)
    assert base.penalised_samples == "below_zero"
    assert base.fresh_share == 0.5 and base.buffer_size == 8 * base.chains and base.batch_size == 4 * base.chains
    assert base.evaluation_steps == 2 * base.n_steps, "chains are scored at the age that half of training's have"
