"""A network's forward pass as Python runs it, which shows each layer's output as soon as it is computed."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count, islice
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from spanmatch.errors import InputValueError
from spanmatch.networks.padding import Counts, both, padding_in_call, told_of_padding
from spanmatch.networks.sites import (
    ACTIVATION_FUNCTIONS,
    OnOutput,
    Site,
    function_name,
    hides_functions,
    is_activation,
    layer_output,
)


class Forward:
    """The pass of a network, seen through hooks on every module and on torch's functions.

    A module's output has the module's name. The second call of a module ``name`` is named ``name_1``, the
    next ``name_2``; a function has the name of the module that calls it before its own. Names that are a
    module's own are passed over, so that each means that module.

    Parameters
    ----------
    network
        Set to evaluation here.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()
        self.names = {module: name for name, module in network.named_modules() if name}
        self.all_names: dict[nn.Module, list[str]] = {}
        """Every name of a module: one activation function may serve many layers."""
        for name, module in network.named_modules(remove_duplicate=False):
            self.all_names.setdefault(module, []).append(name)
        self.activations: set[nn.Module] = {module for module in self.names if is_activation(module)}
        """Activation functions: torch's, and those of somebody's own that a first pass has found."""
        self.told_of_padding = told_of_padding(network)
        """Modules that can be told of padding; whether they are may depend on the images."""

    def __call__(
        self, inputs: torch.Tensor, on_output: OnOutput, *, until: Collection[str] | None = None
    ) -> Counts:
        """Run images through the network.

        Parameters
        ----------
        inputs
            What the network takes.
        on_output
            Called for each layer.
        until
            End the pass as soon as these layers have been shown.

        Returns
        -------
        dict
            Which positions count, where the network tells a layer of padding.
        """
        calls = Calls(self, on_output, None if until is None else set(until))
        with calls.watched():
            self.network(inputs)
        return calls.counts


class _EnoughError(BaseException):
    """All layers that are wanted were shown; no network is to catch it."""


class Calls:
    """Names the calls of one forward pass, and shows their outputs."""

    def __init__(self, forward: Forward, on_output: OnOutput, wanted: set[str] | None = None) -> None:
        self._names: Mapping[nn.Module, str] = forward.names
        self._all_names = forward.all_names
        self._taken = frozenset(name for names in forward.all_names.values() for name in names)
        self._activations = forward.activations
        self._on_output = on_output
        self._wanted = wanted
        self._entered: list[nn.Module] = []
        self._calls: Counter[str] = Counter()
        self._showing = False
        self._told_of_padding = forward.told_of_padding
        self.counts: Counts = {}
        """Which positions count, by what the network has told its layers of padding so far."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the modules and functions that are called in the block; remove all hooks after it."""
        with ExitStack() as hooks:
            for module in self._names:
                handle = module.register_forward_pre_hook(self._enter, prepend=True)
                hooks.callback(handle.remove)
                if module in self._told_of_padding:
                    handle = module.register_forward_pre_hook(self._tell, with_kwargs=True)
                    hooks.callback(handle.remove)
                handle = module.register_forward_hook(self._leave, always_call=True)
                hooks.callback(handle.remove)
            hooks.enter_context(_Functions(self._function))
            with suppress(_EnoughError):
                yield

    @property
    def entered(self) -> Sequence[nn.Module]:
        """The modules that are at work, each within the one before."""
        return self._entered

    def _enter(self, module: nn.Module, _inputs: object) -> None:
        self._entered.append(module)

    def _tell(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for mask in padding_in_call(self._told_of_padding[module], args, kwargs):
            self.counts = both(self.counts, mask)

    def _leave(self, module: nn.Module, _inputs: object, output: object) -> None:
        self._entered.pop()
        if output is None:  # the module has raised, or gives nothing
            return
        names, number = self._all_names[module], self._calls[self._names[module]]
        site = Site(
            self._unique(self._names[module]),
            type(module).__name__,
            module in self._activations,
            module,
            also=names[number] if 0 < number < len(names) else "",
        )
        self._show(site, layer_output(module, output))

    def _function(self, function: Callable[..., object], output: object) -> None:
        caller = self._entered[-1] if self._entered else None
        if self._showing or (caller is not None and (hides_functions(caller) or caller in self._activations)):
            return
        if not isinstance(output, torch.Tensor):
            return
        kind = function_name(function)
        name = kind if caller is None else f"{self._names[caller]}.{kind}"
        while name in self._taken:
            name += "_function"
        is_activation = kind in ACTIVATION_FUNCTIONS
        self._show(Site(self._unique(name), kind, is_activation, caller, is_function=True), output)

    def _show(self, site: Site, output: object) -> None:
        self._showing = True
        try:
            self._on_output(site, output)
        finally:
            self._showing = False
        if self._wanted is not None:
            self._wanted.discard(site.name)
            if not self._wanted:
                raise _EnoughError

    def _unique(self, name: str) -> str:
        """Return the name of the next call of `name`, which no module has for its own."""
        before = self._calls[name]
        self._calls[name] += 1
        free = (again for number in count(1) if (again := f"{name}_{number}") not in self._taken)
        return next(islice(free, before - 1, None)) if before else name


class _Functions(TorchFunctionMode):
    """Tells of every call of a function or method of torch."""

    def __init__(self, called: Callable[[Callable[..., object], object], None]) -> None:
        super().__init__()
        self._called = called

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        output = func(*args, **(kwargs or {}))
        self._called(func, output)
        return output


@contextmanager
def taking(shape: tuple[int, ...]) -> Iterator[None]:
    """Say that a network does not take inputs of a shape, where what runs in the block fails for that.

    Errors that no shape can lead to are left as they are.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        if isinstance(error, InputValueError | NotImplementedError | torch.OutOfMemoryError):
            raise
        message = (
            f"`shape` of the images must be one that the network takes, but {tuple(shape)} raised "
            f"{type(error).__name__}: {error}"
        )
        raise InputValueError(message) from error


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
