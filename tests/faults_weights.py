"""Mended faults of weights: how people's files name and wrap them, and what is none."""

import warnings
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
import torch
from faults import Fault
from safetensors.torch import save_file
from torch import nn

from spanmatch.networks import architectures
from spanmatch.networks.resume import weights_of
from spanmatch.networks.weight_files import read_weights
from spanmatch.networks.weights import WeightsError, fit_weights


class Net(nn.Module):
    """A network with a submodule, batch normalisation, and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Flatten())
        self.head = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.tensor(2.0))


class Tied(nn.Module):
    """A network of which two layers share a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.head.weight = self.embed.weight


class SharedNorm(nn.Module):
    """A network that normalises twice with the same layer, which has buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm1d(3)
        self.second = self.first


class Complex(nn.Module):
    """A network of complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, dtype=torch.complex64))


class Extra(nn.Module):
    """A network with extra state."""

    def __init__(self, state: object) -> None:
        super().__init__()
        self.head = nn.Linear(2, 2)
        self.state = state

    def get_extra_state(self) -> object:
        return self.state

    def set_extra_state(self, state: object) -> None:
        self.state = state


Tensors = dict[str, torch.Tensor]


def trained(make: Callable[[], nn.Module] = Net) -> Tensors:
    torch.manual_seed(3)
    return make().state_dict()


def prefixed(prefix: str, state: Tensors) -> Tensors:
    return {f"{prefix}{name}": values for name, values in state.items()}


def middle(part: str, state: Tensors) -> Tensors:
    return {name.replace("backbone.", f"backbone.{part}."): values for name, values in state.items()}


def _read(content: Callable[[], object], name: str, make: Callable[[], nn.Module], folder: Path) -> None:
    """See that a file gives the values that were trained."""
    if name.endswith("tensors") or name == "hub.bin":
        save_file(content(), folder / name)
    else:
        torch.save(content(), folder / name)
    fitted = fit_weights(make(), read_weights(folder / name)).state_dict()
    for key, values in trained(make).items():
        exact = name not in {"half.pt", "bfloat16.pt"}
        assert torch.allclose(fitted[key], values, rtol=0, atol=0 if exact else 0.01), key
        assert fitted[key].dtype == values.dtype


def _without_counts(state: Tensors) -> Tensors:
    return {name: values for name, values in state.items() if not name.endswith("tracked")}


def _cast(dtype: torch.dtype) -> Tensors:
    return {name: v.to(dtype) if v.is_floating_point() else v for name, v in trained().items()}


def _small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))


def _adam() -> dict[str, object]:
    """The state of an optimiser, which has three tensors for a parameter: the network has four in all."""
    network = _small()
    optimiser = torch.optim.Adam(network.parameters())
    sum(parameter.sum() for parameter in network.parameters()).backward()
    optimiser.step()
    return optimiser.state_dict()


def _with_adam(key: str) -> dict[str, object]:
    return {"optimizer": _adam(), key: trained(_small)}


def _normed() -> nn.Module:
    normed = nn.utils.parametrizations.weight_norm
    return nn.Sequential(normed(nn.Linear(3, 4)), nn.ReLU(), nn.Sequential(normed(nn.Linear(4, 2))))


def _older() -> Tensors:
    """Weights as torch's older normalisation names them."""
    newer = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = trained(_normed)
    for new, old in newer.items():
        state = {name.replace(new, old): values for name, values in state.items()}
    return state


def _wider(state: Tensors) -> Tensors:
    return {name: torch.cat([values, values]) if values.ndim else values for name, values in state.items()}


def _compressed() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trained()["head.weight"].to_sparse_csr()


def _conjugated(values: torch.Tensor) -> torch.Tensor:
    return values.conj().resolve_conj().conj()


_EXTRA = {"criterion.weight": torch.ones(2), "metric.total": torch.tensor(3)}
_LIGHTNING = {
    "epoch": 3,
    "pytorch-lightning_version": "2.5",
    "state_dict": {**prefixed("model.", trained()), **_EXTRA},
    "optimizer_states": [{"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": []}],
    "callbacks": {"Checkpoint": {"best": torch.tensor(1.0), "path": "x"}},
}

READ: dict[str, tuple[str, Callable[[], object]]] = {
    "torch.compile": ("w.pt", lambda: prefixed("_orig_mod.", trained())),
    "DataParallel": ("w.pth", lambda: prefixed("module.", trained())),
    "compiled in DataParallel": ("w.pt", lambda: prefixed("module._orig_mod.", trained())),
    "DataParallel compiled": ("w.pt", lambda: prefixed("_orig_mod.module.", trained())),
    "a compiled submodule": ("w.pt", lambda: middle("_orig_mod", trained())),
    "a compiled submodule, in Lightning": (
        "w.pt",
        lambda: prefixed("model.", middle("_orig_mod", trained())),
    ),
    "a parallel submodule": ("w.pt", lambda: middle("module", trained())),
    "DataParallel twice": ("w.pt", lambda: prefixed("module.module.", trained())),
    "FSDP": ("w.pt", lambda: prefixed("_fsdp_wrapped_module.", trained())),
    "a prefix": ("w.safetensors", lambda: prefixed("net.", trained())),
    "a long prefix": ("w.pt", lambda: prefixed("student.encoder.net.", trained())),
    "a prefix before DataParallel": ("w.pt", lambda: prefixed("model.module.", trained())),
    "Lightning": ("epoch=3.ckpt", lambda: _LIGHTNING),
    "an averaged model": ("w.pt", lambda: {**prefixed("module.", trained()), "n_averaged": torch.tensor(5)}),
    "a prefix, no counts of batches": ("w.pt", lambda: prefixed("net.", _without_counts(trained()))),
    "model_state_dict": ("w.bin", lambda: {"model_state_dict": trained(), "optimizer": {"state": {}}}),
    "model": ("w.pt", lambda: {"model": trained(), "args": {"lr": 0.1}}),
    "model and generators": ("w.pt", lambda: {"rng": {"cpu": torch.ones(3)}, "model": trained()}),
    "ema": ("w.pt", lambda: {"ema": trained(), "step": torch.tensor(7)}),
    "a wrapper in another": ("w.pt", lambda: {"state": {"epoch": 1, "net": prefixed("module.", trained())}}),
    "a wrapper of any name": ("w.pt", lambda: {"resnet": trained()}),
    "a network beside another": ("w.pt", lambda: {"critic": _wider(trained()), "actor": trained()}),
    "a wider teacher": (
        "w.pt",
        lambda: {**prefixed("teacher.", _wider(trained())), **prefixed("student.", trained())},
    ),
    "numbers beside tensors": ("w.pt", lambda: {**trained(), "epoch": 3, "best": None, "note": "x"}),
    "a compressed sparse matrix": ("w.pt", lambda: {**trained(), "head.weight": _compressed()}),
    "parameters": (
        "w.pt",
        lambda: {n: nn.Parameter(v, v.is_floating_point()) for n, v in trained().items()},
    ),
    "half": ("half.pt", lambda: _cast(torch.float16)),
    "bfloat16": ("bfloat16.pt", lambda: _cast(torch.bfloat16)),
    "float64": ("w.pt", lambda: _cast(torch.float64)),
    "safetensors under another suffix": ("hub.bin", trained),
    "torch.save under safetensors' suffix": ("saved.safetensor", lambda: trained()),
    "a number as an array": ("w.pt", lambda: {**trained(), "scale": torch.tensor([2.0])}),
}
FAULTS = [
    Fault(
        9,
        case,
        "refused, mostly with wrong advice",
        "read",
        partial(_read, make, name, Net),
    )
    for case, (name, make) in READ.items()
]
FAULTS += [
    Fault(9, "one name of a shared matrix", "1 missing", "read", partial(_read, make, name, Tied))
    for name, make in {
        "w.safetensors": lambda: {n: v for n, v in trained(Tied).items() if n != "head.weight"},
        "w.pt": lambda: prefixed("model.", {n: v for n, v in trained(Tied).items() if n != "embed.weight"}),
    }.items()
]
FAULTS += [
    Fault(9, f"older names, {case}", "4 missing", "read", partial(_read, make, "w.pt", _normed))
    for case, make in {
        "a state dict": _older,
        "Lightning": lambda: {"state_dict": prefixed("model.", _older()), "epoch": 3},
    }.items()
]
FAULTS += [
    Fault(9, f"{key} and Adam", "several networks", "read", partial(_read, make, "w.pt", _small))
    for key in ("model", "model_state_dict", "policy")
    for make in [partial(_with_adam, key)]
]
FAULTS += [
    Fault(
        9,
        "one name of a shared layer with buffers",
        "2 missing",
        "read",
        partial(
            _read,
            lambda: {n: v for n, v in trained(SharedNorm).items() if n.startswith("first.")},
            "w.safetensors",
            SharedNorm,
        ),
    ),
    Fault(
        9,
        "a conjugated tensor",
        "a RuntimeError of torch's",
        "read",
        partial(_read, lambda: {"weight": _conjugated(trained(Complex)["weight"])}, "w.pt", Complex),
    ),
]


def _extra_state(theirs: object, ours: object, expected: object, folder: Path) -> None:
    """See what extra state a network has after reading a file with another's, if not with none at all."""
    state = nn.Sequential(Extra(theirs)).state_dict()
    if theirs is None:
        del state["0._extra_state"]
    torch.save({"model": state}, folder / "w.pt")
    network = fit_weights(nn.Sequential(Extra(ours)), read_weights(folder / "w.pt"))
    assert torch.equal(network[0].head.weight, state["0.head.weight"])
    assert network[0].state == expected


FAULTS += [
    Fault(9, f"extra state, {case}", "refused, or a RuntimeError of torch's", now, check)
    for case, now, check in [
        ("a dictionary", "its own", partial(_extra_state, {"a": 1}, {"a": 2}, {"a": 2})),
        ("absent from the file", "its own", partial(_extra_state, None, {"a": 2}, {"a": 2})),
        ("a dictionary for a tensor", "its own", partial(_extra_state, {"a": 1}, torch.tensor(2), 2)),
        ("a tensor for a dictionary", "the file's", partial(_extra_state, torch.tensor(1), {"a": 2}, 1)),
    ]
]


def _refused(content: object, says: str, make: Callable[[], nn.Module], folder: Path) -> None:
    path = folder / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, FunctionType):
        content(path)
    else:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=says):
        fit_weights(make(), read_weights(path))


def _script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 2)).save(path)


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, w=np.ones(2))


def _quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)


def _half_complex() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ones(2, dtype=torch.complex64).to(torch.complex32)


_PARTS = {**prefixed("student.", trained()), **prefixed("teacher.", trained())}
_OTHER = {name.replace("head", "fc"): values for name, values in trained().items()}
REFUSED: dict[str, tuple[object, str]] = {
    "student and teacher": (_PARTS, r"2 parts of the file fit, beginning with 'student\.', 'teacher\.'"),
    "model and its average": (
        {"model": trained(), "ema": trained()},
        r"2 parts of the file fit, under model, ema; write .*\(path\)\['model'\], other",
    ),
    "model and its average below a key": (
        {"ckpt": {"model": trained(), "ema": trained()}},
        r"under ckpt.model, ckpt.ema; write .*load\(path\)\['ckpt'\]\['model'\], other_path",
    ),
    "a number beside the tensors of another network": (
        {**_OTHER, "epoch": 3},
        r"2 unexpected \(fc.weight, fc.bias\); 1 that is no tensor \(epoch: int\); give",
    ),
    "another network beside its optimiser": (
        {"optimizer": _adam(), "policy": _OTHER},
        r"2 missing \(head.weight, head.bias\).*\(of the file, what is under policy comes nearest\); give",
    ),
    "the meta device": (
        {**trained(), "head.bias": torch.ones(2, device="meta")},
        "must have values, but head.bias is on the meta device, which keeps none; write",
    ),
    "complex numbers of 16 bits": (
        {"head.bias": _half_complex()},
        "made NumPy's, but head.bias is a .*, which cannot; write",
    ),
    "a prefix, and other names": (
        prefixed("model.", _OTHER),
        r"2 missing \(head.weight, head.bias\); 2 unexpected \(fc.weight, fc.bias\); all .* 'model\.', all",
    ),
    "names of another network": (
        {"conv1.weight": torch.ones(2), "fc.bias": torch.ones(2)},
        "no name of the file is one of the network's",
    ),
    "another shape below a prefix": (
        prefixed("net.", {**trained(), "head.weight": torch.ones(5, 3)}),
        r"1 of another shape \(head.weight is \(5, 3\).*give the architecture, width and number of classes",
    ),
    "an int8 matrix": (
        {**trained(), "head.weight": torch.ones(2, 3, dtype=torch.int8)},
        "fraction for head.weight, got int8, as quantised",
    ),
    "a quantised tensor": (
        {**trained(), "head.weight": _quantised()},
        "quantised tensors; give",
    ),
    "a quantised layer": (
        {"fc._packed": (_quantised(), None), "fc.scale": torch.ones(1)},
        "quantised tensors",
    ),
    "float8": ({"head.weight": torch.ones(2).to(torch.float8_e4m3fn)}, "holds quantised tensors"),
    "an index of several files": (
        b'{"weight_map": {"w": "a.safetensors"}}',
        "is JSON, such as",
    ),
    "a TorchScript archive": (_script, r"a TorchScript archive; write torch.jit.load\(path\).state_dict"),
    "NumPy's archive": (_npz, "NumPy's archive"),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "with `git lfs pull`",
    ),
    "Keras's HDF5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "a whole module": (
        nn.Sequential(nn.Linear(2, 2)),
        r"Sequential.*state_dict\(\).* if it is a module",
    ),
    "Lightning's hyper-parameters": (
        {**_LIGHTNING, "hyper_parameters": Namespace(lr=0.1)},
        r"not unpickled \(argparse.Namespace\);.*found\['state_dict'\]",
    ),
    "fractions for whole numbers": (
        {**trained(), "backbone.1.num_batches_tracked": torch.tensor(0.5)},
        "whole numbers for backbone.1.num_batches_tracked",
    ),
    "complex numbers for real ones": (
        {**trained(), "head.bias": torch.tensor([3 + 4j, 1j])},
        "must hold real numbers for head.bias, got complex64; give",
    ),
    "numbers beyond float32": (
        {**trained(), "head.bias": torch.tensor([1.0, -1e300], dtype=torch.float64)},
        r"numbers that float32 holds for head.bias, got -1e\+300; give",
    ),
    "numbers beyond int64": (
        {**trained(), "backbone.1.num_batches_tracked": torch.tensor(1e30)},
        r"numbers that int64 holds for backbone.1.num_batches_tracked, got 1e\+30; give",
    ),
}
FAULTS += [
    Fault(9, case, "wrong advice", "the right advice", partial(_refused, content, says, Net))
    for case, (content, says) in REFUSED.items()
]
_OLDER_PARTS = {**prefixed("student.", _older()), **prefixed("teacher.", _older())}
FAULTS += [
    Fault(9, f"older names, {case}", "4 missing", "one sentence", partial(_refused, content, says, _normed))
    for case, content, says in [
        ("of another shape", _wider(_older()), "4 missing .*; 4 unexpected"),
        ("under two keys", {"model": _older(), "ema": _older()}, "2 parts of the file fit, under model, ema"),
        ("of student and teacher", _OLDER_PARTS, "4 missing .*; 4 unexpected"),
    ]
]
FAULTS += [
    Fault(
        9,
        "two values of a shared matrix",
        "the last one was taken",
        "one sentence",
        partial(_refused, {**trained(Tied), "head.weight": torch.ones(3, 3)}, "two that differ for", Tied),
    ),
]


def _parallel() -> nn.Module:
    return nn.DataParallel(Net())


def _compiled() -> nn.Module:
    return torch.compile(Net())


def _compiled_inside() -> nn.Module:
    network = nn.Sequential(torch.compile(Net()))
    network.append(network[0])  # the same again
    network.append(nn.DataParallel(torch.compile(nn.Linear(2, 2))))
    network[2].compile()
    return network


def _double() -> nn.Module:
    return Net().double()


def _half() -> nn.Module:
    return Net().half()


def _bfloat16() -> nn.Module:
    return Net().bfloat16()


def _unwrapped(name: str, _: Path) -> None:
    network = architectures.build(f"{__name__}:{name}", (1, 1, 1), 2)
    assert type(network) in (Net, nn.Sequential)
    assert not {"_orig_mod", "module"} & {part for key in network.state_dict() for part in key.split(".")}
    assert {v.dtype for v in network.state_dict().values() if v.is_floating_point()} == {torch.float32}
    assert all(getattr(module, "_compiled_call_impl", None) is None for module in network.modules())
    weights = weights_of(network)
    fit_weights(network, weights)


FAULTS += [
    Fault(9, f"a factory's network, {make.__name__}", "fits no file", "as without", check)
    for make in (_parallel, _compiled, _compiled_inside, _double, _half, _bfloat16)
    for check in [partial(_unwrapped, make.__name__)]
]
