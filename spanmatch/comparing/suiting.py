"""What of a batch suits a network's forward pass, by its signature."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from spanmatch.errors import InputTypeError

IDS = ("id", "ids")
"""Names under which batches have ids of samples."""
_LABELS = frozenset({"labels", "label", "targets", "target", "y"})
_NUMBERS = "biufc"  # kinds of arrays that are tensors


class Suiting:
    """Takes of a batch what a network's forward pass has parameters for.

    Parameters
    ----------
    name, network
        Whose.
    """

    def __init__(self, name: str, network: nn.Module) -> None:
        self._name = name
        try:
            parameters = list(inspect.signature(network.forward).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        kinds = inspect.Parameter
        placed = [
            each for each in parameters if each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
        ]
        self._placed = max(1, len(placed))
        self._required = max(1, sum(each.default is kinds.empty for each in placed))
        self._named = {
            each.name
            for each in parameters
            if each.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
            and not (each.name in _LABELS and each.default is not kinds.empty)
        }
        self._takes_any = any(each.kind is kinds.VAR_KEYWORD for each in parameters)
        self._takes_one = bool(placed) or not self._takes_any
        self.left_out = ""
        """What of a batch it has left out, in words."""

    def __call__(self, batch: Any) -> object:  # noqa: ANN401 - whatever a loader gives
        """Return the arguments."""
        if isinstance(batch, Mapping):
            taken = {name: value for name, value in batch.items() if name in self._named}
            if self._takes_any and (taken or not self._takes_one):
                further = _LABELS | set(IDS)
                taken |= {
                    name: value
                    for name, value in batch.items()
                    if name not in further and isinstance(tensors_of(value), torch.Tensor)
                }
            return taken or (batch,)
        if isinstance(batch, tuple | list):
            if self._required == 1 and isinstance(named_part(batch), Mapping):
                return self(batch[0])
            if len(batch) < self._required:
                raise InputTypeError(
                    f"`loader` must give the {self._required} inputs that network {self._name!r} takes, got "
                    f"{len(batch)} in a batch; say what it takes with `inputs`"
                )
            # one more is labels, and nothing else where the network could take no more
            if len(batch) > self._required + (self._placed == self._required):
                self.left_out = (
                    f"Of the {len(batch)} parts of a batch, {self._name} was given the first "
                    f"{self._required}; `inputs` says otherwise."
                )
            return tuple(batch[: self._required])
        return batch


def named_part(given: Any) -> Any:  # noqa: ANN401 - whatever a loader gives
    """Return what has names in a batch: the batch, or its first part beside labels."""
    return given[0] if isinstance(given, tuple | list) and given and isinstance(given[0], Mapping) else given


def tensors_of(value: object) -> object:
    """Return a value with arrays of numbers as tensors, at any depth of tuples, lists and dictionaries."""
    if isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS:
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))
    if isinstance(value, Mapping):
        return {name: tensors_of(each) for name, each in value.items()}
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(tensors_of(each) for each in value)
    return value
