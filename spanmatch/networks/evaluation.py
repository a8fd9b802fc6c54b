"""Accuracy and loss of a network on labelled samples, where it does what they are labelled for."""

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

import numpy as np
import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.batches import ordered_batches
from spanmatch.networks.causality import sees_later
from spanmatch.networks.data import AnySamples, Dataset
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.forward import taking
from spanmatch.networks.logits import logits, tried
from spanmatch.networks.training_tasks.classification import CLASSIFICATION
from spanmatch.networks.training_tasks.training_task import TrainingTask

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

    Raises
    ------
    ValueError
        If the samples ask for no answer of the task.
    """
    task.require_answers(images.labels, images.mask, f"these {images.items}")
    network.eval()
    right, loss, count = 0, 0.0, 0
    with deterministic(device=device), torch.no_grad():
        size = _batch_size(logits(network, images.slice(0, 1).arguments, device))
        for batch in ordered_batches(images, size, ahead=device == "cuda"):
            found = logits(network, batch.arguments, device).float().cpu()
            judged = task.judge(found, batch.targets("cpu"))
            right, loss, count = right + judged.right, loss + judged.loss, count + judged.answers
    return Evaluation(right / count, loss / count)


def _batch_size(of_one: torch.Tensor) -> int:
    """Return how many samples have logits that are small beside a machine's memory, by those of one."""
    return max(1, min(_BATCH, _BATCH_BYTES // (4 * of_one.numel())))


def judge(network: nn.Module, dataset: Dataset, device: str = "cpu") -> Evaluation | None:
    """Judge a network on the held-out samples, or return None where there is nothing to judge it by.

    That is a network that returns anything but the task's logits, of images a floating-point tensor (images,
    classes), or that sees the tokens it is to predict, and a data set whose held-out samples all have one
    label. An embedding as wide as there are classes cannot be told from logits.
    """
    network.eval()
    task, held_out = dataset.trained_for, dataset.held_out
    if len(np.unique(held_out.labels)) < 2:
        return None
    if not _gives_logits(network, dataset, device) or foresees(network, dataset, device):
        return None
    return evaluate(network, held_out, device, task)


def foresees(network: nn.Module, dataset: Dataset, device: str = "cpu") -> bool:
    """Tell whether a network gives logits of tokens that it sees, so that they are no prediction.

    So do masked language models. It is left in evaluation mode.
    """
    network.eval()
    if not dataset.trained_for.causal or not _gives_logits(network, dataset, device):
        return False
    return sees_later(network, dataset.held_out, device)


def _gives_logits(network: nn.Module, dataset: Dataset, device: str) -> bool:
    some = dataset.held_out.slice(0, _TRIED)
    with deterministic(device=device), torch.no_grad():
        return _is_logits(tried(network, some.arguments, device), (*some.labels.shape, dataset.classes))


def require_logits(network: nn.Module, dataset: Dataset) -> None:
    """See that a network can be trained for a data set's task; it is left in evaluation mode.

    Raises
    ------
    ValueError
        If it returns anything but logits, in training or in evaluation, or they depend on no parameter, or
        are of tokens that it sees.
    """
    some = dataset.parts[0].slice(0, _TRIED)
    shape = (*some.labels.shape, dataset.classes)
    with torch.random.fork_rng(devices=[]):
        for training in (True, False):
            with taking(*(one.shape for one in some.signature.values()), of=dataset.items):
                output = tried(network.train(training), some.arguments)
            if not _is_logits(output, shape):
                when = "training" if training else "evaluation"
                wanted = ", ".join([dataset.items, *map(str, shape[1:])])
                raise InputValueError(
                    f"`seeds` must train a network that returns logits, a floating-point tensor ({wanted}), "
                    f"got {_shown(output)} for {len(some)} {dataset.items} in {when}; have the factory "
                    "return a network that does, or give trained networks as `weights`"
                )
            if not output.requires_grad:
                raise InputValueError(
                    "`seeds` must train a network with parameters that can be trained, got one whose output "
                    "depends on none; see to `requires_grad`, or give trained networks as `weights`"
                )
        if foresees(network, dataset):
            raise InputValueError(
                f"`seeds` must train a network for the task {dataset.task!r} whose logits depend on no "
                "later token, got one that sees what it is to predict; have the factory return a causal one, "
                "or give trained networks as `weights`, which are compared without being judged"
            )


def _is_logits(output: object, shape: tuple[int, ...]) -> TypeGuard[torch.Tensor]:
    return torch.is_tensor(output) and output.is_floating_point() and output.shape == shape


def _shown(output: object) -> str:
    if torch.is_tensor(output):
        return f"{str(output.dtype).removeprefix('torch.')} {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"{type(output).__name__} of {', '.join(map(str, output))}"
    return type(output).__name__
