"""One pass of a network over some samples, and what is taken of its layers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.networks.forward import Forward
from spanmatch.networks.layers import Layer, UnusableLayerError, by_position
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.padding import Counts, counting, padding_problem
from spanmatch.networks.positions import Positions, select_positions
from spanmatch.networks.precision import StoredDtype
from spanmatch.networks.sites import Site

Activations = NDArray[Any]
"""Of one of the dtypes that activations are kept in."""
Take = Callable[[Layer, object, Sequence[str], Counts], Activations]
"""Makes an array of a layer's output for samples of such ids, of whose positions so many count."""


class Passed(NamedTuple):
    """What was taken of a pass, and what the network has told its layers of padding.

    Attributes
    ----------
    taken
        By layer.
    told
        By the number of positions: which of them count, (samples, positions); nothing where a mask was given.
    """

    taken: dict[str, Activations]
    told: Counts


class NonFiniteActivationsError(InputValueError):
    """A layer gave NaN or infinity. ``layer`` names it."""

    def __init__(self, layer: str) -> None:
        super().__init__(layer)
        self.layer = layer

    def __str__(self) -> str:
        return f"layer {self.layer!r} gave NaN or infinity"


class Float16OverflowError(InputValueError):
    """A layer's activations are finite, but too large for float16. ``layer`` names it."""

    def __init__(self, layer: str, largest: float) -> None:
        super().__init__(
            f"`dtype` must be 'float32' for layer {layer!r}: it gave {largest:.3g}, and float16 ends at 65504"
        )
        self.layer = layer


@dataclass(frozen=True)
class Taking:
    """How a layer's output becomes an array in the host's memory."""

    positions: Positions
    position_seed: int
    dtype: StoredDtype

    def __call__(self, layer: Layer, output: object, image_ids: Sequence[str], counts: Counts) -> Activations:
        """Return the activations of a layer's output, (images, positions, neurons), NaN where none counts.

        Raises
        ------
        UnusableLayerError, NonFiniteActivationsError, Float16OverflowError
            If they cannot be had.
        """
        arranged = by_position(layer, output, len(image_ids))
        assert isinstance(output, torch.Tensor)
        counted = counting(counts, arranged.shape[1])
        kept = getattr(torch, self.dtype)
        precision = torch.promote_types(kept, torch.float32)
        values = select_positions(
            arranged, self.positions, image_ids, self.position_seed, counted, precision=precision
        )
        seen = output if counted is None else arranged[counted]
        if self.positions == "mean" and counted is None:
            seen = values  # a mean is finite only if all positions are
        low, high = _range(seen)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise NonFiniteActivationsError(layer.name)
        # always a copy, since the next operation may work in place, and one in the order of memory: laying
        # neurons out last here would take five times as long, and whoever stores them copies them anyway
        array: Activations = values.to("cpu", kept, copy=True).numpy()
        largest = max(-low, high)
        if largest > float(np.finfo(array.dtype).max) and np.isinf(array).any():
            raise Float16OverflowError(layer.name, largest)
        return array


def passed(
    forward: Forward,
    layers: Mapping[str, Layer],
    inputs: Inputs,
    ids: Sequence[str],
    take: Take,
    *,
    mask: NDArray[np.bool_] | None = None,
    on_layer: Callable[[str, Activations], None] = lambda _layer, _values: None,
) -> Passed:
    """Pass samples through a network, which may work on them in place; return what is taken of each layer.

    Parameters
    ----------
    forward
        The network.
    layers
        As `probe` found them, by name.
    inputs
        What the network takes, on its device.
    ids
        Of the samples.
    take
        What is taken.
    mask
        (samples, positions): which positions count, of layers with as many; None where it is left to the
        network to say.
    on_layer
        Called with a layer's name and what was taken, as soon as it is there.
    """
    taken: dict[str, Activations] = {}
    held: dict[str, object] = {}  # until the network has told its layers which positions are padding
    told_of_padding = mask is None and bool(forward.told_of_padding)
    known: Counts = {}
    if mask is not None:
        known = {mask.shape[1]: torch.tensor(mask, device=inputs.tensors[0].device)}

    def took(name: str, output: object, counts: Counts) -> None:
        taken[name] = take(layers[name], output, ids, counts)
        on_layer(name, taken[name])

    def keep(site: Site, output: object) -> None:
        if site.name in layers and told_of_padding:
            held[site.name] = output.clone() if isinstance(output, torch.Tensor) else output
        elif site.name in layers:
            took(site.name, output, known)

    told = forward(inputs, keep, until=None if told_of_padding else layers)
    for name, output in held.items():
        if problem := padding_problem(layers[name].positions, told):
            raise UnusableLayerError(name, problem)
        took(name, output, told.counts)
    return Passed(taken, told.counts if told_of_padding else {})


def neurons_last(values: Activations) -> Activations:
    """Lay out activations so that neurons are neighbours in memory, which torch does on all threads."""
    laid_out: Activations = torch.from_numpy(values).contiguous().numpy()
    return laid_out


def _range(values: torch.Tensor) -> tuple[float, float]:
    """Return the smallest and the largest value, NaN where there is one; zeros of nothing."""
    if values.numel() == 0:
        return 0.0, 0.0
    low, high = torch.aminmax(values)
    return float(low), float(high)
