"""Activations: what is kept is what a hand-written forward pass gives, whatever works in place."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torchvision.models.feature_extraction import get_graph_node_names

from spanmatch.networks.activations import Float16OverflowError, NonFiniteActivationsError, extract
from spanmatch.networks.architectures import build
from spanmatch.networks.data import Images
from spanmatch.networks.layers import UnusableLayerError, choose, list_layers
from spanmatch.networks.positions import draw_positions


def images(count: int, *shape: int, seed: int = 0) -> Images:
    pixels = np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)
    return Images(pixels, np.zeros(count, dtype=np.int64), tuple(f"made/{index}" for index in range(count)))


def whole(network: nn.Module, layers: tuple[str, ...], of: Images, **options) -> dict[str, NDArray]:
    batches = list(extract(network, layers, of, **options))
    return {layer: np.concatenate([batch[layer] for batch in batches]) for layer in layers}


def default(network: nn.Module, *shape: int) -> tuple[str, ...]:
    return choose(list_layers(network, shape), ["default"])


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()
    # running statistics other than 0 and 1, so that normalisation shows
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.linspace(-0.1, 0.1, module.num_features)
            module.running_var = torch.linspace(0.5, 2, module.num_features)
    return network


def flat(z: torch.Tensor) -> NDArray:
    """(images, channels, height, width) as (images, positions, neurons)."""
    return z.permute(0, 2, 3, 1).reshape(len(z), -1, z.shape[1]).numpy()


def resnet18_by_hand(network: nn.Module, pixels: NDArray) -> dict[str, NDArray]:
    """Every ReLU of torchvision's ResNet18, with operations that never work in place."""
    weights = network.state_dict()

    def normalised(z: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, scale, shift = (
            weights[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (z - mean) / torch.sqrt(variance + 1e-5) * scale + shift

    z = functional.conv2d(torch.from_numpy(pixels), weights["conv1.weight"], stride=2, padding=3)
    z = normalised(z, "bn1")
    found = {"bn1": flat(z)}  # on which every ReLU works in place
    z = z.clamp(min=0)
    found |= {"relu": flat(z)}
    z = functional.max_pool2d(z, 3, stride=2, padding=1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            shortcut = z
            if stride == 2:
                shortcut = functional.conv2d(z, weights[f"{name}.downsample.0.weight"], stride=2)
                shortcut = normalised(shortcut, f"{name}.downsample.1")
            z = functional.conv2d(z, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
            z = normalised(z, f"{name}.bn1")
            found[f"{name}.bn1"] = flat(z)
            z = z.clamp(min=0)
            found[f"{name}.relu"] = flat(z)
            z = normalised(functional.conv2d(z, weights[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            found[f"{name}.bn2"] = flat(z)
            z = z + shortcut
            found[f"{name}.add"] = flat(z)
            z = z.clamp(min=0)
            found[f"{name}.relu_1"] = flat(z)
    return found


def test_each_repeated_relu_of_torchvisions_resnet18_is_kept_as_it_was() -> None:
    network = seeded(torchvision.models.resnet18)
    some = images(3, 3, 64, 64)
    expected = resnet18_by_hand(network, some.pixels)
    layers = choose(list_layers(network, (3, 64, 64)), ["default", "*bn?", "*.add"])
    assert set(layers) == set(expected)
    found = whole(network, layers, some, batch_size=2)
    for layer, values in expected.items():
        np.testing.assert_allclose(found[layer], values, rtol=1e-4, atol=1e-4, err_msg=layer)


class Encoder(nn.Module):
    """Somebody's own transformer: three encoder layers over the rows of an image; an optional mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 16)
        layer = nn.TransformerEncoderLayer(16, nhead=2, dim_feedforward=24, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x[:, 0]), mask).mean(dim=1))


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
    assert choose(listed, ["default"]) == tuple(f"encoder.layers.{number}.relu" for number in range(3))
    by_name = {layer.name: layer for layer in listed}
    assert (by_name["encoder.layers.1"].positions, by_name["encoder.layers.1"].neurons) == (7, 16)
    expected = encoder_by_hand(network, some.pixels)
    found = whole(network, tuple(expected), some, batch_size=2)
    for layer, values in expected.items():
        np.testing.assert_allclose(found[layer], values, atol=1e-5, err_msg=layer)
    with pytest.raises(
        UnusableLayerError, match=r"'encoder.layers.0.self_attn' gives tuple, which is no tensor"
    ):
        choose(listed, ["encoder.layers.0.self_attn"])


class Branching(nn.Module):
    """Data-dependent control flow, a module called three times, functions, and work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.relu_1 = nn.Tanh()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.conv(x))
        x += 1
        x = self.relu_1(x)
        x = self.relu(x - 0.9)
        if x.sum() > -1:
            x *= 2
        x = functional.gelu(x.mean((2, 3)))
        x = self.fc(x)
        return x.relu_() + self.relu(x - 0.1)


def test_a_network_that_cannot_be_traced_is_seen_through_hooks() -> None:
    network = seeded(Branching)
    some = images(5, 1, 6, 6)
    layers = ("conv", "relu", "relu_1", "relu_2", "gelu", "fc", "relu_function", "relu_3")
    listed = list_layers(network, (1, 6, 6))
    assert tuple(layer.name for layer in listed) == layers
    assert tuple(layer.name for layer in listed if not layer.is_activation) == ("conv", "fc")
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


class Choosy(nn.Module):
    """Takes one way for noise and zeros, another for images that are bright."""

    def __init__(self) -> None:
        super().__init__()
        self.dark = nn.Linear(4, 2)
        self.bright = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        return self.bright(x) if x.min() > 50 else self.dark(x)


class Asking(nn.Module):
    """Asks whether its input is a tensor, which no tracer's stand-in is."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * 2 if isinstance(x, torch.Tensor) else x * 3
        return self.relu(x.flatten(1))


def test_a_network_that_is_traced_wrongly_is_seen_through_hooks() -> None:
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


def test_padded_tokens_stay_positions() -> None:
    network, some = seeded(Padded), images(4, 1, 5, 6)
    found = whole(network, ("encoder.layers.0", "encoder.layers.1.relu"), some)
    with torch.no_grad():
        alone = network.encoder.layers[0](torch.from_numpy(some.pixels[:, 0, :3])).numpy()
    np.testing.assert_allclose(found["encoder.layers.0"][:, :3], alone, atol=1e-5)
    assert found["encoder.layers.1.relu"].shape == (4, 5, 8)


def test_the_pass_ends_at_the_last_layer_that_is_wanted() -> None:
    network = build("vgg9-digits", (1, 8, 8), 10)
    seen: list[int] = []
    network.get_submodule("block2.conv1").register_forward_hook(
        lambda _m, given, _o: seen.append(len(given[0]))
    )
    whole(network, ("block1.relu1", "block1.pool"), images(5, 1, 8, 8), batch_size=5)
    assert 2 in seen  # the look at the layers
    assert 5 not in seen


def test_a_layer_that_is_not_reached_is_named() -> None:
    of = Images(np.full((3, 1, 2, 2), 99, np.float32), np.zeros(3, np.int64), ("a", "b", "c"))
    with pytest.raises(UnusableLayerError, match="'dark' gives nothing for images 0 to 1; leave it out"):
        list(extract(Choosy(), ["dark"], of, batch_size=2))


@pytest.mark.parametrize("make", [Branching, lambda: build("resnet20", (1, 6, 6), 10, 0.25), Encoder])
def test_a_layer_alone_has_the_bits_that_it_has_among_others(make: Callable[[], nn.Module]) -> None:
    network = seeded(make)
    some = images(5, 1, 7, 6)
    every = tuple(layer.name for layer in list_layers(network, (1, 7, 6)) if not layer.problem)
    among = whole(network, every, some, batch_size=3)
    for layer in every[:: max(1, len(every) // 6)]:
        assert np.array_equal(whole(network, (layer,), some, batch_size=3)[layer], among[layer]), layer


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


# channels of each convolution, permuted in a copy of the network
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_copy_with_permuted_channels_has_permuted_activations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = seeded(lambda: build("vgg9-digits", (1, 8, 8), 10, 0.5))
    copy = seeded(lambda: build("vgg9-digits", (1, 8, 8), 10, 0.5))
    order = torch.from_numpy(rng.permutation(16))
    weights = copy.state_dict()
    for name in ("conv1.weight", "norm1.weight", "norm1.bias", "norm1.running_mean", "norm1.running_var"):
        weights[f"block2.{name}"].copy_(weights[f"block2.{name}"][order].clone())
    weights["block2.conv2.weight"].copy_(weights["block2.conv2.weight"][:, order].clone())
    some = images(4, 1, 8, 8, seed=seed)
    layers = ("block1.relu2", "block2.relu1", "block2.relu2", "classifier.relu2")
    found, permuted = whole(network, layers, some), whole(copy, layers, some)
    np.testing.assert_allclose(
        permuted["block2.relu1"], found["block2.relu1"][:, :, order.numpy()], atol=1e-5
    )
    for layer in ("block1.relu2", "block2.relu2", "classifier.relu2"):
        np.testing.assert_allclose(permuted[layer], found[layer], atol=1e-5)


def test_sampled_positions_are_rows_of_all_and_the_same_for_every_network() -> None:
    layers = ("stem.relu", "stage2.block1.relu1", "logits")
    some = images(5, 1, 8, 8)
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build("resnet20", (1, 8, 8), 10, 0.25)
        every = whole(network, layers, some)
        sampled = whole(network, layers, some, positions=6, position_seed=4, batch_size=2)
        for layer, total in (("stem.relu", 64), ("stage2.block1.relu1", 16)):
            drawn = draw_positions(some.ids, total, 6, 4)
            expected = np.take_along_axis(
                whole(network, layers, some, batch_size=2)[layer], drawn[..., None], 1
            )
            assert np.array_equal(sampled[layer], expected)
        assert sampled["logits"].shape == (5, 1, 10)
        mean = whole(network, layers, some, positions="mean")
        for layer in layers:
            np.testing.assert_allclose(mean[layer], every[layer].mean(axis=1, keepdims=True), atol=1e-5)
        assert np.array_equal(whole(network, layers, some, positions=64)["stem.relu"], every["stem.relu"])


@given(total=st.integers(1, 300), seed=st.integers(0, 99), data=st.data())
def test_positions_are_drawn_for_each_image_by_itself(total: int, seed: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, total))
    ids = tuple(f"image/{number}" for number in range(4))
    drawn = draw_positions(ids, total, wanted, seed)
    assert drawn.shape == (4, wanted)
    assert (np.diff(drawn, axis=1) > 0).all()
    assert drawn.min() >= 0
    assert drawn.max() < total
    assert np.array_equal(draw_positions(ids[::-1], total, wanted, seed)[::-1], drawn)
    more = draw_positions(ids, total, total - (total - wanted) // 2, seed)
    assert all(set(few) <= set(many) for few, many in zip(drawn.tolist(), more.tolist(), strict=True))


def test_positions_are_drawn_evenly_and_differ_by_image_and_seed() -> None:
    ids = tuple(map(str, range(4000)))
    drawn = draw_positions(ids, 50, 5, 0)
    assert len({tuple(row) for row in drawn.tolist()}) > 3900
    assert not np.array_equal(draw_positions(ids, 50, 5, 1), drawn)
    counts = np.bincount(drawn.ravel(), minlength=50)
    assert np.abs(counts - 400).max() < 6 * np.sqrt(400 * 0.9)  # six deviations of a fair draw
    # a recorded draw, which no version may change
    assert draw_positions(["digits/2"], 64, 4, 0).tolist() == [[41, 43, 60, 61]]


def test_float16_is_float32_rounded() -> None:
    network = seeded(lambda: build("vgg9-digits", (1, 8, 8), 10, 0.5))
    layers, some = default(network, 1, 8, 8), images(4, 1, 8, 8)
    half, single = whole(network, layers, some, dtype="float16"), whole(network, layers, some)
    for layer in layers:
        assert half[layer].dtype == np.float16
        assert single[layer].dtype == np.float32
        assert np.array_equal(half[layer], single[layer].astype(np.float16))


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x * self.factor).flatten(1)


def test_float16_that_overflows_says_to_take_float32() -> None:
    ones = Images(np.ones((2, 1, 2, 2), np.float32), np.zeros(2, np.int64), ("a", "b"))
    with pytest.raises(
        Float16OverflowError, match=r"`dtype` must be 'float32' for layer 'relu': it gave 7e\+04"
    ):
        whole(Scaled(7e4), ("relu",), ones, dtype="float16")
    assert whole(Scaled(65504), ("relu",), ones, dtype="float16")["relu"].max() == 65504
    assert whole(Scaled(7e4), ("relu",), ones)["relu"].max() == np.float32(7e4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(bad: float) -> None:
    some = images(5, 1, 6, 6)
    some.pixels[4, 0, 3, 3] = bad
    layer = "mul"
    for options in ({}, {"positions": 1}, {"positions": "mean"}, {"dtype": "float16"}):
        batches = extract(Scaled(1.0), [layer], some, batch_size=2, **options)
        assert len(next(batches)[layer]) == len(next(batches)[layer]) == 2
        with pytest.raises(NonFiniteActivationsError, match="layer 'mul' gave NaN or infinity"):
            next(batches)


def test_neither_images_nor_torch_are_changed() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x += 1
            return functional.relu(x, inplace=True).flatten(1)

    some = images(3, 1, 2, 2)
    before = some.pixels.copy()
    state = torch.get_rng_state()
    kept = whole(InPlace(), ("relu",), some)["relu"]
    np.testing.assert_allclose(kept[:, :, 0], np.maximum(before + 1, 0).reshape(3, 4))
    assert np.array_equal(some.pixels, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": 0}, r"`positions` must be 'all', 'mean' or a number of at least 1, got 0"),
        ({"positions": "some"}, r"`positions` must be .*, got 'some'"),
        ({"positions": True}, r"`positions` must be .*, got True"),
        ({"dtype": "float64"}, r"`dtype` must be one of: float32, float16; got 'float64'"),
        ({"batch_size": 0}, r"`batch_size` must be at least 1, got 0"),
        ({"device": "tpu"}, r"`device` must be 'cpu' or 'cuda', got 'tpu'"),
        ({"layers": []}, r"`layers` and `images` must not be empty, got 0 and 2"),
        (
            {"layers": ["rel"]},
            r"`layers` must be one of: mul, relu, flatten; got 'rel'; did you mean 'relu'",
        ),
    ],
)
def test_bad_arguments_are_refused_before_any_image_passes(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract(Scaled(1), **{"layers": ["relu"], "images": images(2, 1, 2, 2), **options})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_cuda_device_that_is_absent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`device` must be 'cpu' where torch finds no CUDA device"):
        extract(Scaled(1), ["relu"], images(2, 1, 2, 2), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("make", [Branching, lambda: build("resnet20", (1, 6, 6), 10, 0.25), Encoder])
def test_a_cuda_device_gives_the_same_and_repeats_to_the_bit(make: Callable[[], nn.Module]) -> None:
    some = images(5, 1, 7, 6)
    layers = default(seeded(make), 1, 7, 6)
    for options in ({}, {"positions": 3}):
        cpu = whole(seeded(make), layers, some, **options)
        cuda = whole(seeded(make), layers, some, device="cuda", **options)
        again = whole(seeded(make), layers, some, device="cuda", **options)
        for layer in layers:
            np.testing.assert_allclose(cuda[layer], cpu[layer], rtol=1e-4, atol=1e-4, err_msg=layer)
            assert np.array_equal(cuda[layer], again[layer])


def test_images_that_the_network_does_not_take_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`shape` of the images must be one that the network takes, but \(3, 8, 8\)"
    ):
        list_layers(build("vgg9-digits", (1, 8, 8), 10), (3, 8, 8))
