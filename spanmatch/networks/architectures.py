"""Architectures by name.

Apart from training because extraction rebuilds a network from its name and weights alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import nn


def vgg(
    *,
    stages: Sequence[Sequence[int]],
    hidden: Sequence[int],
    in_channels: int,
    image_size: int,
    classes: int,
) -> nn.Sequential:
    """Build a batch-normalised VGG: stages of 3 × 3 convolutions, each halved in size, then dense layers.

    Parameters
    ----------
    stages
        Channels of each convolution, stage by stage; their activations are ``block<stage>.relu<number>``.
    hidden
        Widths of the hidden dense layers, whose activations are ``classifier.relu<number>``.
    in_channels, image_size, classes
        Shape of an image (square) and the number of classes.
    """
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    channels, size = in_channels, image_size
    for stage, widths in enumerate(stages, start=1):
        block: OrderedDict[str, nn.Module] = OrderedDict()
        for number, width in enumerate(widths, start=1):
            block[f"conv{number}"] = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
            block[f"norm{number}"] = nn.BatchNorm2d(width)
            block[f"relu{number}"] = nn.ReLU()
            channels = width
        block["pool"] = nn.MaxPool2d(2)
        blocks[f"block{stage}"] = nn.Sequential(block)
        size //= 2
    classifier: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    features = channels * size * size
    for number, width in enumerate(hidden, start=1):
        classifier[f"fc{number}"] = nn.Linear(features, width)
        classifier[f"relu{number}"] = nn.ReLU()
        features = width
    classifier["logits"] = nn.Linear(features, classes)
    blocks["classifier"] = nn.Sequential(classifier)
    network = nn.Sequential(blocks)
    network.apply(_initialise)
    return network


def vgg9_digits() -> nn.Sequential:
    """Build a VGG of six convolutions and three dense layers for 8 × 8 grey digits."""
    return vgg(
        stages=((16, 16), (32, 32), (64, 64)), hidden=(64, 64), in_channels=1, image_size=8, classes=10
    )


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {"vgg9-digits": vgg9_digits}


def build(
    architecture: str, shape: tuple[int, ...] = (1, 8, 8), classes: int = 10, width: float = 1.0
) -> nn.Module:
    """Build the untrained network of an architecture; its weights come from torch's generator.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES`.
    shape, classes, width
        Shape of an image, number of classes, and what multiplies the number of channels.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        message = f"`architecture` must be one of: {known}; got {architecture!r}"
        raise ValueError(message)
    if (shape, classes, width) != ((1, 8, 8), 10, 1.0):
        message = (
            f"`architecture` must fit shape {shape}, {classes} classes and width {width}, "
            f"got {architecture!r}, which takes 1 × 8 × 8 images in 10 classes at width 1; take another"
        )
        raise ValueError(message)
    return ARCHITECTURES[architecture]()


def _initialise(module: nn.Module) -> None:
    """He's initialisation for ReLU networks, as VGG with batch normalisation uses it."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)
