"""Optimisers by name."""

import torch
from torch import nn

from spanmatch.networks.recipe import Recipe

_SECOND_BETA = 0.99


def optimiser_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimiser that a recipe asks for; of ``adamw`` the momentum is the first of the betas."""
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(
            network.parameters(),
            lr=recipe.learning_rate,
            betas=(recipe.momentum, _SECOND_BETA),
            weight_decay=recipe.weight_decay,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
