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
