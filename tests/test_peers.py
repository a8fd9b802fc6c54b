"""Minibatch CKA beside other tools for heat maps, where these are installed: equal, and where they err."""

from dataclasses import dataclass
from typing import Any

import needs
import numpy as np
import pytest
import torch
from compared import IMAGES, convolutional, seeded
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import spanmatch
from benchmarks import peers

TOOLS = {"cka": peers.pytorch_cka, "torch_cka": peers.torch_cka}
LAYERS = ["0", "2", "7"]  # of which no ReLU in place makes something else


@dataclass
class Found:
    ours: np.ndarray
    theirs: np.ndarray
    exact: np.ndarray


def found(tool: str, layers: list[str], change: Any = lambda _network: None) -> Found:
    needs.module(tool)
    networks = [seeded(convolutional, seed) for seed in (0, 1)]
    for network in networks:
        change(network)
    loader = DataLoader(TensorDataset(IMAGES, torch.zeros(len(IMAGES))), batch_size=8)
    return Found(*(each(*networks, loader, layers) for each in (peers.ours, TOOLS[tool], peers.exact)))


def test_the_estimate_is_the_one_that_is_defined():
    """Without other tools: `peers.exact` is what they and `compare` are held to."""
    networks = [seeded(convolutional, seed) for seed in (0, 1)]
    loader = DataLoader(TensorDataset(IMAGES, torch.zeros(len(IMAGES))), batch_size=8)
    values = (each(*networks, loader, LAYERS) for each in (peers.ours, peers.exact))
    np.testing.assert_allclose(*values, atol=1e-4)


@pytest.mark.parametrize("tool", TOOLS)
def test_other_tools_have_the_same_heat_map(tool):
    of = found(tool, LAYERS)
    np.testing.assert_allclose(of.ours, of.theirs, atol=1e-4)
    np.testing.assert_allclose(of.theirs, of.exact, atol=1e-4)


@pytest.mark.parametrize("tool", TOOLS)
def test_other_tools_lose_digits_to_what_all_samples_have_in_common(tool):
    def offset(network: nn.Module) -> None:
        nn.init.constant_(network[4].bias, 30.0)
        network[5] = nn.Identity()

    of = found(tool, ["4"], offset)
    np.testing.assert_allclose(of.ours, of.exact, atol=1e-4)
    assert np.abs(of.theirs - of.exact).max() > 1e-2


@pytest.mark.parametrize("tool", TOOLS)
def test_other_tools_take_what_a_function_in_place_has_made_of_an_output(tool):
    """Layer 1, batch normalisation, stands before a ReLU in place, layer 2."""
    of = found(tool, ["1"])
    np.testing.assert_allclose(of.ours, of.exact, atol=1e-4)
    assert np.abs(of.theirs - of.exact).max() > 1e-2
    np.testing.assert_allclose(of.theirs, found(tool, ["2"]).ours, atol=1e-4)


class Twice(nn.Module):
    """Calls one ReLU twice, as the blocks of torchvision's ResNets do, and its layers not in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.relu = nn.Linear(6, 5), nn.ReLU()
        self.first = nn.Linear(6, 6)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.relu(self.last(self.relu(self.first(values))))


@pytest.fixture
def twice() -> tuple[nn.Module, nn.Module, DataLoader]:
    values = torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    return (
        seeded(Twice, 0),
        seeded(Twice, 1),
        DataLoader(TensorDataset(values, torch.zeros(40)), batch_size=8),
    )


@pytest.mark.parametrize("tool", TOOLS)
def test_other_tools_count_a_module_that_is_called_twice_by_its_last_call_alone(tool, twice):
    needs.module(tool)
    one, other, loader = twice
    matrix = spanmatch.compare([one, other], loader, minibatch_cka=True).matrix("minibatch_cka")
    assert matrix.layers_x == ("relu", "relu_1")
    theirs = TOOLS[tool](one, other, loader, ["relu"])
    np.testing.assert_allclose(theirs, matrix["relu_1", "relu_1"], atol=1e-4)
    assert abs(theirs - matrix["relu", "relu"]) > 1e-2


def test_torch_cka_gives_rows_in_the_order_of_calls_under_names_in_the_order_of_modules(twice):
    needs.module("torch_cka")
    ours, theirs = (each(*twice, ["last", "first"]) for each in (peers.ours, peers.torch_cka))
    np.testing.assert_allclose(theirs, ours[::-1, ::-1], atol=1e-4)
    assert np.abs(theirs - ours).max() > 1e-2


def test_pytorch_cka_cuts_negative_estimates_to_0():
    needs.module("cka")
    one, other = (seeded(lambda: nn.Sequential(nn.Linear(40, 40)), seed) for seed in (0, 1))
    values = torch.randn(5, 40, generator=torch.Generator().manual_seed(3))
    other[0].weight.data[:, :20], one[0].weight.data[:, 20:] = 0, 0  # of what is independent
    loader = DataLoader(TensorDataset(values, torch.zeros(5)), batch_size=5)
    ours, theirs, exact = (
        each(one, other, loader, ["0"]) for each in (peers.ours, peers.pytorch_cka, peers.exact)
    )
    np.testing.assert_allclose(ours, exact, atol=1e-4)
    assert exact < -1e-2
    assert theirs == 0


def test_torch_cka_ends_in_an_error_where_rounding_makes_a_variance_negative(twice):
    needs.module("torch_cka")
    for network in twice[:2]:
        nn.init.constant_(network.first.bias, 100.0)
    np.testing.assert_allclose(peers.ours(*twice, ["first"]), peers.exact(*twice, ["first"]), atol=1e-4)
    with pytest.raises(AssertionError, match="NANs"):
        peers.torch_cka(*twice, ["first"])
