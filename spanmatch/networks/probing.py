"""The layers of a network, found by watching every operation on two samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from math import prod

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from spanmatch.errors import InputValueError
from spanmatch.networks.axes.axis import Dims, arranged
from spanmatch.networks.axes.tracking import AxisTracking
from spanmatch.networks.data import AnySamples, Images, Samples
from spanmatch.networks.forward import Calls, Forward, faithful, taking
from spanmatch.networks.layers import PROBE_IMAGES, Layer, layout_problem, with_arrangement
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.padding import Padding, padding_problem
from spanmatch.networks.sites import Site, bends, is_activation, is_torchs_own


def list_layers(network: nn.Module, of: tuple[int, ...] | AnySamples) -> tuple[Layer, ...]:
    """Return the layers of a network in the order of its forward pass.

    Two images pass through the network, and each operation is watched: a convolution's channels are its
    neurons and its map the positions, a dense layer's units its neurons, and what comes after is followed
    through every change of shape (`spanmatch.networks.axes`).

    Parameters
    ----------
    network
        Set to evaluation here.
    of
        Samples, of which the first two are taken; or the shape of one input, such as (channels, height,
        width), for two of noise.

    Raises
    ------
    ValueError
        If the network does not take such images, or does not give the same for the same images.
    """
    weights = next(network.parameters(), None)
    return probe(network, of, torch.device("cpu") if weights is None else weights.device)[1]


def probe(
    network: nn.Module,
    of: tuple[int, ...] | AnySamples | Inputs,
    device: torch.device,
    *,
    masked: bool = False,
) -> tuple[Forward, tuple[Layer, ...]]:
    """Return a network's forward pass with the layers that it shows, of images or of what else it takes.

    Parameters
    ----------
    network
        Set to evaluation here.
    of
        As `list_layers`; or inputs of any kind.
    device
        Where the network is.
    masked
        Whether it is said of inputs which of their positions count; of images their mask says it.
    """
    inputs, of_samples = _inputs(of, device)
    masked = masked or of_samples
    # with other random numbers, too, what is compared in two networks must be the same
    again_from = 1 if isinstance(of, Inputs) else 0
    forward = Forward(network)
    inputs = forward.cast(inputs)
    seen: list[tuple[Site, str, tuple[int, ...], Dims | None]] = []
    operations: dict[nn.Module, dict[str, bool]] = {}

    def note(site: Site, output: object) -> None:
        dims = tracking.dims(output) if isinstance(output, torch.Tensor) else None
        is_table = dims is None and site.is_function and not site.is_activation  # made of no image
        if not is_table:
            seen.append((site, layout_problem(output), tuple(getattr(output, "shape", ())), dims))

    def operated(name: str, pointwise: bool) -> None:
        if calls.entered and is_activation(calls.entered[-1]):
            return
        for module in calls.entered:
            known = operations.setdefault(module, {})
            known[name] = pointwise and known.get(name, True)

    calls = Calls(forward, note, PROBE_IMAGES)
    with faithful(), torch.no_grad():
        with taking(*inputs.shapes, of=_called(of)):
            expected = _passed(network, inputs)
        again = inputs.changed(torch.Tensor.clone)
        tracking = AxisTracking(again.of_samples, lambda: calls.function == "linear", operated)
        with _seeded(again_from), calls.watched(), tracking:
            found = again(network)
    _require_same(expected, found)
    own = {module for module, known in operations.items() if not is_torchs_own(module) and bends(known)}
    within = {inner for module in own for inner in module.modules() if inner is not module}
    forward.activations = (forward.activations | own) - within
    padding = Padding() if masked else calls.padding
    layers = []
    for site, problem, shape, dims in seen:
        if not (site.is_function and site.module in own | within):
            is_one = site.is_activation if site.is_function else site.module in forward.activations
            layers.append(_layer(replace(site, is_activation=is_one), problem, shape, dims, padding))
    return forward, tuple(layers)


def _inputs(of: tuple[int, ...] | AnySamples | Inputs, device: torch.device) -> tuple[Inputs, bool]:
    """Return inputs of two samples, and whether it is said which of their positions count."""
    if isinstance(of, tuple):
        noise = torch.randn(PROBE_IMAGES, *of, generator=torch.Generator().manual_seed(0))
        return Inputs((noise.to(device),)), False
    masked = False
    if isinstance(of, Images | Samples):
        masked = of.mask is not None
        of = Inputs.of(of.slice(0, PROBE_IMAGES).arguments)
    return of.taken(torch.arange(PROBE_IMAGES) % len(of)).to(device), masked


def _called(of: tuple[int, ...] | AnySamples | Inputs) -> str:
    """Return what messages call the samples."""
    if isinstance(of, Images | Samples):
        return of.items
    return "samples" if isinstance(of, Inputs) else "images"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw random numbers from a seed in the block, and go on with those of before, on every device."""
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=list(cuda)):
        torch.manual_seed(seed)
        yield


def _passed(network: nn.Module, inputs: Inputs) -> object:
    with _seeded(0):
        return inputs.changed(torch.Tensor.clone)(network)


def _require_same(expected: object, found: object) -> None:
    """See that a network keeps nothing from one batch to the next: it gives the same for the same images."""
    pairs = zip_longest(tree_leaves(expected), tree_leaves(found))
    if not all(_are_alike(one, other) for one, other in pairs):
        raise InputValueError(
            "a network must be one that gives the same for the same samples, but a second pass gave "
            "something else; have it begin each batch anew, without what it kept of the last"
        )


def _are_alike(one: object, other: object) -> bool:
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return isinstance(one, torch.Tensor) == isinstance(other, torch.Tensor)
    if one.shape != other.shape or not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)


def _layer(site: Site, problem: str, shape: tuple[int, ...], dims: Dims | None, padding: Padding) -> Layer:
    """Return the layer of a place, once the whole pass has shown what dimensions stand for."""
    size = prod(shape) // PROBE_IMAGES
    layer = Layer(site.name, site.kind, site.is_activation, (), None, problem, size)
    if problem:
        return layer
    if dims is None:
        problem = f"a tensor of shape {shape} that does not depend on the samples, as far as can be seen"
        return replace(layer, problem=problem)
    layer = with_arrangement(replace(layer, dims=dims), arranged(dims))
    if problem := padding_problem(layer.positions, padding):
        return replace(layer, output=(), arrangement=None, problem=problem, dims=None, is_padded=True)
    return layer
