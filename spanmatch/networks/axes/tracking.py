"""The axes of all tensors of a forward pass, followed operation by operation as it runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from spanmatch.networks.axes.axis import Dims, derived, dim, kind_of, plain, size_of
from spanmatch.networks.axes.call import Call
from spanmatch.networks.axes.rules import RULES
from spanmatch.networks.axes.shapes import elementwise

# What takes from a tensor its type and its device alone.
_CONSTANTS = frozenset(
    {
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided"),
        *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like"),
    }
)


class AxisTracking(TorchDispatchMode):
    """Within the block, knows what the dimensions of each tensor stand for that the images make.

    Run the forward pass in ``torch.no_grad``: in inference mode, operations would come here that are made of
    others.

    Parameters
    ----------
    images
        The network's inputs: images in the first dimension of each, and unknown axes.
    is_dense
        Tells whether the network is at work on a dense layer.
    on_operation
        Called with the name of each operation that depends on the images, and whether it works element by
        element.
    """

    def __init__(
        self,
        images: Sequence[torch.Tensor],
        is_dense: Callable[[], bool],
        on_operation: Callable[[str, bool], None] = lambda _name, _pointwise: None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._images = len(images[0])
        self._is_dense = is_dense
        self._on_operation = on_operation
        self._dims = WeakTensorKeyDictionary()
        self._weights = WeakTensorKeyDictionary()
        # of a slice: what it is a view of, and the dimension that it lacks
        self._bases = WeakTensorKeyDictionary()
        for each in images:
            self._dims[each] = (dim(self._images, "images"), *plain(each.shape[1:], "unknown"))

    def dims(self, tensor: torch.Tensor) -> Dims | None:
        """Return what a tensor's dimensions stand for; None where it does not depend on the images."""
        found: Dims | None = self._dims.get(tensor)
        return found

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch.ops' overloads have no public type
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run an operation, and note what the dimensions of its outputs stand for."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        operands = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        name = func.overloadpacket.__name__.rstrip("_")
        if not outputs:
            return result
        if name in _CONSTANTS or not any(operand in self._dims for operand in operands):
            if any(self._is_weight(operand) for operand in operands):
                for output in outputs:
                    self._weights[output] = True
            self._note_view(name, func, args, kwargs, result)
            return result
        pointwise = torch.Tag.pointwise in func.tags
        self._on_operation(name, pointwise)
        rule = RULES.get(name, elementwise if pointwise else None)
        call = Call(_named(func, args, kwargs), outputs, self.dims, self._is_weight, self._is_dense())
        try:
            found = None if rule is None else rule(call)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # called in no known way
            found = None
        self._note_view(name, func, args, kwargs, result)
        several = found if isinstance(found, list) else [found] * len(outputs)
        for output, dims in zip(outputs, several, strict=False):
            fits = dims is not None and tuple(map(size_of, dims)) == tuple(output.shape)
            self._set(output, dims if dims is not None and fits else self._unknown(output))
        return result

    def _set(self, tensor: torch.Tensor, dims: Dims) -> None:
        """Note dimensions of a tensor, and of what it is a view of, which depends on images from now on."""
        before = self._dims.get(tensor)
        self._dims[tensor] = dims
        base, missing = self._bases.get(tensor, (None, None))
        if base is not None and base in self._dims:
            if before is not None and any(kind_of(axes) == "mixed" for axes in dims):  # written into
                self._set(base, self._unknown(base))
            return
        if base is None:
            return
        whole = list(dims)
        if missing is not None:
            whole.insert(missing % base.ndim, ())
        found = (
            derived(axes, size) if axes else dim(size, "positions")
            for axes, size in zip(whole, base.shape, strict=True)
        )
        self._set(base, tuple(found))

    def _note_view(
        self,
        name: str,
        func: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: object,
    ) -> None:
        if name in ("slice", "select") and isinstance(result, torch.Tensor):
            missing = _named(func, args, kwargs).get("dim", 0) if name == "select" else None
            self._bases[result] = (args[0], missing)

    def _is_weight(self, tensor: torch.Tensor) -> bool:
        return isinstance(tensor, nn.Parameter) or tensor in self._weights

    def _unknown(self, output: torch.Tensor) -> Dims:
        """Return dimensions of which all but that of the images cannot be told."""
        dims = plain(output.shape, "mixed")
        if output.ndim and len(output) == self._images:
            return (dim(self._images, "images"), *dims[1:])
        return dims


def _named(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments of an operation by the names of its schema."""
    schema = func._schema.arguments
    return {**{argument.name: value for argument, value in zip(schema, args, strict=False)}, **kwargs}
