"""Which layers a network has, and which of them are wanted.

Apart from their values because a study's layers are chosen, and refused, before anything is trained.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.forward import Forward, faithful, forward_of
from spanmatch.networks.sites import Site

DEFAULT = "default"
"""The outputs of every activation function."""

# Two images tell a dimension of images from one of size 1.
_PROBE_IMAGES = 2


@dataclass(frozen=True)
class Layer:
    """A layer: one call of a module or function in the forward pass.

    Attributes
    ----------
    name
        As torchvision's feature extraction names it; calls of one module are told apart.
    kind
        Class of the module, or name of the function.
    is_activation
        Whether that is an activation function.
    output
        Shape of the output for one image; empty where `problem` is not.
    positions, neurons
        How many one image gives: a convolution's channels are its neurons and its map the positions; a
        dense layer has one position; a token model has one for each token. 0 where `problem` is not empty.
    problem
        Why the layer has no activations, otherwise empty.
    """

    name: str
    kind: str
    is_activation: bool
    output: tuple[int, ...]
    positions: int
    neurons: int
    problem: str = ""


class UnusableLayerError(InputValueError):
    """A layer's output is no tensor of activations. ``layer`` names it."""

    def __init__(self, layer: str, problem: str) -> None:
        super().__init__(
            f"`layers` must give tensors (images, neurons), (images, tokens, neurons) or "
            f"(images, neurons, height, width), but {layer!r} gives {problem}; leave it out"
        )
        self.layer = layer


def list_layers(network: nn.Module, shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """Return the layers of a network in the order of its forward pass.

    Two images of noise pass through the network. A network that torch.fx cannot trace is seen through hooks:
    then layers are modules, whole blocks included, and activation functions.

    Parameters
    ----------
    network
        Set to evaluation here.
    shape
        (channels, height, width) of an image, or whatever else one input of the network is.

    Raises
    ------
    ValueError
        If the network does not take such images.
    """
    weights = next(network.parameters(), None)
    return probe(network, shape, torch.device("cpu") if weights is None else weights.device)[1]


def probe(
    network: nn.Module, shape: tuple[int, ...], device: torch.device
) -> tuple[Forward, tuple[Layer, ...]]:
    """Return a network's forward pass with the layers that it shows."""
    noise = torch.randn(_PROBE_IMAGES, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    layers: list[Layer] = []

    def note(site: Site, output: object) -> None:
        layers.append(_layer(site, output))

    with faithful(), torch.inference_mode():
        forward = forward_of(network, noise)
        forward(noise, note)
    return forward, tuple(layers)


def choose(layers: Sequence[Layer], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the layers that are wanted, in the order of the forward pass.

    Parameters
    ----------
    layers
        All there are, by `list_layers`.
    wanted
        Names, patterns with ``*``, ``?`` or ``[…]``, and ``default``: the outputs of every activation
        function. Patterns and ``default`` pass over what has no
        activations.

    Raises
    ------
    UnusableLayerError
        If a named layer has no activations.
    ValueError
        If a name is unknown (the message gives the nearest), or nothing answers to a pattern.
    """
    chosen: set[str] = set()
    for name in wanted:
        chosen.update(_answering(layers, name))
    return tuple(layer.name for layer in layers if layer.name in chosen)


def layout_problem(output: object, images: int) -> str:
    """Say what a layer's output is if it is not a tensor of activations; otherwise nothing."""
    if not isinstance(output, torch.Tensor):
        return f"{type(output).__name__}, which is no tensor"
    if output.ndim not in {2, 3, 4}:
        return f"a tensor of shape {tuple(output.shape)}"
    if output.shape[0] != images:
        return f"a tensor of shape {tuple(output.shape)}, whose first dimension is not the {images} images"
    if not output.is_floating_point():
        return f"a tensor of {str(output.dtype).removeprefix('torch.')}"
    return f"an empty tensor of shape {tuple(output.shape)}" if output.numel() == 0 else ""


def by_position(output: torch.Tensor) -> torch.Tensor:
    """Return a view of a layer's output as (images, positions, neurons)."""
    if output.ndim == 4:
        return output.flatten(start_dim=2).movedim(1, 2)
    return output.unsqueeze(1) if output.ndim == 2 else output


def known_layer(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer of a name.

    Raises
    ------
    UnusableLayerError
        If it has no activations.
    ValueError
        If there is none; the message gives the nearest name.
    """
    by_name = {layer.name: layer for layer in layers}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        message = f"`layers` must be one of: {', '.join(by_name)}; got {name!r}; {guess}".rstrip("; ")
        raise InputValueError(message)
    if by_name[name].problem:
        raise UnusableLayerError(name, by_name[name].problem)
    return by_name[name]


def _answering(layers: Sequence[Layer], name: str) -> list[str]:
    usable = [layer for layer in layers if not layer.problem]
    if name == DEFAULT:
        found = [layer.name for layer in usable if layer.is_activation]
        rule = "the outputs of activation functions, of which the network has none"
    elif any(sign in name for sign in "*?[") and all(layer.name != name for layer in layers):
        found = [layer.name for layer in usable if fnmatchcase(layer.name, name)]
        rule = f"a pattern that some layer answers to, out of: {', '.join(layer.name for layer in usable)}"
    else:
        return [known_layer(layers, name).name]
    if not found:
        message = f"`layers` must be names, or {rule}; got {name!r}"
        raise InputValueError(message)
    return found


def _layer(site: Site, output: object) -> Layer:
    problem = layout_problem(output, _PROBE_IMAGES)
    if problem or not isinstance(output, torch.Tensor):
        return Layer(site.name, site.kind, site.is_activation, (), 0, 0, problem)
    _, positions, neurons = by_position(output).shape
    return Layer(site.name, site.kind, site.is_activation, tuple(output.shape[1:]), positions, neurons)
