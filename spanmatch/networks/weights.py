"""Weights: read from files that others wrote, and put into a network after a look at whether they fit.

Apart because what comes from a file is checked here, and nothing is unpickled.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from spanmatch.errors import InputValueError

Weights = dict[str, NDArray[Any]]

# Names of each kind in an error: enough to see what went wrong.
_NAMED = 3
# Batch normalisation's count of batches: absent from old files, and not read in evaluation.
_COUNTER = "num_batches_tracked"
# Many writers make a scalar an array of one number.
_AS_GOOD: dict[tuple[int, ...], tuple[tuple[int, ...], ...]] = {(): ((), (1,))}


class WeightsError(InputValueError):
    """Weights cannot be read, or do not fit the network."""


def read_weights(path: Path) -> Weights:
    """Read the weights of a network from a file.

    Parameters
    ----------
    path
        A ``.safetensors`` file; or one by ``torch.save`` with a state dict, or with a dictionary that has
        one under ``state_dict``. The prefix ``module.`` that DataParallel writes is taken off.

    Raises
    ------
    WeightsError
        If the file is absent, damaged, or holds anything but named tensors.
    """
    if not path.is_file():
        raise WeightsError(f"`weights` must be a file, but there is none at {path}")
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_state_dict(path)
    state = found["state_dict"] if isinstance(found, Mapping) and "state_dict" in found else found
    if not _is_state_dict(state):
        raise WeightsError(
            f"`weights` must hold named tensors, but {path} holds {_kinds(state)}; write it with "
            "torch.save(network.state_dict(), path)"
        )
    prefix = "module." if all(name.startswith("module.") for name in state) else ""
    return {name.removeprefix(prefix): _array(values) for name, values in state.items()}


def fit_weights(network: nn.Module, weights: Weights) -> nn.Module:
    """Put weights into a network and set it to evaluation; return it.

    Raises
    ------
    WeightsError
        If names are missing or unexpected, or shapes differ: says which, and how many.
    """
    wanted = {name: tuple(values.shape) for name, values in network.state_dict().items()}
    missing = [name for name in wanted if name not in weights and not name.endswith(_COUNTER)]
    unexpected = [name for name in weights if name not in wanted]
    differing = [
        f"{name} is {weights[name].shape}, the network's {shape}"
        for name, shape in wanted.items()
        if name in weights and weights[name].shape not in _AS_GOOD.get(shape, (shape,))
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": differing}
    wrong = [f"{len(names)} {kind} ({_first(names)})" for kind, names in kinds.items() if names]
    if wrong:
        raise WeightsError(
            f"`weights` must fit the network, which has {len(wanted)} tensors: {'; '.join(wrong)}; "
            "give the architecture, width and number of classes that they were trained with"
        )
    network.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    return network.eval()


def _read_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"`weights` must be a safetensors file, but {path} is not: {error}") from error


def _read_state_dict(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors of several modules, and whatever damage looks like
        raise WeightsError(
            f"`weights` must be a file that torch.load(weights_only=True) reads, but {path} is damaged or "
            f"holds other objects than tensors, which are not unpickled ({type(error).__name__}); write it "
            "with torch.save(network.state_dict(), path)"
        ) from error


def _is_state_dict(state: object) -> TypeGuard[Mapping[str, torch.Tensor]]:
    return (
        isinstance(state, Mapping)
        and len(state) > 0
        and all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items())
    )


def _kinds(state: object) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return _first([f"{name}: {type(value).__name__}" for name, value in state.items()]) or "nothing"


def _array(values: torch.Tensor) -> NDArray[Any]:
    # NumPy has no bfloat16
    values = values.float() if values.dtype == torch.bfloat16 else values
    array: NDArray[Any] = values.detach().contiguous().numpy()
    return array


def _first(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_NAMED])
    return f"{shown}, …" if len(names) > _NAMED else shown
