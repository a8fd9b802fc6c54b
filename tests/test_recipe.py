"""Recipes: the schedules are torch's, and what makes no sense is refused."""

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import nn

from spanmatch.networks.optimisers import optimiser_of
from spanmatch.networks.recipe import Optimiser, Recipe, require_checkpoints

QUICK = Recipe(epochs=2, batch_size=64, learning_rate=0.1, momentum=0.9, weight_decay=5e-4)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 4), (3, 7), (12, 19)])
def test_one_cycle_is_torch_s(epochs: int, steps: int) -> None:
    recipe = replace(QUICK, epochs=epochs, learning_rate=0.3)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.3, epochs=epochs, steps_per_epoch=steps, cycle_momentum=False
    )
    for step in range(epochs * steps):
        assert recipe.rate(step, steps) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        if step < epochs * steps - 1:
            schedule.step()


def test_one_cycle_of_few_steps_stays_between_its_ends() -> None:
    for steps in (1, 2, 3):
        rates = [replace(QUICK, epochs=1).rate(step, steps) for step in range(steps)]
        assert all(0 < rate <= 0.1 for rate in rates)
        assert max(rates) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("milestones", "epochs", "resolved"),
    [(None, 12, [6, 9]), (None, 3, [1, 2]), (None, 2, [1]), (None, 1, []), ((2, 3), 5, [2, 3]), ((), 5, [])],
)
def test_step_is_torch_s(milestones: tuple[int, ...] | None, epochs: int, resolved: list[int]) -> None:
    recipe = replace(QUICK, epochs=epochs, schedule="step", milestones=milestones)
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, resolved, gamma=0.1)
    for epoch in range(epochs):
        for step in range(5):
            assert recipe.rate(epoch * 5 + step, 5) == pytest.approx(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "cosine"}, '`schedule` must be "one-cycle" or "step", got \'cosine\''),
        ({"augment": ("crop", "rotate")}, r"`augment` must hold .*got \['crop', 'rotate'\]"),
        ({"momentum": 1.0, "optimiser": "adamw"}, "`momentum` must be at least 0 and below 1, got 1.0"),
        ({"momentum": -0.1}, "`momentum` must be at least 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive and finite, got nan"),
        ({"weight_decay": -1e-4}, "`weight_decay` must be at least 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"epochs": 0}, "`epochs` must be at least 1, got 0"),
        ({"milestones": (1,)}, "`milestones` must be left out with the one-cycle schedule"),
        ({"schedule": "step", "milestones": (1, 2)}, r"between 1 and 1, .* of 2 epochs, got \[1, 2\]"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(QUICK, **changes)


@pytest.mark.parametrize("optimiser", get_args(Optimiser))
def test_every_optimiser_that_a_recipe_may_name_is_made_of_its_numbers(optimiser: Any) -> None:
    made = optimiser_of(nn.Linear(2, 1), replace(QUICK, optimiser=optimiser))
    (group,) = made.param_groups
    assert type(made).__name__.lower() == optimiser
    assert (group["lr"], group["weight_decay"]) == (QUICK.learning_rate, QUICK.weight_decay)
    assert group.get("momentum", group.get("betas", (None,))) in (0.9, (0.9, 0.99))


def test_checkpoints_are_moments_of_the_training() -> None:
    require_checkpoints(["initial", "best", "final", "epoch1", "epoch12"], 12)
    for name in ("epoch0", "epoch13", "epoch01", "last", "epoch", "epoch1 "):
        with pytest.raises(ValueError, match=f"`checkpoints` must be .* or epoch1 to epoch12 .*got '{name}'"):
            require_checkpoints([name], 12)
