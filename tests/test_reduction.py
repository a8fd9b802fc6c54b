"""Gram matrices on Dask: a fold over segments, to the same bits whatever was there before."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_writing import extracted

from spanmatch import GramMatrix, match_profile
from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.root import Root
from tasks.cluster import Cluster
from tasks.grams import GramUnit, SegmentLayer, pieces, prefixes, publish_gram, read_gram
from tasks.records import Cache
from tasks.stages import reduce
from tasks.unit import Unit, jobs

# Images of 9,000 samples: each is a chunk, so that a segment of 20 is more than two pieces.
IMAGES, POSITIONS, NEURONS = 20, 9000, 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.prepare(tmp_path / "root")


def side(
    root: Root, name: str, seed: int, dtype: str = "float32"
) -> tuple[np.ndarray, tuple[SegmentLayer, ...]]:
    """Store three segments of one layer of one network."""
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(size=(3 * IMAGES, POSITIONS, NEURONS)), 0).astype(np.float32)
    parts = []
    for segment in range(3):
        key = f"{name}{segment}"
        artefact = extracted(root, key, values[segment * IMAGES :][:IMAGES], 7, dtype)
        parts.append(SegmentLayer(artefact, f"content of {key}", GroupReader(root, artefact).blocks("layer")))
    return values.reshape(-1, NEURONS), tuple(parts)


def reduced(unit: GramUnit, root: Root, cluster: Cluster) -> Artefact:
    record = reduce.fn(units=[unit], root=root, cluster=cluster)[unit.key]
    assert Cache(root).look_up(unit) == record
    return unit.artefact(record["digest"])


def forget(root: Root, unit: Unit) -> None:
    root.forget(unit.stage, unit.key)


@pytest.mark.timeout(120)
def test_from_scratch_and_from_a_sum_over_fewer_segments_gives_the_same_bits(
    root: Root, cluster: Cluster
) -> None:
    (x, x_parts), (y, y_parts) = side(root, "x", 0), side(root, "y", 1)
    assert len(pieces(x_parts[0].blocks)) == 3
    whole = GramUnit("whole", "layer", x_parts, y_parts)
    two, one = prefixes(whole)
    assert [len(unit.x) for unit in (two, one)] == [2, 1]
    scratch = reduced(whole, root, cluster)
    np.testing.assert_allclose(
        read_gram(root, scratch).matrix, GramMatrix.from_activations(x, y).matrix, rtol=1e-12
    )
    for start in (two, one):
        forget(root, whole)
        reduced(start, root, cluster)
        hidden = [Path(root.where(root.artefact("segments", part.segment.key))) for part in start.x]
        for path in hidden:
            path.rename(path.with_suffix(".hidden"))  # whoever reads these fails
        assert reduced(whole, root, cluster) == scratch
        for path in hidden:
            path.with_suffix(".hidden").rename(path)
        forget(root, start)
    # a damaged sum is passed over for a shorter one, and left to whoever needs it
    reduced(one, root, cluster)
    damaged = Path(root.where(root.artefact("grams", reduced(two, root, cluster).key)))
    shutil.rmtree(damaged / "matrix")
    forget(root, whole)
    assert reduced(whole, root, cluster) == scratch
    assert damaged.exists()


def test_what_is_kept_as_float16_is_summed_as_it_was_kept(root: Root, cluster: Cluster) -> None:
    (x, x_parts), (y, y_parts) = side(root, "x", 0, "float16"), side(root, "y", 1, "float16")
    gram = read_gram(root, reduced(GramUnit("half", "layer", x_parts, y_parts), root, cluster))
    kept = [values.astype(np.float16).astype(np.float32) for values in (x, y)]
    np.testing.assert_allclose(gram.matrix, GramMatrix.from_activations(*kept).matrix, rtol=1e-12)


def test_a_stored_gram_matrix_is_certified_as_before_and_an_older_one_safely(root: Root) -> None:
    rng = np.random.default_rng(0)
    gram = GramMatrix.from_activations(*rng.standard_normal((2, 500, 3)))
    unit = GramUnit("new", "layer", (), ())
    read = read_gram(root, unit.artefact(publish_gram(root, unit, gram)["digest"]))
    assert read.roundings == gram.roundings
    np.testing.assert_array_equal(match_profile(read).x_bounds, match_profile(gram).x_bounds)
    target = root.artefact("grams", "old")
    with root.publish(target) as folder:  # as written before roundings were kept
        writer = GroupWriter(folder, {"samples": 500, "neurons_x": 3, "neurons_y": 3})
        writer.write("matrix", gram.matrix)
        writer.write("sums", gram.sums)
        digest = writer.finish()
    old = read_gram(root, Artefact("grams", "old", digest))
    assert old.roundings == 500 > gram.roundings


@given(st.lists(st.sampled_from("abc")))
def test_units_are_gathered_to_jobs_in_their_order(names: list[str]) -> None:
    class One(GramUnit):
        @property
        def job(self) -> str:
            return self.layer

    def segment(number: int) -> SegmentLayer:
        return SegmentLayer(Artefact("segments", "key", "digest"), f"content {number}", 1)

    units = [One(str(number), name, (segment(number),), ()) for number, name in enumerate(names)]
    again = [One("of the same key", name, (segment(number),), ()) for number, name in enumerate(names)]
    gathered = jobs([*units, *again])
    assert [job[0].layer for job in gathered] == list(dict.fromkeys(names))
    for job in gathered:
        assert list(job) == [unit for unit in units if unit.layer == job[0].layer]
