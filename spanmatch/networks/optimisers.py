"""Optimisers by name."""

from collections.abc import Callable

import torch
from torch import nn

from spanmatch.networks.recipe import Optimiser, Recipe

_SECOND_BETA = 0.99


_OPTIMISERS: dict[Optimiser, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda parameters, momentum, **rest: torch.optim.SGD(parameters, momentum=momentum, **rest),
    "adamw": lambda parameters, momentum, **rest: torch.optim.AdamW(
        parameters, betas=(momentum, _SECOND_BETA), **rest
    ),
}


def optimiser_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimiser that a recipe asks for; of ``adamw`` the momentum is the first of the betas."""
    return _OPTIMISERS[recipe.optimiser](
        network.parameters(),
        recipe.momentum,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
    )
