"""VGG networks of Simonyan and Zisserman for small images, with and without batch normalisation."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from spanmatch.networks.scaling import Shape, initialise, refuse_shape, scaled

# Convolutions of each stage: 11, 13, 16 and 19 layers with weights, three of them dense.
_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)
_HIDDEN = (512, 512)


def vgg(
    *,
    stages: Sequence[Sequence[int]],
    hidden: Sequence[int],
    shape: Shape,
    classes: int,
    norm: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Build a VGG: stages of 3 × 3 convolutions, each halved in size, then dense layers.

    Every activation is a module of its own, and none works in place.

    Parameters
    ----------
    stages
        Channels of each convolution, stage by stage; their activations are ``block<stage>.relu<number>``.
    hidden
        Widths of the hidden dense layers, whose activations are ``classifier.relu<number>``.
    shape, classes
        (channels, height, width) of an image and the number of classes.
    norm
        Whether batch normalisation follows each convolution.
    dropout
        Probability of dropping an input of a hidden dense layer in training; 0 leaves dropout out.
    """
    channels, height, width = shape
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, widths in enumerate(stages, start=1):
        blocks[f"block{stage}"] = _block(channels, widths, norm=norm)
        channels, height, width = widths[-1], height // 2, width // 2
    blocks["classifier"] = _classifier(channels * height * width, hidden, classes, dropout)
    return initialise(nn.Sequential(blocks))


def vgg9_digits(shape: Shape, classes: int, width: float) -> nn.Sequential:
    """Build a VGG of six convolutions and three dense layers for 8 × 8 grey digits."""
    if shape != (1, 8, 8):
        refuse_shape("vgg9-digits", "(1, 8, 8), as scikit-learn's digits have it", shape, "take 'vgg11-bn'")
    stages = [scaled(widths, width) for widths in ((16, 16), (32, 32), (64, 64))]
    return vgg(stages=stages, hidden=scaled((64, 64), width), shape=shape, classes=classes)


def cifar_vgg(depth: int, shape: Shape, classes: int, width: float, *, norm: bool) -> nn.Sequential:
    """Build a VGG in its CIFAR form: two hidden dense layers of 512 units, with dropout before each."""
    if any(size < 32 or size % 32 for size in shape[1:]):
        refuse_shape(
            f"vgg{depth}{'-bn' if norm else ''}",
            "(channels, height, width) with height and width multiples of 32 (five poolings halve them)",
            shape,
            "pad or resize the images",
        )
    stages = [
        scaled([channels] * count, width)
        for channels, count in zip(_CHANNELS, _CONVOLUTIONS[depth], strict=True)
    ]
    return vgg(
        stages=stages,
        hidden=scaled(_HIDDEN, width),
        shape=shape,
        classes=classes,
        norm=norm,
        dropout=0.5,
    )


def _block(channels: int, widths: Sequence[int], *, norm: bool) -> nn.Sequential:
    block: OrderedDict[str, nn.Module] = OrderedDict()
    for number, width in enumerate(widths, start=1):
        # a bias before batch normalisation would be subtracted again
        block[f"conv{number}"] = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=not norm)
        if norm:
            block[f"norm{number}"] = nn.BatchNorm2d(width)
        block[f"relu{number}"] = nn.ReLU()
        channels = width
    block["pool"] = nn.MaxPool2d(2)
    return nn.Sequential(block)


def _classifier(features: int, hidden: Sequence[int], classes: int, dropout: float) -> nn.Sequential:
    classifier: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number, width in enumerate(hidden, start=1):
        if dropout:
            classifier[f"drop{number}"] = nn.Dropout(dropout)
        classifier[f"fc{number}"] = nn.Linear(features, width)
        classifier[f"relu{number}"] = nn.ReLU()
        features = width
    classifier["logits"] = nn.Linear(features, classes)
    return nn.Sequential(classifier)
