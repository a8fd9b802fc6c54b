"""Accuracy and loss of a network on labelled images.

Apart because networks that were not trained here are judged too.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from spanmatch.networks.batches import ordered_batches
from spanmatch.networks.data import Images
from spanmatch.networks.devices import deterministic

_BATCH = 256


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
    with deterministic(device=device), torch.inference_mode():
        for pixels, labels in ordered_batches(images, _BATCH, ahead=device == "cuda"):
            logits = network(torch.from_numpy(pixels).to(device)).float().cpu()
            loss += nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="sum").item()
            right += int(np.count_nonzero(logits.argmax(dim=1).numpy() == labels))
    return Evaluation(right / len(images), loss / len(images))
