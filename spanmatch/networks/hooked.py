"""A forward pass as Python runs it, which shows each layer's output through hooks.

Apart from the traced pass because it must name calls as they come.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import count, islice

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from spanmatch.networks.sites import ACTIVATION_FUNCTIONS, OnOutput, Site, function_name, is_activation


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
        site = Site(self._unique(self._names[module]), type(module).__name__, is_activation(module))
        self._on_output(site, output)

    def function(self, kind: str, output: object) -> None:
        caller = self._entered[-1] if self._entered else None
        if is_activation(caller):  # whose output is shown when it is left
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
        kind = function_name(func)
        if kind in ACTIVATION_FUNCTIONS:
            self._calls.function(kind, output)
        return output
