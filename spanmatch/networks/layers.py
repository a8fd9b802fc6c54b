"""The layers of a network, the choice among them, and the dimension of their neurons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, NoReturn

import torch

from spanmatch.errors import InputValueError, unknown_name
from spanmatch.networks.axes.axis import Arrangement, Dims, arranged, dim, kind_of, size_of
from spanmatch.patterns import answering, is_pattern

DEFAULT = "default"
"""The outputs of every activation function."""

_MASK = "say which positions count with the `mask` of the data set, or leave it out"

Neurons = Literal["last"] | int
"""Which dimension of a layer's output is the neurons, the images' being 0."""

Wanted = str | tuple[str, Neurons | None]
"""Layers by name or pattern, with the dimension that is the neurons where somebody says it."""

# Two images tell a dimension of images from one of size 1.
PROBE_IMAGES = 2
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
    is_padded
        Whether the problem is that it cannot be told which positions are padding.
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
    is_padded: bool = False

    @property
    def described(self) -> str:
        """The output's shape for people, with what is neurons; or why there are no activations."""
        return self.described_of("samples")

    def described_of(self, items: str) -> str:
        """Return the same of samples that are called so."""
        if self.arrangement is None:
            return self.problem
        sizes = []
        for place, size in enumerate(self.arrangement.shape):
            samples = [items] if place == self.arrangement.images else []
            number = [] if samples and size == 1 else [str(size)]
            neurons = " neurons" if place in self.arrangement.of_neurons else ""
            sizes.append(" · ".join([*samples, *number]) + neurons)
        return ", ".join(sizes)

    @property
    def positions(self) -> int:
        """How many positions one image gives, 0 where there is a problem."""
        return 0 if self.arrangement is None else self.arrangement.positions

    @property
    def map(self) -> tuple[int, ...]:
        """Sizes of the dimensions that are positions, in order; none where there is one or a problem."""
        return () if self.arrangement is None else self.arrangement.map

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
            "`layers` must give tensors of samples and neurons, with positions or without, but "
            f"{layer!r} gives {problem}; {remedy}"
        )
        self.layer = layer


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
        which it cannot be told which dimension is the neurons, and one may be.
    ValueError
        If a name is unknown (the message gives the nearest), or nothing answers to a pattern.
    """
    entries = [(entry, None) if isinstance(entry, str) else entry for entry in wanted]
    names = {layer.name for layer in layers}
    chosen: dict[str, Layer] = {}
    left_out: dict[str, str] = {}
    for name, neurons in sorted(entries, key=lambda entry: entry[0] in names):  # a name after patterns
        found = [as_said(layer, neurons) for layer in _answering(layers, name)]
        if name in names:
            found = [usable(layer) for layer in found]
        elif name == DEFAULT:
            found = [usable(layer) if _is_unclear(layer) or layer.is_padded else layer for layer in found]
        left_out |= {layer.name: layer.problem for layer in found if layer.problem}
        chosen |= {layer.name: layer for layer in found if not layer.problem}
        if not found:
            _refuse(layers, name)
        if not any(layer.name in chosen for layer in found):
            usable(found[0])
    return Chosen(
        tuple(chosen[layer.name] for layer in layers if layer.name in chosen),
        {name: problem for name, problem in left_out.items() if name not in chosen},
    )


def as_said(layer: Layer, neurons: Neurons | None) -> Layer:
    """Return a layer with its neurons in the dimension where somebody says they are."""
    if neurons is None or layer.dims is None:
        return layer
    dims = _with_images(layer.dims)
    ndim = len(dims)
    place = ndim - 1 if neurons == "last" else neurons + ndim if neurons < 0 else neurons
    if not 0 <= place < ndim or kind_of(dims[place]) == "images":
        raise InputValueError(
            f"`neurons` of layer {layer.name!r} must be one of its {ndim} dimensions, counted from 0, that "
            f"is not the samples', got {neurons!r}"
        )
    return with_arrangement(replace(layer, said=neurons), arranged(dims, neurons=place))


def _with_images(dims: Dims) -> Dims:
    """Return dimensions of which the first is the images where it cannot be told which is, and it may be."""
    reordered = any(axis.is_reordered for axis in dims[0])
    if size_of(dims[0]) != PROBE_IMAGES or reordered or any(kind_of(axes) == "images" for axes in dims):
        return dims
    return (dim(PROBE_IMAGES, "images"), *dims[1:])


def _can_be_said(layer: Layer) -> bool:
    """Tell whether a layer is one if somebody says what its neurons are: its images are known."""
    return layer.dims is not None and any(kind_of(axes) == "images" for axes in _with_images(layer.dims))


def _is_unclear(layer: Layer) -> bool:
    """Tell whether a layer may have neurons: not where all beside the images are known to be positions."""
    others = {kind_of(axes) for axes in layer.dims or ()} - {"images"}
    return _can_be_said(layer) and others != {"positions"}


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
        remedy = _REMEDY if _can_be_said(layer) else _MASK if layer.is_padded else "leave it out"
        raise UnusableLayerError(layer.name, layer.problem, remedy)
    return layer


def known_layer(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer of a name.

    Raises
    ------
    ValueError
        If there is none; the message gives the nearest name.
    """
    by_name = {layer.name: layer for layer in layers}
    if name not in by_name:
        raise unknown_name("layers", name, by_name)
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
        problem = (
            f"a tensor of shape {tuple(output.shape)} for {images} samples, and another shape for others"
        )
        raise UnusableLayerError(layer.name, problem)
    split = output.reshape([size or images for size in arrangement.sizes])
    return split.permute(arrangement.order).reshape(images, arrangement.positions, arrangement.neurons)


def _answering(layers: Sequence[Layer], name: str) -> list[Layer]:
    if name == DEFAULT:
        return [layer for layer in layers if layer.is_activation]
    names = answering(name, [layer.name for layer in layers])
    if not names and not is_pattern(name):
        return [known_layer(layers, name)]  # which says that there is none
    return [layer for layer in layers if layer.name in names]


def _refuse(layers: Sequence[Layer], name: str) -> NoReturn:
    rule = f"a pattern that some layer answers to, out of: {', '.join(layer.name for layer in layers)}"
    if name == DEFAULT:
        rule = "the outputs of activation functions, of which the network has none"
    message = f"`layers` must be names, or {rule}; got {name!r}"
    raise InputValueError(message)


def with_arrangement(layer: Layer, found: Arrangement | str) -> Layer:
    """Return a layer with what was found of how its output is arranged, or why that cannot be told."""
    assert layer.dims is not None
    if isinstance(found, str):
        shape = tuple(map(size_of, layer.dims))
        return replace(layer, output=(), arrangement=None, problem=f"a tensor of shape {shape}, {found}")
    output = tuple(size for place, size in enumerate(found.shape) if place != found.images or size > 1)
    return replace(layer, output=output, arrangement=found, problem="")
