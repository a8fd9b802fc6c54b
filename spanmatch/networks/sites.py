"""Places in a forward pass where outputs arise, and which of them are activation functions.

Apart because every way of looking into a network names the same things.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

_ACTIVATION_MODULES = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid),
    *(nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Threshold),
)
# functions of torch and torch.nn.functional, and methods of tensors; in place they end in an underscore
ACTIVATION_FUNCTIONS = frozenset(
    {
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu"),
        *("mish", "tanh", "sigmoid", "hardtanh", "hardsigmoid", "hardswish", "logsigmoid"),
        *("softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "threshold"),
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
    """

    name: str
    kind: str
    is_activation: bool


OnOutput = Callable[[Site, object], None]
"""Takes what a place has given: it must copy it at once, because the next operation may work in place."""


def is_activation(module: nn.Module | None) -> bool:
    """Say whether a module is an activation function."""
    return isinstance(module, _ACTIVATION_MODULES)


def function_name(function: object) -> str:
    """Return the name without the underscore of what works in place; methods are given by their name."""
    return str(getattr(function, "__name__", function)).rstrip("_")
