"""Files of weights as other people write them: safetensors, or ``torch.save``.

Apart from fitting because nothing here knows the network; what a file is shows in its content, whatever its
name, and nothing is unpickled.
"""

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from spanmatch.networks.weights import Weights, WeightsError, first_of

StateDict = Mapping[str, torch.Tensor]

# A checkpoint may wrap its state dict, and a trainer that checkpoint once more.
_DEEPEST = 3
# Where checkpoints have the network; what lies beside it and is less than half as large is no other network.
_USUAL = {"state_dict", "model_state_dict", "model", "net", "network"}
_WITHOUT_NUMPY = (torch.bfloat16,)


def read_weights(path: Path) -> Weights:
    """Read the weights of a network from a file.

    Parameters
    ----------
    path
        A safetensors file; or one by ``torch.save`` with a state dict, or with a dictionary that has exactly
        one below any of its keys, such as ``state_dict`` or ``model``, and at most small ones beside it.
        bfloat16 becomes float32, which holds every such number. Names are those of the file: `fit_weights`
        takes prefixes off.

    Raises
    ------
    WeightsError
        If the file is absent, damaged, quantised, or holds anything but the named tensors of one network.
    """
    if not path.is_file():
        raise WeightsError(f"`weights` must be a file, but there is none at {path}")
    found = _read_safetensors(path) if _is_safetensors(path) else _read_saved(path)
    below = _without_small(dict(_state_dicts(found)))
    if not below:
        if _is_quantised(found):
            raise _quantised(path)
        raise WeightsError(
            f"`weights` must hold named tensors, but {path} holds {_kinds(found)}; write it with "
            "torch.save(network.state_dict(), path)"
        )
    if len(below) > 1:
        names = ", ".join(below)
        raise WeightsError(
            f"`weights` must hold the tensors of one network, but {path} holds those of {len(below)}, under "
            f"{names}; write one of them with torch.save(torch.load(path)[{next(iter(below))!r}], other_path)"
        )
    (state,) = below.values()
    if any(map(_is_quantised, state.values())):
        raise _quantised(path)
    return {name: _array(values) for name, values in state.items()}


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # after eight bytes that count those of the header, which is JSON
        return int.from_bytes(start[:8], "little") < path.stat().st_size
    return path.suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def _read_safetensors(path: Path) -> object:
    _refuse_foreign(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"`weights` must be a safetensors file, but {path} is not: {error}") from error


def _read_saved(path: Path) -> object:
    _refuse_foreign(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of quantised tensors, which are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors of several modules, and whatever damage looks like
        objects = _objects(path)
        if objects:
            raise WeightsError(
                f"`weights` must be a file that torch.load(weights_only=True) reads, but {path} holds other "
                f"objects than tensors, which are not unpickled ({first_of(objects)}); where you trust the "
                "file, read it with found = torch.load(path, weights_only=False), and write its tensors "
                "alone with torch.save(found.state_dict(), other_path) if it is a module, or "
                "torch.save(found['state_dict'], other_path) if it is a checkpoint"
            ) from error
        raise WeightsError(
            f"`weights` must be a file that torch.load(weights_only=True) reads, but {path} is damaged or "
            f"holds other objects than tensors, which are not unpickled ({type(error).__name__}); write it "
            "with torch.save(network.state_dict(), path)"
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Refuse what is known to be something else, and say what to do with it."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    said = None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [Path(name).name for name in archive.namelist()]
        if "constants.pkl" in names:
            said = "a TorchScript archive; write torch.jit.load(path).state_dict() with torch.save"
        elif any(name.endswith(".npy") for name in names):
            said = "NumPy's archive; write its arrays as tensors with torch.save"
    elif start.startswith(b"version https://git-lfs"):
        said = "a pointer of Git LFS, and not the file; fetch that with `git lfs pull`"
    elif start.startswith(b"{"):
        said = (
            "JSON, such as the index of weights in several files; join the files' tensors in one dictionary, "
            "and write that with torch.save"
        )
    elif start.startswith(b"\x89HDF"):
        said = "an HDF5 file, as Keras writes; write its arrays as tensors with torch.save"
    if said is not None:
        raise WeightsError(f"`weights` must be a safetensors file or a state dict, but {path} is {said}")


def _objects(path: Path) -> list[str]:
    """Return the classes and functions that a file would have called."""
    with suppress(Exception):  # older files, and damaged ones
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    return []


def _state_dicts(found: object, depth: int = _DEEPEST) -> Iterator[tuple[str, StateDict]]:
    """Yield every state dict in a checkpoint, under the first key that leads to it."""
    if _is_state_dict(found):
        yield "", found
    elif isinstance(found, Mapping) and depth:
        for name, value in found.items():
            below = list(_state_dicts(value, depth - 1))
            for inner, state in below:
                yield str(name) if len(below) == 1 else f"{name}.{inner}", state


def _without_small(below: dict[str, StateDict]) -> dict[str, StateDict]:
    """Leave out what is small beside the one under a usual name, such as generators or a loss's weights."""
    usual = [state for name, state in below.items() if name in _USUAL]
    if len(usual) != 1:
        return below
    return {name: state for name, state in below.items() if 2 * len(state) >= len(usual[0])}


def _is_state_dict(state: object) -> TypeGuard[StateDict]:
    return (
        isinstance(state, Mapping)
        and len(state) > 0
        and all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items())
    )


def _is_quantised(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_quantised, value.values()))
    if isinstance(value, tuple):  # what torch packs weight and bias of a layer into
        return any(map(_is_quantised, value))
    return isinstance(value, torch.Tensor) and (
        value.is_quantized or (value.is_floating_point() and value.element_size() == 1)
    )


def _quantised(path: Path) -> WeightsError:
    return WeightsError(
        f"`weights` must be numbers of 16 bits or more, but {path} holds quantised tensors; give the weights "
        "from before they were quantised"
    )


def _kinds(state: object) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return first_of([f"{name}: {type(value).__name__}" for name, value in state.items()]) or "nothing"


def _array(values: torch.Tensor) -> NDArray[Any]:
    values = values.detach().to_dense() if values.is_sparse else values.detach()
    array: NDArray[Any] = (values.float() if values.dtype in _WITHOUT_NUMPY else values).contiguous().numpy()
    return array
