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
from spanmatch.networks.layers import UnusableLayerError, choose
from spanmatch.networks.probing import list_layers


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
    pixels = np.zeros((3, 1, 2, 2), np.float32)
    pixels[2] = 99
    of = Images(pixels, np.zeros(3, np.int64), ("a", "b", "c"))
    with pytest.raises(UnusableLayerError, match="'dark' gives nothing for images 2 to 2; leave it out"):
        list(extract(Choosy(), ["dark"], of, batch_size=2))


class Swapped(nn.Module):
    """Modules whose names look like those of repeated calls; one is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_1, self.fc_2 = nn.Linear(4, 3), nn.Linear(3, 3)
        self.relu_1, self.relu_2, self.relu = nn.ReLU(), nn.ReLU(), nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu_1(self.fc_1(x.flatten(1)))
        x = self.relu(self.relu_2(self.fc_2(x)))
        return self.relu(x + 1).relu()


def test_a_name_means_the_module_of_that_name() -> None:
    network, some = seeded(Swapped), images(3, 1, 2, 2)
    with torch.no_grad():
        fc_1 = network.fc_1(torch.from_numpy(some.pixels).flatten(1))
        relu_2 = network.fc_2(fc_1.clamp(min=0)).clamp(min=0)
        relu = torch.tanh(relu_2)
        relu_3 = torch.tanh(relu + 1)
    expected = {"fc_1": fc_1, "relu_1": fc_1.clamp(min=0), "relu_2": relu_2, "relu": relu, "relu_3": relu_3}
    expected["relu_function"] = relu_3.clamp(min=0)
    found = whole(network, tuple(expected), some)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][:, 0], values, atol=1e-6, err_msg=name)


def test_a_module_in_several_places_has_the_name_of_the_place() -> None:
    act = nn.ReLU()
    network = seeded(lambda: nn.Sequential(nn.Linear(4, 3), act, nn.Linear(3, 3), act, act))
    assert [layer.name for layer in list_layers(network, (4,))] == ["0", "1", "2", "3", "4"]
    some = images(3, 4)
    found = whole(network, ("3", "1"), some)
    with torch.no_grad():
        first = network[:2](torch.from_numpy(some.pixels))
        second = network(torch.from_numpy(some.pixels))
    np.testing.assert_allclose(found["1"][:, 0], first, atol=1e-6)
    np.testing.assert_allclose(found["3"][:, 0], second, atol=1e-6)


class Sharing(nn.Module):
    """Calls an activation function of others twice."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.fc, self.act = nn.Linear(4, 4), act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.fc(self.act(x)) + 0.1)


class Shared(nn.Module):
    """Two blocks and a head that share one activation function, called in another order than they stand."""

    def __init__(self) -> None:
        super().__init__()
        act = nn.ReLU()
        self.head = nn.Sequential(nn.Linear(4, 4), act)
        self.blocks = nn.ModuleList([Sharing(act), Sharing(act)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_a_shared_module_is_named_by_the_module_that_calls_it() -> None:
    network, some = seeded(Shared), images(3, 4)
    layers = ("blocks.0.act", "blocks.0.act_1", "blocks.1.act", "blocks.1.act_1", "head.1")
    assert choose(list_layers(network, (4,)), ["default"]).names == layers
    found = whole(network, layers, some)
    with torch.no_grad():
        z = torch.from_numpy(some.pixels)
        for number, block in enumerate(network.blocks):
            np.testing.assert_allclose(found[f"blocks.{number}.act"][:, 0], z.clamp(min=0), atol=1e-6)
            z = block(z)
            np.testing.assert_allclose(found[f"blocks.{number}.act_1"][:, 0], z, atol=1e-6)
        np.testing.assert_allclose(found["head.1"][:, 0], network.head(z), atol=1e-6)


class NewGELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3))))


class ErfGELU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))


class Swish(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.beta * x)


class SquaredReLU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x) ** 2


class Snake(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.sin(x) ** 2


class Leaky(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.1 * x)


class SwiGLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value, gate = x.chunk(2, dim=-1)
        return value * functional.silu(gate)


class DenseReLU(nn.Module):
    """Has weights of its own: its output is a dense layer's and an activation function's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x @ self.weight)


class RMSNorm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Scale(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x + 1


@pytest.mark.parametrize("make", [NewGELU, ErfGELU, Swish, SquaredReLU, Snake, Leaky, SwiGLU])
def test_a_module_that_bends_each_value_is_an_activation_function(make: type[nn.Module]) -> None:
    network = seeded(
        lambda: nn.Sequential(nn.Linear(4, 8), make(), nn.Linear(8 if make is not SwiGLU else 4, 2))
    )
    some = images(3, 5, 4)
    listed = list_layers(network, (5, 4))
    assert choose(listed, ["default"]).names == ("1",)
    assert not [layer.name for layer in listed if layer.name.startswith("1.") and layer.name != "1.relu"]
    with torch.no_grad():
        expected = network[1](network[0](torch.from_numpy(some.pixels)))
    np.testing.assert_allclose(whole(network, ("1",), some)["1"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "activations"), [(DenseReLU, ("1.relu",)), (RMSNorm, ()), (Scale, ()), (nn.Identity, ())]
)
def test_a_module_that_does_more_or_less_is_none(make: type[nn.Module], activations: tuple[str, ...]) -> None:
    listed = list_layers(nn.Sequential(nn.Linear(4, 8), make()), (5, 4))
    assert tuple(layer.name for layer in listed if layer.is_activation) == activations


def test_hooks_are_gone_whatever_happens() -> None:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x.flatten(1)) @ x

    network = Failing()
    with pytest.raises(
        ValueError, match=r"`shape` of the images must be one that the network takes, but \(1, 2, 2\)"
    ):
        list_layers(network, (1, 2, 2))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


class Caught(nn.Module):
    """Catches the error of a module within, and goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.bad, self.good = nn.Linear(9, 2), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        try:
            return self.bad(x)
        except RuntimeError:
            return functional.relu(self.good(x))


def test_an_error_that_the_network_catches_leaves_names_right() -> None:
    assert choose(list_layers(Caught(), (1, 2, 2)), ["*"]).names == ("flatten", "good", "relu")


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.state = nn.Linear(4, 3), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.state = self.state + self.fc(x).mean()
        return self.fc(x) + self.state


class Packed(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn, self.head = kind(6, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = torch.full((len(x),), x.shape[1])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        states = self.rnn(packed)[1]
        return self.head((states[0] if isinstance(states, tuple) else states)[-1])


def test_a_network_that_keeps_something_of_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gives the same for the same samples.*begin each batch"):
        list_layers(Remembering(), (4,))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_packed_sequence_is_no_layer(kind: type[nn.RNNBase]) -> None:
    listed = {layer.name: layer for layer in list_layers(Packed(kind), (7, 6))}
    assert listed["rnn"].problem == "PackedSequence, which is no tensor"


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_torchscript_is_refused_in_one_sentence() -> None:
    network = nn.Sequential(nn.Linear(4, 3), torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)))
    with pytest.raises(TypeError, match=r"a network must be one of Python modules.*TorchScript"):
        list_layers(network, (4,))


def test_tokens_are_looked_at_as_they_are() -> None:
    network = seeded(lambda: nn.Sequential(Ids(), nn.Embedding(9, 4), nn.Linear(4, 3), nn.ReLU()))
    ids = np.random.default_rng(0).integers(0, 9, (3, 7)).astype(np.float32)
    some = Images(ids, np.zeros(3, np.int64), ("a", "b", "c"))
    (layer,) = choose(list_layers(network, some), ["default"]).layers
    assert (layer.positions, layer.neurons) == (7, 3)
    assert whole(network, ("3",), some)["3"].shape == (3, 7, 3)


class Ids(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.long()


def test_precision_is_the_networks_own() -> None:
    network, some = seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU())), images(3, 4)
    double = whole(seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU())).double(), ("1",), some)["1"]
    np.testing.assert_allclose(double, whole(network, ("1",), some)["1"], atol=1e-6)
    assert double.dtype == np.float32


def test_an_activation_function_around_another_is_one_and_a_sum_with_it_is_none() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.relu(x)

    network = nn.Sequential(nn.Linear(4, 4), SquaredReLU(), nn.Linear(4, 4), Residual())
    assert choose(list_layers(network, (4,)), ["default"]).names == ("1", "3.relu")


def test_an_activation_that_cannot_be_followed_is_named() -> None:
    class Away(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = functional.relu(self.a(x))
            return functional.relu(self.b(torch.from_numpy(np.sort(x.detach().numpy()))))

    chosen = choose(list_layers(Away(), (4,)), ["default"])
    assert chosen.names == ("relu",)
    assert list(chosen.left_out) == ["relu_1"]


def test_neurons_that_are_said_make_the_first_dimension_the_images() -> None:
    class Bilinear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.b = nn.Bilinear(4, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(x, x)

    listed = list_layers(Bilinear(), (7, 4))
    (layer,) = choose(listed, [("b", "last")]).layers
    assert (layer.positions, layer.neurons) == (7, 3)
