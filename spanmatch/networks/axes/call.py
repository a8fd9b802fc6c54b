"""A call of one of torch's operations, as the rules for axes see it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from spanmatch.networks.axes.axis import Dims


class Call:
    """One call of an operation.

    Attributes
    ----------
    arguments
        By the names of the operation's schema.
    outputs
        The tensors that it gave.
    is_dense
        Whether it is a dense layer's, by torch's own function for these.
    """

    def __init__(
        self,
        arguments: Mapping[str, Any],
        outputs: Sequence[torch.Tensor],
        dims_of: Callable[[torch.Tensor], Dims | None],
        is_weight: Callable[[torch.Tensor], bool],
        is_dense: bool,
    ) -> None:
        self.arguments = arguments
        self.outputs = outputs
        self._dims_of = dims_of
        self._is_weight = is_weight
        self.is_dense = is_dense

    def dims(self, name: str) -> Dims | None:
        """Return the dimensions of a tensor argument, None where it does not depend on the images."""
        value = self.arguments.get(name)
        return self._dims_of(value) if isinstance(value, torch.Tensor) else None

    def is_weight(self, name: str) -> bool:
        """Tell whether an argument is made of the network's parameters alone."""
        value = self.arguments.get(name)
        return isinstance(value, torch.Tensor) and self._is_weight(value)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor argument."""
        return tuple(self.arguments[name].shape)

    def operands(self) -> list[tuple[torch.Tensor, Dims | None]]:
        """Return every tensor among the arguments, those in lists too."""
        values = (each for value in self.arguments.values() for each in _each(value))
        return [(value, self._dims_of(value)) for value in values if isinstance(value, torch.Tensor)]

    def constants_are_weights(self) -> bool:
        """Tell whether an operand that does not depend on the images is made of parameters."""
        return any(dims is None and self._is_weight(value) for value, dims in self.operands())

    def first(self) -> Dims:
        """Return the dimensions of the first tensor that depends on the images."""
        return next(dims for _, dims in self.operands() if dims is not None)

    def of(self, *names: str) -> Any:  # noqa: ANN401 - whatever the schema says
        """Return the first argument that there is of some names."""
        return next((self.arguments[name] for name in names if name in self.arguments), None)


def _each(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else (value,)


Rule = Callable[[Call], Dims | Sequence[Dims] | None]
"""Gives the dimensions of the output, of each where there are several; None for what cannot be told."""
