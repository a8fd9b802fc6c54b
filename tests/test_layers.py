"""Layers: which there are, under which names, and which of them are wanted."""

import numpy as np
import pytest
import torch
import torchvision
from made import default, images, whole
from torch import nn
from torch.nn import functional
from torchvision.models.feature_extraction import get_graph_node_names

from spanmatch.networks.activations import extract
from spanmatch.networks.architectures import build
from spanmatch.networks.layers import UnusableLayerError, choose
from spanmatch.networks.probing import list_layers


def test_names_are_those_of_torchvisions_feature_extraction_and_of_blocks() -> None:
    for network in (torchvision.models.resnet18(), build("resnet20", (3, 64, 64), 10, 0.25)):
        names = [layer.name for layer in list_layers(network, (3, 64, 64))]
        modules = dict(network.named_modules())
        blocks = [name for name in names if name in modules and not _is_leaf(modules[name])]
        assert len(blocks) > 9
        assert [name for name in names if name not in blocks] == get_graph_node_names(network)[1][1:]


def _is_leaf(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, nn.Sequential)


class Functions(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(x.flatten(1))
        x = torch.tanh(x - 1)
        x = x.sigmoid()
        x = functional.gelu(x) + functional.leaky_relu(x, inplace=True)
        return functional.softmax(x, dim=1)


def test_activation_functions_without_a_module_are_found() -> None:
    assert default(Functions(), 1, 2, 2) == ("relu", "tanh", "sigmoid", "gelu", "leaky_relu")


def test_layers_are_listed_with_their_shapes() -> None:
    listed = {layer.name: layer for layer in list_layers(build("vgg11", (3, 32, 32), 10, 0.25), (3, 32, 32))}
    relu, dense = listed["block2.relu1"], listed["classifier.fc1"]
    assert (relu.kind, relu.is_activation, relu.output) == ("ReLU", True, (32, 16, 16))
    assert (relu.positions, relu.neurons) == (256, 32)
    assert (dense.kind, dense.is_activation, dense.output) == ("Linear", False, (128,))
    assert (dense.positions, dense.neurons) == (1, 128)


def test_layers_are_chosen_by_name_pattern_and_default() -> None:
    listed = list_layers(build("vgg9-digits", (1, 8, 8), 10), (1, 8, 8))
    assert choose(listed, ["classifier.fc1", "block1.conv1"]).names == ("block1.conv1", "classifier.fc1")
    assert choose(listed, ["block?.relu2", "classifier.[fl]*"]).names == (
        *("block1.relu2", "block2.relu2", "block3.relu2"),
        *("classifier.flatten", "classifier.fc1", "classifier.fc2", "classifier.logits"),
    )
    both = choose(listed, ["block1.pool", "default", "block1.*"]).names
    assert len(both) == len(set(both)) == 7 + 8 - 2
    with pytest.raises(ValueError, match=r"one of: .*; got 'block2.relu3'; did you mean 'block2.relu\d'\?"):
        choose(listed, ["block2.relu3"])
    with pytest.raises(
        ValueError, match=r"a pattern that some layer answers to, out of: .*; got 'block4\.\*'"
    ):
        choose(listed, ["block4.*"])
    with pytest.raises(
        ValueError, match=r"activation functions, of which the network has none; got 'default'"
    ):
        choose(list_layers(nn.Flatten(), (1, 2, 2)), ["default"])


class Odd(nn.Module):
    """Outputs that are no activations."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        turned = x.flatten(1).transpose(0, 1)
        best = x.flatten(1).argmax(1, keepdim=True)
        return x.flatten(1).sum(1), turned, best, x + 1


@pytest.mark.parametrize(
    ("layer", "gives"),
    [
        ("sum", r"a tensor of shape \(2,\); leave it out"),
        ("argmax", "a tensor of int64; leave it out"),
        (
            "add",
            r"a tensor of shape \(2, 1, 2, 2\), of which it cannot be told .* the neurons; say which",
        ),
    ],
)
def test_a_layer_without_activations_is_named_with_what_it_gives(layer: str, gives: str) -> None:
    with pytest.raises(
        UnusableLayerError, match=rf"`layers` must give tensors .* but '{layer}' gives {gives}"
    ):
        extract(Odd(), [layer], images(2, 1, 2, 2))


def test_images_in_another_dimension_are_found() -> None:
    found = whole(Odd(), ("transpose",), some := images(3, 1, 2, 2))["transpose"]
    assert np.array_equal(found[:, 0], some.pixels.reshape(3, 4))


def test_images_that_the_network_does_not_take_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`shape` of the images must be one that the network takes, but \(3, 8, 8\)"
    ):
        list_layers(build("vgg9-digits", (1, 8, 8), 10), (3, 8, 8))


class Several(nn.Module):
    """Gives tensors in a tuple and a dictionary; the only one in the tuple is the module's own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 5)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        found = self.dense(values)
        return found.relu(), {"doubled": 2 * found}


class OfSeveral(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.several = Several()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        first, others = self.several(values)
        return first + others["doubled"]


def test_tensors_within_what_a_module_gives_are_layers() -> None:
    network = OfSeveral().eval()
    names = ["several", "several[1][doubled]"]
    layers = list_layers(network, (4,))
    assert {layer.name: layer.neurons for layer in choose(layers, names).layers} == dict.fromkeys(names, 5)
    of = images(6, 4)
    (found,) = extract(network, names, of)
    with torch.no_grad():
        dense = network.several.dense(torch.from_numpy(of.pixels))
    np.testing.assert_allclose(found[names[0]][:, 0], dense.relu().numpy(), rtol=1e-5)
    np.testing.assert_allclose(found[names[1]][:, 0], 2 * dense.numpy(), rtol=1e-5)
