"""Image shapes, widths, and He initialisation, which all families of architectures share."""

from collections.abc import Sequence
from typing import NoReturn, TypeVar

from torch import nn

from spanmatch.errors import InputValueError

Shape = tuple[int, int, int]
"""(channels, height, width) of one image."""

Network = TypeVar("Network", bound=nn.Module)


def scaled(channels: Sequence[int], width: float) -> list[int]:
    """Return numbers of channels times `width`, rounded, each at least 1."""
    return [max(1, round(number * width)) for number in channels]


def initialise(network: Network) -> Network:
    """Give a network He's initialisation for ReLU, drawn from torch's generator; return it."""
    network.apply(_initialise)
    return network


def refuse_shape(architecture: str, rule: str, shape: Sequence[int], remedy: str) -> NoReturn:
    """Raise the error for images that an architecture does not take."""
    message = f"`shape` of the images for {architecture!r} must be {rule}; got {tuple(shape)}; {remedy}"
    raise InputValueError(message)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)
