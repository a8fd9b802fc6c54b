"""What a network is called with: positional and named arguments, with tensors anywhere in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_leaves, tree_map

from spanmatch.errors import InputTypeError


@dataclass(frozen=True)
class Inputs:
    """The arguments of a network's forward pass for some samples.

    Attributes
    ----------
    args, kwargs
        As `network(*args, **kwargs)` takes them. The first dimension of a tensor is the samples, if it has as
        many of them as the first tensor; other tensors are the same for all samples.

    Raises
    ------
    TypeError
        If there is no tensor with a dimension.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    differing: tuple[bool, ...] | None = None
    """Of each tensor, whether it differs from sample to sample; None where its first dimension shows it."""

    def __post_init__(self) -> None:
        if not any(tensor.ndim for tensor in self.tensors):
            kinds = [type(each).__name__ for each in (*self.args, *self.kwargs.values())]
            raise InputTypeError(
                "`loader` must give tensors, samples in their first dimension, got "
                f"{', '.join(kinds) or 'nothing'}; say what of a batch the network takes with `inputs`"
            )

    def __len__(self) -> int:
        return next(len(tensor) for tensor in self.tensors if tensor.ndim)

    @classmethod
    def of(cls, arguments: NDArray[Any] | Mapping[str, NDArray[Any]], device: str = "cpu") -> "Inputs":
        """Return what arrays are to a network: its only argument, or arguments by name; samples come first.

        On the CPU the tensors share the memory of arrays that may be written to.
        """

        def tensor(array: NDArray[Any]) -> torch.Tensor:
            return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)

        if isinstance(arguments, Mapping):
            named = {name: tensor(array) for name, array in arguments.items()}
            return cls((), named, (True,) * len(named))
        return cls((tensor(arguments),), {}, (True,))

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors, in order."""
        leaves = tree_leaves((self.args, dict(self.kwargs)))
        return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]

    @property
    def of_samples(self) -> list[torch.Tensor]:
        """The tensors that differ from sample to sample."""
        return [tensor for tensor, differs in zip(self.tensors, self._differing, strict=True) if differs]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each tensor for one sample."""
        pairs = zip(self.tensors, self._differing, strict=True)
        return tuple(tuple(tensor.shape[1:] if differs else tensor.shape) for tensor, differs in pairs)

    def changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Inputs":
        """Return the same with each tensor changed."""
        return self._changed(lambda tensor, _differs: change(tensor))

    def taken(self, index: torch.Tensor | slice) -> "Inputs":
        """Return some of the samples."""
        return self._changed(lambda tensor, differs: tensor[index] if differs else tensor)

    def to(self, device: torch.device) -> "Inputs":
        """Return copies on a device: a network may work on its input in place."""
        return self.changed(lambda tensor: tensor.to(device, copy=True))

    def cast(self, dtype: torch.dtype) -> "Inputs":
        """Return the same with floating-point tensors in a precision; whole numbers stay what they are."""
        return self.changed(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def __call__(self, network: Callable[..., object]) -> object:
        """Return what a network makes of them."""
        return network(*self.args, **self.kwargs)

    @property
    def _differing(self) -> tuple[bool, ...]:
        if self.differing is not None:
            return self.differing
        samples = len(self)
        return tuple(tensor.ndim > 0 and len(tensor) == samples for tensor in self.tensors)

    def _changed(self, change: Callable[[torch.Tensor, bool], torch.Tensor]) -> "Inputs":
        differing = self._differing
        each = iter(differing)

        def changed(leaf: object) -> object:
            return change(leaf, next(each)) if isinstance(leaf, torch.Tensor) else leaf

        args, kwargs = tree_map(changed, (self.args, dict(self.kwargs)))
        return Inputs(args, kwargs, differing)
