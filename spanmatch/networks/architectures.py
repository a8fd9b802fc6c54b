"""Architectures by name.

Apart from training because extraction rebuilds a network from its name and weights alone.
"""

import math
import re

from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import check_architecture, is_factory
from spanmatch.networks.factories import from_factory, imagenet
from spanmatch.networks.resnet import cifar_resnet, projected_resnet
from spanmatch.networks.scaling import Shape
from spanmatch.networks.vgg import cifar_vgg, vgg9_digits

_NAME = re.compile(r"(?P<family>[a-z]+)(?P<depth>\d+)(?P<norm>-bn)?")


def build(architecture: str, shape: tuple[int, ...], classes: int, width: float = 1.0) -> nn.Module:
    """Build the untrained network of an architecture; its weights come from torch's generator.

    Parameters
    ----------
    architecture
        A name out of `catalogue.ARCHITECTURE_NAMES`, or ``package.module:factory`` for one's own: the
        factory is imported and called, with `classes` and `shape` as keywords where its signature names
        them.
    shape
        (channels, height, width) of an image.
    classes
        Number of classes that the network tells apart.
    width
        Multiplies the number of channels of every layer, rounded. Only 1 for ImageNet forms and factories.

    Parameters
    ----------
    architecture
        One of `ARCHITECTURES`.
    shape, classes, width
        Shape of an image, number of classes, and what multiplies the number of channels.

    Raises
    ------
    ValueError
        If the name is unknown, the images do not fit, the width cannot be had, or a factory fails.
    """
    _check(architecture, shape, classes, width)
    channels, rows, columns = shape
    if is_factory(architecture):
        return from_factory(architecture, (channels, rows, columns), classes)
    if architecture.endswith("-imagenet"):
        return imagenet(architecture, (channels, rows, columns), classes)
    return _by_family(architecture, (channels, rows, columns), classes, width)


def _check(architecture: str, shape: tuple[int, ...], classes: int, width: float) -> None:
    check_architecture(architecture)
    if len(shape) != 3 or min(shape) < 1:
        message = f"`shape` must be (channels, height, width) of an image, got {shape}"
        raise InputValueError(message)
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


def _by_family(architecture: str, shape: Shape, classes: int, width: float) -> nn.Module:
    if architecture == "vgg9-digits":
        return vgg9_digits(shape, classes, width)
    name = _NAME.fullmatch(architecture)
    assert name is not None
    family, depth = name["family"], int(name["depth"])
    if family == "vgg":
        return cifar_vgg(depth, shape, classes, width, norm=name["norm"] is not None)
    if architecture in {"resnet18", "resnet34"}:
        return projected_resnet(depth, shape, classes, width)
    return cifar_resnet(depth, shape, classes, width, shortcuts=family == "resnet")
