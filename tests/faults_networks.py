"""Mended faults of networks: axes, names, padding, and lists of layers."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from faults import Fault
from made import images, seeded, whole
from real_networks import REAL, Tokens
from rich.console import Console
from test_axes import TOLD
from test_forward import (
    NewGELU,
    Swapped,
    test_a_shared_module_is_named_by_the_module_that_calls_it,
    test_tokens_are_looked_at_as_they_are,
)
from test_padding import (
    Told,
    test_a_mask_of_which_token_may_look_where_leaves_nothing_out,
    test_an_additive_mask_leaves_out_what_it_makes_small,
    test_padding_that_cannot_be_told_is_refused_and_the_data_may_say_it,
)
from torch import nn

from flows.command.screen import show_layers
from flows.study.model import Study
from spanmatch import GramMatrix, match_profile
from spanmatch.networks.layers import UnusableLayerError, choose
from spanmatch.networks.probing import list_layers


def _has(make: Callable[[], nn.Module], shape: tuple[int, ...], layer: str, neurons: int, positions: int):
    def check(_folder: Path) -> None:
        (found,) = choose(list_layers(seeded(make), shape), [layer]).layers
        assert (found.neurons, found.positions) == (neurons, positions)

    return check


def _permuted_convnext_matches(_folder: Path) -> None:
    real = REAL["convnext_tiny"]
    network, other = seeded(real.make), seeded(real.make)
    for permuted in real.permuted:
        permuted.apply(other.state_dict(), np.random.default_rng(0))
    layer = "features.1.0.block.4"
    x, y = (whole(one, (layer,), images(4, 3, 64, 64))[layer].reshape(-1, 384) for one in (network, other))
    assert match_profile(GramMatrix.from_activations(x, y)).similarity(1e-3) == 1


def _refused(_folder: Path) -> None:
    with pytest.raises(UnusableLayerError, match="neurons: last"):
        choose(list_layers(nn.Sequential(nn.ReLU()), (3, 4, 5)), ["default"])


def _named(_folder: Path) -> None:
    listed = [layer.name for layer in list_layers(Swapped(), (1, 2, 2))]
    assert listed == ["flatten", "fc_1", "relu_1", "fc_2", "relu_2", "relu", "add", "relu_3", "relu_function"]


def _relu_1_is_relu_1(_folder: Path) -> None:
    network, some = seeded(Swapped), images(3, 1, 2, 2)
    with torch.no_grad():
        expected = network.relu_1(network.fc_1(torch.from_numpy(some.pixels).flatten(1)))
    np.testing.assert_allclose(whole(network, ("relu_1",), some)["relu_1"][:, 0], expected, atol=1e-6)


def _gelu_is_one_layer(_folder: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 8), NewGELU(), nn.Linear(8, 2))
    assert choose(list_layers(network, (5, 4)), ["default"]).names == ("1",)


def _padding_is_no_sample(_folder: Path) -> None:
    network, some = seeded(lambda: Told("bool")), images(4, 5, 6)
    padding = some.pixels[..., 0] < 0
    found = whole(network, ("layer",), some)["layer"]
    assert np.array_equal(np.isnan(found).all(axis=2), padding)


def _default_of_tokens_first(_folder: Path) -> None:
    network = Tokens(batch_first=False)
    expected = tuple(f"encoder.layers.{number}.activation" for number in range(2))
    assert choose(list_layers(network, (1, 7, 6)), ["default"]).names == expected


def _names_are_whole(_folder: Path) -> None:
    study = Study(
        name="a", dataset="digits", architecture="a:b", seeds=[0, 1], images=10, epsilons=[0.3], root="r"
    )
    network = nn.Sequential()
    name = "a_module_with_a_name_that_is_longer_than_a_screen_of_eighty_columns_is_wide_and_yet_a_name"
    network.add_module(name, nn.Linear(4, 3))
    screen = io.StringIO()
    show_layers(Console(file=screen, width=80), study, list_layers(network, (4,)), {name})
    assert f" {name} " in screen.getvalue()


def _told(name: str):
    make, shape, layer, positions, neurons = TOLD[name]
    return _has(make, shape, layer, neurons, positions)


FAULTS = [
    *(
        Fault(1, name, "another dimension, or refused", "its neurons", _told(name))
        for name in (
            *("embedding", "dense on maps", "columns of a map", "windows beside images", "heads"),
            *("dense layers written one by one", "one filter over channels", "queries that are learnt"),
        )
    ),
    Fault(
        2,
        "one activation function in several blocks",
        "named after the first block",
        "named after the block that calls it",
        lambda _folder: test_a_shared_module_is_named_by_the_module_that_calls_it(),
    ),
    Fault(
        3,
        "a mask of which token may look at which",
        "taken for padding",
        "leaves nothing out",
        lambda _folder: test_a_mask_of_which_token_may_look_where_leaves_nothing_out(5),
    ),
    Fault(
        3,
        "an additive mask",
        "read the wrong way round",
        "leaves out what it makes small",
        lambda _folder: test_an_additive_mask_leaves_out_what_it_makes_small(),
    ),
    Fault(
        3,
        "two masks of equally many tokens",
        "put together",
        "refused, with the remedy",
        lambda _folder: test_padding_that_cannot_be_told_is_refused_and_the_data_may_say_it("two masks"),
    ),
    Fault(
        10,
        "token ids",
        "refused for their shape",
        "embedded",
        lambda _folder: test_tokens_are_looked_at_as_they_are(),
    ),
    Fault(
        1,
        "ConvNeXt's GELU, channels last",
        "16 neurons and 6,144 positions",
        "384 neurons and 256 positions",
        _has(torchvision.models.convnext_tiny, (3, 64, 64), "features.1.0.block.4", 384, 256),
    ),
    Fault(1, "ConvNeXt and a permuted copy", "similarity 0.000", "similarity 1", _permuted_convnext_matches),
    Fault(
        1,
        "Conv1d and ReLU on (1, 64)",
        "64 neurons and 24 positions",
        "24 neurons and 64 positions",
        _has(lambda: nn.Sequential(nn.Conv1d(1, 24, 5, padding=2), nn.ReLU()), (1, 64), "1", 24, 64),
    ),
    Fault(
        1,
        "Conv3d",
        "refused as no layer",
        "4 neurons and 100 positions",
        _has(lambda: nn.Sequential(nn.Conv3d(1, 4, 1), nn.ReLU()), (1, 4, 5, 5), "1", 4, 100),
    ),
    Fault(1, "an activation of the raw input", "channels first", "refused, with the remedy", _refused),
    Fault(
        2, "modules named fc_1, relu_1, fc_2, relu_2", "listed as fc, relu, fc_1, relu_1", "their own", _named
    ),
    Fault(2, "extract relu_1 of that network", "the output of relu_2", "that of relu_1", _relu_1_is_relu_1),
    Fault(2, "GPT-2's GELU", "the tanh inside it", "the module's output", _gelu_is_one_layer),
    Fault(3, "padding that attention is told of", "counted as samples", "left out", _padding_is_no_sample),
    Fault(
        10,
        "a transformer with tokens first",
        "has none of the activation functions that it has",
        "its activation functions",
        _default_of_tokens_first,
    ),
    Fault(10, "a long layer's name on 80 columns", "cut short", "whole", _names_are_whole),
]
