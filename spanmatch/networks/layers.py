"""Which layers a network has, which of them are wanted, and where their neurons are."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod
from typing import Literal, NamedTuple, NoReturn

import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.axes.axis import Arrangement, Dims, arranged, kind_of, size_of
from spanmatch.networks.axes.tracking import AxisTracking
from spanmatch.networks.forward import Calls, Forward, faithful, taking
from spanmatch.networks.padding import padding_problem
from spanmatch.networks.sites import Site, bends, is_torchs_own

DEFAULT = "default"
"""The outputs of every activation function."""

Neurons = Literal["last"] | int
"""Which dimension of a layer's output is the neurons, the images' being 0."""

Wanted = str | tuple[str, Neurons | None]
"""Layers by name or pattern, with the dimension that is the neurons where somebody says it."""

# Two images tell a dimension of images from one of size 1.
_PROBE_IMAGES = 2
_REMEDY = (
    "say which with `neurons` beside its name in `layers`, such as {name: NAME, neurons: last}, or leave it "
    "out"
)


@dataclass(frozen=True)
class Layer:
    """A layer: one call of a module or function in the forward pass.

    Attributes
    ----------
    name
        A module's own name; calls of one module, and functions, are told apart.
    kind
        Class of the module, or name of the function.
    is_activation
        Whether that is an activation function.
    output
        Shape of the output for one image, the images' dimension left out; empty where `problem` is not.
    arrangement
        How the output becomes (images, positions, neurons); None where `problem` is not empty.
    problem
        Why the layer has no activations, otherwise empty.
    size
        How many numbers the output has for one image; 0 where it is no tensor.
    dims
        What the dimensions of the output stand for, of as many images as the layers were looked at with.
    said
        The dimension that is the neurons, where somebody has said it.
    also
        Another name that it answers to: its module is in several places of the network.
    """

    name: str
    kind: str
    is_activation: bool
    output: tuple[int, ...]
    arrangement: Arrangement | None
    problem: str = ""
    size: int = 0
    dims: Dims | None = field(default=None, repr=False, compare=False)
    said: Neurons | None = None
    also: str = ""

    @property
    def described(self) -> str:
        """The output's shape for people, with what is neurons; or why there are no activations."""
        if self.arrangement is None:
            return self.problem
        sizes = []
        for place, size in enumerate(self.arrangement.shape):
            images = ["images"] if place == self.arrangement.images else []
            number = [] if images and size == 1 else [str(size)]
            neurons = " neurons" if place in self.arrangement.of_neurons else ""
            sizes.append(" · ".join([*images, *number]) + neurons)
        return ", ".join(sizes)

    @property
    def positions(self) -> int:
        """How many positions one image gives, 0 where there is a problem."""
        return 0 if self.arrangement is None else self.arrangement.positions

    @property
    def neurons(self) -> int:
        """How many neurons there are, 0 where there is a problem."""
        return 0 if self.arrangement is None else self.arrangement.neurons


class Chosen(NamedTuple):
    """Layers that were chosen, in the order of the forward pass, and what a pattern has passed over.

    Attributes
    ----------
    layers
        With the arrangement that was asked for.
    left_out
        Names of layers that a pattern or ``default`` answers to but that have no activations, with why.
    """

    layers: tuple[Layer, ...]
    left_out: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers that were chosen."""
        return tuple(layer.name for layer in self.layers)


class UnusableLayerError(InputValueError):
    """A layer's output is no tensor of activations. ``layer`` names it."""

    def __init__(self, layer: str, problem: str, remedy: str = "leave it out") -> None:
        super().__init__(
            "`layers` must give tensors of images and neurons, with positions or without, but "
            f"{layer!r} gives {problem}; {remedy}"
        )
        self.layer = layer


def list_layers(network: nn.Module, shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """Return the layers of a network in the order of its forward pass.

    Two images of noise pass through the network, and each operation is watched: a convolution's channels are
    its neurons and its map the positions, a dense layer's units its neurons, and what comes after is followed
    through every change of shape (`spanmatch.networks.axis_rules`).

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
    forward = Forward(network)
    seen: list[tuple[Site, str, tuple[int, ...], Dims | None]] = []
    operations: dict[nn.Module, dict[str, bool]] = {}

    def note(site: Site, output: object) -> None:
        dims = tracking.dims(output) if isinstance(output, torch.Tensor) else None
        if dims is not None or not site.is_function:  # a function of no image is no layer
            seen.append((site, layout_problem(output), tuple(getattr(output, "shape", ())), dims))

    def operated(name: str, pointwise: bool) -> None:
        for module in calls.entered:
            known = operations.setdefault(module, {})
            known[name] = pointwise and known.get(name, True)

    calls = Calls(forward, note)
    with faithful(), torch.no_grad():
        tracking = AxisTracking(noise, operated)
        with taking(shape), calls.watched(), tracking:
            network(noise)
    own = {module for module, known in operations.items() if not is_torchs_own(module) and bends(known)}
    within = {inner for module in own for inner in module.modules() if inner is not module}
    forward.activations = (forward.activations | own) - within
    layers = []
    for site, problem, shape, dims in seen:
        if not (site.is_function and site.module in own | within):
            is_activation = site.is_activation if site.is_function else site.module in forward.activations
            here = replace(site, is_activation=is_activation)
            layers.append(_layer(here, problem, shape, dims, calls.counts))
    return forward, tuple(layers)


def choose(layers: Sequence[Layer], wanted: Sequence[Wanted]) -> Chosen:
    """Return the layers that are wanted.

    Parameters
    ----------
    layers
        All there are, by `list_layers`.
    wanted
        Names, patterns with ``*``, ``?`` or ``[…]``, and ``default``: the outputs of every activation
        function. Patterns and ``default`` pass over what has no activations. What is said of the neurons
        beside a name holds for that layer, beside a pattern for all that answer to it and are not named.

    Raises
    ------
    UnusableLayerError
        If a named layer has no activations, or one that answers to ``default`` is an activation function of
        which it cannot be told which dimension is the neurons.
    ValueError
        If a name is unknown (the message gives the nearest), or nothing answers to a pattern.
    """
    entries = [(entry, None) if isinstance(entry, str) else entry for entry in wanted]
    names = {name for layer in layers for name in (layer.name, layer.also) if name}
    chosen: dict[str, Layer] = {}
    left_out: dict[str, str] = {}
    for name, neurons in sorted(entries, key=lambda entry: entry[0] in names):  # a name after patterns
        found = [as_said(layer, neurons) for layer in _answering(layers, name)]
        if name in names:
            found = [usable(layer) for layer in found]
        elif name == DEFAULT:
            found = [usable(layer) if layer.dims is not None else layer for layer in found]
        left_out |= {layer.name: layer.problem for layer in found if layer.problem}
        chosen |= {layer.name: layer for layer in found if not layer.problem}
        if not any(layer.name in chosen for layer in found):
            _refuse(layers, name)
    return Chosen(
        tuple(chosen[layer.name] for layer in layers if layer.name in chosen),
        {name: problem for name, problem in left_out.items() if name not in chosen},
    )


def as_said(layer: Layer, neurons: Neurons | None) -> Layer:
    """Return a layer with its neurons in the dimension where somebody says they are."""
    if neurons is None or layer.dims is None:
        return layer
    ndim = len(layer.dims)
    place = ndim - 1 if neurons == "last" else neurons + ndim if neurons < 0 else neurons
    if not 0 <= place < ndim or kind_of(layer.dims[place]) == "images":
        raise InputValueError(
            f"`neurons` of layer {layer.name!r} must be one of its {ndim} dimensions, counted from 0, that "
            f"is not the images', got {neurons!r}"
        )
    return _arranged(replace(layer, said=neurons), arranged(layer.dims, neurons=place))


def as_if_said(layers: Sequence[Layer], neurons: Mapping[str, Neurons]) -> tuple[Layer, ...]:
    """Return layers with their neurons in the dimensions that somebody says of some, by their names."""
    return tuple(as_said(layer, neurons.get(layer.name)) for layer in layers)


def usable(layer: Layer) -> Layer:
    """Return a layer, or say why it has no activations.

    Raises
    ------
    UnusableLayerError
        If it has none.
    """
    if layer.problem:
        raise UnusableLayerError(layer.name, layer.problem, _REMEDY if layer.dims else "leave it out")
    return layer


def known_layer(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer of a name.

    Raises
    ------
    ValueError
        If there is none; the message gives the nearest name.
    """
    by_name = {layer.also: layer for layer in layers if layer.also} | {layer.name: layer for layer in layers}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        message = f"`layers` must be one of: {', '.join(by_name)}; got {name!r}; {guess}".rstrip("; ")
        raise InputValueError(message)
    return by_name[name]


def layout_problem(output: object) -> str:
    """Say what a layer's output is if it is not a tensor of activations; otherwise nothing."""
    if not isinstance(output, torch.Tensor):
        return f"{type(output).__name__}, which is no tensor"
    if output.ndim < 2:
        return f"a tensor of shape {tuple(output.shape)}"
    if not output.is_floating_point():
        return f"a tensor of {str(output.dtype).removeprefix('torch.')}"
    return f"an empty tensor of shape {tuple(output.shape)}" if output.numel() == 0 else ""


def by_position(layer: Layer, output: object, images: int) -> torch.Tensor:
    """Return a layer's output for some images as (images, positions, neurons), a view where that is possible.

    Raises
    ------
    UnusableLayerError
        If it is not what the layer was found to give.
    """
    arrangement = layer.arrangement
    problem = layout_problem(output)
    if problem or not isinstance(output, torch.Tensor) or arrangement is None:
        raise UnusableLayerError(layer.name, problem or layer.problem)
    if not arrangement.fits(output.shape, images):
        problem = f"a tensor of shape {tuple(output.shape)} for {images} images, and another shape for others"
        raise UnusableLayerError(layer.name, problem)
    split = output.reshape([size or images for size in arrangement.sizes])
    return split.permute(arrangement.order).reshape(images, arrangement.positions, arrangement.neurons)


def _answering(layers: Sequence[Layer], name: str) -> list[Layer]:
    if name == DEFAULT:
        return [layer for layer in layers if layer.is_activation]
    if any(sign in name for sign in "*?[") and all(layer.name != name for layer in layers):
        return [layer for layer in layers if fnmatchcase(layer.name, name)]
    return [known_layer(layers, name)]


def _refuse(layers: Sequence[Layer], name: str) -> NoReturn:
    rule = f"a pattern that some layer answers to, out of: {', '.join(layer.name for layer in layers)}"
    if name == DEFAULT:
        rule = "the outputs of activation functions, of which the network has none"
    message = f"`layers` must be names, or {rule}; got {name!r}"
    raise InputValueError(message)


def _layer(
    site: Site, problem: str, shape: tuple[int, ...], dims: Dims | None, padded: Collection[int]
) -> Layer:
    """Return the layer of a place, once the whole pass has shown what dimensions stand for."""
    size = prod(shape) // _PROBE_IMAGES
    layer = Layer(site.name, site.kind, site.is_activation, (), None, problem, size, also=site.also)
    if problem:
        return layer
    if dims is None:
        problem = f"a tensor of shape {shape} that does not depend on the images, as far as can be seen"
        return replace(layer, problem=problem)
    layer = _arranged(replace(layer, dims=dims), arranged(dims))
    if problem := padding_problem(layer.positions, padded):
        return replace(layer, output=(), arrangement=None, problem=problem, dims=None)
    return layer


def _arranged(layer: Layer, found: Arrangement | str) -> Layer:
    """Return a layer with what was found of how its output is arranged, or why that cannot be told."""
    assert layer.dims is not None
    if isinstance(found, str):
        shape = tuple(map(size_of, layer.dims))
        return replace(layer, output=(), arrangement=None, problem=f"a tensor of shape {shape}, {found}")
    output = tuple(size for place, size in enumerate(found.shape) if place != found.images or size > 1)
    return replace(layer, output=output, arrangement=found, problem="")
