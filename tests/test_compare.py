"""`spanmatch.compare` gives the statistic of hooks and NumPy by hand, whatever networks take and give."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

import spanmatch
from spanmatch import GramMatrix, OffsetWarning, TooFewSamplesWarning
from spanmatch.comparing import Comparison
from spanmatch.comparing.torch_sums import TorchSums
from spanmatch.matching.joint_sums import JointSums
from spanmatch.measures import MEASURES

pytestmark = [
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def convolutional(channels: int = 6) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(8 * 16, 10),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Linear(10, 4),
    )


def resnet18() -> nn.Module:
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes=10)


def convnext() -> nn.Module:
    return ConvNeXt([CNBlockConfig(16, 24, 2), CNBlockConfig(24, None, 2)])


def vit() -> nn.Module:
    return VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=48)


def swin() -> nn.Module:
    return SwinTransformer([2, 2], 16, [2, 2], [2, 4], [4, 4], num_classes=10)


def batches(values: torch.Tensor, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(part, torch.zeros(len(part))) for part in values.split(size)]


IMAGES = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(5))
LARGER = torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(6))
VALUES = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
BROKEN = VALUES.clone()
BROKEN[2, 1] = float("nan")


def dense(width: int = 5) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.ReLU())


def tanh() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 3))


def two() -> dict[str, nn.Module]:
    return {"a": seeded(dense, 0), "b": seeded(dense, 1)}


def by_hooks(network: nn.Module, names: list[str], values: torch.Tensor) -> dict[str, NDArray]:
    """Outputs of modules that are called once each, by torch's own hooks, copied at once."""
    found: dict[str, NDArray] = {}
    modules = dict(network.named_modules())
    handles = [
        modules[name].register_forward_hook(
            lambda _m, _i, output, name=name: found.__setitem__(name, output.detach().clone().numpy())
        )
        for name in names
    ]
    with torch.no_grad():
        network(values.clone())
    for handle in handles:
        handle.remove()
    return found


def close(found: GramMatrix, x: NDArray, y: NDArray) -> None:
    expected = np.hstack((x, y)).astype(np.float64)
    np.testing.assert_allclose(found.matrix, expected.T @ expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.sums, expected.sum(axis=0), rtol=1e-5, atol=1e-4)
    assert found.n_samples == len(x)


def channels_first(values: NDArray) -> NDArray:
    return np.moveaxis(values, 1, -1) if values.ndim == 4 else values


@pytest.mark.parametrize("size", [40, 16, 7])
@pytest.mark.parametrize("folds", [0, 3])
def test_all_positions_of_same_names_are_what_hooks_give(size, folds):
    one, other = seeded(convolutional, 0), seeded(convolutional, 1)
    found = spanmatch.compare({"a": one, "b": other}, batches(IMAGES, size), pairs="same", folds=folds)
    names = ["2", "5", "8"]
    assert [layer.name for layer in found.layers["a"]] == names
    x, y = by_hooks(one, names, IMAGES), by_hooks(other, names, IMAGES)
    for name in names:
        sides = [channels_first(each[name]) for each in (x, y)]
        close(found.gram(name, name), *(side.reshape(-1, side.shape[-1]) for side in sides))


GRIDS = {
    "ResNet18 with ConvNeXt": (
        resnet18,
        convnext,
        ["layer1.0.bn2", "layer4.1.bn1"],
        ["features.1.0.block.5"],
    ),
    "ViT with ResNet18": (vit, resnet18, ["encoder.layers.encoder_layer_1.mlp.1"], ["layer2.0.conv1"]),
    "Swin with ViT": (swin, vit, ["features.1.1.mlp.1"], ["encoder.layers.encoder_layer_0.mlp.1"]),
}
LAST = {"mlp.1", "block.5"}  # modules whose neurons are in the last dimension


@pytest.mark.parametrize("case", GRIDS)
def test_a_grid_of_means_is_what_hooks_give(case):
    make_x, make_y, names_x, names_y = GRIDS[case]
    one, other = seeded(make_x, 0), seeded(make_y, 1)
    found = spanmatch.compare({"a": one, "b": other}, batches(LARGER, 8), layers={"a": names_x, "b": names_y})
    assert len(found.pairs) == len(names_x) * len(names_y)

    def mean(values: NDArray, name: str) -> NDArray:
        values = values if any(name.endswith(end) for end in LAST) else channels_first(values)
        return values.reshape(len(values), -1, values.shape[-1]).mean(axis=1)

    x, y = by_hooks(one, names_x, LARGER), by_hooks(other, names_y, LARGER)
    for name_x in names_x:
        for name_y in names_y:
            close(found.gram(name_x, name_y), mean(x[name_x], name_x), mean(y[name_y], name_y))


def test_every_activation_of_real_architectures_is_compared_by_default():
    networks = {"resnet": seeded(resnet18, 0), "convnext": seeded(convnext, 0), "vit": seeded(vit, 0)}
    found = spanmatch.compare(networks, batches(LARGER, 10))
    assert [len(found.layers[name]) for name in networks] == [17, 4, 2]
    assert len(found.pairs) == 17 * 4 + 17 * 2 + 4 * 2
    values = found.matrix("cka", networks=("convnext", "vit")).values
    assert values.shape == (4, 2)
    assert ((values >= 0) & (values <= 1)).all()


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(5)), size=st.integers(1, 40), centre=st.sampled_from(["raw", "mean"]))
def test_batches_of_any_size_and_order_give_the_same_within_the_certificate(order, size, centre):
    one, other = seeded(convolutional, 0), seeded(convolutional, 1)
    parts = IMAGES.split(8)
    shuffled = torch.cat([parts[place] for place in order])
    whole = spanmatch.compare([one, other], [IMAGES], pairs="same")
    found = spanmatch.compare([one, other], batches(shuffled, size), pairs="same")
    for name in ("2", "5", "8"):
        expected, profile = (each.profile(name, name, centre=centre) for each in (whole, found))
        # activations in batches of other sizes differ in float32's last digits, beyond the certificate
        for side in ("x", "y"):
            np.testing.assert_allclose(getattr(profile, side), getattr(expected, side), atol=2e-3)


def test_samples_that_are_kept_and_sums_are_one_statistic(tmp_path):
    networks = {"a": seeded(convolutional, 0), "b": seeded(lambda: convolutional(5), 1)}
    few = spanmatch.compare(networks, batches(IMAGES[:4], 2))
    for options in ({}, {"folds": 4}):
        many = torch.cat([IMAGES] * 8)
        summed = spanmatch.compare(networks, batches(many, 16), **options)
        kept = spanmatch.compare(networks, batches(many, 16), keep_samples=True, **options)
        for pair in summed.pairs:
            layers = pair.x.layer, pair.y.layer
            np.testing.assert_allclose(summed.gram(*layers).matrix, kept.gram(*layers).matrix, rtol=1e-11)
            for measure in ("cka", "debiased-cka", "cca-mean", "mean-critical-epsilon"):
                one, other = (each.matrix(measure)[layers] for each in (summed, kept))
                assert one == pytest.approx(other, rel=1e-6, nan_ok=True)
        for each in (summed, kept, few):
            each.save(tmp_path / "kept.npz")
            again = Comparison.load(tmp_path / "kept.npz")
            assert again.sentence() == each.sentence()
            for measure in ("cka", "maximum-match"):
                parameter = 0.3 if measure == "maximum-match" else None
                np.testing.assert_array_equal(
                    again.matrix(measure, parameter).values, each.matrix(measure, parameter).values
                )
        again.save(tmp_path / "twice.npz")
        assert Comparison.load(tmp_path / "twice.npz").rows() == again.rows()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    offset=st.sampled_from([0.0, 1.0, 1e6, 1e10]),
    cuts=st.lists(st.integers(0, 300), max_size=3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_sums_by_torch_are_those_by_numpy_within_their_certificates(seed, offset, cuts, dtype):
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 9, 3)]
    layers = [(rng.standard_normal((300, size)) + offset).astype(dtype) for size in sizes]
    pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2)]
    found, expected = TorchSums(sizes, pairs), JointSums(sizes, pairs)
    for sums in (found, expected):
        for start, stop in pairwise([0, *sorted(cuts), 300]):
            sums.add([layer[start:stop] for layer in layers])
    assert found.n_samples == expected.n_samples == 300
    for pair in pairs:
        (one, rows), (other, other_rows) = found.moments(pair), expected.moments(pair)
        x, y = (np.sqrt(np.diagonal(expected.moments((n, n)).comoments.products)) for n in pair)
        allowed = (one.roundings + other.roundings) * 2.0**-53 * np.multiply.outer(x, y)
        assert (np.abs(one.products - other.products) <= allowed).all()
        assert pair[0] != pair[1] or np.array_equal(one.products, one.products.T)
        np.testing.assert_allclose(one.mean_x.sum(axis=0), other.mean_x.sum(axis=0), rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(rows.sums, other_rows.sums, rtol=1e-9)
        np.testing.assert_allclose(
            rows.weighted_x, other_rows.weighted_x, rtol=1e-7, atol=1e-6 * rows.sums.max()
        )


def test_statistics_are_those_of_the_library():
    networks = {"a": seeded(convolutional, 0), "b": seeded(convolutional, 1)}
    found = spanmatch.compare(networks, batches(IMAGES, 16), pairs="same", folds=5, keep_samples=True)
    x, y = (by_hooks(network, ["5"], IMAGES)["5"] for network in networks.values())
    sides = [channels_first(each).reshape(-1, 8) for each in (x, y)]
    groups = np.repeat(np.arange(40), 16)
    folds = spanmatch.fold_grams(*sides, groups=groups, folds=5)
    for one, other in (
        (found.jackknife("5", "5", measures=["cka"]), spanmatch.jackknife(folds, measures=["cka"])),
        (found.held_out("5", "5"), spanmatch.held_out(folds)),
        (found.null("5", "5", measures=["rv"]), spanmatch.null(*sides, groups=groups, measures=["rv"])),
    ):
        for row, expected in zip(one.rows, other.rows, strict=True):
            assert (row.measure, row.parameter) == (expected.measure, expected.parameter)
            assert row.value == pytest.approx(expected.value, abs=1e-3)
    growth, expected = found.growth("5", "5"), spanmatch.growth(folds)
    assert [row.values for row in growth.rows] == [
        pytest.approx(row.values, abs=1e-3) for row in expected.rows
    ]


# what networks take and give


class Encoder(nn.Module):
    """Tokens in, with a mask of those that count; a dictionary out."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, width)
        self.block = nn.TransformerEncoderLayer(width, 2, 24, dropout=0.1, batch_first=True)
        self.head = nn.Linear(width, 5)

    def forward(self, input_ids, attention_mask=None, labels=None):
        assert labels is None
        padding = None if attention_mask is None else attention_mask == 0
        states = self.block(self.embed(input_ids), src_key_padding_mask=padding)
        return {"logits": self.head(states), "states": states}


def sentences() -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(3)
    return [torch.randint(1, 30, (int(length),), generator=drawn) for length in (5, 9, 3, 7, 9, 4, 6, 8)]


def padded(rows: list[torch.Tensor], **more: object) -> dict[str, object]:
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True).long()
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.zeros(len(rows)), **more}


@pytest.mark.parametrize("size", [8, 3, 2])  # batches of other lengths, as a data collator pads them
def test_masked_tokens_are_those_of_each_sentence_alone(size):
    one, other = seeded(Encoder, 0), seeded(Encoder, 1)
    rows = sentences()
    loader = [padded(rows[start : start + size]) for start in range(0, len(rows), size)]
    found = spanmatch.compare(
        {"a": one, "b": other}, loader, layers=["block.relu", "block.linear2"], pairs="same"
    )
    assert any("attention_mask" in note for note in found.notes)
    alone = spanmatch.compare(
        {"a": one, "b": other},
        [row[None] for row in rows],
        layers=["block.relu", "block.linear2"],
        pairs="same",
    )
    assert found.gram("block.relu", "block.relu").n_samples == sum(map(len, rows))
    for name in ("block.relu", "block.linear2"):
        expected = alone.gram(name, name).matrix
        np.testing.assert_allclose(found.gram(name, name).matrix, expected, rtol=1e-4, atol=1e-4)


def test_a_mask_can_be_named_given_by_a_function_or_left_out():
    networks = {"a": seeded(Encoder, 0), "b": seeded(Encoder, 1)}
    batch = padded(sentences())
    counted = int(batch["attention_mask"].sum())
    renamed = {"input_ids": batch["input_ids"], "which": batch["attention_mask"]}
    for loader, mask, samples in (
        ([renamed], "which", counted),
        ([(batch["input_ids"], batch["attention_mask"])], lambda given: given[1], counted),
        ([renamed], None, batch["input_ids"].numel()),
        ([batch], False, counted),  # the network tells its attention layers
    ):
        found = spanmatch.compare(networks, loader, mask=mask, layers="block.relu", pairs="same")
        assert found.gram("block.relu", "block.relu").n_samples == samples


def test_each_network_has_the_mask_of_what_it_takes():
    ids = padded(sentences())
    image, text = seeded(convolutional, 0), seeded(Encoder, 1)
    one = spanmatch.compare(
        {"image": image, "text": text},
        {"image": [IMAGES[:8]], "text": [ids]},
        layers={"image": ["2", "5"], "text": "block.relu"},
    )
    both = {**ids, "images": IMAGES[:8]}
    other = spanmatch.compare(
        {"image": image, "text": text},
        [both],
        inputs={"image": lambda batch: batch["images"], "text": None},
        layers={"image": ["2", "5"], "text": "block.relu"},
    )
    x = by_hooks(image, ["5"], IMAGES[:8])["5"].mean(axis=(2, 3))
    for found in (one, other):
        np.testing.assert_allclose(found.gram("5", "block.relu").xx, x.T @ x, rtol=1e-5)


def test_masks_may_be_added_to_scores_and_batches_may_have_one_token():
    networks = {"a": seeded(Encoder, 0), "b": seeded(Encoder, 1)}
    batch = padded(sentences())
    counted = int(batch["attention_mask"].sum())
    for dtype in (torch.float32, torch.bfloat16):
        added = (1 - batch["attention_mask"]).to(dtype) * -1e4
        found = spanmatch.compare(
            networks, [batch["input_ids"]], mask=lambda _, of=added: of, layers="block.relu", pairs="same"
        )
        assert found.gram("block.relu", "block.relu").n_samples == counted
    single = {
        "input_ids": torch.ones(3, 1, dtype=torch.long),
        "attention_mask": torch.tensor([[1], [0], [1]]),
    }
    found = spanmatch.compare(
        networks, [batch, single], inputs=lambda of: of["input_ids"], layers="block.relu", pairs="same"
    )
    assert found.gram("block.relu", "block.relu").n_samples == counted + 2


class Queries(nn.Module):
    """Five queries that look at words: a layer of fixed length."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 6)
        self.dense = nn.Linear(6, 7)

    def forward(self, input_ids):
        words = self.embed(input_ids)
        return self.dense(words[:, :1].expand(-1, 5, -1) * 2).relu()


def test_layers_that_the_mask_does_not_fit_in_a_later_batch_are_refused():
    networks = {"a": seeded(Queries, 0), "b": seeded(Queries, 1)}
    rows = [padded([torch.ones(length, dtype=torch.long)] * 2) for length in (5, 9)]
    with pytest.raises(spanmatch.SpanmatchError, match="has 5 and the mask 9 in batch 1"):
        spanmatch.compare(networks, rows)


@pytest.mark.parametrize("entry", [("conv", "last"), {"name": "conv", "neurons": "last"}])
def test_neurons_are_where_somebody_says_they_are(entry):
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 5, 1)

        def forward(self, values):
            return self.conv(values).relu()

    one, other = seeded(Square, 0), seeded(Square, 1)
    for length in (5, 4):
        values = torch.randn(20, 3, length, generator=torch.Generator().manual_seed(0))
        found = spanmatch.compare([one, other], [values], layers=[entry], pairs="same")
        x, y = (by_hooks(network, ["conv"], values)["conv"].reshape(-1, length) for network in (one, other))
        close(found.gram("conv", "conv"), x, y)


def test_a_loader_under_several_names_is_gone_through_once():
    one = seeded(dense, 0)
    shuffling = DataLoader(TensorDataset(torch.arange(48.0).reshape(8, 6)), 3, shuffle=True)
    for loader in ((part for part in VALUES.split(3)), shuffling):
        found = spanmatch.compare({"a": one, "b": one}, {"a": loader, "b": loader})
        assert found.images == 8
        np.testing.assert_array_equal(found.gram("1", "1").xx, found.gram("1", "1").yy)


class Named(nn.Module):
    def forward(self, x, y):
        return (x + y).relu()


class Any_(nn.Module):
    def forward(self, ids, **more):
        assert more.keys() <= {"scale"}
        return (ids * more.get("scale", torch.ones(1))).relu()


class Keyed(nn.Module):
    def forward(self, *args, **kwargs):
        assert not args
        return kwargs["x"].relu()


class Hugging(nn.Module):
    def forward(self, input_ids=None, attention_mask=None, labels=None, **kwargs):
        assert labels is None
        assert kwargs == {}
        return input_ids.relu()


SUITED = {
    "labels that a network requires": (Named, {"x": VALUES, "y": VALUES}, 2 * VALUES),
    "further names": (Any_, {"ids": VALUES, "labels": torch.ones(8), "scale": torch.ones(1) * 3}, 3 * VALUES),
    "names alone": (Keyed, {"x": VALUES, "label": torch.ones(8)}, VALUES),
    "what is no tensor": (
        Hugging,
        {
            "input_ids": VALUES.numpy(),
            "text": np.array(["a"] * 8),
            "names": ["b"] * 8,
            "labels": torch.ones(8),
        },
        VALUES,
    ),
}


@pytest.mark.parametrize("case", SUITED)
def test_a_network_gets_of_a_batch_what_its_signature_names(case):
    make, batch, expected = SUITED[case]
    found = spanmatch.compare([make(), make()], [batch], layers="relu")
    close(found.gram("relu", "relu"), expected.relu().numpy(), expected.relu().numpy())


def test_parts_of_a_batch_that_no_network_gets_are_said():
    class Optional(nn.Module):
        def forward(self, values, mask=None):
            return values.relu()

    for batch, is_said in (((VALUES, VALUES), True), ((VALUES,), False)):
        notes = spanmatch.compare([Optional(), Optional()], [batch]).notes
        assert any("was given the first 1" in note for note in notes) == is_said
    assert not spanmatch.compare(two(), [(VALUES, torch.ones(8))]).notes  # labels


@pytest.mark.parametrize("shared", [8, 2, 16])  # as many as samples of a batch, of the probe, of a part
def test_a_tensor_that_is_the_same_for_all_samples_stays_whole(shared):
    class Shared(nn.Module):
        def forward(self, values, table):
            return (values + table.sum()).relu()

    values = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    table = torch.ones(shared, 3)
    found = spanmatch.compare([Shared(), Shared()], [(values, table)], layers="relu")
    expected = (values + 3 * shared).relu().numpy()
    close(found.gram("relu", "relu"), expected, expected)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 7, batch_first=True)

    def forward(self, steps):
        return self.lstm(steps)


def test_outputs_of_recurrent_layers_and_their_states_are_layers():
    one, other = seeded(Recurrent, 0), seeded(Recurrent, 1)
    steps = torch.randn(30, 4, 6, generator=torch.Generator().manual_seed(0))
    layers = ["lstm", "lstm[1][0]", "lstm[1][1]"]
    found = spanmatch.compare([one, other], [steps], layers=layers, pairs="same")
    with torch.no_grad():
        (out_x, (h_x, c_x)), (out_y, (h_y, c_y)) = one(steps), other(steps)
    for name, x, y in zip(layers, (out_x, h_x, c_x), (out_y, h_y, c_y), strict=True):
        close(found.gram(name, name), x.reshape(-1, 7).numpy(), y.reshape(-1, 7).numpy())


@dataclass
class Twofold:
    hidden: torch.Tensor
    attention: dict[str, torch.Tensor]


class Giving(nn.Module):
    def forward(self, values):
        return Twofold(values.tanh(), {"of": values * 2})


class Mixed(nn.Module):
    """A dictionary of inputs of several kinds in, dataclasses within."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 5)
        self.dense = nn.Linear(4, 5)
        self.giving = Giving()

    def forward(self, inputs):
        found = self.giving(self.embed(inputs["kind"]) + self.dense(inputs["numbers"]))
        return found.hidden + found.attention["of"]


def test_dictionaries_go_in_and_dataclasses_come_out():
    one, other = seeded(Mixed, 0), seeded(Mixed, 1)
    drawn = torch.Generator().manual_seed(1)
    batch = {
        "kind": torch.randint(0, 9, (25,), generator=drawn),
        "numbers": torch.randn(25, 4, generator=drawn),
    }
    names = ["giving[hidden]", "giving[attention][of]"]
    for loader in ([batch], [(batch, torch.zeros(25))]):
        found = spanmatch.compare([one, other], loader, layers=names, pairs="same")
        with torch.no_grad():
            sums = [net.embed(batch["kind"]) + net.dense(batch["numbers"]) for net in (one, other)]
        close(found.gram(names[0], names[0]), *(each.tanh().numpy() for each in sums))
        close(found.gram(names[1], names[1]), *(2 * each.numpy() for each in sums))


def test_networks_take_their_own_inputs_from_their_own_loaders():
    image, tokens = seeded(convolutional, 0), seeded(Encoder, 1)
    rows = sentences()
    found = spanmatch.compare(
        {"image": image, "text": tokens},
        {
            "image": [{"pixels": IMAGES[:8], "id": list("abcdefgh")}],
            "text": [padded(rows, id=list("abcdefgh"))],
        },
        inputs={"image": lambda batch: batch["pixels"], "text": None},
    )
    assert found.gram("8", "block.relu").n_samples == 8
    assert found.images == 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_precisions_are_compared(dtype):
    one, other = seeded(tanh, 0).to(dtype), seeded(tanh, 1)
    values = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    found = spanmatch.compare([one, other], [values])
    with torch.no_grad():
        x = one[1](one[0](values.to(dtype)))
        y = other[1](other[0](values))
    close(found.gram("1", "1"), x.float().numpy(), y.numpy())
    if dtype == torch.float64:  # no digit is lost
        both = spanmatch.compare([one, seeded(tanh, 2).double()], [values.double()])
        np.testing.assert_allclose(both.gram("1", "1").xx, (x.T @ x).numpy(), rtol=1e-13)


def test_compiled_networks_are_compared_as_they_are_without_compilation():
    one, other = seeded(convolutional, 0), seeded(convolutional, 1)
    plain = spanmatch.compare([one, other], [IMAGES])
    within = seeded(convolutional, 1)
    within.compile()
    compiled = spanmatch.compare([torch.compile(one), within], [IMAGES])
    np.testing.assert_array_equal(compiled.gram("2", "5").matrix, plain.gram("2", "5").matrix)


# minibatch CKA


def plain_hsic(k: NDArray, other: NDArray) -> float:
    """The unbiased estimate of Song et al. 2012, equation 5, as it stands."""
    n = len(k)
    k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
    one = np.ones(n)
    trace = np.trace(k @ other) + (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
    return float((trace - 2 / (n - 2) * (one @ k @ other @ one)) / (n * (n - 3)))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_minibatch_cka_is_the_mean_of_unbiased_estimates(offset):
    one, other = seeded(convolutional, 0), seeded(convolutional, 1)
    images = IMAGES[:38]  # the last batch has 6
    if offset:
        for network in (one, other):
            network[2], network[5], network[8] = nn.Identity(), nn.Identity(), nn.Identity()
            nn.init.constant_(network[4].bias, offset)
    names = ["1", "4", "7"]
    found = spanmatch.compare([one, other], batches(images, 8), layers=names, minibatch_cka=True)
    sums = np.zeros((3, 3, 3))
    for batch, _ in batches(images, 8):
        x, y = (by_hooks(network, names, batch) for network in (one, other))
        flat = [[each[name].reshape(len(batch), -1).astype(np.float64) for name in names] for each in (x, y)]
        flat = [[each - each.mean(axis=0) for each in side] for side in flat]
        grams = [[each @ each.T for each in side] for side in flat]
        for i in range(3):
            for j in range(3):
                a, b = grams[0][i], grams[1][j]
                sums[i, j] += plain_hsic(a, b), plain_hsic(a, a), plain_hsic(b, b)
    expected = sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2])
    np.testing.assert_allclose(found.matrix("minibatch_cka").values, expected, atol=1e-4)


def test_a_layer_that_never_varies_has_no_minibatch_cka():
    one, other = seeded(tanh, 0), seeded(tanh, 1)
    for network in (one, other):
        nn.init.zeros_(network[0].weight)
    for size in (7, 33, 3):
        values = torch.randn(size, 6)
        found = spanmatch.compare([one, other], [values], minibatch_cka=True)
        assert np.isnan(found.matrix("minibatch-cka").values).all()
    assert any("fewer than 4 samples" in note for note in found.notes)


def test_a_pair_that_is_named_twice_counts_once():
    once, twice = (
        spanmatch.compare(two(), [VALUES], pairs=[("1", "1")] * times, minibatch_cka=True) for times in (1, 2)
    )
    assert once.rows(["minibatch-cka"]) == twice.rows(["minibatch-cka"])


def test_a_measure_of_ones_own_is_not_taken_for_the_one_of_its_name():
    found = spanmatch.compare(two(), [VALUES])
    found.matrix("cka")
    own = dataclasses.replace(MEASURES["linear-cka"], function=lambda _evidence, _parameter: 0.123)
    assert found.matrix(own)["1", "1"] == 0.123


def test_memory_does_not_grow_with_samples_that_are_summed():
    found = spanmatch.compare(two(), [VALUES] * 100)
    (group,) = found._sums
    assert not group.are_kept
    assert group.bytes < 2000
    assert group._images == [[]]


# networks stay as they were


def hooks(network: nn.Module) -> int:
    return sum(
        len(each)
        for module in network.modules()
        for each in (module._forward_hooks, module._forward_pre_hooks)
    )


class Raising(nn.Module):
    """A network that fails in its second batch, in the midst of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = convolutional()

    def forward(self, images):
        if len(images) == 3:
            self.inner[2].register_forward_hook(self._fail)
        return self.inner(images)

    def _fail(self, *_: object) -> None:
        self.inner[2]._forward_hooks.popitem()
        raise RuntimeError("no more")


def test_networks_are_left_as_they_were_whatever_happens():
    one = convolutional()
    one[9].eval()  # a part that somebody has frozen
    one[2].train()
    before = [module.training for module in one.modules()]
    images = IMAGES.clone()
    found = spanmatch.compare([one, seeded(convolutional, 0)], batches(images, 16))
    assert "Networks in training mode were evaluated: 0." in found.notes
    assert [module.training for module in one.modules()] == before
    assert hooks(one) == 0
    assert torch.equal(images, IMAGES)  # ReLUs in place work on copies
    failing = Raising()
    with pytest.raises(RuntimeError, match="no more"):
        spanmatch.compare([one, failing], [IMAGES[:8], IMAGES[:3]])
    assert [module.training for module in one.modules()] == before
    assert all(module.training for module in failing.modules())
    assert (hooks(one), hooks(failing)) == (0, 0)
    assert torch.is_grad_enabled()


# bad input: one sentence each


class Sometimes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 5)
        self.relu = nn.ReLU()

    def forward(self, values):
        return self.relu(self.dense(values)) if len(values) != 3 else self.dense(values)


class Drawing(nn.Module):
    def forward(self, values):
        return nn.functional.dropout(values, training=True).relu()


class Looking(nn.Module):
    def forward(self, batch):
        return batch["x"].relu()


class Flattening(nn.Module):
    def forward(self, values):
        return values.flatten(1).relu()


class Telling(Encoder):
    """Finds padding by itself, and tells its attention layers."""

    def forward(self, input_ids):
        return super().forward(input_ids, (input_ids != 0).long())


BAD = {
    "loaders of different lengths": (
        lambda: spanmatch.compare(two(), {"a": [VALUES, VALUES], "b": [VALUES]}),
        "equally many batches .* 'b' ended after 1",
    ),
    "loaders of different sizes": (
        lambda: spanmatch.compare(two(), {"a": [VALUES], "b": [VALUES[:3]]}),
        "the same samples .* \\[8, 3\\]",
    ),
    "loaders of different ids": (
        lambda: spanmatch.compare(
            two(),
            {"a": [{"x": VALUES, "id": list("abcdefgh")}], "b": [{"x": VALUES, "id": list("abcdefhg")}]},
            inputs=lambda batch: batch["x"],
        ),
        "equal ids",
    ),
    "a loader that shuffles beside another": (
        lambda: spanmatch.compare(
            two(), {"a": [VALUES], "b": DataLoader(TensorDataset(VALUES), 8, shuffle=True)}
        ),
        "shuffles beside another",
    ),
    "batches of nothing": (lambda: spanmatch.compare(two(), [VALUES[:0]]), "at least one batch with samples"),
    "ids that are none": (
        lambda: spanmatch.compare(two(), [{"input": VALUES, "id": 5}]),
        "an id for each sample, got 5",
    ),
    "networks of one name": (
        lambda: spanmatch.compare({1: dense(), "1": dense(), 2: dense()}, [VALUES]),
        "a name each",
    ),
    "pairs that are none": (lambda: spanmatch.compare(two(), [VALUES], pairs=[5]), "two names each, got 5"),
    "a layer as a wrong dictionary": (
        lambda: spanmatch.compare(two(), [VALUES], layers=[{"layer": "1"}]),
        '"neurons": "last"',
    ),
    "a network without weights": (
        lambda: spanmatch.compare({"a": dense(), "b": dense().to("meta")}, [VALUES]),
        "'b' on the device meta",
    ),
    "a network that draws at random": (
        lambda: spanmatch.compare({"a": Drawing(), "b": Drawing()}, [VALUES]),
        "network 'a'.* gives the same for the same samples",
    ),
    "a network that looks for a key": (
        lambda: spanmatch.compare({"a": Looking(), "b": Looking()}, [{"other": VALUES}]),
        "KeyError.*`inputs`",
    ),
    "neurons that grow with the length": (
        lambda: spanmatch.compare(
            {"a": Flattening(), "b": Flattening()}, [torch.ones(4, 3, 2), torch.ones(4, 5, 2)]
        ),
        "as many neurons in all batches.* 6 in the first and 10 in batch 1",
    ),
    "padding that one network is told of": (
        lambda: spanmatch.compare(
            {"a": seeded(Telling, 0), "b": seeded(Encoder, 1)},
            [padded(sentences())["input_ids"]],
            layers={"a": "block.relu", "b": "block.relu"},
        ),
        "where networks do not agree, but 'a' takes some of 9 for padding in batch 0 and 'b' does not",
    ),
    "samples that are kept beyond the memory": (
        lambda: spanmatch.compare(two(), (VALUES for _ in range(400)), keep_samples=True, memory=40_000),
        "samples that are kept",
    ),
    "an empty loader": (lambda: spanmatch.compare(two(), []), "at least one batch"),
    "a tensor for a loader": (lambda: spanmatch.compare(two(), VALUES), "pass a DataLoader"),
    "no tensor in a batch": (lambda: spanmatch.compare(two(), [["a", "b"]]), "must give tensors"),
    "one network": (lambda: spanmatch.compare({"a": dense()}, [VALUES]), "two or more"),
    "a module for networks": (lambda: spanmatch.compare(dense(), [VALUES]), "must be several"),
    "no module": (lambda: spanmatch.compare({"a": dense(), "b": 3}, [VALUES]), "modules of torch"),
    "maps of different sizes": (
        lambda: spanmatch.compare(
            {"a": seeded(convolutional, 0), "b": seeded(convolutional, 1)},
            [IMAGES],
            pairs=[("2", "5")],
        ),
        "'mean' where layers differ .* 64 positions .* has 16",
    ),
    "no pair": (
        lambda: spanmatch.compare(two(), [VALUES], layers={"a": ["0"], "b": ["1"]}, pairs="same"),
        'no two layers have one name; use pairs="grid"',
    ),
    "an unknown layer": (lambda: spanmatch.compare(two(), [VALUES], layers=["rleu"]), "network 'a'.*must be"),
    "an unknown layer in pairs": (
        lambda: spanmatch.compare(two(), [VALUES], pairs=[("1", "9")]),
        "got '9', which is none of 'b'",
    ),
    "a mask of another shape": (
        lambda: spanmatch.compare(two(), [VALUES], mask=lambda batch: torch.ones(3, 6)),
        "shape \\(samples, positions\\) of 8 samples, got \\(3, 6\\)",
    ),
    "an unknown key of a mask": (
        lambda: spanmatch.compare(
            two(), [{"input": VALUES}], mask="which", inputs=lambda batch: batch["input"]
        ),
        "key of the batches, got 'which' where they have: input",
    ),
    "all positions masked": (
        lambda: spanmatch.compare(
            {"a": seeded(Encoder, 0), "b": seeded(Encoder, 1)},
            [torch.ones(3, 4, dtype=torch.long)],
            mask=lambda batch: torch.zeros(3, 4, dtype=torch.long),
            layers="block.relu",
            pairs="same",
        ),
        "leave positions that count",
    ),
    "NaN in one layer": (
        lambda: spanmatch.compare(two(), [VALUES, BROKEN]),
        "layer '1' of 'a' gave NaN or infinity in batch 1",
    ),
    "a layer that is called in some batches only": (
        lambda: spanmatch.compare(
            {"a": seeded(Sometimes, 0), "b": seeded(Sometimes, 1)}, [VALUES, VALUES[:3]], layers="relu"
        ),
        "'relu' gives nothing in batch 1",
    ),
    "too little memory": (lambda: spanmatch.compare(two(), [VALUES], memory=10), "`memory` must hold"),
    "one fold": (lambda: spanmatch.compare(two(), [VALUES], folds=1), "`folds` must be at least 2"),
    "more folds than samples": (lambda: spanmatch.compare(two(), [VALUES], folds=9), "at most the number"),
    "other positions": (lambda: spanmatch.compare(two(), [VALUES], positions="some"), "`positions` must be"),
    "inputs that do not fit": (lambda: spanmatch.compare(two(), [VALUES[:, :3]]), "network 'a'.*shape"),
    "no folds for errors": (
        lambda: spanmatch.compare(two(), [VALUES]).jackknife("1", "1"),
        "compare\\(…, folds=10\\)",
    ),
    "no samples for a null": (
        lambda: spanmatch.compare(two(), [VALUES] * 40).null("1", "1"),
        "keep_samples=True",
    ),
    "no minibatch CKA": (
        lambda: spanmatch.compare(two(), [VALUES]).heatmap("minibatch_cka"),
        "minibatch_cka=True",
    ),
    "an unknown measure": (lambda: spanmatch.compare(two(), [VALUES]).matrix("ccka"), "did you mean"),
    "layers that were not compared": (
        lambda: spanmatch.compare(two(), [VALUES], layers=["0", "1"], pairs="same").profile("0", "1"),
        "were not compared",
    ),
    "an unknown network": (
        lambda: spanmatch.compare(two(), [VALUES]).matrix("cka", networks=("a", "c")),
        "`networks` must be one of: a, b",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case):
    call, words = BAD[case]
    with pytest.raises(spanmatch.SpanmatchError, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_what_is_no_comparison_is_refused(tmp_path):
    for name, content in (("text", b"no zip"), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(spanmatch.SpanmatchError, match=r"Comparison\.save"):
            Comparison.load(tmp_path / name)
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(spanmatch.SpanmatchError, match=r"Comparison\.save"):
        Comparison.load(tmp_path / "other.npz")


def test_a_comparison_is_read_without_torch_and_drawn_with_matplotlib(tmp_path):
    found = spanmatch.compare(two(), [VALUES] * 3, minibatch_cka=True)
    found.save(tmp_path / "found.npz")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "import spanmatch\n"
        f"found = spanmatch.Comparison.load({str(tmp_path / 'found.npz')!r})\n"
        "found.heatmap('cka'); found.curves('1', '1'); found.rows(); found._repr_html_()\n"
        "print(found.matrix('minibatch_cka')['1', '1'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == found.matrix("minibatch_cka")["1", "1"]


def test_a_call_needs_the_packages_of_its_extra_alone():
    others = (
        "prefect",
        "dask",
        "distributed",
        "zarr",
        "obstore",
        "pydantic",
        "typer",
        "rich",
        "matplotlib",
        "pandas",
    )
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({others!r}))\n"
        "import torch, spanmatch\n"
        "nets = [torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU()) for _ in range(2)]\n"
        "found = spanmatch.compare(nets, [torch.randn(30, 4)])\n"
        "print(found.matrix('cka').values.shape)\n"
        "for draw in (found.heatmap, found.to_frame):\n"
        "    try:\n"
        "        draw()\n"
        "    except spanmatch.MissingExtraError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shape, drawing, frame = done.stdout.splitlines()
    assert shape == "(1, 1)"
    assert "pip install 'spanmatch[report]'" in drawing
    assert "pip install pandas" in frame


def test_progress_is_shown_when_it_is_asked_for(capsys):
    spanmatch.compare(two(), [VALUES, VALUES], progress=True)
    assert "batch 2 of 2, 16 samples" in capsys.readouterr().err
    spanmatch.compare(two(), [VALUES, VALUES])
    assert capsys.readouterr().err == ""


def test_what_is_uncertain_is_warned_of():
    with pytest.warns(TooFewSamplesWarning):
        spanmatch.compare(two(), [VALUES[:3]]).profile("1", "1")
    assert issubclass(OffsetWarning, UserWarning)
