"""Which positions of each image count: what data and attention layers say of padding."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.errors import InputValueError

# Arguments of a module's forward pass that say which tokens are padding (true, or minus infinity) …
_PADDING = ("key_padding_mask", "src_key_padding_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
# … and which are not (1).
_COUNTING = ("attention_mask",)

Counts = Mapping[int, torch.Tensor]
"""By the number of positions: which of them count, bool (images, positions)."""


def told_of_padding(network: nn.Module) -> dict[nn.Module, inspect.Signature]:
    """Return the modules that can be told of padding, with the signature of their forward pass."""
    named = {module: inspect.signature(module.forward) for module in network.modules()}
    return {
        module: signature
        for module, signature in named.items()
        if not signature.parameters.keys().isdisjoint((*_PADDING, *_COUNTING))
    }


def padding_in_call(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[torch.Tensor]:
    """Return which positions count by what a module was called with: bool (images, positions) each."""
    arguments = signature.bind_partial(*args, **kwargs).arguments
    found = []
    for name in (*_PADDING, *_COUNTING):
        mask = arguments.get(name)
        if isinstance(mask, torch.Tensor) and mask.ndim == 2:
            found.append(mask.bool() if name in _COUNTING else _not_padding(mask))
    return found


def both(known: Counts, new: torch.Tensor) -> Counts:
    """Return what counts by all that is known and by a further mask of its number of positions."""
    positions = new.shape[1]
    return {**known, positions: new & known[positions].to(new.device) if positions in known else new}


def check_mask(mask: NDArray[np.bool_] | None, positions: Mapping[str, int]) -> None:
    """See that it can be told of each layer which of its positions count.

    Parameters
    ----------
    mask
        Of the images, (images, positions), or None.
    positions
        How many each layer has, by name.

    Raises
    ------
    ValueError
        If a layer has others than the mask, and more than one.
    """
    if mask is None:
        return
    for layer, number in positions.items():
        if number not in (1, mask.shape[1]):
            raise InputValueError(
                f"`layers` must have {mask.shape[1]} positions, as the `mask` of the images has, or one, got "
                f"{number} of {layer!r}; leave it out"
            )


def padding_problem(positions: int, padded: Collection[int]) -> str:
    """Say why it cannot be told which of a layer's positions are padding; nothing if it can.

    Parameters
    ----------
    positions
        How many the layer has.
    padded
        Of how many tokens the network tells its layers which are padding.
    """
    if not padded or positions in (0, 1, *padded):
        return ""
    known = " or ".join(map(str, padded))
    return (
        f"{positions} positions of which it cannot be told which are padding (the network says it of {known})"
    )


def counting(counts: Counts, positions: int) -> torch.Tensor | None:
    """Return which positions count where there are so many, (images, positions); None where all do."""
    mask = counts.get(positions)
    return None if positions == 1 or mask is None or bool(mask.all()) else mask


def _not_padding(mask: torch.Tensor) -> torch.Tensor:
    return mask > torch.finfo(mask.dtype).min if mask.is_floating_point() else ~mask.bool()
