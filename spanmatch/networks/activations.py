"""Activations of named layers: which layers there are, and their values as (images, positions, neurons).

Apart because it reads networks and never changes them.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.feature_extraction import NodePathTracer, create_feature_extractor

from spanmatch.networks.data import Images
from spanmatch.networks.devices import deterministic

_ACTIVATION_MODULES = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid)


class NonFiniteActivationsError(ValueError):
    """A layer gave NaN or infinity. ``layer`` names it."""

    def __init__(self, layer: str) -> None:
        super().__init__(layer)
        self.layer = layer

    def __str__(self) -> str:
        return f"layer {self.layer!r} gave NaN or infinity"


def layer_names(network: nn.Module) -> list[str]:
    """Names of a network's layers in the order of its forward pass, call sites of one module told apart."""
    return list(_traced(network))


def default_layers(network: nn.Module) -> list[str]:
    """Names of the outputs of every activation function, in the order of the forward pass."""
    return [name for name, module in _traced(network).items() if isinstance(module, _ACTIVATION_MODULES)]


def extract(
    network: nn.Module, layers: Sequence[str], images: Images, batch_size: int = 128
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Yield the activations of layers, a batch of images at a time.

    Parameters
    ----------
    network
        In evaluation mode.
    layers
        Names out of `layer_names`.
    images
        What goes through the network, in their order.
    batch_size
        Images in one forward pass.

    Yields
    ------
    dict
        For each layer an array (images, positions, neurons): a convolution's channels are its neurons
        and its map the positions; a dense layer has one position.

    Raises
    ------
    NonFiniteActivationsError
        If a value is NaN or infinite.
    """
    extractor = create_feature_extractor(network, list(layers)).eval()
    for start in range(0, len(images), batch_size):
        pixels = torch.from_numpy(images.slice(start, start + batch_size).pixels)
        with deterministic(), torch.inference_mode():
            outputs = extractor(pixels)
        for layer in layers:
            if not torch.isfinite(outputs[layer]).all():
                raise NonFiniteActivationsError(layer)
        yield {layer: _by_position(outputs[layer]) for layer in layers}


def _by_position(output: torch.Tensor) -> NDArray[np.float32]:
    """Lay out (images, channels, height, width) or (images, units) as (images, positions, neurons)."""
    by_position = output.flatten(start_dim=2).movedim(1, 2) if output.ndim > 2 else output.unsqueeze(1)
    return by_position.contiguous().numpy()


def _traced(network: nn.Module) -> dict[str, nn.Module | None]:
    """Every named node of the traced forward pass, with the module it calls, if it calls one."""
    tracer = NodePathTracer()
    tracer.trace(network.eval())
    modules = dict(network.named_modules())
    return {
        name: modules.get(str(node.target)) if node.op == "call_module" else None
        for node, name in tracer.node_to_qualname.items()
        if node.op in {"call_module", "call_function", "call_method"}
    }
