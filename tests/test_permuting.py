"""The stage of permuted images, of stored layers with padding: who is exchanged for whom, and the sums."""

import numpy as np
import pytest
from test_reduction import computed, unit_of
from test_writing import extracted

from spanmatch.statistics.shifted import drawn_shifts, partners
from storage.root import Root
from tasks import permuting
from tasks.permuting import PermutedUnit, StoredLayer
from tasks.reduction import SegmentLayer
from tasks.statistic import Reading, moments_of

IMAGES, POSITIONS, SPLIT, DRAWS = 40, 5, 17, 3
IDS = [f"image {number:02}" for number in range(IMAGES)]


@pytest.fixture
def root(tmp_path) -> Root:
    return Root.prepare(tmp_path / "root")


def stored(root: Root, name: str, values: np.ndarray) -> StoredLayer:
    """Store a layer in two segments, with its own part."""
    segments, own = [], []
    for number, part in enumerate((slice(0, SPLIT), slice(SPLIT, IMAGES))):
        artefact = extracted(root, f"{name}{number}", values[part], 7, "float64", image_ids=IDS[part])
        layer = SegmentLayer("layer", artefact, f"{name}{number}")
        segments.append(artefact)
        own += computed(root, [unit_of(layer, layer)]).values()
    return StoredLayer("layer", tuple(segments), tuple(one.digest for one in segments), tuple(own))


def units_of(x: StoredLayer, y: StoredLayer) -> list[PermutedUnit]:
    return [PermutedUnit(str(b), x, y, b, 5, "images", "tile", 1.0) for b in range(DRAWS)]


def made(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two layers in which images of each kind have as many positions that count."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(IMAGES, POSITIONS, 3)) + 2, rng.normal(size=(IMAGES, POSITIONS, 4))
    for values in (x, y):
        values[np.arange(POSITIONS) >= kinds[:, None]] = np.nan
    return x, y


KINDS = {
    "all positions count": np.full(IMAGES, POSITIONS),
    "padding": np.random.default_rng(1).integers(2, POSITIONS + 1, IMAGES),
}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("memory", [1, 2**30])
def test_cross_parts_are_those_of_images_exchanged_by_hand(
    root: Root, kinds: np.ndarray, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = made(kinds)
    monkeypatch.setattr(permuting, "HELD_BYTES", memory)
    units = units_of(stored(root, "x", x), stored(root, "y", y))
    results = permuting.compute(root, units, Reading(root))
    assert [result.unit for result in results] == units
    # images of other positions are never exchanged; which are is a matter of names, not of segments
    drawn = drawn_shifts(IDS, range(DRAWS), seed=5, within=None if (kinds == POSITIONS).all() else kinds)
    counts = ~np.isnan(x[:, :, 0])
    for draw, result in enumerate(results):
        pairs = partners(drawn, draw)
        assert (kinds[pairs] == kinds).all()
        a, b = x[counts], y[pairs][counts]
        (found,) = moments_of(result.content)
        assert found.comoments.n_samples == len(a)
        expected = (a - a.mean(axis=0)).T @ (b - b.mean(axis=0))
        np.testing.assert_allclose(found.comoments.products, expected, rtol=0, atol=1e-11 * len(a))
        squares = ((a - a.mean(axis=0)) ** 2).sum(axis=1), ((b - b.mean(axis=0)) ** 2).sum(axis=1)
        sums = squares[0] @ squares[1], squares[0].sum(), squares[1].sum()
        np.testing.assert_allclose(found.rows.sums, sums, rtol=1e-11)


def test_images_of_which_most_are_alone_are_refused(root: Root) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(IMAGES, 6, 2))
    # which of six positions count says the number of the image
    x[(np.arange(1, IMAGES + 1)[:, None] >> np.arange(6)) % 2 == 0] = np.nan
    layer = stored(root, "x", x)
    with pytest.raises(ValueError, match="to be exchanged, got 0 such of 40"):
        permuting.compute(root, units_of(layer, layer), Reading(root))
