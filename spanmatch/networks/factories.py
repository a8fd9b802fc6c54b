"""Networks from elsewhere: torchvision's for ImageNet, and any ``package.module:factory``."""

import inspect
import socket
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn.parameter import UninitializedParameter

from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import is_factory
from spanmatch.networks.forward import taking
from spanmatch.networks.importing import import_factory, reason, unusable
from spanmatch.networks.project import project_digest
from spanmatch.networks.scaling import Shape, refuse_shape

# The size to which five halvings reduce to one position.
_SMALLEST_IMAGENET_IMAGE = 32


def imagenet(architecture: str, shape: Shape, classes: int) -> nn.Module:
    """Build torchvision's network of a name like ``vgg16-bn-imagenet``, without trained weights."""
    if shape[0] != 3 or min(shape[1:]) < _SMALLEST_IMAGENET_IMAGE:
        rule = f"(3, height, width) with height and width at least {_SMALLEST_IMAGENET_IMAGE}"
        refuse_shape(
            architecture, rule, shape, "give the images three channels and resize them, usually to 224 × 224"
        )
    name = architecture.removesuffix("-imagenet").replace("-", "_")
    network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes)
    return network


def from_factory(architecture: str, shape: tuple[int, ...], classes: int) -> nn.Module:
    """Import ``package.module:factory`` and return the module that it makes.

    The factory is called with `classes` and `shape` as keywords where its signature names them. Wrappers of
    torch.compile and data parallelism are taken off, and parameters become float32, as images are.

    Raises
    ------
    ValueError
        If it does not import, cannot be called, raises, or returns no ``torch.nn.Module``.
    """
    factory = import_factory(architecture, "architecture")
    try:
        network = factory(**_accepted(factory, {"shape": shape, "classes": classes}))
    except Exception as error:
        rule, got = "a factory that returns a network", f"it raised {reason(error)}"
        raise unusable(architecture, "architecture", rule, got) from error
    if not isinstance(network, nn.Module):
        rule, got = "a factory that returns a torch.nn.Module", f"it returned {type(network).__name__}"
        raise unusable(architecture, "architecture", rule, got)
    return _shaped(_plain(network), shape).float()


def _shaped(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Give lazy layers the parameters that an input of the shape makes."""
    if any(isinstance(weights, UninitializedParameter) for weights in network.parameters()):
        training = network.training
        with torch.no_grad(), taking(shape):
            network.eval()(torch.zeros(2, *shape))
        network.train(training)
    return network


def require_same_code(architecture: str, digest: str) -> None:
    """See that a factory stands on the sources that results are kept for.

    Raises
    ------
    ValueError
        If it does not: another machine's copy, or one that was edited meanwhile.
    """
    if is_factory(architecture):
        import_factory(architecture, "architecture")
    if project_digest(architecture) != digest:
        raise InputValueError(
            f"`architecture` must stand on the same sources during a run and on every worker, got others for "
            f"{architecture!r} on {socket.gethostname()}; bring them to one state, and run again"
        )


def _plain(network: nn.Module) -> nn.Module:
    """Take off the wrappers of torch.compile and data parallelism, from the network and all in it.

    They change names and kernels, and nothing that a network computes.
    """
    while (inner := wrapped(network)) is not None:
        network = inner
    if getattr(network, "_compiled_call_impl", None) is not None:
        network._compiled_call_impl = None  # Module.compile() sets it, and nothing takes it back
    for name, child in list(network._modules.items()):  # named_children leaves out repeated ones
        plain = None if child is None else _plain(child)
        if plain is not child:
            network.register_module(name, plain)
    return network


def wrapped(network: nn.Module) -> nn.Module | None:
    """Return the network that a wrapper is of."""
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = network.module if isinstance(network, parallel) else getattr(network, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else None


def _accepted(factory: Callable[..., object], offered: dict[str, Any]) -> dict[str, Any]:
    try:
        named = inspect.signature(factory).parameters
    except ValueError:  # some callables written in C have none
        return {}
    positional = inspect.Parameter.POSITIONAL_ONLY
    return {
        name: value for name, value in offered.items() if name in named and named[name].kind != positional
    }
