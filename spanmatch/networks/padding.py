"""Positions of each image that count, from the padding that attention and data layers state."""

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spanmatch.errors import InputValueError

# Arguments of a module's forward pass that say which tokens are padding (true, or large and negative).
_PADDING = "key_padding_mask"
ATTENTION_MASK = "attention_mask"
"""Name of arguments that say which are not: 1; or 0 where others are large and negative."""
# What an attention adds to scores: the weight of what gets less is 0 in any precision.
_VANISHING = -1e3

Counts = Mapping[int, torch.Tensor]
"""By the number of positions: which of them count, bool (images, positions)."""


class Padding:
    """What a network tells its layers of padding, in one pass and, of how it tells it, in those before."""

    def __init__(self) -> None:
        self.counts: dict[int, torch.Tensor] = {}
        self._doubts: dict[int, str] = {}
        self._of_others: dict[int, str] = {}
        # arguments that hold something else, such as which tokens may look at which
        self._others: set[tuple[nn.Module, str]] = set()

    def begun(self) -> "Padding":
        """Return what is known at the beginning of another pass."""
        begun = Padding()
        begun._others = self._others
        return begun

    @property
    def doubts(self) -> dict[int, str]:
        """By the number of positions: why it cannot be told which of them are padding."""
        others = {number: why for number, why in self._of_others.items() if number not in self.counts}
        return {**others, **self._doubts}

    def note(
        self,
        module: nn.Module,
        signature: inspect.Signature,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        images: int,
    ) -> None:
        """Take note of what a module is called with, in a pass of so many images."""
        arguments = signature.bind_partial(*args, **kwargs).arguments
        for name in (_PADDING, ATTENTION_MASK):
            mask = arguments.get(name)
            if not isinstance(mask, torch.Tensor) or mask.ndim != 2:
                continue
            if len(mask) != images:
                self._others.add((module, name))
            if (module, name) in self._others:
                continue
            if name == ATTENTION_MASK:
                self._add(counted_by(mask))
            elif not isinstance(module, nn.MultiheadAttention):
                self._of_others[mask.shape[1]] = f"{type(module).__name__} has a mask of its own sense"
            else:
                self._add(mask > _VANISHING if mask.is_floating_point() else ~mask.bool())
                query, key = arguments["query"], arguments["key"]
                tokens = query.shape[1 if module.batch_first else 0] if query.ndim == 3 else 0
                if query is not key and tokens == mask.shape[1]:
                    self._doubts[mask.shape[1]] = "there are as many others"

    def _add(self, counts: torch.Tensor) -> None:
        known = self.counts.setdefault(counts.shape[1], counts)
        if not torch.equal(known, counts):
            self._doubts[counts.shape[1]] = "the network says one thing of some and another of others"


def told_of_padding(network: nn.Module) -> dict[nn.Module, inspect.Signature]:
    """Return the modules that can be told of padding, with the signature of their forward pass."""
    found = {}
    for module in network.modules():
        with suppress(ValueError, TypeError):  # some written in C have none
            signature = inspect.signature(module.forward)
            if not signature.parameters.keys().isdisjoint((_PADDING, ATTENTION_MASK)):
                found[module] = signature
    return found


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
                f"`layers` must have {mask.shape[1]} positions, as the `mask` of the samples has, or one, "
                f"got {number} of {layer!r}; leave it out"
            )


def padding_problem(positions: int, padding: Padding) -> str:
    """Say why it cannot be told which of so many positions of a layer are padding; nothing if it can."""
    if positions in (0, 1):
        return ""
    if positions in padding.doubts:
        why = padding.doubts[positions]
    elif padding.counts and positions not in padding.counts:
        why = f"the network says it of {' or '.join(map(str, padding.counts))}"
    else:
        return ""
    return f"{positions} positions of which it cannot be told which are padding ({why})"


def counting(counts: Counts, positions: int) -> torch.Tensor | None:
    """Return which positions count where there are so many, (images, positions); None where all do."""
    mask = counts.get(positions)
    return None if positions == 1 or mask is None or bool(mask.all()) else mask


def counted_by(mask: torch.Tensor) -> torch.Tensor:
    """Return which tokens count by a mask that is 1 for them, or 0 where others are large and negative."""
    if mask.is_floating_point() and bool((mask <= 0).all()):
        return mask > -1
    return mask.bool()


def counted_tokens(mask: torch.Tensor) -> torch.Tensor | None:
    """Return which tokens of samples count by a mask, (samples, tokens); None where it says something else.

    Between the two there may be dimensions of size 1, as where a mask is added to scores of heads.
    """
    if mask.ndim < 2 or any(size != 1 for size in mask.shape[1:-1]):
        return None
    return counted_by(mask.flatten(1))
