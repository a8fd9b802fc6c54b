"""The forward pass: what is seen of it is what one written by hand gives, under names that mean it."""

import numpy as np
import pytest
import torch
from made import Branching, Encoder, flat, images, seeded, whole
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from spanmatch.networks.activations import extract
from spanmatch.networks.data import Images
from spanmatch.networks.layers import UnusableLayerError, choose, list_layers


def encoder_by_hand(network: nn.Module, pixels: NDArray) -> dict[str, NDArray]:
    weights = network.state_dict()

    def dense(z: torch.Tensor, name: str) -> torch.Tensor:
        return z @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalised(z: torch.Tensor, name: str) -> torch.Tensor:
        z = (z - z.mean(-1, keepdim=True)) / torch.sqrt(z.var(-1, keepdim=True, correction=0) + 1e-5)
        return z * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    z = dense(torch.from_numpy(pixels[:, 0]), "embed")
    found = {"embed": z}
    for number in range(3):
        name = f"encoder.layers.{number}"
        projected = (
            z @ weights[f"{name}.self_attn.in_proj_weight"].T + weights[f"{name}.self_attn.in_proj_bias"]
        )
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in projected.chunk(3, dim=-1))
        mixed = torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, dim=-1) @ v
        attended = dense(mixed.transpose(1, 2).flatten(2), f"{name}.self_attn.out_proj")
        z = normalised(z + attended, f"{name}.norm1")
        hidden = dense(z, f"{name}.linear1").clamp(min=0)
        found[f"{name}.relu"] = hidden
        z = normalised(z + dense(hidden, f"{name}.linear2"), f"{name}.norm2")
        found[name] = z
    found["head"] = dense(z.mean(dim=1), "head")[:, None]
    return {layer: values.numpy() for layer, values in found.items()}


def test_tokens_of_somebodys_transformer_are_positions() -> None:
    network = seeded(Encoder)
    some = images(5, 1, 7, 6)
    listed = list_layers(network, (1, 7, 6))
    assert choose(listed, ["default"]).names == tuple(f"encoder.layers.{number}.relu" for number in range(3))
    by_name = {layer.name: layer for layer in listed}
    assert (by_name["encoder.layers.1"].positions, by_name["encoder.layers.1"].neurons) == (7, 16)
    expected = encoder_by_hand(network, some.pixels)
    found = whole(network, tuple(expected), some, batch_size=2)
    for layer, values in expected.items():
        np.testing.assert_allclose(found[layer], values, atol=1e-5, err_msg=layer)
    assert by_name["encoder.layers.0.self_attn"].neurons == 16  # attention's first output


def test_calls_that_depend_on_data_are_seen() -> None:
    network = seeded(Branching)
    some = images(5, 1, 6, 6)
    layers = ("conv", "relu", "relu_1", "relu_2", "gelu", "fc", "relu_function", "relu_3")
    listed = list_layers(network, (1, 6, 6))
    assert tuple(
        layer.name for layer in listed if layer.is_activation or layer.kind in ("Conv2d", "Linear")
    ) == (layers)
    assert choose(listed, ["default"]).names == tuple(name for name in layers if name not in ("conv", "fc"))
    with torch.no_grad():
        conv = network.conv(torch.from_numpy(some.pixels))
        relu = conv.clamp(min=0)
        tanh = torch.tanh(relu + 1)
        again = (tanh - 0.9).clamp(min=0)
        gelu = functional.gelu(again.mean((2, 3)) * 2)
        dense = network.fc(gelu)
        last = dense.clamp(min=0)
    expected = [flat(z) for z in (conv, relu, tanh, again)]
    expected += [z[:, None].numpy() for z in (gelu, dense, last, (last - 0.1).clamp(min=0))]
    found = whole(network, layers, some, batch_size=2)
    for layer, values in zip(layers, expected, strict=True):
        np.testing.assert_allclose(found[layer], values, atol=1e-5, err_msg=layer)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


class Asking(nn.Module):
    """Asks whether its input is a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * 2 if isinstance(x, torch.Tensor) else x * 3
        return self.relu(x.flatten(1))


def test_a_network_that_asks_for_the_type_of_its_input_gets_a_tensor() -> None:
    some = images(3, 1, 2, 2)
    found = whole(Asking(), ("relu",), some)["relu"]
    np.testing.assert_allclose(found[:, 0], np.maximum(some.pixels.reshape(3, 4) * 2, 0))


class Padded(nn.Module):
    """Tells an encoder that the last two tokens are padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(6, nhead=2, dim_feedforward=8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = torch.arange(x.shape[2]).expand(len(x), -1) >= x.shape[2] - 2
        return self.encoder(x[:, 0], src_key_padding_mask=padding)[:, 0]


def test_tokens_that_attention_is_told_are_padding_are_left_out() -> None:
    network, some = seeded(Padded), images(4, 1, 5, 6)
    found = whole(network, ("encoder.layers.0", "encoder.layers.1.relu"), some)
    with torch.no_grad():
        alone = network.encoder.layers[0](torch.from_numpy(some.pixels[:, 0, :3])).numpy()
    np.testing.assert_allclose(found["encoder.layers.0"][:, :3], alone, atol=1e-5)
    assert found["encoder.layers.1.relu"].shape == (4, 5, 8)
    for values in found.values():
        assert np.isnan(values[:, 3:]).all()
        assert not np.isnan(values[:, :3]).any()


class Choosy(nn.Module):
    """Takes one way for noise and zeros, another for images that are bright."""

    def __init__(self) -> None:
        super().__init__()
        self.dark = nn.Linear(4, 2)
        self.bright = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        return self.bright(x) if x.min() > 50 else self.dark(x)


def test_a_layer_that_is_not_reached_is_named() -> None:
    of = Images(np.full((3, 1, 2, 2), 99, np.float32), np.zeros(3, np.int64), ("a", "b", "c"))
    with pytest.raises(UnusableLayerError, match="'dark' gives nothing for images 0 to 1; leave it out"):
        list(extract(Choosy(), ["dark"], of, batch_size=2))
