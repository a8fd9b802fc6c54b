"""Which positions of each image count: what data and attention layers say of padding."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
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


def counting(counts: Counts, positions: int, layer: str) -> torch.Tensor | None:
    """Return which positions of a layer count, (images, positions); None where all do.

    Raises
    ------
    ValueError
        If something is known of other numbers of positions, so that it cannot be told.
    """
    if not counts or positions == 1:
        return None
    if positions not in counts:
        known = " or ".join(str(number) for number in counts)
        raise InputValueError(
            f"`layers` must have {known} positions, of which it is known which are padding, or one, but "
            f"{layer!r} has {positions}; leave it out"
        )
    mask = counts[positions]
    return None if bool(mask.all()) else mask


def _not_padding(mask: torch.Tensor) -> torch.Tensor:
    return mask > torch.finfo(mask.dtype).min if mask.is_floating_point() else ~mask.bool()
