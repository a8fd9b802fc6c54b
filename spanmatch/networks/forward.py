"""Forward passes that show every layer's output the moment it is there, under a name of its own.

Apart because the two ways of looking into a network, a traced graph and hooks, are one to all others. What
is shown must be copied at once: the next operation may work in place.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from typing import Protocol

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode
from torchvision.models.feature_extraction import NodePathTracer

_ACTIVATION_MODULES = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.LogSigmoid),
    *(nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Threshold),
)
# functions of torch and torch.nn.functional, and methods of tensors; in place they end in an underscore
_ACTIVATION_FUNCTIONS = frozenset(
    {
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu"),
        *("mish", "tanh", "sigmoid", "hardtanh", "hardsigmoid", "hardswish", "logsigmoid"),
        *("softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "threshold"),
    }
)
# torch.fx takes these for one operation, and their activation functions would stay unseen
_HIDES_LAYERS = (
    *(nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
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


class Forward(Protocol):
    """A network's forward pass that shows the output of each layer as soon as it is computed."""

    def __call__(self, pixels: torch.Tensor, on_output: OnOutput) -> object:
        """Run images through the network, calling `on_output` for each layer; return the network's output."""

    def until(self, layers: Collection[str]) -> None:
        """From now on end the pass after the last of some layers, where that is possible."""


def forward_of(network: nn.Module, pixels: torch.Tensor) -> Forward:
    """Return the forward pass of a network: traced, or with hooks where tracing does not give the same.

    Parameters
    ----------
    network
        Set to evaluation here.
    pixels
        Some images, to see whether the network takes them and whether the traced pass gives the same.

    Raises
    ------
    ValueError
        If the network does not take the images.
    """
    network.eval()
    try:
        expected = network(pixels.clone())
    except Exception as error:
        message = (
            f"`shape` of the images must be one that the network takes, but {tuple(pixels.shape[1:])} raised "
            f"{type(error).__name__}: {error}"
        )
        raise ValueError(message) from error
    if not any(isinstance(module, _HIDES_LAYERS) for module in network.modules()):
        with suppress(Exception):  # whatever hinders tracing: data-dependent branches, foreign functions, …
            traced = TracedForward(network)
            found = traced(pixels.clone(), lambda _site, _output: None)
            torch.testing.assert_close(found, expected, equal_nan=True)
            return traced
    return HookedForward(network)


@contextmanager
def faithful() -> Iterator[None]:
    """Compute in full float32 precision, and by the modules that are there; put everything back after."""
    fused = torch.backends.mha.get_fastpath_enabled()
    # fused encoders pass nested tensors on, without padding: no positions that all images have
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fused)


class TracedForward:
    """The pass as a graph of torch.fx, with the names of torchvision's feature extraction."""

    def __init__(self, network: nn.Module) -> None:
        tracer = NodePathTracer()
        graph = tracer.trace(network)
        modules = dict(network.named_modules())
        self._module = fx.GraphModule(network, graph)
        self._sites = {
            node.name: _site(node, name, modules)
            for node, name in tracer.node_to_qualname.items()
            if node.op in {"call_module", "call_function", "call_method"}
        }

    def __call__(self, pixels: torch.Tensor, on_output: OnOutput) -> object:
        """Run images through the graph."""
        interpreter = _Showing(self._module, self._sites, on_output)
        interpreter.extra_traceback = False  # errors of `on_output` are to stay as they are
        return interpreter.run(pixels)

    def until(self, layers: Collection[str]) -> None:
        """End the graph after the last of some layers."""
        graph = self._module.graph
        for node in reversed(list(graph.nodes)):
            if node.name in self._sites and self._sites[node.name].name in layers:
                graph.output(node)
                return
            graph.erase_node(node)


class _Showing(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, sites: Mapping[str, Site], on_output: OnOutput) -> None:
        super().__init__(module)
        self._sites = sites
        self._on_output = on_output

    def run_node(self, n: fx.Node) -> object:
        output = super().run_node(n)
        if n.name in self._sites:
            self._on_output(self._sites[n.name], output)
        return output


class HookedForward:
    """The pass as Python runs it, seen through hooks on every module and on activation functions.

    The second call of a module ``name`` is named ``name_1``, the next ``name_2``; names that are a module's
    own are passed over. A function has the name of the module that calls it before its own.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._names = {
            module: name
            for name, module in network.named_modules()
            if name and not isinstance(module, nn.Sequential)  # its last layer's output is its own
        }

    def __call__(self, pixels: torch.Tensor, on_output: OnOutput) -> object:
        """Run images through the network."""
        calls = _Calls(self._names, on_output)
        handles = []
        for module in self._names:
            handles += [
                module.register_forward_pre_hook(calls.enter),
                module.register_forward_hook(calls.leave),
            ]
        try:
            with _Functions(calls):
                return self._network(pixels)
        finally:
            for handle in handles:
                handle.remove()

    def until(self, layers: Collection[str]) -> None:
        """Do nothing: what Python will run is not known before."""


class _Calls:
    """Names the calls of one forward pass."""

    def __init__(self, names: Mapping[nn.Module, str], on_output: OnOutput) -> None:
        self._names = names
        self._taken = frozenset(names.values())
        self._on_output = on_output
        self._entered: list[nn.Module] = []
        self._calls: Counter[str] = Counter()

    def enter(self, module: nn.Module, _inputs: object) -> None:
        self._entered.append(module)

    def leave(self, module: nn.Module, _inputs: object, output: object) -> None:
        self._entered.pop()
        site = Site(self._unique(self._names[module]), type(module).__name__, _is_activation(module))
        self._on_output(site, output)

    def function(self, kind: str, output: object) -> None:
        caller = self._entered[-1] if self._entered else None
        if _is_activation(caller):  # whose output is shown when it is left
            return
        name = kind if caller is None else f"{self._names[caller]}.{kind}"
        while name in self._taken:
            name += "_function"
        self._on_output(Site(self._unique(name), kind, is_activation=True), output)

    def _unique(self, name: str) -> str:
        """Return the name of the next call of `name`, which no module has for its own."""
        before = self._calls[name]
        self._calls[name] += 1
        free = (again for number in count(1) if (again := f"{name}_{number}") not in self._taken)
        return next(islice(free, before - 1, None)) if before else name


class _Functions(TorchFunctionMode):
    """Shows the outputs of activation functions that no module stands for."""

    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        output = func(*args, **(kwargs or {}))
        kind = _function_name(func)
        if kind in _ACTIVATION_FUNCTIONS:
            self._calls.function(kind, output)
        return output


def _site(node: fx.Node, name: str, modules: Mapping[str, nn.Module]) -> Site:
    if node.op == "call_module":
        module = modules[str(node.target)]
        return Site(name, type(module).__name__, _is_activation(module))
    kind = _function_name(node.target)
    return Site(name, kind, kind in _ACTIVATION_FUNCTIONS)


def _is_activation(module: nn.Module | None) -> bool:
    return isinstance(module, _ACTIVATION_MODULES)


def _function_name(function: object) -> str:
    """Return the name without the underscore of what works in place; methods are given by their name."""
    return str(getattr(function, "__name__", function)).rstrip("_")
