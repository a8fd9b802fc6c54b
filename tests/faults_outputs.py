"""Mended faults of networks that are no classifiers; see test_faults.py."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import random_bytes
from faults import Fault
from made import whole
from torch import nn

from spanmatch.networks.data import Dataset, Images, Preprocessing
from spanmatch.networks.evaluation import judge, require_logits
from spanmatch.networks.layers import choose
from spanmatch.networks.probing import list_layers

CLASSES = 3
GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", "logits aux")


@dataclass
class ModelOutput:
    """What has no logits by that name."""

    scores: torch.Tensor
    hidden: torch.Tensor | None = None


class Net(nn.Module):
    """A convolution, and whatever is made of its output."""

    def __init__(self, make: Callable[[nn.Module, torch.Tensor], object]) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4, CLASSES)
        self.make = make

    def forward(self, x: torch.Tensor) -> object:
        z = self.relu(self.conv(x))
        return self.make(self, z)

    def logits(self, z: torch.Tensor) -> torch.Tensor:
        return self.head(z.mean((2, 3)))


def labelled(count: int, *labels: int) -> Dataset:
    def images(part: str) -> Images:
        ids = tuple(f"{part}/{number}" for number in range(count))
        preprocessing = Preprocessing(mean=(0.5,), deviation=(0.5,))
        return Images(
            random_bytes(count, 1, 6, 6, seed=len(part)), np.resize(labels, count), ids, preprocessing
        )

    return Dataset("made", images("training"), images("held-out"), CLASSES)


OUTPUTS: dict[str, Callable[[Net, torch.Tensor], object]] = {
    "a dictionary": lambda net, z: {"scores": net.logits(z), "features": z},
    "a dataclass": lambda net, z: ModelOutput(net.logits(z)),
    "a tuple": lambda net, z: (net.logits(z), z),
    "a named tuple": lambda net, z: GoogLeNetOutputs(net.logits(z), None),
    "a list": lambda net, z: [net.logits(z)],
    "a map": lambda net, z: z,
    "a map of classes": lambda net, z: net.logits(z)[:, :, None, None],
    "an embedding": lambda net, z: z.mean((2, 3)),
    "a sequence": lambda net, z: z.flatten(2).transpose(1, 2),
    "a column": lambda net, z: net.logits(z)[:, :1],
    "a number for each image": lambda net, z: net.logits(z)[:, 0],
    "a number": lambda net, z: net.logits(z).mean(),
    "a class for each image": lambda net, z: net.logits(z).argmax(1),
    "classes as whole numbers": lambda net, z: net.logits(z).round().long(),
    "nothing": lambda net, z: None,
}


def _no_accuracy(output: Callable[[Net, torch.Tensor], object], _: Path) -> None:
    data = labelled(8, 0, 1, 2)
    network = Net(output).eval()
    assert judge(network, data) is None
    layers = choose(list_layers(network, (1, 6, 6)), ["default"]).names
    found = whole(network, layers, data.held_out)
    with torch.inference_mode():
        wanted = network.relu(network.conv(torch.from_numpy(data.held_out.pixels)))
    assert np.allclose(found["relu"].reshape(-1, 4), wanted.permute(0, 2, 3, 1).reshape(-1, 4), atol=1e-6)


def _no_training(output: Callable[[Net, torch.Tensor], object], _: Path) -> None:
    with pytest.raises(ValueError, match=r"`seeds` must train .* \(images, 3\), got .* as `weights`"):
        require_logits(Net(output), labelled(8, 0, 1, 2))


FAULTS = [
    Fault(8, f"{case}, {what}", "a traceback, or dummy accuracy", now, partial(check, output))
    for case, output in OUTPUTS.items()
    for what, now, check in (
        ("given", "no accuracy, and the activations", _no_accuracy),
        ("from seeds", "one sentence before work", _no_training),
    )
]


def _auxiliary(_: Path) -> None:
    network = Net(lambda net, z: (net.logits(z), z) if net.training else net.logits(z))
    assert judge(network, labelled(8, 0, 1, 2)) is not None
    with pytest.raises(ValueError, match="got tuple for 2 images in training"):
        require_logits(network, labelled(8, 0, 1, 2))


def _frozen(_: Path) -> None:
    with pytest.raises(ValueError, match="one whose output depends on none"):
        require_logits(Net(lambda net, z: net.logits(z)).requires_grad_(False), labelled(8, 0, 1))


def _one_label(_: Path) -> None:
    network = Net(lambda net, z: net.logits(z))
    assert judge(network, labelled(8, 0)) is None
    assert judge(network, labelled(8, 1)) is None
    found = judge(network, labelled(8, 0, 1, 2))
    assert found is not None
    assert 0 <= found.accuracy <= 1


FAULTS += [
    Fault(8, "a tuple in training alone", "a traceback after the start", "one sentence", _auxiliary),
    Fault(8, "no parameter to train", "a traceback", "one sentence", _frozen),
    Fault(8, "logits, but labels that are all the same", "accuracy of dummies", "no accuracy", _one_label),
]
