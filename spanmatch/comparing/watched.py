"""A network that is compared: watched while samples pass through it, and left as it was."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.errors import InputTypeError, InputValueError, SpanmatchError
from spanmatch.networks.factories import wrapped
from spanmatch.networks.forward import Forward, faithful
from spanmatch.networks.layers import Layer, UnusableLayerError, as_said
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.padding import Counts
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
        if self.device.type == "meta":
            raise InputValueError(
                f"`networks` must have weights, got {name!r} on the device meta; load them before"
            )
        self.was_training = any(module.training for module in self.network.modules())
        self._forward: Forward | None = None
        self._known: dict[tuple[tuple[tuple[int, ...], ...], bool], dict[str, Layer]] = {}

    @property
    def device(self) -> torch.device:
        """Where its first parameter is."""
        tensor = next(self.network.parameters(), next(self.network.buffers(), None))
        return torch.device("cpu") if tensor is None else tensor.device

    def precision(self, inputs: Inputs) -> StoredDtype:
        """Return in which activations are taken: double where the network computes in it, and else single."""
        own = [*self.network.parameters(), *self.network.buffers()]
        floating = [each.dtype for each in own if each.is_floating_point()]
        floating = floating or [each.dtype for each in inputs.tensors if each.is_floating_point()]
        return "float64" if torch.float64 in floating else "float32"

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

    def layers(self, inputs: Inputs, *, masked: bool) -> dict[str, Layer]:
        """Return the layers that are there for inputs of such shapes, by name.

        Parameters
        ----------
        inputs
            Of which two samples are passed.
        masked
            Whether it is said which positions count.

        Raises
        ------
        TypeError, ValueError
            If the network does not take them, or does not give the same for the same samples.
        """
        key = inputs.shapes, masked
        if key not in self._known:
            try:
                forward, layers = probe(self.network, inputs, self.device, masked=masked)
            except SpanmatchError as error:
                error.args = (f"network {self.name!r}: {error}",)
                raise
            except (LookupError, AttributeError) as error:
                raise InputValueError(
                    f"`loader` must give batches that network {self.name!r} takes, but one raised "
                    f"{type(error).__name__}: {error}; say what of a batch it takes with `inputs`"
                ) from error
            self._forward = self._forward or forward
            self._known[key] = {layer.name: layer for layer in layers}
        return self._known[key]

    def passed(
        self,
        wanted: Mapping[str, Layer],
        inputs: Inputs,
        ids: Sequence[str],
        take: Take,
        *,
        mask: NDArray[np.bool_] | None,
        batch: int,
    ) -> tuple[dict[str, Activations], Counts]:
        """Pass samples through the network.

        Parameters
        ----------
        wanted
            Layers as the first batch has shown them.
        inputs, ids, take, mask
            As `spanmatch.networks.passes.passed`.
        batch
            Its number, for messages.

        Returns
        -------
        taken, told
            Of each layer, and which positions count as far as the network has said so.

        Raises
        ------
        ValueError
            If a layer is not there in this batch, or is not finite; if there is no room on the device.
        """
        known = self.layers(inputs, masked=mask is not None)
        assert self._forward is not None
        layers = {name: self._as_in_first(layer, known, mask, batch) for name, layer in wanted.items()}
        device, last = self.device, "the first"

        def noted(name: str, _values: Activations) -> None:
            nonlocal last
            last = repr(name)

        try:
            moved = self._forward.cast(inputs.to(device))
            taken, told = passed(self._forward, layers, moved, ids, take, mask=mask, on_layer=noted)
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
        for name, layer in wanted.items():
            if name not in taken:
                raise self._missing(name, "nothing", batch)
            if mask is not None and mask.shape[1] == 1 and layer.positions != 1:
                taken[name][~mask[:, 0]] = (
                    np.nan
                )  # a batch of sequences of one token, of which some have none
        return taken, told

    def _as_in_first(
        self, layer: Layer, known: Mapping[str, Layer], mask: NDArray[np.bool_] | None, batch: int
    ) -> Layer:
        """Return a layer as this batch has it, with its neurons where somebody says they are."""
        if layer.name not in known:
            raise self._missing(layer.name, "nothing", batch)
        found = as_said(known[layer.name], layer.said)
        if found.problem:
            raise self._missing(layer.name, found.problem, batch)
        if found.neurons != layer.neurons:
            raise InputValueError(
                f"`layers` must have as many neurons in all batches, but {layer.name!r} of {self.name!r} has "
                f"{layer.neurons} in the first and {found.neurons} in batch {batch}; leave it out, or say "
                "which dimension is the neurons"
            )
        if mask is not None and found.positions not in (1, mask.shape[1]):
            raise InputValueError(
                f"`layers` must have as many positions as the `mask`, or one, but {layer.name!r} of "
                f"{self.name!r} has {found.positions} and the mask {mask.shape[1]} in batch {batch}; leave "
                "it out"
            )
        return found

    def _missing(self, layer: str, problem: str, batch: int) -> UnusableLayerError:
        return UnusableLayerError(
            layer, f"{problem} in batch {batch} of {self.name!r}, though something in the first"
        )
