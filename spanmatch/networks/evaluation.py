"""Accuracy and loss of a network on labelled images, where it is a classifier."""

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

import numpy as np
import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.batches import ordered_batches
from spanmatch.networks.data import Dataset, Images
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.forward import taking

_BATCH = 256
_TRIED = 2


class Evaluation(NamedTuple):
    """Share of images classified rightly, in [0, 1], and mean cross-entropy."""

    accuracy: float
    loss: float


def evaluate(network: nn.Module, images: Images, device: str = "cpu") -> Evaluation:
    """Judge a network, which is left in evaluation mode.

    Parameters
    ----------
    network
        On `device`.
    images
        What it classifies, a batch at a time.
    device
        ``"cpu"`` or ``"cuda"``.
    """
    network.eval()
    right, loss = 0, 0.0
    with deterministic(device=device), torch.no_grad():
        for pixels, labels in ordered_batches(images, _BATCH, ahead=device == "cuda"):
            logits = network(torch.from_numpy(pixels).to(device)).float().cpu()
            loss += nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum").item()
            right += int(np.count_nonzero(logits.argmax(dim=1).numpy() == labels))
    return Evaluation(right / len(images), loss / len(images))


def judge(network: nn.Module, dataset: Dataset, device: str = "cpu") -> Evaluation | None:
    """Judge a network on the held-out images, or return None where there is nothing to judge it by.

    That is a network that returns anything but logits, a floating-point tensor (images, classes), and a data
    set whose held-out images all have one label. An embedding as wide as there are classes cannot be told
    from logits.
    """
    network.eval()
    if len(np.unique(dataset.held_out.labels)) < 2:
        return None
    with deterministic(device=device), torch.no_grad():
        pixels = torch.from_numpy(dataset.held_out.slice(0, _TRIED).pixels).to(device)
        output = network(pixels)
    if not _is_logits(output, len(pixels), dataset.classes):
        return None
    return evaluate(network, dataset.held_out, device)


def require_classifier(network: nn.Module, dataset: Dataset) -> None:
    """See that a network can be trained to tell a data set's classes apart; it is left in evaluation mode.

    Raises
    ------
    ValueError
        If it returns anything but logits, in training or in evaluation, or they depend on no parameter.
    """
    pixels = torch.from_numpy(dataset.parts[0].slice(0, _TRIED).pixels)
    with torch.random.fork_rng(devices=[]):
        for training in (True, False):
            with taking(tuple(pixels.shape[1:])):
                output = network.train(training)(pixels.clone())
            if not _is_logits(output, len(pixels), dataset.classes):
                when = "training" if training else "evaluation"
                raise InputValueError(
                    "`seeds` must train a network that returns logits, a floating-point tensor (images, "
                    f"{dataset.classes}), got {_shown(output)} for {len(pixels)} images in {when}; have the "
                    "factory return a network that does, or give trained networks as `weights`"
                )
            if not output.requires_grad:
                raise InputValueError(
                    "`seeds` must train a network with parameters that can be trained, got one whose output "
                    "depends on none; see to `requires_grad`, or give trained networks as `weights`"
                )


def _is_logits(output: object, images: int, classes: int) -> TypeGuard[torch.Tensor]:
    return torch.is_tensor(output) and output.is_floating_point() and output.shape == (images, classes)


def _shown(output: object) -> str:
    if torch.is_tensor(output):
        return f"{str(output.dtype).removeprefix('torch.')} {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"{type(output).__name__} of {', '.join(map(str, output))}"
    return type(output).__name__
