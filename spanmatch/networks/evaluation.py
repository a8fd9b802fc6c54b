"""Accuracy and loss of a network on labelled samples, where it does what they are labelled for."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple, TypeGuard

import numpy as np
import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.batches import ordered_batches
from spanmatch.networks.data import AnySamples, Dataset
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.forward import taking
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.training_tasks.classification import CLASSIFICATION
from spanmatch.networks.training_tasks.training_task import TrainingTask, logits_of

_BATCH = 256
_BATCH_BYTES = 2**28  # of the logits
_TRIED = 2


class Evaluation(NamedTuple):
    """Share of right answers, in [0, 1], and mean cross-entropy, over all that is answered."""

    accuracy: float
    loss: float


def evaluate(
    network: nn.Module, images: AnySamples, device: str = "cpu", task: TrainingTask = CLASSIFICATION
) -> Evaluation:
    """Judge a network, which is left in evaluation mode.

    Parameters
    ----------
    network
        On `device`.
    images
        What it is judged on, a batch at a time.
    device
        ``"cpu"`` or ``"cuda"``.
    task
        What it is judged by.
    """
    network.eval()
    right, loss, count, size = 0, 0.0, 0, _BATCH
    with deterministic(device=device), torch.no_grad():
        if task.label_dimensions > 1:
            size = _batch_size(network, images, device)
        for batch in ordered_batches(images, size, ahead=device == "cuda"):
            logits = logits_of(Inputs.of(batch.arguments, device)(network))
            assert isinstance(logits, torch.Tensor)
            found = task.judge(logits.float().cpu(), batch.targets("cpu"))
            right, loss, count = right + found.right, loss + found.loss, count + found.answers
    return Evaluation(right / count, loss / count)


def _batch_size(network: nn.Module, images: AnySamples, device: str) -> int:
    """Return how many samples have logits that are small beside a machine's memory."""
    logits = logits_of(Inputs.of(images.slice(0, 1).arguments).to(torch.device(device))(network))
    assert isinstance(logits, torch.Tensor)
    return max(1, min(_BATCH, _BATCH_BYTES // (4 * prod(logits.shape))))


def judge(network: nn.Module, dataset: Dataset, device: str = "cpu") -> Evaluation | None:
    """Judge a network on the held-out samples, or return None where there is nothing to judge it by.

    That is a network that returns anything but the task's logits, of images a floating-point tensor (images,
    classes), and a data set whose held-out samples all have one label. An embedding as wide as there are
    classes cannot be told from logits.
    """
    network.eval()
    task, held_out = dataset.trained_for, dataset.held_out
    if len(np.unique(held_out.labels)) < 2:
        return None
    tried = held_out.slice(0, _TRIED)
    with deterministic(device=device), torch.no_grad():
        output = logits_of(Inputs.of(tried.arguments).to(torch.device(device))(network))
    if not _is_logits(output, task.logits_shape(tried.labels.shape, dataset.classes)):
        return None
    return evaluate(network, held_out, device, task)


def require_logits(network: nn.Module, dataset: Dataset) -> None:
    """See that a network can be trained for a data set's task; it is left in evaluation mode.

    Raises
    ------
    ValueError
        If it returns anything but logits, in training or in evaluation, or they depend on no parameter.
    """
    tried = dataset.parts[0].slice(0, _TRIED)
    inputs = Inputs.of(tried.arguments)
    shape = dataset.trained_for.logits_shape(tried.labels.shape, dataset.classes)
    with torch.random.fork_rng(devices=[]):
        for training in (True, False):
            with taking(*inputs.shapes, of=dataset.items):
                output = logits_of(inputs.to(torch.device("cpu"))(network.train(training)))
            if not _is_logits(output, shape):
                when = "training" if training else "evaluation"
                wanted = ", ".join([dataset.items, *map(str, shape[1:])])
                raise InputValueError(
                    f"`seeds` must train a network that returns logits, a floating-point tensor ({wanted}), "
                    f"got {_shown(output)} for {len(tried)} {dataset.items} in {when}; have the factory "
                    "return a network that does, or give trained networks as `weights`"
                )
            if not output.requires_grad:
                raise InputValueError(
                    "`seeds` must train a network with parameters that can be trained, got one whose output "
                    "depends on none; see to `requires_grad`, or give trained networks as `weights`"
                )


def _is_logits(output: object, shape: tuple[int, ...]) -> TypeGuard[torch.Tensor]:
    return torch.is_tensor(output) and output.is_floating_point() and output.shape == shape


def _shown(output: object) -> str:
    if torch.is_tensor(output):
        return f"{str(output.dtype).removeprefix('torch.')} {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"{type(output).__name__} of {', '.join(map(str, output))}"
    return type(output).__name__
