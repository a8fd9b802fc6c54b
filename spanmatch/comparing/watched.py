"""A network that is compared: watched while samples pass through it, and left as it was."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.errors import InputTypeError, InputValueError, SpanmatchError
from spanmatch.networks.factories import wrapped
from spanmatch.networks.forward import Forward, faithful
from spanmatch.networks.layers import Layer, UnusableLayerError
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.passes import Activations, NonFiniteActivationsError, Take, passed
from spanmatch.networks.precision import StoredDtype
from spanmatch.networks.probing import probe


class Watched:
    """A network by its name.

    Parameters
    ----------
    name
        What results call it.
    network
        Where it is, it stays.

    Raises
    ------
    TypeError
        If it is no module of torch.
    """

    def __init__(self, name: str, network: nn.Module) -> None:
        if not isinstance(network, nn.Module):
            raise InputTypeError(
                f"`networks` must be modules of torch, got {type(network).__name__} for {name!r}; pass the "
                "model"
            )
        self.name = name
        while (inner := wrapped(network)) is not None:
            network = inner
        self.network = network
        self.was_training = any(module.training for module in self.network.modules())
        self._forward: Forward | None = None
        self._known: dict[tuple[tuple[int, ...], ...], dict[str, Layer]] = {}

    @property
    def device(self) -> torch.device:
        """Where its first parameter is."""
        tensor = next(self.network.parameters(), next(self.network.buffers(), None))
        return torch.device("cpu") if tensor is None else tensor.device

    @property
    def precision(self) -> StoredDtype:
        """In which activations are taken: double where the network computes in it, and else single."""
        double = any(weights.dtype == torch.float64 for weights in self.network.parameters())
        return "float64" if double else "float32"

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put the network into evaluation in the block, uncompiled, and each module back after it."""
        before = {module: module.training for module in self.network.modules()}
        # the compiler takes seconds to load, and where it is not loaded nothing is compiled
        loaded = "torch._dynamo" in sys.modules
        uncompiled = torch.compiler.set_stance("force_eager") if loaded else nullcontext()
        try:
            with torch.no_grad(), faithful(), uncompiled:
                yield
        finally:
            for module, training in before.items():
                module.training = training

    def layers(self, inputs: Inputs) -> dict[str, Layer]:
        """Return the layers that are there for inputs of such shapes, by name.

        Raises
        ------
        TypeError, ValueError
            If the network does not take them, or does not give the same for the same samples.
        """
        shapes = inputs.shapes
        if shapes not in self._known:
            try:
                forward, layers = probe(self.network, inputs, self.device)
            except SpanmatchError as error:
                error.args = (f"network {self.name!r}: {error}",)
                raise
            self._forward = self._forward or forward
            self._known[shapes] = {layer.name: layer for layer in layers}
        return self._known[shapes]

    def passed(
        self,
        wanted: Sequence[str],
        inputs: Inputs,
        ids: Sequence[str],
        take: Take,
        *,
        mask: NDArray[np.bool_] | None,
        batch: int,
    ) -> dict[str, Activations]:
        """Pass samples through the network; return what is taken of the layers that are wanted.

        Raises
        ------
        ValueError
            If a layer is not there in this batch, or is not finite; if there is no room on the device.
        """
        known = self.layers(inputs)
        assert self._forward is not None
        layers = {name: known[name] for name in wanted if name in known and not known[name].problem}
        if missing := [name for name in wanted if name not in layers]:
            self._refuse_missing(missing[0], batch, known)
        device, last = self.device, "the first"

        def noted(name: str, _values: Activations) -> None:
            nonlocal last
            last = repr(name)

        try:
            moved = self._forward.cast(inputs.to(device))
            taken = passed(self._forward, layers, moved, ids, take, mask=mask, on_layer=noted)
        except NonFiniteActivationsError as error:
            raise InputValueError(
                f"`networks` must give finite activations, but layer {error.layer!r} of {self.name!r} "
                f"gave NaN or infinity in batch {batch}; leave that layer out, or see to the network"
            ) from error
        except torch.OutOfMemoryError as error:
            raise InputValueError(
                f"`loader` must give batches for which there is room on {device}, but there was none in "
                f"{self.name!r} after layer {last}, in batch {batch}; use smaller batches, or fewer `layers`"
            ) from error
        if missing := [name for name in wanted if name not in taken]:
            self._refuse_missing(missing[0], batch, known)
        return taken

    def _refuse_missing(self, layer: str, batch: int, known: dict[str, Layer]) -> None:
        problem = (known[layer].problem if layer in known else "") or "nothing"
        raise UnusableLayerError(
            layer, f"{problem} in batch {batch} of {self.name!r}, though something in the first"
        )
