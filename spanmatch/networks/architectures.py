"""Networks built from the name of an architecture."""

import math
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import (
    CIFAR_DEPTHS,
    PROJECTED_DEPTHS,
    TRANSFORMER_DEPTHS,
    VGG_DEPTHS,
    check_architecture,
    is_factory,
)
from spanmatch.networks.factories import from_factory, imagenet
from spanmatch.networks.resnet import cifar_resnet, projected_resnet
from spanmatch.networks.scaling import Shape
from spanmatch.networks.transformer import transformer
from spanmatch.networks.vgg import cifar_vgg, vgg9_digits

Builder: TypeAlias = Callable[[tuple[int, ...], int, float], nn.Module]
"""A function of the shape of a sample, classes and width."""
_ImageBuilder: TypeAlias = Callable[[Shape, int, float], nn.Module]

_OF_IMAGES: dict[str, _ImageBuilder] = {
    "vgg9-digits": vgg9_digits,
    **{f"vgg{depth}": partial(cifar_vgg, depth, norm=False) for depth in VGG_DEPTHS},
    **{f"vgg{depth}-bn": partial(cifar_vgg, depth, norm=True) for depth in VGG_DEPTHS},
    **{f"resnet{depth}": partial(projected_resnet, depth) for depth in PROJECTED_DEPTHS},
    **{f"resnet{depth}": partial(cifar_resnet, depth, shortcuts=True) for depth in CIFAR_DEPTHS},
    **{f"plain{depth}": partial(cifar_resnet, depth, shortcuts=False) for depth in CIFAR_DEPTHS},
}


def _taking_images(
    architecture: str, builder: _ImageBuilder, shape: tuple[int, ...], classes: int, width: float
) -> nn.Module:
    return builder(_of_image(architecture, shape), classes, width)


BUILDERS: dict[str, Builder] = {
    **{name: partial(_taking_images, name, builder) for name, builder in _OF_IMAGES.items()},
    **{f"transformer{depth}": partial(transformer, depth) for depth in TRANSFORMER_DEPTHS},
}
"""By name, without ImageNet forms."""


def build(architecture: str, shape: tuple[int, ...], classes: int, width: float = 1.0) -> nn.Module:
    """Build the untrained network of an architecture; its weights come from torch's generator.

    Parameters
    ----------
    architecture
        A name out of `catalogue.ARCHITECTURE_NAMES`, or ``package.module:factory`` for one's own: the
        factory is imported and called, with `classes` and `shape` as keywords where its signature names
        them.
    shape
        Shape of one image, (channels, height, width); of a sequence of tokens, (length,); for a factory of
        any sample.
    classes
        Number of classes that the network tells apart; of tokens, the size of the vocabulary.
    width
        Multiplies the number of channels of every layer, or of a transformer's heads, rounded. Only 1 for
        ImageNet forms and factories.

    Raises
    ------
    ValueError
        If the name is unknown, the images do not fit, the width cannot be had, or a factory fails.
    """
    _check(architecture, shape, classes, width)
    if is_factory(architecture):
        return from_factory(architecture, shape, classes)
    if architecture.endswith("-imagenet"):
        return imagenet(architecture, _of_image(architecture, shape), classes)
    return BUILDERS[architecture](shape, classes, width)


def _of_image(architecture: str, shape: tuple[int, ...]) -> Shape:
    if len(shape) != 3:
        message = (
            f"`shape` must be (channels, height, width) of an image for {architecture!r}, got {shape}; name "
            "a factory of your own, package.module:factory, for data of another shape"
        )
        raise InputValueError(message)
    channels, rows, columns = shape
    return channels, rows, columns


def _check(architecture: str, shape: tuple[int, ...], classes: int, width: float) -> None:
    check_architecture(architecture)
    if min(shape, default=1) < 1:
        raise InputValueError(f"`shape` must hold positive sizes, got {shape}; give data that is not empty")
    if classes < 1:
        message = f"`classes` must be at least 1, got {classes}"
        raise InputValueError(message)
    if not (math.isfinite(width) and width > 0):
        message = f"`width` must be a positive number, got {width}"
        raise InputValueError(message)
    if width != 1 and (is_factory(architecture) or architecture.endswith("-imagenet")):
        message = (
            f"`width` must be 1 for {architecture!r}, got {width}; take an architecture in CIFAR form, or a "
            "factory that builds the width itself"
        )
        raise InputValueError(message)
