"""Residual networks of He et al. for small images, and the plain networks they are compared with."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from spanmatch.networks.scaling import Shape, initialise, refuse_shape, scaled

Shortcut = Literal["projection", "padding", "none"]

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class PaddingShortcut(nn.Module):
    """A shortcut without weights (option A): every stride-th position, new channels filled with zeros."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = new_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Subsample the maps and append empty channels."""
        kept = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(kept, (0, 0, 0, 0, 0, self.new_channels))


class Block(nn.Module):
    """Two 3 × 3 convolutions; with a shortcut around them, added before the last activation.

    Parameters
    ----------
    before, after
        Channels that come in and go out.
    stride
        Of the first convolution.
    shortcut
        What goes around where the shape changes: a 1 × 1 convolution with batch normalisation
        (``projection``, option B), padding (``padding``, option A), or nothing anywhere (``none``).
    """

    def __init__(self, before: int, after: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        self.shortcut = _shortcut(before, after, stride, shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output; nothing works in place."""
        z = self.relu1(self.norm1(self.conv1(x)))
        z = self.norm2(self.conv2(z))
        if self.shortcut is not None:
            z = z + self.shortcut(x)
        return self.relu2(z)  # type: ignore[no-any-return]


def resnet(
    *, stages: Sequence[tuple[int, int]], shortcut: Shortcut, shape: Shape, classes: int
) -> nn.Sequential:
    """Build a residual network: a 3 × 3 stem of stride 1, stages of blocks, the mean over the map, one layer.

    Activations are ``stem.relu`` and ``stage<stage>.block<number>.relu1`` and ``relu2``.

    Parameters
    ----------
    stages
        Channels and number of blocks of each; all but the first halve the map.
    shortcut
        As in `Block`.
    shape, classes
        (channels, height, width) of an image and the number of classes.
    """
    channels = stages[0][0]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["stem"] = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(shape[0], channels, kernel_size=3, padding=1, bias=False),
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
        )
    )
    for stage, (width, count) in enumerate(stages, start=1):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for number in range(1, count + 1):
            stride = 2 if stage > 1 and number == 1 else 1
            blocks[f"block{number}"] = Block(channels, width, stride, shortcut)
            channels = width
        parts[f"stage{stage}"] = nn.Sequential(blocks)
    parts["pool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["logits"] = nn.Linear(channels, classes)
    return initialise(nn.Sequential(parts))


def projected_resnet(depth: int, shape: Shape, classes: int, width: float) -> nn.Sequential:
    """Build ResNet18 or ResNet34 in its CIFAR form: no pooling at the stem, projections as shortcuts."""
    _check_size(f"resnet{depth}", shape, smallest=8)
    stages = list(zip(scaled((64, 128, 256, 512), width), _BLOCKS[depth], strict=True))
    return resnet(stages=stages, shortcut="projection", shape=shape, classes=classes)


def cifar_resnet(
    depth: int, shape: Shape, classes: int, width: float, *, shortcuts: bool = True
) -> nn.Sequential:
    """Build He et al.'s CIFAR network of 6n + 2 layers, with shortcuts of option A or, plain, with none."""
    _check_size(f"{'resnet' if shortcuts else 'plain'}{depth}", shape, smallest=4)
    stages = [(channels, (depth - 2) // 6) for channels in scaled((16, 32, 64), width)]
    return resnet(stages=stages, shortcut="padding" if shortcuts else "none", shape=shape, classes=classes)


def _shortcut(before: int, after: int, stride: int, kind: Shortcut) -> nn.Module | None:
    if kind == "none":
        return None
    if stride == 1 and before == after:
        return nn.Identity()
    if kind == "padding":
        return PaddingShortcut(stride, after - before)
    conv = nn.Conv2d(before, after, kernel_size=1, stride=stride, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(after)))


def _check_size(architecture: str, shape: Shape, smallest: int) -> None:
    if min(shape[1:]) < smallest:
        rule = f"(channels, height, width) with height and width at least {smallest}"
        refuse_shape(architecture, rule, shape, "pad or resize the images")
