"""Axes of tensors: what they stand for after every change of shape, on networks of a few lines each."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from made import images, seeded, whole
from torch import nn
from torch.nn import functional

from spanmatch.networks.axes.axis import Axis, arranged, derived, dim, kind_of, part, plain, reshaped, united
from spanmatch.networks.layers import choose
from spanmatch.networks.probing import list_layers


class Of(nn.Module):
    """A network of a function and the modules that it uses."""

    def __init__(self, function: Callable[["Of", torch.Tensor], torch.Tensor], **modules: object) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


def conv2d() -> nn.Module:
    return nn.Conv2d(3, 8, 1)


def tokens() -> nn.Module:
    return nn.Linear(6, 8)


def filled(s: Of, x: torch.Tensor) -> torch.Tensor:
    """Writes step after step into a tensor that was there before."""
    steps = torch.zeros(len(x), 7, 8)
    for step in range(7):
        steps[:, step] = s.m(x[:, step])
    return torch.relu(steps)


def filled_alike(s: Of, x: torch.Tensor) -> torch.Tensor:
    """Writes dense layers over positions into a tensor that is like another."""
    h = s.m(x)
    out = torch.zeros_like(h)
    for place in range(8):
        out[:, place] = s.n(h[:, place])
    return torch.relu(out)


def efficient_channels(s: Of, x: torch.Tensor) -> torch.Tensor:
    """ECA-Net's attention: one filter that moves over the channels."""
    z = s.m(x)
    y = s.n(z.mean((2, 3), keepdim=True).squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
    return torch.relu(z * torch.sigmoid(y).expand_as(z))


def spatial(s: Of, x: torch.Tensor) -> torch.Tensor:
    """Attention over places, the same for all channels."""
    z = s.m(x)
    return torch.relu(z * torch.sigmoid(s.n(z)).expand_as(z))


def resmlp(s: Of, x: torch.Tensor) -> torch.Tensor:
    z = s.m(x)
    z = z + s.tokens(z.transpose(1, 2)).transpose(1, 2)
    return torch.relu(s.n(2 * z))


def queried(s: Of, x: torch.Tensor) -> torch.Tensor:
    return torch.relu(s.attention(s.q.expand(len(x), 3, 8), s.m(x), s.m(x))[0])


def energy(s: Of, x: torch.Tensor) -> torch.Tensor:
    """Takes a gradient within its forward pass."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        (force,) = torch.autograd.grad(s.m(x).square().sum(), x)
    return torch.relu(s.n(force))


def depth_to_space(s: Of, x: torch.Tensor) -> torch.Tensor:
    z = s.m(x).view(-1, 2, 2, 2, 8, 8).permute(0, 1, 4, 2, 5, 3)
    return torch.relu(z.reshape(-1, 2, 16, 16))


def attention(s: Of, x: torch.Tensor) -> torch.Tensor:
    q, k, v = s.m(x).view(-1, 7, 3, 2, 4).permute(2, 0, 3, 1, 4)
    scores = torch.softmax(q @ k.transpose(-2, -1) / 2, -1)
    return torch.relu((scores @ v).transpose(1, 2).reshape(-1, 7, 8))


def mixed(s: Of, x: torch.Tensor) -> torch.Tensor:
    """Mixes tokens, then channels, as an MLP-Mixer does."""
    x = s.embed(x)
    x = x + s.out(functional.gelu(s.across(s.norm(x).transpose(1, 2)))).transpose(1, 2)
    return torch.relu(s.channels(s.norm(x)))


# the network, the shape of its input, a layer, its positions and neurons
TOLD: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str, int, int]] = {
    "convolution, 1": (
        lambda: nn.Sequential(nn.Conv1d(1, 24, 5, padding=2), nn.ReLU()),
        (1, 64),
        "1",
        64,
        24,
    ),
    "convolution, 3": (lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU()), (1, 5, 6, 6), "1", 48, 4),
    "transposed": (
        lambda: nn.Sequential(conv2d(), nn.ConvTranspose2d(8, 5, 3), nn.ReLU()),
        (3, 4, 4),
        "2",
        36,
        5,
    ),
    "dense on tokens": (lambda: nn.Sequential(tokens(), nn.ReLU()), (7, 6), "1", 7, 8),
    "dense on maps": (lambda: nn.Sequential(nn.Linear(5, 2), nn.ReLU()), (3, 4, 5), "1", 12, 2),
    "embedding": (
        lambda: Of(lambda s, x: s.m((x[:, 0] > 0).long()).relu(), m=nn.Embedding(2, 5)),
        (1, 7),
        "relu",
        7,
        5,
    ),
    **{
        f"{type(module).__name__} of {ndim}": (
            lambda module=module, ndim=ndim: nn.Sequential(
                (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1](2, 4, 1), module
            ),
            (2, *(6,) * ndim),
            "1",
            positions,
            4,
        )
        for ndim, module, positions in [
            *((1, nn.BatchNorm1d(4), 6), (2, nn.BatchNorm2d(4), 36), (3, nn.BatchNorm3d(4), 216)),
            *((1, nn.MaxPool1d(2), 3), (2, nn.MaxPool2d(2), 9), (3, nn.MaxPool3d(2), 27)),
            *((1, nn.AvgPool1d(2), 3), (2, nn.AvgPool2d(3), 4), (3, nn.AvgPool3d(6), 1)),
            *(
                (1, nn.AdaptiveAvgPool1d(2), 2),
                (2, nn.AdaptiveMaxPool2d(2), 4),
                (3, nn.AdaptiveAvgPool3d(1), 1),
            ),
            *((1, nn.LPPool1d(2, 2), 3), (2, nn.GroupNorm(2, 4), 36), (3, nn.InstanceNorm3d(4), 216)),
            *((2, nn.LocalResponseNorm(2), 36), (2, nn.Dropout2d(), 36), (2, nn.Softmax2d(), 36)),
            *((2, nn.ChannelShuffle(2), 36), (1, nn.ReflectionPad1d(1), 8), (2, nn.CircularPad2d(1), 64)),
            *((2, nn.Upsample(scale_factor=2), 144), (2, nn.UpsamplingBilinear2d(scale_factor=2), 144)),
            *(
                (2, nn.PReLU(4), 36),
                (2, nn.Hardswish(), 36),
                (2, nn.LogSigmoid(), 36),
                (3, nn.ZeroPad3d(1), 512),
            ),
        ]
    },
    "PixelShuffle": (lambda: nn.Sequential(conv2d(), nn.PixelShuffle(2)), (3, 4, 4), "1", 64, 2),
    "PixelUnshuffle": (lambda: nn.Sequential(conv2d(), nn.PixelUnshuffle(2)), (3, 4, 4), "1", 4, 32),
    "Unfold": (lambda: nn.Sequential(conv2d(), nn.Unfold(2)), (3, 4, 4), "1", 9, 32),
    "GLU": (lambda: nn.Sequential(tokens(), nn.GLU()), (7, 6), "1", 7, 4),
    "channels last": (
        lambda: Of(lambda s, x: s.n(s.m(x).permute(0, 2, 3, 1)).relu(), m=conv2d(), n=nn.LayerNorm(8)),
        (3, 4, 5),
        "relu",
        20,
        8,
    ),
    "input with channels last": (
        lambda: Of(lambda s, x: s.m(x.permute(0, 3, 1, 2)).relu(), m=conv2d()),
        (4, 5, 3),
        "permute",
        20,
        3,
    ),
    "columns of a map": (
        lambda: Of(lambda s, x: s.m(x).permute(0, 3, 1, 2).flatten(2).relu(), m=conv2d()),
        (3, 4, 5),
        "relu",
        5,
        32,
    ),
    "flat": (lambda: Of(lambda s, x: s.m(x).flatten(1).relu(), m=conv2d()), (3, 4, 5), "relu", 1, 160),
    "flat and back": (
        lambda: Of(lambda s, x: s.m(x).flatten(1).view(-1, 8, 4, 5).relu(), m=conv2d()),
        (3, 4, 5),
        "relu",
        20,
        8,
    ),
    "map to tokens": (
        lambda: Of(lambda s, x: s.m(x).flatten(2).transpose(1, 2).relu(), m=conv2d()),
        (3, 4, 5),
        "relu",
        20,
        8,
    ),
    "space to depth": (
        lambda: Of(
            lambda s, x: (
                s.m(x).view(-1, 8, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(-1, 32, 2, 2).relu()
            ),
            m=conv2d(),
        ),
        (3, 4, 4),
        "relu",
        4,
        32,
    ),
    "depth to space": (lambda: Of(depth_to_space, m=conv2d()), (3, 8, 8), "relu", 256, 2),
    "windows beside images": (
        lambda: Of(
            lambda s, x: s.m(x.view(-1, 2, 2, 2, 2, 6).transpose(2, 3).reshape(-1, 4, 6)).relu(), m=tokens()
        ),
        (4, 4, 6),
        "relu",
        16,
        8,
    ),
    "images in the middle": (
        lambda: Of(lambda s, x: s.m(x.transpose(0, 1)).relu(), m=tokens()),
        (7, 6),
        "relu",
        7,
        8,
    ),
    "heads": (lambda: Of(lambda s, x: s.m(x).view(-1, 7, 2, 4).relu(), m=tokens()), (7, 6), "relu", 7, 8),
    "attention": (lambda: Of(attention, m=nn.Linear(6, 24)), (7, 6), "relu", 7, 8),
    "weights for each head": (
        lambda: Of(
            lambda s, x: torch.einsum("bthd,hde->bthe", s.m(x).view(-1, 7, 2, 4), s.w).relu(),
            m=tokens(),
            w=nn.Parameter(torch.ones(2, 4, 3)),
        ),
        (7, 6),
        "relu",
        7,
        6,
    ),
    "a graph's neighbours": (
        lambda: Of(lambda s, x: (torch.ones(7, 7) @ s.m(x)).relu(), m=tokens()),
        (7, 6),
        "relu",
        7,
        8,
    ),
    "two inputs as one batch": (
        lambda: Of(lambda s, x: s.m(torch.cat([x, x.flip(-1)])).chunk(2)[0].relu(), m=tokens()),
        (7, 6),
        "relu",
        7,
        8,
    ),
    "squeeze and excitation": (
        lambda: Of(
            lambda s, x: s.m(x) * s.n(s.m(x).mean((2, 3)))[..., None, None], m=conv2d(), n=nn.Linear(8, 8)
        ),
        (3, 4, 5),
        "mul",
        20,
        8,
    ),
    "dense concatenation": (
        lambda: Of(lambda s, x: torch.cat([s.m(x), s.n(x)], 1).relu(), m=conv2d(), n=nn.Conv2d(3, 2, 1)),
        (3, 4, 5),
        "relu",
        20,
        10,
    ),
    "a class token": (
        lambda: Of(
            lambda s, x: torch.cat([s.w.expand(len(x), 1, 8), s.m(x)], 1).relu(),
            m=tokens(),
            w=nn.Parameter(torch.ones(1, 1, 8)),
        ),
        (7, 6),
        "relu",
        8,
        8,
    ),
    "numbers embedded": (
        lambda: Of(lambda s, x: (x[..., None] * s.w).relu(), w=nn.Parameter(torch.ones(5, 3))),
        (5,),
        "relu",
        5,
        3,
    ),
    "maxout": (
        lambda: Of(lambda s, x: s.m(x).view(-1, 4, 2, 4, 5).amax(2).relu(), m=conv2d()),
        (3, 4, 5),
        "relu",
        20,
        4,
    ),
    "dense layers written one by one": (
        lambda: Of(filled_alike, m=nn.Conv1d(3, 8, 1), n=nn.Linear(9, 9)),
        (3, 9),
        "relu",
        8,
        9,
    ),
    "one filter over channels": (
        lambda: Of(efficient_channels, m=conv2d(), n=nn.Conv1d(1, 1, 3, padding=1)),
        (3, 4, 5),
        "relu",
        20,
        8,
    ),
    "attention over places": (
        lambda: Of(spatial, m=conv2d(), n=nn.Conv2d(8, 1, 1)),
        (3, 4, 5),
        "relu",
        20,
        8,
    ),
    "a dense layer after tokens were mixed": (
        lambda: Of(resmlp, m=tokens(), tokens=nn.Linear(7, 7), n=nn.Linear(8, 5)),
        (7, 6),
        "relu",
        7,
        5,
    ),
    "queries that are learnt": (
        lambda: Of(
            queried,
            m=tokens(),
            q=nn.Parameter(torch.ones(1, 3, 8)),
            attention=nn.MultiheadAttention(8, 2, batch_first=True),
        ),
        (7, 6),
        "attention",
        3,
        8,
    ),
    "a gradient within": (lambda: Of(energy, m=tokens(), n=nn.Linear(6, 4)), (7, 6), "relu", 7, 4),
    "half a precision": (lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU()).double(), (7, 6), "1", 7, 4),
    "steps written one by one": (lambda: Of(filled, m=tokens()), (7, 6), "relu", 7, 8),
    "mixed over tokens": (
        lambda: Of(
            mixed,
            embed=tokens(),
            norm=nn.LayerNorm(8),
            across=nn.Linear(7, 16),
            out=nn.Linear(16, 7),
            channels=nn.Linear(8, 5),
        ),
        (7, 6),
        "gelu",
        8,
        16,
    ),
    "pixels of a dense network": (
        lambda: nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(60, 4)),
        (3, 4, 5),
        "0",
        1,
        60,
    ),
    "channels of a convolution's input": (lambda: nn.Sequential(nn.ReLU(), conv2d()), (3, 4, 5), "0", 20, 3),
    "prototypes": (
        lambda: Of(
            lambda s, x: torch.cdist(s.m(x), s.w).relu(), m=tokens(), w=nn.Parameter(torch.ones(5, 8))
        ),
        (7, 6),
        "relu",
        7,
        5,
    ),
    "a cell": (lambda: Of(lambda s, x: s.m(x[:, 0])[0].relu(), m=nn.LSTMCell(6, 5)), (7, 6), "relu", 1, 5),
    "last states": (
        lambda: Of(lambda s, x: s.m(x)[1].relu(), m=nn.GRU(6, 5, batch_first=True)),
        (7, 6),
        "relu",
        1,
        5,
    ),
    "steps of both directions": (
        lambda: Of(lambda s, x: s.m(x)[0].relu(), m=nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True)),
        (7, 6),
        "relu",
        7,
        10,
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_neurons_are_where_the_operations_put_them(name: str) -> None:
    make, shape, layer, positions, neurons = TOLD[name]
    (found,) = choose(list_layers(seeded(make), shape), [layer]).layers
    assert (found.positions, found.neurons) == (positions, neurons)


# the network, the shape of its input, a layer
def test_what_somebody_says_of_neurons_holds() -> None:
    network, some = seeded(lambda: nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())), images(2, 3, 4, 5)
    usual = whole(network, ("0", "1"), some)
    for said, place in (("last", 3), (-1, 3), (2, 2), (1, 1), (-3, 1)):
        found = whole(network, ("0", "1"), some, neurons={"1": said})
        maps = found["1"].reshape(2, *(size for at, size in ((1, 8), (2, 4), (3, 5)) if at != place), -1)
        expected = usual["1"].reshape(2, 4, 5, 8).transpose(0, 3, 1, 2)
        assert np.array_equal(maps, np.moveaxis(expected, place, -1))
        assert np.array_equal(found["0"], usual["0"])
    listed = list_layers(network, (3, 4, 5))
    by_pattern = choose(listed, [("*", "last"), ("1", 1)]).layers
    assert [layer.neurons for layer in by_pattern] == [5, 8]
    for wrong in (0, 4, -4):
        with pytest.raises(ValueError, match=rf"`neurons` of layer '1' must be one of its 4 .*, got {wrong}"):
            choose(listed, [("1", wrong)])


@examples(200)
@given(data=st.data())
def test_a_change_of_shape_and_back_changes_nothing(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    kinds = ["images", "neurons", "positions", "unknown"]
    dims = (dim(3, "images"), *(dim(size, data.draw(st.sampled_from(kinds[1:]))) for size in sizes))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(dims) - 1), max_size=3)) | {0, len(dims)})
    shape = [3, *sizes]
    merged = [int(np.prod(shape[a:b])) for a, b in pairwise(cuts)]
    there = reshaped(dims, merged)
    assert [int(np.prod([axis.size for axis in each])) for each in there] == merged
    back = reshaped(there, shape)
    kept = [[axis for axis in each if axis.size > 1] for each in dims]
    assert [[axis for axis in each if axis.size > 1] for each in back] == kept


def test_axes_follow_what_is_known_of_them() -> None:
    unknown = Axis(6, "unknown")
    half, same = derived((unknown,), 3), united((unknown,), dim(6, "positions"))
    assert kind_of(same) == kind_of(half) == unknown.kind == "positions"
    assert kind_of(united(dim(4, "neurons"), dim(4, "positions"))) == "mixed"
    images_and_windows = (Axis(2, "images"), Axis(3, "positions"))
    assert part(images_and_windows, 3, 3) == images_and_windows[1:]
    assert kind_of(part(images_and_windows, 1, 3)) == "mixed"
    assert kind_of(reshaped((dim(4, "neurons"), dim(3, "positions")), [6, 2])[0]) == "mixed"
    assert kind_of(reshaped((dim(4, "positions"), dim(3, "positions")), [6, 2])[0]) == "positions"
    assert isinstance(arranged(plain((2, 3), "positions")), str)


class Stage(nn.Module):
    """A convolution or, with channels last, a dense layer; a norm, an activation function, a pooling."""

    def __init__(
        self, ndim: int, units: tuple[int, int], kind: str, norm: str, act: nn.Module, pool: bool
    ) -> None:
        super().__init__()
        self.last = kind == "dense"
        self.ndim = ndim
        self.make = nn.Linear(*units) if self.last else (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1](*units, 1)
        norms = {
            "none": nn.Identity,
            "batch": lambda n: (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[ndim - 1](n),
            "group": lambda n: nn.GroupNorm(1, n),
            "layer": nn.LayerNorm,
        }
        if self.last != (norm == "layer"):
            norm = "layer" if self.last else "none"
        self.norm = norms[norm](units[1])
        self.act = act
        self.pool = (nn.AvgPool1d, nn.MaxPool2d, nn.AvgPool3d)[ndim - 1](2) if pool else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.last:
            x = self.act(self.norm(self.make(x.movedim(1, -1)))).movedim(-1, 1)
        else:
            x = self.act(self.norm(self.make(x)))
        return self.pool(x)


class Staged(nn.Module):
    def __init__(self, stages: list[Stage], units: int, flat: bool, size: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.flat = flat
        self.head = nn.Linear(units * (size if flat else 1), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        return self.head(x.flatten(1) if self.flat else x.flatten(2).mean(2))


@examples(30)
@given(data=st.data(), ndim=st.integers(1, 3), seed=st.integers(0, 999))
def test_a_permutation_of_channels_permutes_neurons_and_nothing_else(
    data: st.DataObject, ndim: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    units = [2, *data.draw(st.lists(st.integers(3, 6), min_size=2, max_size=3))]
    side, stages = 8, []
    for pair in pairwise(units):
        pool = side > 2 and data.draw(st.booleans())
        side //= 2 if pool else 1
        act = data.draw(st.sampled_from([nn.ReLU, nn.GELU, nn.Tanh, nn.Hardswish]))()
        kind = data.draw(st.sampled_from(["convolution", "dense"]))
        norm = data.draw(st.sampled_from(["none", "batch", "group"]))
        stages.append((ndim, pair, kind, norm, act, pool))
    flat, size = data.draw(st.booleans()), side**ndim

    def make() -> nn.Module:
        return seeded(lambda: Staged([Stage(*stage) for stage in stages], units[-1], flat, size))

    network, other = make(), make()
    place = data.draw(st.integers(0, len(stages) - 1))
    order = rng.permutation(units[place + 1])
    weights = other.state_dict()
    for name, values in weights.items():
        if name.startswith((f"stages.{place}.make", f"stages.{place}.norm")) and values.ndim:
            values.copy_(values[order].clone())
    reader = f"stages.{place + 1}.make.weight" if place + 1 < len(stages) else "head.weight"
    read = weights[reader]
    per_unit = read.view(len(read), len(order), -1)
    read.copy_(per_unit[:, order].reshape(read.shape).clone())
    some = images(3, 2, *(8,) * ndim, seed=seed)
    layers = [layer for layer in list_layers(network, some.shape) if not layer.problem]
    names = tuple(layer.name for layer in layers)
    x, y = whole(network, names, some), whole(other, names, some)
    for name in names:
        expected = x[name]
        read_next = name == f"stages.{place + 1}.movedim"  # the next stage's input
        own = name == f"stages.{place}" or (
            name.startswith(f"stages.{place}.") and not name.endswith("movedim")
        )
        if own or read_next:
            expected = expected[..., order]
        elif name == "flatten" and place == len(stages) - 1:
            kept = expected.reshape(len(expected), -1, len(order), size) if flat else expected[..., None]
            expected = kept[:, :, order].reshape(expected.shape)
        elif name == "mean" and place == len(stages) - 1:
            expected = expected[..., order]
        np.testing.assert_allclose(y[name], expected, rtol=1e-3, atol=1e-4, err_msg=name)
