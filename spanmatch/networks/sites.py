"""Places in a forward pass where outputs arise, and which of them are activation functions."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass

import torch
from torch import nn

_ACTIVATION_MODULES = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid, nn.GLU),
    *(nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Threshold),
)
_WITH_LAYERS = (
    *(nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
)
# functions of torch and torch.nn.functional, and methods of tensors; in place they end in an underscore
ACTIVATION_FUNCTIONS = frozenset(
    {
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "glu"),
        *("mish", "tanh", "sigmoid", "hardtanh", "hardsigmoid", "hardswish", "logsigmoid"),
        *("softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "threshold", "special_expit"),
    }
)
# Operations that a module of somebody's own must hold one of to be an activation function, beside arithmetic.
_BENDING = frozenset(
    {
        *("_prelu_kernel", "log_sigmoid", "log_sigmoid_forward", "hardtanh", "clamp", "clamp_min"),
        *("clamp_max", "erf", "special_erf", "sin", "cos", "tan", "exp", "atan", "asinh", "sinh", "log1p"),
        *("abs", "sign", "sgn", "heaviside", "sqrt", "rsqrt", "pow", "maximum", "minimum"),
        *("gt", "ge", "lt", "le"),
    }
)
# What changes no value.
_MOVING = frozenset(
    {
        *("view", "_unsafe_view", "expand", "unsqueeze", "squeeze", "slice", "select", "split", "chunk"),
        *("split_with_sizes", "unbind", "clone", "detach", "alias", "_to_copy", "dropout", "native_dropout"),
        *("permute", "transpose", "t", "copy", "index_put", "_index_put_impl", "glu", "hardswish", *_BENDING),
    }
)


@dataclass(frozen=True)
class Site:
    """A place in the forward pass where an output arises.

    Attributes
    ----------
    name
        Unlike that of every other place in the pass.
    kind
        Class of the module, or name of the function, that gives the output.
    is_activation
        Whether that is an activation function.
    module
        The module that gives it, or that calls the function; None for a function that the network calls.
    is_function
        Whether it is a function's output.
    """

    name: str
    kind: str
    is_activation: bool
    module: nn.Module | None = None
    is_function: bool = False


OnOutput = Callable[[Site, object], None]
"""Takes what a place has given: it must copy it at once, because the next operation may work in place."""


def is_activation(module: nn.Module | None) -> bool:
    """Say whether a module is one of torch's activation functions."""
    return isinstance(module, _ACTIVATION_MODULES)


def bends(operations: dict[str, bool]) -> bool:
    """Say whether some operations together are an activation function.

    Parameters
    ----------
    operations
        Names of ATen's operations, with whether each works element by element. All must, or only move values,
        and one must be more than arithmetic.
    """
    return all(pointwise or name in _MOVING for name, pointwise in operations.items()) and any(
        name in ACTIVATION_FUNCTIONS or name in _BENDING for name in operations
    )


def is_torchs_own(module: nn.Module) -> bool:
    """Say whether a module is of torch's own classes."""
    return type(module).__module__.startswith(("torch.nn.", "torch.ao."))


def hides_functions(module: nn.Module) -> bool:
    """Say whether what a module calls is its own affair: torch's own, without layers in them."""
    return is_torchs_own(module) and not isinstance(module, _WITH_LAYERS)


def function_name(function: object) -> str:
    """Return a function's name without underscores around it; a getter has its property's."""
    name = getattr(function, "__name__", str(function))
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    return str(name).strip("_")


def layer_output(module: nn.Module, output: object) -> object:
    """Return what of a module's output is its layer's: of several, the only tensor.

    Of recurrent and attention layers it is the first.
    """
    if not isinstance(output, tuple) or hasattr(output, "_fields"):
        return output
    if isinstance(module, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
        return output[0]
    tensors = [each for each in output if isinstance(each, torch.Tensor)]
    return tensors[0] if len(tensors) == 1 else output


def tensors_within(output: object) -> Iterator[tuple[str, torch.Tensor]]:
    """Give each tensor in tuples, dictionaries and dataclasses, with what leads there: ``[0][key]``."""
    if is_dataclass(output) and not isinstance(output, Mapping | type):
        output = {each.name: getattr(output, each.name) for each in fields(output)}
    inner: Iterable[tuple[object, object]] = ()
    if isinstance(output, Mapping):
        inner = output.items()
    elif isinstance(output, tuple | list):
        inner = enumerate(output)
    for key, value in inner:
        if isinstance(value, torch.Tensor):
            yield f"[{key}]", value
        else:
            yield from ((f"[{key}]{rest}", tensor) for rest, tensor in tensors_within(value))
