"""Activations of layers, as (images, positions, neurons), a batch of images at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.data import AnySamples
from spanmatch.networks.determinism import deterministic, resolve_device
from spanmatch.networks.forward import Forward, faithful
from spanmatch.networks.layers import (
    Layer,
    Neurons,
    UnusableLayerError,
    as_said,
    known_layer,
    usable,
)
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.padding import check_mask
from spanmatch.networks.passes import Activations, Taking, passed
from spanmatch.networks.positions import Positions, check_positions
from spanmatch.networks.precision import STORED_DTYPES, StoredDtype
from spanmatch.networks.probing import probe

# The fastest of 16, 32, 64 and 128 for VGG16 and ResNet18 at 32 × 32 on one thread.
_BATCH_IMAGES = 32
# Outputs of a batch, small beside a worker's memory.
_BATCH_BYTES = 512 * 2**20


def extract(
    network: nn.Module,
    layers: Sequence[str],
    images: AnySamples,
    *,
    neurons: Mapping[str, Neurons] = MappingProxyType({}),
    positions: Positions = "all",
    position_seed: int = 0,
    dtype: StoredDtype = "float32",
    batch_size: int | None = None,
    device: str = "cpu",
    on_layer: Callable[[str, Activations], None] = lambda _layer, _values: None,
) -> Iterator[dict[str, Activations]]:
    """Yield the activations of layers, a batch of images at a time.

    The bits of a layer's activations depend on weights, images, `batch_size` and the kind of device; not on
    the layers beside it. The forward pass ends at the last layer that is wanted, unless the network has
    layers that can be told of padding: then activations are handed over at its end.

    Parameters
    ----------
    network
        Set to evaluation and moved to the device here.
    layers
        Names out of `list_layers`.
    images
        What goes through the network, in their order.
    neurons
        For layers of which it cannot be told, or is told wrongly, the dimension of the output that is the
        neurons: ``last``, or a number, the images' being 0.
    positions
        ``all``; a number of positions drawn for each image without replacement, the same for every network
        (all where a layer has fewer); or ``mean``, over all positions.
    position_seed
        Seed of the draw.
    dtype
        Of the arrays that are yielded.
    batch_size
        Images in one forward pass. By default 32, or fewer where the outputs of all layers together, wanted
        or not, would take more than 512 MiB.
    device
        ``cpu``, ``cuda`` or ``auto``: where the forward pass runs. The arrays are in the host's memory.
    on_layer
        Called with a layer's name and its array as soon as they are there, before the pass goes on, for those
        who want to begin with them; they are yielded with the others all the same.

    Yields
    ------
    dict
        For each layer an array (images, positions, neurons), with memory of its own in the order of the
        layer's output: a convolution's channels are its neurons and its map the positions; a dense layer has
        one position; a token is a position. NaN at positions that do not count: by the images' `mask`, or
        since the network tells its attention layers that they are padding.

    Raises
    ------
    ValueError
        If an argument is not as above, before any image passes through the network.
    UnusableLayerError
        If a layer gives no tensor of activations.
    NonFiniteActivationsError
        If a value is NaN or infinite.
    Float16OverflowError
        If a finite value is infinite in float16.
    """
    check_positions(positions)
    if dtype not in STORED_DTYPES:
        raise InputValueError(f"`dtype` must be one of: {', '.join(STORED_DTYPES)}; got {dtype!r}")
    if batch_size is not None and batch_size < 1:
        raise InputValueError(f"`batch_size` must be at least 1, got {batch_size}")
    if not layers or not len(images):
        raise InputValueError(f"`layers` and `images` must not be empty, got {len(layers)} and {len(images)}")
    where = torch.device(resolve_device(device))
    with deterministic(device=device):
        forward, known = probe(network.to(where), images, where)
    chosen = {name: usable(as_said(known_layer(known, name), neurons.get(name))) for name in layers}
    check_mask(images.mask, {name: layer.positions for name, layer in chosen.items()})
    take = Taking(positions, position_seed, dtype)
    size = batch_size or _batch_size(known)
    return _batches(forward, chosen, images, take, on_layer, batch_size=size, device=where)


def _batches(
    forward: Forward,
    layers: Mapping[str, Layer],
    images: AnySamples,
    take: Taking,
    on_layer: Callable[[str, Activations], None],
    *,
    batch_size: int,
    device: torch.device,
) -> Iterator[dict[str, Activations]]:
    for start, stop in batch_ranges(len(images), batch_size):
        batch = images.slice(start, stop)
        with deterministic(device=device.type), faithful(), torch.no_grad():
            # a copy: the network may work on its input in place
            inputs = forward.cast(Inputs.of(batch.arguments).to(device))
            taken = passed(forward, layers, inputs, batch.ids, take, mask=batch.mask, on_layer=on_layer).taken
        for layer in layers:
            if layer not in taken:
                which = f"{images.items} {start} to {start + len(batch) - 1}"
                raise UnusableLayerError(layer, f"nothing for {which}")
        yield {layer: taken[layer] for layer in layers}


def batch_ranges(images: int, size: int) -> list[tuple[int, int]]:
    """Cut images into batches, the last of which is not of one image alone where that can be helped.

    Some networks squeeze dimensions of size 1 away, and would give such a batch another shape.
    """
    stops = [*range(size, images, size), images]
    if len(stops) > 1 and images - stops[-2] == 1 and size > 2:
        stops[-2] -= 1
    return list(pairwise([0, *stops]))


def _batch_size(layers: Sequence[Layer]) -> int:
    """Return a size that depends on all layers, so that bits do not depend on which are wanted."""
    image_bytes = sum(4 * layer.size for layer in layers)
    return max(1, min(_BATCH_IMAGES, _BATCH_BYTES // max(1, image_bytes)))
