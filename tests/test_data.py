"""Images and data sets: what identifies them, what they look like to a network, and how they are named."""

from pathlib import Path

import numpy as np
import pytest
from cases import random_bytes

from spanmatch.networks.catalogue import DATASET_NAMES, held_out_images, require_dataset
from spanmatch.networks.data import Dataset, Images, Preprocessing, downloads, load_dataset
from spanmatch.networks.data.load import DATASETS

GREY = Preprocessing(mean=(0.5,), deviation=(0.25,))


def images(pixels: np.ndarray | None = None, **changes: object) -> Images:
    values = {
        "stored": random_bytes(5, 1, 6, 6) if pixels is None else pixels,
        "labels": np.arange(5),
        "ids": tuple("abcde"),
        "preprocessing": GREY,
    }
    return Images(**values | changes)


def test_pixels_are_standardised_bytes_whole_or_in_slices() -> None:
    stored = random_bytes(5, 3, 6, 6)
    each = Preprocessing(mean=(0.1, 0.2, 0.3), deviation=(0.5, 0.6, 0.7))
    some = images(stored, preprocessing=each)
    mean, deviation = (np.array(v)[:, None, None] for v in (each.mean, each.deviation))
    np.testing.assert_allclose(some.pixels, (stored / 255 - mean) / deviation, rtol=1e-6)
    assert some.pixels.dtype == np.float32
    assert some.shape == (3, 6, 6)
    part = some.slice(3, 9)
    assert part.ids == ("d", "e")
    assert part.labels.tolist() == [3, 4]
    assert np.array_equal(part.pixels, some.pixels[3:])
    assert np.shares_memory(part.stored, stored)


def test_padding_is_black_and_resizing_and_cropping_leave_the_middle() -> None:
    some = images(preprocessing=Preprocessing(mean=(0.0,), deviation=(1.0,), pad=2))
    assert some.shape == (1, 10, 10)
    assert np.array_equal(
        some.pixels[:, :, 2:-2, 2:-2], images(preprocessing=Preprocessing((0,), (1,))).pixels
    )
    assert some.pixels.sum() == pytest.approx(some.pixels[:, :, 2:-2, 2:-2].sum())
    wide = np.zeros((5, 3, 10, 20), dtype=np.uint8)
    wide[:, :, :, 8:12] = 255
    cut = images(wide, preprocessing=Preprocessing((0,) * 3, (1,) * 3, resize=20, crop=4))
    assert cut.shape == (3, 4, 4)
    assert cut.pixels.min() == 1


def test_float_images_are_taken_as_they_are_whatever_their_shape() -> None:
    tokens = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    some = images(tokens, preprocessing=None)
    assert some.shape == (7, 3)
    assert np.array_equal(some.slice(1, 3).pixels, tokens[1:3])


def test_the_digest_sees_ids_labels_pixels_and_preprocessing() -> None:
    stored = random_bytes(5, 1, 6, 6)
    changed = stored.copy()
    changed[4, 0, 5, 5] ^= 1
    different = [
        images(),
        images(changed),
        images(stored.reshape(5, 1, 4, 9)),
        images(labels=np.arange(5)[::-1]),
        images(ids=tuple("abcdf")),
        images(preprocessing=Preprocessing(mean=(0.5,), deviation=(0.25,), pad=1)),
        images(stored.astype(np.float32), preprocessing=None),
        images().slice(0, 4),
    ]
    assert len({each.digest for each in different}) == len(different)
    assert images(np.asfortranarray(stored)).digest == images().digest


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        (
            {"pixels": random_bytes(5, 1, 6, 6).astype(int)},
            TypeError,
            "`stored` must be uint8 or float32, got int64",
        ),
        ({"labels": np.arange(5.0)}, TypeError, "`labels` must be int64, got float64"),
        ({"labels": np.arange(4)}, ValueError, "at least one, got 5, 4 and 5"),
        ({"preprocessing": None}, ValueError, "`preprocessing` must be given for bytes"),
    ],
)
def test_images_that_do_not_fit_together_are_refused(changes: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        images(**changes)


def test_a_data_set_s_parts_fit_together() -> None:
    others = images(ids=tuple("vwxyz"))
    assert Dataset("own", images(), others, 5).digest != Dataset("own", others, images(), 5).digest
    for parts, classes, said in [
        ((images(), images(random_bytes(5, 1, 7, 6), ids=tuple("vwxyz"))), 5, r"\(1, 6, 6\) and \(1, 7, 6\)"),
        ((images(), others), 4, r"`labels` must lie in \[0, 4\).*got 0 to 4"),
        ((images(), images()), 5, "`ids` must differ"),
        (
            (images(np.full((5, 3), np.nan, np.float32), preprocessing=None),
             images(np.ones((5, 3), np.float32), preprocessing=None, ids=tuple("vwxyz"))),
            5,
            "`stored` must be finite",
        ),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=said):
            Dataset("own", *parts, classes)


def test_the_catalogue_names_every_data_set_and_the_nearest_to_a_slip() -> None:
    assert set(DATASET_NAMES) == set(DATASETS)
    assert len(load_dataset("digits").held_out) == held_out_images("digits")
    assert held_out_images("folder:somewhere") is None
    require_dataset("folder:somewhere")
    require_dataset("package.module:factory")
    for slip, near in (("digitz", "digits"), ("cifar-10", "cifar10"), ("fashion_mnist", "fashion-mnist")):
        with pytest.raises(ValueError, match=f"got '{slip}'; did you mean '{near}'"):
            load_dataset(slip)
    with pytest.raises(ValueError, match=r"`dataset` must be one of: .*got 'folder:'"):
        load_dataset("folder:")


def test_digits_are_scikit_learn_s_standardised() -> None:
    from sklearn.datasets import load_digits

    pixels = load_digits().data.reshape(-1, 1, 8, 8) / 16.0
    training = np.arange(1797) % 3 != 2
    expected = ((pixels - pixels[training].mean()) / pixels[training].std()).astype(np.float32)
    digits = load_dataset("digits")
    assert np.array_equal(digits.training.pixels, expected[training])
    assert np.array_equal(digits.held_out.pixels, expected[~training])
    assert digits.held_out.shape == (1, 8, 8)
    assert digits is load_dataset("digits")


@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [("/a", "/b", "/a"), (None, "/b", "/b"), (None, None, str(Path.home() / ".cache/spanmatch/data"))],
)
def test_data_is_looked_for_where_one_says(
    argument: str | None, variable: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPANMATCH_DATA", raising=False)
    if variable:
        monkeypatch.setenv("SPANMATCH_DATA", variable)
    assert downloads.data_folder(argument) == Path(expected)


FACTORIES = """
import numpy as np
from spanmatch.networks.data import Dataset, Images

def own():
    def part(name):
        ids = tuple(f"{name}{number}" for number in range(4))
        return Images(np.ones((4, 2, 3), np.float32), np.arange(4), ids)
    return Dataset("own", part("t"), part("h"), 4)

def wrong():
    return 3

number = 3
"""


def test_a_function_of_ones_own_gives_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mydata.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)
    assert load_dataset("mydata:own").held_out.ids == ("h0", "h1", "h2", "h3")
    for name, said in [
        ("mydata:wrong", "returns a spanmatch.networks.data.Dataset, but of 'mydata:wrong' it returned int"),
        ("mydata:number", "`dataset` must name a factory that can be called, but .* it is int"),
        ("mydata:absent", "can be imported, but of 'mydata:absent' it does not import: AttributeError"),
        ("nowhere.at_all:own", "No module named 'nowhere'.*PYTHONPATH"),
        ("mydata.py:own", "drop `.py`: mydata:own"),
        ("mydata:", "`dataset` must have the form 'package.module:factory'"),
    ]:
        with pytest.raises(ValueError, match=said):
            load_dataset(name)
