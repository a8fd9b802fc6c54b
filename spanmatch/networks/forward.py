"""Forward passes that hand out each layer's output as soon as it is computed."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from spanmatch.errors import InputTypeError, InputValueError, SpanmatchError
from spanmatch.networks.network_inputs import Inputs
from spanmatch.networks.padding import Padding, told_of_padding
from spanmatch.networks.sites import (
    ACTIVATION_FUNCTIONS,
    OnOutput,
    Site,
    function_name,
    hides_functions,
    is_activation,
    layer_output,
    tensors_within,
)


class Forward:
    """The pass of a network, seen through hooks on every module and on torch's functions.

    A module's output has the module's name; a tensor in a tuple, dictionary or dataclass that a module gives
    has the index or key beside it, as in ``name[0]``. The second call of a module ``name`` is named
    ``name_1``, the next ``name_2``; a function has the name of the module that calls it before its own. Names
    that are a module's own are passed over, so that each means that module.

    Parameters
    ----------
    network
        Set to evaluation here.

    Raises
    ------
    TypeError
        If it is TorchScript, at least in part.
    """

    def __init__(self, network: nn.Module) -> None:
        if any(isinstance(module, torch.jit.ScriptModule) for module in network.modules()):
            raise InputTypeError(
                "a network must be one of Python modules, whose layers can be seen, got one "
                "with TorchScript in it; give the modules that it was made of"
            )
        self.network = network.eval()
        self.names: dict[nn.Module, list[str]] = {}
        """Every name of a module: one activation function may serve many layers."""
        for name, module in network.named_modules(remove_duplicate=False):
            if name:
                self.names.setdefault(module, []).append(name)
        self.activations: set[nn.Module] = {module for module in self.names if is_activation(module)}
        """Activation functions: torch's, and those of somebody's own that a first pass has found."""
        self.told_of_padding = told_of_padding(network)
        """Modules that can be told of padding; whether they are may depend on the images."""
        self.padding = Padding()
        """What is known of how the network tells its layers of padding."""

    def cast(self, inputs: Inputs) -> Inputs:
        """Return inputs in the precision of the network's parameters."""
        kinds = (weights.dtype for weights in self.network.parameters() if weights.is_floating_point())
        dtype = next(kinds, None)
        return inputs if dtype is None else inputs.cast(dtype)

    def __call__(
        self, inputs: Inputs, on_output: OnOutput, *, until: Collection[str] | None = None
    ) -> Padding:
        """Run samples through the network.

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
        Padding
            What the network has told its layers of padding.
        """
        calls = Calls(self, on_output, len(inputs), None if until is None else set(until))
        with calls.watched():
            inputs(self.network)
        return calls.padding


class _EnoughError(BaseException):
    """All layers that are wanted were shown; no network is to catch it."""


@dataclass
class _Work:
    """A module that is at work.

    Attributes
    ----------
    module, path
        What it is, and where in the network: its name by the way by which it was called.
    calls
        How often it has called each module so far.
    """

    module: nn.Module | None
    path: str
    calls: Counter[nn.Module] = field(default_factory=Counter)


class Calls:
    """Names the calls of one forward pass, and shows their outputs."""

    def __init__(
        self, forward: Forward, on_output: OnOutput, images: int, wanted: set[str] | None = None
    ) -> None:
        self._names = forward.names
        self._taken = frozenset(name for names in forward.names.values() for name in names)
        self._activations = forward.activations
        self._on_output = on_output
        self._images = images
        self._wanted = wanted
        self._works = [_Work(None, "")]
        self._calls: Counter[str] = Counter()
        self._showing = False
        self._told_of_padding = forward.told_of_padding
        self.function: str | None = None
        """The name of the function of torch that is at work."""
        self.padding = forward.padding.begun()
        """What the network has told its layers of padding so far."""

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
            hooks.enter_context(_Functions(self))
            with suppress(_EnoughError):
                yield

    @property
    def entered(self) -> Sequence[nn.Module]:
        """The modules that are at work, each within the one before."""
        return [work.module for work in self._works if work.module is not None]

    def _enter(self, module: nn.Module, _inputs: object) -> None:
        caller = self._works[-1]
        names = _within(self._names[module], caller.path)
        place = min(caller.calls[module], len(names) - 1)
        caller.calls[module] += 1
        self._works.append(_Work(module, names[place]))

    def _tell(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.padding.note(module, self._told_of_padding[module], args, kwargs, self._images)

    def _leave(self, module: nn.Module, _inputs: object, output: object) -> None:
        work = self._works.pop()
        if output is None:  # the module has raised, or gives nothing
            return
        name, kind = self._unique(work.path), type(module).__name__
        own = layer_output(module, output)
        self._show(Site(name, kind, module in self._activations, module), own)
        if not isinstance(output, torch.Tensor):
            for place, tensor in tensors_within(output):
                if tensor is not own:
                    self._show(Site(f"{name}{place}", kind, is_activation=False, module=module), tensor)

    def leave_function(self, function: Callable[..., object], output: object) -> None:
        """Show the output of a function of torch, unless it is a module's own affair."""
        work = self._works[-1]
        caller = work.module
        if self._showing or (caller is not None and (hides_functions(caller) or caller in self._activations)):
            return
        if not isinstance(output, torch.Tensor):
            return
        kind = function_name(function)
        name = f"{work.path}.{kind}" if work.path else kind
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


def _within(names: Sequence[str], path: str) -> Sequence[str]:
    """Return those of a module's names that lie in the module that calls it, directly if there are any."""
    right = [name for name in names if name.rpartition(".")[0] == path]
    return right or [name for name in names if not path or name.startswith(f"{path}.")] or names


class _Functions(TorchFunctionMode):
    """Tells of every call of a function or method of torch."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        self._calls.function = function_name(func)
        try:
            output = func(*args, **(kwargs or {}))
        finally:
            self._calls.function = None
        self._calls.leave_function(func, output)
        return output


@contextmanager
def taking(*shapes: tuple[int, ...], of: str = "images") -> Iterator[None]:
    """Say that a network does not take inputs of these shapes, where what runs in the block fails for that.

    Errors that no shape can lead to are left as they are.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        if isinstance(error, SpanmatchError | NotImplementedError | torch.OutOfMemoryError):
            raise
        if "dtype" in str(error):
            raise InputTypeError(
                "a network must be one that computes in the precision of its parameters, in which it is "
                f"given floating-point input, but it raised {type(error).__name__}: {error}; have it cast "
                "nothing, and give whole numbers only where it looks something up"
            ) from error
        shown = " and ".join(str(tuple(shape)) for shape in shapes)
        message = (
            f"`shape` of the {of} must be one that the network takes, but {shown} raised "
            f"{type(error).__name__}: {error}"
        )
        raise InputValueError(message) from error


@contextmanager
def faithful() -> Iterator[None]:
    """Compute in full float32 precision, and by the modules that are there; put everything back after."""
    fused = torch.backends.mha.get_fastpath_enabled()
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    # fused encoders pass nested tensors on, without padding: no positions that all images have
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fused)
        torch.set_float32_matmul_precision(precision)
