"""Weights from files: what was saved comes back, nothing is unpickled, and what does not fit is named."""

import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spanmatch.networks.weight_files import read_weights
from spanmatch.networks.weights import WeightsError, fit_weights


def network(hidden: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, hidden, 1), nn.BatchNorm2d(hidden), nn.Flatten(), nn.Linear(hidden, 2))


@pytest.fixture
def saved() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return network().state_dict()


@pytest.mark.parametrize("form", ["safetensors", "state dict", "nested", "data parallel"])
def test_weights_come_back_from_every_form(tmp_path: Path, saved: dict[str, torch.Tensor], form: str) -> None:
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pt")
    if form == "safetensors":
        save_file(saved, path)
    elif form == "state dict":
        torch.save(saved, path)
    elif form == "nested":
        torch.save({"epoch": 3, "state_dict": saved}, path)
    else:
        torch.save({"state_dict": OrderedDict((f"module.{name}", v) for name, v in saved.items())}, path)
    fitted = fit_weights(network(), read_weights(path))
    assert not fitted.training
    for name, values in fitted.state_dict().items():
        assert torch.equal(values, saved[name]), name


def test_bfloat16_weights_are_read_as_float32(tmp_path: Path) -> None:
    save_file({"w": torch.tensor([1.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "w.safetensors")
    weights = read_weights(tmp_path / "w.safetensors")[0].weights
    assert weights["w"].dtype == np.float32
    assert weights["w"].tolist() == [1.5, -2.0]


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": Trap(tmp_path / "sprung")}}, tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=r"holds other objects than tensors, which are not unpickled"):
        read_weights(tmp_path / "weights.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.pt", None, "`weights` must be a file, but there is none at"),
        ("noise.pt", b"not weights", r"torch.load\(weights_only=True\) reads, but .*noise.pt is damaged"),
        ("noise.safetensors", b"not weights", "must be a safetensors file, but .*noise.safetensors is not"),
        ("list.pt", [1, 2], "must hold named tensors, but .*list.pt holds list"),
        ("none.pt", {}, "must hold named tensors, but .*none.pt holds nothing"),
        (
            "other.pt",
            {"epoch": 3, "lr": 0.1, "net": {}, "x": 1},
            "holds epoch: int, lr: float, net: dict, …; write",
        ),
    ],
)
def test_what_is_not_weights_is_refused(tmp_path: Path, name: str, content: object, message: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(WeightsError, match=message):
        read_weights(path)


def test_a_truncated_file_is_refused(tmp_path: Path, saved: dict[str, torch.Tensor]) -> None:
    for name, save in (("w.pt", torch.save), ("w.safetensors", save_file)):
        path = tmp_path / name
        save(saved, path)
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(WeightsError, match="`weights` must be a"):
            read_weights(path)


def test_weights_that_do_not_fit_say_which() -> None:
    weights = {name: values.numpy() for name, values in network(5).state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        fit_weights(network(3), weights)
    message = str(caught.value)
    assert (
        "which has 9 tensors: 7 of another shape (0.weight is (5, 1, 1, 1), the network's (3, 1, 1, 1)"
        in message
    )
    assert message.count("the network's") == 3

    weights = {name: values.numpy() for name, values in network().state_dict().items()}
    weights["9.weight"] = weights.pop("3.weight")
    with pytest.raises(WeightsError, match=re.escape("1 missing (3.weight); 1 unexpected (9.weight)")):
        fit_weights(network(), weights)


def test_counts_of_batches_may_be_missing_or_arrays_of_one_number() -> None:
    weights = {name: values.numpy() for name, values in network().state_dict().items()}
    weights["1.num_batches_tracked"] = np.array([7])
    assert fit_weights(network(), weights).state_dict()["1.num_batches_tracked"].item() == 7
    del weights["1.num_batches_tracked"]
    fit_weights(network(), weights)


def test_counts_of_batches_of_a_shared_layer_may_be_missing() -> None:
    shared = nn.BatchNorm1d(3)
    weights = {name: values.numpy() for name, values in nn.Sequential(shared, shared).state_dict().items()}
    fit_weights(
        nn.Sequential(shared, shared), {name: v for name, v in weights.items() if "tracked" not in name}
    )
