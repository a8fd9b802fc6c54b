"""Training one network from one seed, the same bits every time on one kind of device.

Apart because it is the only part that draws random numbers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from spanmatch.networks.architectures import build
from spanmatch.networks.data import Dataset, Images
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.weights import Weights

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights at one moment, with its accuracy on the held-out images (0 to 1)."""

    weights: Weights
    accuracy: float


def train(
    architecture: str,
    dataset: Dataset,
    seed: int,
    recipe: Recipe,
    on_epoch: Callable[[int], None] = lambda _: None,
) -> dict[str, Checkpoint]:
    """Train a network; return its checkpoints *initial* and *final*.

    Parameters
    ----------
    architecture, dataset, seed, recipe
        What determines the weights: the same four give the same bits on one kind of processor.
    on_epoch
        Called with the number of finished epochs after each.
    """
    with deterministic(seed):
        shape = dataset.training.pixels.shape[1:]
        network = build(architecture, shape, int(dataset.training.labels.max()) + 1)
        initial = _checkpoint(network, dataset.held_out)
        optimiser = torch.optim.SGD(
            network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        steps = -(-len(dataset.training) // recipe.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=recipe.learning_rate, epochs=recipe.epochs, steps_per_epoch=steps
        )
        pixels = torch.from_numpy(dataset.training.pixels)
        labels = torch.from_numpy(dataset.training.labels)
        for epoch in range(recipe.epochs):
            network.train()
            for batch in torch.randperm(len(pixels)).split(recipe.batch_size):
                loss = nn.functional.cross_entropy(network(pixels[batch]), labels[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            on_epoch(epoch + 1)
        final = _checkpoint(network, dataset.held_out)
    return {"initial": initial, "final": final}


def accuracy(network: nn.Module, images: Images) -> float:
    """Share of images that a network classifies rightly, in [0, 1]."""
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(images), _EVALUATION_BATCH):
            batch = images.slice(start, start + _EVALUATION_BATCH)
            predicted = network(torch.from_numpy(batch.pixels)).argmax(dim=1).numpy()
            right += int(np.count_nonzero(predicted == batch.labels))
    return right / len(images)


@contextmanager
def deterministic(seed: int = 0) -> Iterator[None]:
    """Run torch on one thread, from a seed, with deterministic algorithms; put everything back after."""
    threads = torch.get_num_threads()
    algorithms = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.use_deterministic_algorithms(mode=algorithms)
        torch.set_num_threads(threads)


def _checkpoint(network: nn.Module, held_out: Images) -> Checkpoint:
    weights = {name: values.detach().numpy().copy() for name, values in network.state_dict().items()}
    return Checkpoint(weights, accuracy(network, held_out))
