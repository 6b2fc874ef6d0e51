"""One update of a joint energy-based model: its loss, its chains and its step, by hand."""

import copy
import math

import pytest
import torch

from models.data import dataset as datasets
from models.env import Env
from models.jem import networks, training
from models.jem.chains import ReplayedChains, Starts
from models.jem.losses import joint_loss
from models.jem.pretraining import Pretrained
from models.parts.training.batches import Batches
from samplers.kernel import standard_normal
from tests.models.jem.small_jem import config
from tests.support import optimisation
from tests.support.playing import finished


def test_losses_by_hand() -> None:
    """Two logits 0 and log 3: −log p = log 4 or log 4/3; E⁺ = −log 4; E⁻ = (1, −3), gap 1 − log 4; α = 0.1."""
    logits, labels = torch.tensor([[0.0, math.log(3)]] * 2), torch.tensor([0, 1])
    of_samples, wanted = torch.tensor([1.0, -3.0]), config(likelihood_weight=0.5, energy_regularisation=0.1)
    loss, entropy, gap = joint_loss(logits, labels, of_samples, wanted, warmup_share=0.5)
    assert entropy.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)
    assert gap.item() == pytest.approx(1 - math.log(4))
    likelihood = 1 - math.log(4) + 0.1 * (math.log(4) ** 2 + 5)
    assert loss.item() == pytest.approx(entropy.item() + 0.5 * 0.5 * likelihood)
    loss, entropy, gap = joint_loss(logits, labels, None, config(classification_weight=2.0), 1.0)
    assert loss.item() == pytest.approx(2 * entropy.item()) and gap == 0


def test_the_squares_of_samples_above_zero_count_where_the_settings_say() -> None:
    logits, labels, of_samples = torch.zeros(2, 2), torch.tensor([0, 1]), torch.tensor([3.0, -1.0])
    losses = [
        joint_loss(logits, labels, of_samples, config(energy_regularisation=0.1, penalised_samples=which), 1.0)[0]
        for which in ("all", "below_zero")
    ]
    assert (losses[0] - losses[1]).item() == pytest.approx(0.1 * 9 / 2)


@pytest.mark.parametrize("noised", ["data", "both"])
def test_updates_by_hand(noised: str, env: Env) -> None:
    """Three updates from a classifier: one chain a batch, the joint loss in its warm-up, a gradient cut, and Adam."""
    settings = config(
        noised=noised, target="marginal", sampler="proximal", warmup=5, parameter_grad_clip=0.5, beta1=0.5
    )
    data = datasets.load("digits", env.data_folder)
    weights = networks.network(settings, data.shape).state_dict()
    pretrained = Pretrained(weights, "", {"accuracy_validation": [0.9]})
    learner = training.JointLearner(settings, env, data, None, pretrained)  # type: ignore[arg-type]
    net, deviation = copy.deepcopy(learner.network), settings.data_noise
    adam = torch.optim.Adam(net.parameters(), settings.learning_rate, betas=(0.5, 0.999))
    real = Batches.of(data.train, settings.batch_size, env.generator("batches"))
    chains = ReplayedChains(settings, data, Starts.of(settings, data, "cpu"), env.generator("chains"))
    for index in range(3):
        images, labels = real.draw()
        noisy_real = images + deviation * standard_normal(images, real.generator)
        samples = chains.run(net).samples
        if noised == "both":
            samples = samples + deviation * standard_normal(samples, real.generator)
        logits = net(noisy_real)
        loss, _, gap = joint_loss(logits, labels, -net(samples).logsumexp(1), settings, (index + 1) / 6)
        optimisation.step(adam, [(loss, net)], settings.parameter_grad_clip)
        measured = learner.update(index).measure()
        assert measured["loss"] == pytest.approx(loss.item(), rel=1e-3)
        assert measured["loss/likelihood"] == pytest.approx(gap.item(), rel=1e-3, abs=1e-4)
    for weight, expected in zip(learner.network.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-5)


def test_an_update_may_have_fewer_chains_than_real_images(env: Env) -> None:
    """The budget counts batches of chains: 4 steps, one of their ends, and 64 real images as four batches of 16."""
    few = config(n_chains=16)
    assert few.update_cost == 4 + 1 + 4 and few.updates == 6 * 20 // 9
    assert len(finished(training.train(few, env)).images) == few.buffer_size
    batches: list[int] = []
    drawn = ReplayedChains.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ReplayedChains, "run", lambda self, net: batches.append(len(drawn(self, net).begin)) or drawn(self, net)
        )
        finished(training.train(few, env))
    assert batches == [16] * few.updates
