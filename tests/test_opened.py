"""What a run has stored, opened from Python: as it was computed, verified, and refused by name."""

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
import obstore
import pytest
from conftest import TINY, write_study
from hypothesis import given
from hypothesis import strategies as st
from test_reuse import content
from test_storage import publish

import spanmatch
from flows.opened.stored_activations import StoredActivations
from flows.opened.stored_study import StoredStudy
from spanmatch import GramMatrix, match_profile, networks
from spanmatch.errors import SpanmatchError
from storage.arrays import GroupReader, GroupWriter
from storage.bucket import Bucket
from storage.root import Artefact, Root
from storage.stacked import StackedArray

LAYER = "block3.relu2"
PAIR = ("seed0-final", "seed1-final")


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Compute arrays of Dask right here: a cluster that earlier tests had may be named still, and gone."""
    with dask.config.set(scheduler="sync"):
        yield


@pytest.fixture
def stored(tiny_root: Path) -> StoredStudy:
    opened: StoredStudy = spanmatch.open_root(tiny_root)
    return opened


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[StackedArray, np.ndarray]:
    root = Root.prepare(tmp_path_factory.mktemp("stacked") / "root")
    parts = [np.random.default_rng(rows).normal(size=(rows, 4, 3)).astype("f4") for rows in (10, 4, 1)]
    readers = [GroupReader(root, publish(root, part, f"key{len(part)}")) for part in parts]
    return StackedArray(readers, "layer"), np.concatenate(parts)


def selections(size: int) -> st.SearchStrategy[Any]:
    numbers = st.integers(-size, size - 1)
    return st.one_of(
        numbers,
        st.slices(size),
        st.lists(numbers, max_size=6).map(lambda several: np.array(several, dtype=int)),
        st.lists(st.booleans(), min_size=size, max_size=size).map(np.array),
    )


@given(st.data())
def test_an_index_of_several_groups_is_that_of_their_arrays(
    stacked: tuple[StackedArray, np.ndarray], data: st.DataObject
) -> None:
    array, whole = stacked
    index = data.draw(st.tuples(*map(selections, whole.shape)))
    expected = whole
    for axis in (2, 1, 0):  # each dimension by itself, the last first: a number takes its own away
        expected = expected[(slice(None),) * axis + (index[axis],)]
    found = array[index]
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, expected)


def test_what_is_left_out_of_an_index_is_whole(stacked: tuple[StackedArray, np.ndarray]) -> None:
    array, whole = stacked
    for index in (..., slice(3, 12), (..., 1), (11, ...), (slice(4), ..., [0, 2]), slice(None, None, -2)):
        np.testing.assert_array_equal(array[index], whole[index])
    np.testing.assert_array_equal(np.asarray(array), whole)
    for wrong in ((0, 0, 0, 0), (..., ...), None, 15, (0, 4), [15], (..., [3])):
        with pytest.raises(IndexError):
            array[wrong]


def test_activations_are_what_the_network_gives(stored: StoredStudy) -> None:
    """The network that is loaded, on the images of the data set, gives what is stored, in every form."""
    for label in ("seed1-final", "seed1-initial"):
        activations = stored.activations(label, LAYER)
        assert activations.shape == (90, 4, 64)
        images = stored.dataset().held_out.slice(0, 90)
        assert activations.ids == images.ids
        passed = [part[LAYER] for part in networks.extract(stored.network(label), [LAYER], images)]
        np.testing.assert_allclose(activations[:], np.concatenate(passed), rtol=0, atol=1e-5)
    assert not stored.network("seed0-final").training
    dask = activations.to_dask()
    assert dask.chunks[0] == (45, 45), "a chunk for each block"
    np.testing.assert_array_equal(dask[40:50].compute(), activations[40:50])
    named = activations.to_xarray()
    assert named.dims == ("image", "position", "neuron")
    np.testing.assert_array_equal(named.sel(image=images.ids[50], neuron=3).values, activations[50, :, 3])
    np.testing.assert_array_equal(copy.deepcopy(activations)[7], activations[7])


def test_the_strongest_images_are_those_of_the_greatest_activation(stored: StoredStudy) -> None:
    activations = stored.activations("seed0-final", LAYER)
    found = activations.strongest([5, 0], 9)
    assert found.shape == (2, 9)
    for neuron, images in zip([5, 0], found, strict=True):
        peaks = [max(activations[image, :, neuron]) for image in range(90)]
        assert images.tolist() == sorted(range(90), key=lambda image: (-peaks[image], image))[:9]
    np.testing.assert_array_equal(activations.strongest(5), found[0])
    pictures = stored.pictures(found)
    assert pictures.shape == (2, 9, 8, 8)
    np.testing.assert_array_equal(pictures[1, 3], stored.dataset().held_out.raw(found[1, 3:4])[0, 0])


def test_padding_is_never_the_strongest(tmp_path: Path) -> None:
    root = Root.prepare(tmp_path / "root")
    values = np.array([[[-2.0], [np.nan]], [[np.nan], [np.nan]], [[-1.0], [-3.0]]], dtype="f4")
    with root.publish("segments/key.zarr") as folder:
        writer = GroupWriter(folder, {"image_ids": ["a", "b", "c"]})
        writer.write("layer", values)
        artefact = Artefact("segments", "key", "segments/key.zarr", writer.finish())
    activations = StoredActivations(root, [artefact], "a-final", "layer")
    assert activations.strongest(0, 3).tolist() == [2, 0, 1]


def test_statistics_are_those_of_the_activations(stored: StoredStudy) -> None:
    x, y = (stored.activations(f"seed{seed}-final", LAYER)[:].reshape(-1, 64) for seed in (0, 1))
    of = (*PAIR, LAYER)
    expected = GramMatrix.from_activations(x, y)
    gram = stored.gram(*of)
    np.testing.assert_allclose(gram.xy, expected.xy, rtol=1e-9, atol=1e-9)
    profile = stored.profile(*of)
    np.testing.assert_array_equal(profile.x, match_profile(gram).x)
    found = spanmatch.simple_matches(gram, epsilon=0.5)
    assert stored.simple_matches(*of, epsilon=0.5) == found
    rows = [
        row
        for row in stored.rows("simple_matches")
        if (row.layer, row.checkpoint_x, row.epsilon) == (LAYER, of[0], 0.5)
    ]
    assert [row.x for row in rows] == [tuple(simple.match.x) for simple in found]
    np.testing.assert_array_equal(stored.gram(*of, LAYER).xy, gram.xy)


def test_folds_add_up(digits_root: Path) -> None:
    stored = spanmatch.open_root(digits_root)
    folds = stored.fold_grams("seed0-final", "seed2-final", LAYER)
    gram = stored.gram("seed0-final", "seed2-final", LAYER)
    np.testing.assert_allclose(sum(folds[1:], folds[0]).xy, gram.xy, rtol=1e-12)
    (row,) = [
        row
        for row in stored.rows("measures")
        if (row.layer_x, row.checkpoint_x, row.checkpoint_y) == (LAYER, "seed0-final", "seed2-final")
        and row.measure == "linear-cka"
    ]
    found = spanmatch.jackknife(folds, measures=["linear-cka"]).row("linear-cka")
    assert found.value == pytest.approx(row.value, rel=1e-9)
    assert found.error == pytest.approx(row.error, rel=1e-6)


@pytest.mark.parametrize("table", StoredStudy.tables)
def test_tables_are_the_files_of_the_run(stored: StoredStudy, table: str) -> None:
    frame = stored.to_frame(table)
    assert len(frame) == len(stored.rows(table))
    if table == "similarity":
        assert frame.query("layer == @LAYER and epsilon == 0.3").similarity.between(0, 1).all()
        assert len(frame) == 2 * 2 * 2


REFUSED: dict[str, tuple[Callable[[StoredStudy], object], str]] = {
    "checkpoint": (lambda s: s.activations("seed0-finel", LAYER), "did you mean 'seed0-final'?"),
    "layer": (lambda s: s.activations("seed0-final", "block3.relu3"), "did you mean 'block3.relu2'?"),
    "network": (lambda s: s.network("seed3-final"), "`checkpoint` must be one of: "),
    "order": (
        lambda s: s.gram("seed1-final", "seed0-final", LAYER),
        r"in this order: .*seed0-final ~ seed1-final; got seed1-final ~ seed0-final$",
    ),
    "centre": (
        lambda s: s.profile(*PAIR, LAYER, centre="mean"),
        "`centre` must be one of the study's, raw, got",
    ),
    "epsilon": (lambda s: s.simple_matches(*PAIR, LAYER, epsilon=0.4), "with --epsilon 0.4 adds it"),
    "folds": (lambda s: s.fold_grams(*PAIR, LAYER), "`folds` of 'tiny' must be from 2"),
    "table": (lambda s: s.to_frame("similarities"), "did you mean 'similarity'?"),
    "count": (lambda s: s.activations("seed0-final", LAYER).strongest(0, 91), "`count` must be from 1 to 90"),
    "neurons": (lambda s: s.activations("seed0-final", LAYER).strongest("all"), "`neurons` must be numbers"),
    "images": (lambda s: s.pictures([90]), "`images` must be numbers of images from 0 to 89"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_there_is_not_is_refused_in_a_sentence(stored: StoredStudy, what: str) -> None:
    ask, says = REFUSED[what]
    with pytest.raises(SpanmatchError, match=says) as refusal:
        ask(stored)
    assert "\n" not in str(refusal.value)


def test_nothing_is_written_and_neither_torch_nor_prefect_is_loaded(tiny_root: Path) -> None:
    before = content(tiny_root)
    code = (
        f"import sys, spanmatch; stored = spanmatch.open_root({str(tiny_root)!r}); "
        f"stored.activations('seed0-final', {LAYER!r})[:]; stored.profile(*{PAIR!r}, {LAYER!r}); "
        "stored.results; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"torch", "sklearn", "prefect", "matplotlib", "pandas", "xarray"}
    assert content(tiny_root) == before


def test_what_is_damaged_or_missing_is_named(tiny_root: Path, copy_of: Callable[[Path], Path]) -> None:
    root = copy_of(tiny_root)
    stored = spanmatch.open_root(root)
    activations = stored.activations("seed0-final", LAYER)
    for chunk in (root / "segments").glob("*/*/c/**/*"):
        if chunk.is_file():
            chunk.write_bytes(bytes(chunk.stat().st_size))
    says = r"is damaged segments/\w+\.zarr: array 'block3\.relu2', rows 0 to 44 is not what was written .*; "
    dask = activations.to_dask()
    for read in (lambda: activations[3], lambda: dask[3].compute(), lambda: activations.strongest(0)):
        with pytest.raises(SpanmatchError, match=f"{says}`spanmatch run` of its study computes it again"):
            read()
    for pack in (root / "comoments").iterdir():
        pack.write_bytes(pack.read_bytes()[:-8] + bytes(8))
    with pytest.raises(SpanmatchError, match="is damaged comoments/"):
        [stored.gram(*pair) for pair in stored.pairs]
    shutil.rmtree(root / "cache" / "segments")
    with pytest.raises(SpanmatchError, match=r"must hold the activations of seed0-final in block3\.relu2"):
        spanmatch.open_root(root).activations("seed0-final", LAYER)
    with pytest.raises(
        SpanmatchError, match=r"must hold the statistic of block3\.relu2 · seed 0 ~ seed 1 · final"
    ):
        spanmatch.open_root(root).gram(*PAIR, LAYER)


def test_a_root_names_the_studies_that_ran_there(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    root, stored_layers = copy_of(tiny_root), (LAYER, "classifier.relu1")
    with pytest.raises(SpanmatchError, match=r"`study` must be one of: tiny; got 'tine'; did you mean"):
        spanmatch.open_root(root, study="tine")
    last = json.loads((root / "study.json").read_text())
    last["study"]["name"] = "later"
    (root / "study.json").write_text(json.dumps(last))  # as if another study had run since
    assert spanmatch.open_root(root).name == "later"
    earlier = spanmatch.open_root(root, study="tiny")
    assert earlier.activations("seed0-final", LAYER).shape == (90, 4, 64)
    with pytest.raises(SpanmatchError, match="are of 'later', which ran last, got 'tiny'; run 'tiny' again"):
        earlier.rows("similarity")
    with pytest.raises(SpanmatchError, match=r"which holds those of root; open one of them, such as"):
        spanmatch.open_root(tmp_path)
    with pytest.raises(SpanmatchError, match=r"has no study\.json; `spanmatch run` of the study computes it"):
        spanmatch.open_root(tmp_path / "nowhere")
    streamed = json.loads((root / "studies" / "tiny.json").read_text())
    streamed["study"]["activations"] = "stream"
    (root / "studies" / "tiny.json").write_text(json.dumps(streamed))
    with pytest.raises(SpanmatchError, match="must be keep for any to be stored, got stream;"):
        spanmatch.open_root(root, study="tiny").activations("seed0-final", LAYER)
    streamed["study"]["activations"], streamed["resolved"]["layers"] = "keep", 5
    (root / "studies" / "tiny.json").write_text(json.dumps(streamed))  # as versions to come may leave it
    assert spanmatch.open_root(root, study="tiny").layers == stored_layers
    last["study"] |= {"name": "tiny", "epsilons": [0.4]}
    (root / "study.json").write_text(json.dumps(last))  # as versions before leave it, where they run last
    assert spanmatch.open_root(root).study.epsilons == [0.4]
    shutil.rmtree(root / "studies")  # as versions before left it
    assert spanmatch.open_root(root).activations("seed1-final", LAYER).shape == (90, 4, 64)


def test_a_studys_file_opens_its_root(tiny_root: Path, tmp_path: Path) -> None:
    stored = spanmatch.open_root(write_study(tmp_path, TINY | {"root": str(tiny_root)}))
    assert repr(stored) == (f"<StoredStudy tiny in {tiny_root}: 4 checkpoints, 2 layers, 4 pairs, 90 images>")


def test_a_root_in_a_bucket_opens_alike(tiny_root: Path, url: str) -> None:
    place = Root.at(url).place
    assert isinstance(place, Bucket)
    for name, file in content(tiny_root).items():
        if name.startswith(("study.json", "studies", "spanmatch.json", "cache", "segments", "networks")):
            obstore.put(place._store, name, file)
    stored = spanmatch.open_root(url)
    here = spanmatch.open_root(tiny_root).activations("seed0-final", LAYER)
    np.testing.assert_array_equal(stored.activations("seed0-final", LAYER)[44:46], here[44:46])
    bucket, _, prefix = url.rpartition("/")
    with pytest.raises(SpanmatchError, match=rf"which holds those of .*{re.escape(prefix)}"):
        spanmatch.open_root(bucket)
