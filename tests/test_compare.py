"""`spanmatch.compare` gives the statistic of hooks and NumPy by hand, and a result that can be kept."""

import dataclasses
import subprocess
import sys
import types
from itertools import pairwise

import numpy as np
import pytest
import torch
from compared import (
    IMAGES,
    LARGER,
    VALUES,
    batches,
    by_hooks,
    channels_first,
    close,
    convnext,
    convolutional,
    resnet18,
    seeded,
    swin,
    tanh,
    two,
    vit,
)
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

import spanmatch
from spanmatch import OffsetWarning, TooFewSamplesWarning
from spanmatch.comparing import Comparison
from spanmatch.comparing.minibatches import centred_gram
from spanmatch.comparing.sums import Sums
from spanmatch.comparing.torch_sums import TorchSums, statistic_device
from spanmatch.matching.joint_sums import JointSums
from spanmatch.measures import MEASURES

pytestmark = [
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]


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


@examples(10)
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


@examples(30)
@given(
    seed=st.integers(0, 2**32 - 1),
    offset=st.sampled_from([0.0, 1.0, 1e6, 1e10]),
    cuts=st.lists(st.integers(0, 300), max_size=3),
    dtype=st.sampled_from([np.float32, np.float64]),
    order=st.sampled_from("CF"),
)
def test_sums_by_torch_are_those_by_numpy_within_their_certificates(seed, offset, cuts, dtype, order):
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.choice([1, 3, 8, 63, 64, 65, 130], 3)]
    layers = [(rng.standard_normal((300, size)) + offset).astype(dtype, order=order) for size in sizes]
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


def test_sums_are_on_the_first_device_that_has_double_precision():
    cpu, mps = torch.device("cpu"), torch.device("mps")
    assert statistic_device([]) == statistic_device([cpu]) == cpu
    if not torch.backends.mps.is_available():
        assert statistic_device([mps, cpu]) == cpu  # where it is there, it has none


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_sums_on_a_cuda_device_are_those_on_the_host():
    assert statistic_device([torch.device("cpu"), torch.device("cuda")]) == torch.device("cuda")
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((300, size)) + 1e6 for size in (3, 65)]
    pairs = [(0, 0), (1, 1), (0, 1)]
    found, expected = TorchSums([3, 65], pairs, device="cuda"), JointSums([3, 65], pairs)
    for sums in (found, expected):
        sums.add([layer[:100] for layer in layers])
        sums.add([layer[100:] for layer in layers])
    for pair in pairs:
        one, other = found.moments(pair).comoments, expected.moments(pair).comoments
        x, y = (np.sqrt(np.diagonal(expected.moments((n, n)).comoments.products)) for n in pair)
        allowed = (one.roundings + other.roundings) * 2.0**-53 * np.multiply.outer(x, y)
        assert (np.abs(one.products - other.products) <= allowed).all()


class Full(TorchFunctionMode):
    """Torch on a device that has no room for products."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.mm:
            raise torch.OutOfMemoryError
        return function(*args, **(kwargs or {}))


def test_sums_for_which_a_device_has_no_room_are_refused():
    said = "`loader` must give batches for whose statistic there is room on cpu, got 9 samples of 2 neurons"
    with Full(), pytest.raises(ValueError, match=said):
        TorchSums([2], [(0, 0)]).add([np.ones((9, 2))])


def test_statistics_are_those_of_the_library():
    networks = {"a": seeded(convolutional, 0), "b": seeded(convolutional, 1)}
    found = spanmatch.compare(networks, batches(IMAGES, 16), pairs="same", folds=5, keep_samples=True)
    x, y = (by_hooks(network, ["5"], IMAGES)["5"] for network in networks.values())
    sides = [channels_first(each).reshape(-1, 8) for each in (x, y)]
    groups = np.repeat(np.arange(40), 16)
    folds = spanmatch.fold_grams(*sides, groups=groups, folds=5)
    grams = found.fold_grams("5", "5")
    for one, other in (
        (spanmatch.jackknife(grams, measures=["cka"]), spanmatch.jackknife(folds, measures=["cka"])),
        (spanmatch.held_out(grams), spanmatch.held_out(folds)),
        (found.null("5", "5", measures=["rv"]), spanmatch.null(*sides, groups=groups, measures=["rv"])),
    ):
        for row, expected in zip(one.rows, other.rows, strict=True):
            assert (row.measure, row.parameter) == (expected.measure, expected.parameter)
            assert row.value == pytest.approx(expected.value, abs=1e-3)
    growth, expected = spanmatch.growth(grams), spanmatch.growth(folds)
    assert [row.values for row in growth.rows] == [
        pytest.approx(row.values, abs=1e-3) for row in expected.rows
    ]


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


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_products_of_whole_outputs_are_those_of_double_precision_however_long_they_are(offset):
    values = offset + torch.randn(8, 150_001, generator=torch.Generator().manual_seed(1))
    exact = values.double() - values.double().mean(dim=0)
    exact = exact @ exact.T
    assert float((centred_gram(values) - exact).abs().max()) < 1e-5 * float(exact.diagonal().max())
    assert not centred_gram(values[:1].expand(8, -1)).any()


@pytest.mark.parametrize("count", [8, 1024, 4096])
def test_samples_that_differ_by_rounding_alone_are_constant_and_others_are_not_however_many(count):
    generator = torch.Generator().manual_seed(2)
    same = (torch.randn(1, 40, generator=generator) + 1e4).expand(count, -1).contiguous()
    nearby = same + torch.randint(-1, 2, same.shape, generator=generator) * same * 1.2e-7
    assert not torch.equal(nearby, same)
    assert not centred_gram(same).any()
    assert not centred_gram(nearby).any()
    varying = same + 0.1 * torch.randn(same.shape, generator=generator)
    assert float(centred_gram(varying).trace()) == pytest.approx(40 * count * 0.01, rel=0.2)


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


def test_samples_that_are_kept_hold_no_other_memory():
    taken = np.ones((100, 50), dtype=np.float32)
    sums = Sums([5], [(0, 0)], keep=True)
    sums.add([taken[:3, :5]])
    assert sums.samples(0).base is None
    assert sums.bytes == sums.samples(0).nbytes == 60


def test_memory_does_not_grow_with_samples_that_are_summed():
    found = spanmatch.compare(two(), [VALUES] * 100)
    (group,) = found._compared.sums
    assert not group.are_kept
    assert group.bytes < 2000
    assert group._images == [[]]


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
    shown = capsys.readouterr().err
    assert shown.startswith("compare: pairs of layers: 1, memory: up to 0.00 GB\n")
    assert "batch 2 of 2, 16 samples" in shown
    spanmatch.compare(two(), [VALUES, VALUES])
    assert capsys.readouterr().err == ""


def test_heat_maps_say_and_show_which_values_are_close():
    found = spanmatch.compare(two(), [VALUES])
    names = {}
    for measure in ("cka", "mean-critical-epsilon"):
        image, bar = found.heatmap(measure).axes
        names[measure] = image.get_images()[0].get_cmap().name, bar.get_ylabel().endswith("(less is closer)")
    assert names == {"cka": ("viridis", False), "mean-critical-epsilon": ("viridis_r", True)}


def test_tables_are_data_frames_where_pandas_is_there(monkeypatch):
    found = spanmatch.compare(two(), [VALUES] * 3)
    monkeypatch.setitem(
        sys.modules, "pandas", types.SimpleNamespace(DataFrame=lambda of, **words: (of, words))
    )
    rows, _ = found.to_frame(["cka"])
    assert [row["value"] for row in rows] == [found.matrix("cka")["1", "1"]]
    values, names = found.similarity(0.3).to_frame()
    assert values.shape == (1, 1)
    assert names == {"index": ["1"], "columns": ["1"]}


def test_what_is_uncertain_is_warned_of():
    with pytest.warns(TooFewSamplesWarning):
        spanmatch.compare(two(), [VALUES[:3]]).profile("1", "1")
    assert issubclass(OffsetWarning, UserWarning)
