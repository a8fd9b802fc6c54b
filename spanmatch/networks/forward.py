"""A network's forward pass, traced where that gives the same and seen through hooks where not.

Apart because all others need not know which of the two it is.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import torch
from torch import nn

from spanmatch.errors import InputValueError
from spanmatch.networks.hooked import HookedForward
from spanmatch.networks.sites import OnOutput
from spanmatch.networks.traced import TracedForward

# torch.fx takes these for one operation, and their activation functions would stay unseen
_HIDES_LAYERS = (
    *(nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
)


class Forward(Protocol):
    """A network's forward pass that shows the output of each layer as soon as it is computed."""

    def __call__(self, pixels: torch.Tensor, on_output: OnOutput) -> object:
        """Run images through the network, calling `on_output` for each layer; return the network's output."""

    def until(self, layers: Collection[str]) -> None:
        """From now on end the pass after the last of some layers, where that is possible."""


def forward_of(network: nn.Module, pixels: torch.Tensor) -> Forward:
    """Return the forward pass of a network: traced, or with hooks where tracing does not give the same.

    Parameters
    ----------
    network
        Set to evaluation here.
    pixels
        Some images, to see whether the network takes them and whether the traced pass gives the same.

    Raises
    ------
    ValueError
        If the network does not take the images.
    """
    network.eval()
    try:
        expected = network(pixels.clone())
    except Exception as error:
        message = (
            f"`shape` of the images must be one that the network takes, but {tuple(pixels.shape[1:])} raised "
            f"{type(error).__name__}: {error}"
        )
        raise InputValueError(message) from error
    if not any(isinstance(module, _HIDES_LAYERS) for module in network.modules()):
        with suppress(Exception):  # whatever hinders tracing: data-dependent branches, foreign functions, …
            traced = TracedForward(network)
            found = traced(pixels.clone(), lambda _site, _output: None)
            torch.testing.assert_close(found, expected, equal_nan=True)
            return traced
    return HookedForward(network)


@contextmanager
def faithful() -> Iterator[None]:
    """Compute in full float32 precision, and by the modules that are there; put everything back after."""
    fused = torch.backends.mha.get_fastpath_enabled()
    # fused encoders pass nested tensors on, without padding: no positions that all images have
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fused)
