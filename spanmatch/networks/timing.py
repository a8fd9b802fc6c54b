"""What a network takes on this machine, measured on a few batches: to tell what work is ahead."""

import time
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from spanmatch.networks.activations import batch_ranges
from spanmatch.networks.architectures import build
from spanmatch.networks.data import AnySamples, Dataset
from spanmatch.networks.determinism import deterministic, resolve_device
from spanmatch.networks.forward import Forward
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.resume import weights_of
from spanmatch.networks.training import train

_BATCHES = 4  # that are timed, at most
_SECONDS = 2.0  # and for so long: what takes longer is timed on one
_IMAGES = 32  # of a batch that passes
_JUDGED = 256  # of a batch that is judged


class NetworkCost(NamedTuple):
    """What a network takes.

    Attributes
    ----------
    seconds
        On one thread: for an epoch of training with the judging after it, for judging alone, or for one
        sample that passes.
    weights
        Bytes of a checkpoint.
    """

    seconds: float
    weights: int


def pass_cost(architecture: str, width: float, dataset: Dataset, device: str = "cpu") -> NetworkCost:
    """Measure what one held-out sample takes to pass through a network, on one thread or a GPU.

    Parameters
    ----------
    architecture, width, dataset, device
        As of `train`.

    Returns
    -------
    NetworkCost
        Its `seconds` are of a sample. Costs a second, or two batches of what takes longer.
    """
    with deterministic():
        network = build(architecture, dataset.held_out.shape, dataset.classes, width)
    weights = sum(values.nbytes for values in weights_of(network).values())
    return NetworkCost(_passing_seconds(network, dataset.held_out, device), weights)


def epoch_cost(
    architecture: str, width: float, dataset: Dataset, recipe: Recipe | None, device: str = "cpu"
) -> NetworkCost:
    """Measure what an epoch of training takes, judging included, on one thread or a GPU.

    Parameters
    ----------
    architecture, width, dataset, recipe, device
        As of `train`; with no recipe, what it takes to judge the network.

    Returns
    -------
    NetworkCost
        Costs some seconds at most, or two steps of what takes longer.
    """
    passing = pass_cost(architecture, width, dataset, device)
    judging = passing.seconds * len(dataset.held_out)
    if recipe is None or dataset.training is None:
        return NetworkCost(judging, passing.weights)
    images = recipe.images or len(dataset.training)
    most = max(1, min(_BATCHES, images // recipe.batch_size))
    trained = partial(_trained, architecture, width, dataset, recipe, device)
    first = trained(1)
    step = first
    if most > 1 and first < _SECONDS:
        step = max((trained(most) - first) / (most - 1), first / 20)
    return NetworkCost(step * images / recipe.batch_size + judging, passing.weights)


def _trained(
    architecture: str, width: float, dataset: Dataset, recipe: Recipe, device: str, steps: int
) -> float:
    """Return the seconds of so many steps, and of what comes once."""
    assert dataset.training is not None
    few = replace(dataset, held_out=dataset.held_out.slice(0, min(len(dataset.held_out), _JUDGED)))
    images = min(steps * recipe.batch_size, recipe.images or len(dataset.training))
    since = time.perf_counter()
    train(architecture, width, few, 0, replace(recipe, images=images, epochs=1), keep=(), device=device)
    return time.perf_counter() - since


def _passing_seconds(network: nn.Module, samples: AnySamples, device: str) -> float:
    """Return the seconds of one sample, whatever its layers give: nothing of them is looked at."""
    where = resolve_device(device)
    forward = Forward(network.to(where))
    timed: list[tuple[float, int]] = []
    with deterministic(device=where), torch.no_grad():
        for start, stop in batch_ranges(min(len(samples), _BATCHES * _IMAGES), _IMAGES):
            batch = samples.slice(start, stop)
            since = time.perf_counter()
            forward(forward.cast(Inputs.of(batch.arguments).to(torch.device(where))), lambda *_: None)
            if where == "cuda":
                torch.cuda.synchronize()
            timed.append((time.perf_counter() - since, stop - start))
            if timed[-1][0] > _SECONDS:
                break
    several = timed[1:] or timed  # the first has what is done once
    return sum(seconds for seconds, _ in several) / sum(count for _, count in several)
