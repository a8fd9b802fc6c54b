"""Layers: which there are, under which names, and which of them are wanted."""

import pytest
import torch
import torchvision
from made import default, images
from torch import nn
from torch.nn import functional
from torchvision.models.feature_extraction import get_graph_node_names

from spanmatch.networks.activations import extract
from spanmatch.networks.architectures import build
from spanmatch.networks.layers import UnusableLayerError, choose, list_layers


def test_names_are_those_of_torchvisions_feature_extraction() -> None:
    for network in (torchvision.models.resnet18(), build("resnet20", (3, 64, 64), 10, 0.25)):
        names = [layer.name for layer in list_layers(network, (3, 64, 64))]
        assert names == get_graph_node_names(network)[1][1:]  # without the input
    assert default(build("vgg16", (3, 32, 32), 10, 0.1), 3, 32, 32)[-3:] == (
        "block5.relu3",
        "classifier.relu1",
        "classifier.relu2",
    )


class Functions(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(x)
        x = torch.tanh(x - 1)
        x = x.sigmoid()
        x = functional.gelu(x) + functional.leaky_relu(x, inplace=True)
        return functional.softmax(x.flatten(1), dim=1)


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
    assert choose(listed, ["classifier.fc1", "block1.conv1"]) == ("block1.conv1", "classifier.fc1")
    assert choose(listed, ["block?.relu2", "classifier.[fl]*"]) == (
        *("block1.relu2", "block2.relu2", "block3.relu2"),
        *("classifier.flatten", "classifier.fc1", "classifier.fc2", "classifier.logits"),
    )
    both = choose(listed, ["block1.pool", "default", "block1.*"])
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
        size = x.size(0)
        five = x.reshape(size, 1, 1, 2, 2, 1)
        turned = x.flatten(1).transpose(0, 1)
        best = x.flatten(1).argmax(1, keepdim=True)
        return five.flatten(1).sum(1), turned, best


@pytest.mark.parametrize(
    ("layer", "gives"),
    [
        ("size", "int, which is no tensor"),
        ("reshape", r"a tensor of shape \(2, 1, 1, 2, 2, 1\)"),
        ("sum", r"a tensor of shape \(2,\)"),
        ("transpose", r"a tensor of shape \(4, 2\), whose first dimension is not the 2 images"),
        ("argmax", "a tensor of int64"),
    ],
)
def test_a_layer_without_activations_is_named_with_what_it_gives(layer: str, gives: str) -> None:
    network = Odd()
    node = next(each.name for each in list_layers(network, (1, 2, 2)) if each.name.startswith(layer))
    with pytest.raises(
        UnusableLayerError, match=rf"`layers` must give tensors .* but '{node}' gives {gives}"
    ):
        extract(network, [node], images(2, 1, 2, 2))


def test_images_that_the_network_does_not_take_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`shape` of the images must be one that the network takes, but \(3, 8, 8\)"
    ):
        list_layers(build("vgg9-digits", (1, 8, 8), 10), (3, 8, 8))
