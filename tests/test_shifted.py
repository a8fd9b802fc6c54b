"""Co-moments of shifted images against sums over images that are paired one by one."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from spanmatch import GramMatrix
from spanmatch.matching.comoments import CoMoments
from spanmatch.statistics import shifted
from spanmatch.statistics.shifted import ShiftedCross, drawn_shifts, partners, spectrum


def mean_of(values: np.ndarray) -> np.ndarray:
    """The mean of all samples as a value and what it lacks, (2, n)."""
    mean = values.reshape(-1, values.shape[-1]).mean(axis=0)
    return np.stack((mean, np.zeros_like(mean)))


def close(found: np.ndarray, expected: np.ndarray, unit: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * max(unit, 1.0))


def check(x: np.ndarray, y: np.ndarray, kinds: np.ndarray | None, draws: int) -> None:
    """Compare with images that are put in the places of their partners, positions together."""
    ids = [f"image {number}" for number in range(len(x))]
    drawn = drawn_shifts(ids, range(draws), seed=3, within=kinds)
    counts = ~np.isnan(x[:, :, 0])
    mean_x, mean_y = (mean_of(values[counts]) for values in (x, y))
    cross = ShiftedCross(mean_x, mean_y, draws)
    for order, shifts in drawn:
        for position in np.flatnonzero(counts[order[0]]):  # position by position, as parts are
            part = slice(position, position + 1)
            cross.update(spectrum(x[order][:, part], mean_x), spectrum(y[order][:, part], mean_y), shifts)
    for draw, (comoments, rows) in enumerate(cross.finished()):
        pairs = partners(drawn, draw)
        assert sorted(pairs) == list(range(len(x)))
        paired = y[pairs]
        np.testing.assert_array_equal(np.isnan(paired), np.isnan(y))
        less_x, less_y = x[counts] - mean_x[0], paired[counts] - mean_y[0]
        unit = float(np.sqrt((less_x**2).sum() * (less_y**2).sum()))
        assert comoments.n_samples == np.count_nonzero(counts)
        close(comoments.products, less_x.T @ less_y, unit)
        expected = GramMatrix.from_activations(x[counts], paired[counts], rows=True).rows[2]
        longest = float(np.abs(less_x).max(initial=0.0) + np.abs(less_y).max(initial=0.0))
        close(rows.sums, expected.sums, unit * longest**2 + float(expected.sums.max()))
        close(rows.weighted_x, expected.weighted_x, unit * longest)
        close(rows.weighted_y, expected.weighted_y, unit * longest)


@examples(100)
@given(
    images=st.integers(3, 20),
    positions=st.integers(1, 3),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    offset=st.sampled_from([0.0, 5.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_all_shifts_are_those_of_images_paired_by_hand(images, positions, sizes, offset, seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(images, positions, size)) + offset for size in sizes)
    check(x, y, None, draws=min(images - 1, 4))


@pytest.mark.parametrize("seed", range(5))
def test_images_are_exchanged_only_among_those_whose_positions_that_count_agree(seed):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(24, 4, 3)) for _ in "xy")
    kinds = rng.integers(0, 3, size=24)
    for values in (x, y):
        for kind in (1, 2):
            values[kinds == kind, kind:] = np.nan
    check(x, y, kinds, draws=5)


def test_blocks_of_neurons_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(30, 2, 7)) for _ in "xy")

    def found() -> list[CoMoments]:
        ((order, shifts),) = drawn_shifts([str(n) for n in range(30)], range(6), seed=0)
        cross = ShiftedCross(mean_of(x), mean_of(y), 6)
        cross.update(spectrum(x[order], mean_of(x)), spectrum(y[order], mean_of(y)), shifts)
        return [comoments for comoments, _ in cross.finished()]

    whole = found()
    monkeypatch.setattr(shifted, "_BLOCK_BYTES", 1)
    for one, other in zip(whole, found(), strict=True):
        np.testing.assert_allclose(one.products, other.products, atol=1e-12)


def test_draws_depend_on_names_seed_and_number_alone():
    ids = [f"{number:02}" for number in range(12)]
    (whole,) = drawn_shifts(ids, range(11), seed=1)
    assert sorted(whole.shifts) == list(range(1, 12)), "no shift is 0, and none is drawn twice"
    (later,) = drawn_shifts(ids, [7, 2], seed=1)
    assert later.shifts.tolist() == whole.shifts[[7, 2]].tolist()
    backwards = drawn_shifts(ids[::-1], range(11), seed=1)
    for draw in range(11):
        # image i backwards is image 11 - i
        assert (11 - partners(backwards, draw)[::-1]).tolist() == partners([whole], draw).tolist()
    (other,) = drawn_shifts(ids, range(11), seed=2)
    assert partners([other], 0).tolist() != partners([whole], 0).tolist()
    said = "^`numbers` must be below 11, the shifts that 12 samples have, got"
    with pytest.raises(ValueError, match=said):
        drawn_shifts(ids, [11], seed=0)
