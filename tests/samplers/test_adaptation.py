"""Step sizes that adapt begin where they are told, and move towards the target."""

import torch

from samplers import adaptation


def test_adaptation_begins_at_the_given_step_size() -> None:
    steps = torch.tensor([0.01, 1.0, 30.0])
    begun = adaptation.init(steps)
    torch.testing.assert_close(begun.log_step.exp(), steps)
    assert begun.updates == 0


def test_a_step_that_is_accepted_too_often_grows_and_a_rejected_one_shrinks() -> None:
    begun = adaptation.init(torch.tensor([1.0, 1.0, 1.0]))
    first = adaptation.update(begun, torch.tensor([1.0, 0.5, 0.0]), target=0.5)
    torch.testing.assert_close(first.log_step, torch.tensor([2.0, 0.0, -2.0]))
    second = adaptation.update(first, torch.tensor([1.0, 0.5, 0.0]), target=0.5)
    torch.testing.assert_close(second.log_step, torch.tensor([2.0, 0.0, -2.0]) * (1 + 2**-0.6))
