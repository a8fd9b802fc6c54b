"""Activations: what is kept is what a hand-written forward pass gives, whatever works in place."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from made import Branching, Encoder, default, flat, images, seeded, whole
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from spanmatch.networks.activations import batch_ranges, extract
from spanmatch.networks.architectures import build
from spanmatch.networks.data import Images
from spanmatch.networks.layers import choose
from spanmatch.networks.passes import Float16OverflowError, NonFiniteActivationsError
from spanmatch.networks.probing import list_layers


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
    layers = choose(list_layers(network, (3, 64, 64)), ["default", "*bn?", "*.add"]).names
    assert set(layers) == set(expected)
    found = whole(network, layers, some, batch_size=2)
    for layer, values in expected.items():
        np.testing.assert_allclose(found[layer], values, rtol=1e-4, atol=1e-4, err_msg=layer)


def test_the_pass_ends_at_the_last_layer_that_is_wanted() -> None:
    network = build("vgg9-digits", (1, 8, 8), 10)
    seen: list[int] = []
    network.get_submodule("block2.conv1").register_forward_hook(
        lambda _m, given, _o: seen.append(len(given[0]))
    )
    whole(network, ("block1.relu1", "block1.pool"), images(5, 1, 8, 8), batch_size=5)
    assert 2 in seen  # the look at the layers
    assert 5 not in seen


@pytest.mark.parametrize("make", [Branching, lambda: build("resnet20", (1, 6, 6), 10, 0.25), Encoder])
def test_a_layer_alone_has_the_bits_that_it_has_among_others(make: Callable[[], nn.Module]) -> None:
    network = seeded(make)
    some = images(5, 1, 7, 6)
    every = tuple(layer.name for layer in list_layers(network, (1, 7, 6)) if not layer.problem)
    among = whole(network, every, some, batch_size=3)
    for layer in every[:: max(1, len(every) // 6)]:
        assert np.array_equal(whole(network, (layer,), some, batch_size=3)[layer], among[layer]), layer


# channels of each convolution, permuted in a copy of the network
@examples(10)
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
        self.scale = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.scale.weight, factor)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.scale(x)).flatten(1)


def test_float16_that_overflows_says_to_take_float32() -> None:
    ones = Images(np.ones((2, 1, 2, 2), np.float32), np.zeros(2, np.int64), ("a", "b"))
    with pytest.raises(
        Float16OverflowError, match=r"`dtype` must be 'float32' for layer 'relu': it gave 7e\+04"
    ):
        whole(Scaled(7e4), ("relu",), ones, dtype="float16")
    assert whole(Scaled(65504), ("relu",), ones, dtype="float16")["relu"].max() == 65504
    assert whole(Scaled(7e4), ("relu",), ones)["relu"].max() == np.float32(7e4)


def test_float64_keeps_what_means_have_beyond_float32() -> None:
    some = images(3, 1, 6, 6)
    found = {
        dtype: whole(Scaled(1.0), ("scale",), some, dtype=dtype, positions="mean")["scale"]
        for dtype in ("float32", "float64")
    }
    exact = some.stored.astype(np.float64).mean(axis=(2, 3))[:, None]
    assert found["float64"].dtype == np.float64
    np.testing.assert_allclose(found["float64"], exact, rtol=1e-14)
    np.testing.assert_allclose(found["float32"], found["float64"], rtol=1e-5)
    wide = whole(Scaled(1.0), ("scale",), some, dtype="float64")["scale"]
    np.testing.assert_array_equal(wide, whole(Scaled(1.0), ("scale",), some)["scale"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(bad: float) -> None:
    some = images(5, 1, 6, 6)
    some.stored[4, 0, 3, 3] = bad
    layer = "scale"
    for options in ({}, {"positions": 1}, {"positions": "mean"}, {"dtype": "float16"}):
        batches = extract(Scaled(1.0), [layer], some, batch_size=2, **options)
        assert len(next(batches)[layer]) == len(next(batches)[layer]) == 2
        with pytest.raises(NonFiniteActivationsError, match="layer 'scale' gave NaN or infinity"):
            next(batches)


@pytest.mark.parametrize("make", [Branching, Encoder])
def test_layers_are_handed_over_once_a_batch_as_they_are_yielded(make: Callable[[], nn.Module]) -> None:
    network, some = seeded(make), images(5, 1, 6, 6)
    layers = default(network, 1, 6, 6)
    handed = []
    batches = extract(
        network, layers, some, batch_size=3, on_layer=lambda name, values: handed.append((name, values))
    )
    for number, batch in enumerate(batches, start=1):
        latest = handed[-len(layers) :]
        assert len(handed) == number * len(layers)
        assert {name for name, _ in latest} == set(layers)
        assert all(values is batch[name] for name, values in latest)


def test_an_error_of_who_is_handed_a_layer_ends_the_pass_there() -> None:
    def full(name: str, _values: NDArray) -> None:
        seen.append(name)
        raise OSError("full")

    for make in (Branching, Encoder):
        network, seen = seeded(make), []
        layers = default(network, 1, 6, 6)
        with pytest.raises(OSError, match=r"^full$"):
            next(extract(network, layers, images(2, 1, 6, 6), on_layer=full))
        assert len(layers) > len(seen) == 1


class Large(nn.Module):
    """Says that it has 40 million numbers for each image, and takes no memory for them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(x.flatten(1))
        return x[:, :, None].expand(-1, -1, 10**7)[:, :, 0]


def test_batches_are_small_where_layers_are_large() -> None:
    def sizes(network: nn.Module, **options) -> list[int]:
        batches = extract(network, ["relu"], images(40, 1, 2, 2), **options)
        return [len(batch["relu"]) for batch in batches]

    assert sizes(Scaled(1.0)) == [32, 8]
    assert sizes(Large()) == [3] * 12 + [2, 2]  # of 160 MB
    assert sizes(Large(), batch_size=20) == [20, 20]


def test_no_batch_is_of_one_image_where_that_can_be_helped() -> None:
    for total in range(1, 40):
        for size in range(1, 12):
            ranges = batch_ranges(total, size)
            assert [start for start, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
            assert ranges[-1][1] == total
            sizes = [stop - start for start, stop in ranges]
            assert max(sizes) <= size
            assert min(sizes) >= min(total, 2) or size <= 2

    class Squeezing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x).squeeze()

    assert whole(seeded(Squeezing), ("squeeze",), images(5, 4), batch_size=4)["squeeze"].shape == (5, 1, 3)


def test_neither_images_nor_torch_are_changed() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x += 1
            return functional.relu(x.flatten(1), inplace=True)

    some = images(3, 1, 2, 2)
    before = some.pixels.copy()
    state = torch.get_rng_state()
    kept = whole(InPlace(), ("relu",), some)["relu"]
    np.testing.assert_allclose(kept[:, 0], np.maximum(before + 1, 0).reshape(3, 4))
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
        ({"dtype": "int8"}, r"`dtype` must be one of: float32, float16, float64; got 'int8'"),
        ({"batch_size": 0}, r"`batch_size` must be at least 1, got 0"),
        ({"device": "tpu"}, r"`device` must be one of: auto, cpu, cuda; got 'tpu'"),
        ({"layers": []}, r"`layers` and `images` must not be empty, got 0 and 2"),
        (
            {"layers": ["rel"]},
            r"`layers` must be one of: scale, relu, flatten; got 'rel'; did you mean 'relu'",
        ),
    ],
)
def test_bad_arguments_are_refused_before_any_image_passes(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract(Scaled(1), **{"layers": ["relu"], "images": images(2, 1, 2, 2), **options})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_cuda_device_that_is_absent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`device` must be present, got 'cuda' where torch finds no CUDA"):
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
