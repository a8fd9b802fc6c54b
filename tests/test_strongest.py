"""The strongest samples of neurons: those of a search through all, however samples are cut up and ordered."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spanmatch.matching.strongest import Strongest, StrongestSamples, merged


def searched(values: np.ndarray, count: int) -> tuple[list[list[int]], list[list[float]], list[list[int]]]:
    """Look at every position of every sample of every neuron; return numbers, values and positions."""
    samples, strengths, positions = [], [], []
    for neuron in range(values.shape[2]):
        found = []
        for number, sample in enumerate(values[:, :, neuron].tolist()):
            if counting := [(-value, place) for place, value in enumerate(sample) if not math.isnan(value)]:
                strength, place = min(counting)
                found.append((strength, number, place))
        few = sorted(found)[:count] + [(math.nan, -1, 0)] * (count - len(found))
        strengths.append([-strength for strength, _, _ in few])
        samples.append([number for _, number, _ in few])
        positions.append([place for _, _, place in few])
    return samples, strengths, positions


def found_in(values: np.ndarray, count: int, step: int = 10**6) -> Strongest:
    search = StrongestSamples(count)
    for start in range(0, len(values), step):
        search.add(values[start : start + step])
    return search.found()


def assert_same(found: Strongest, expected: Strongest) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes(), "to the bit"


# few different values, so that there are ties within samples and between them, and zeros of either sign
VALUES = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 2.0])


@st.composite
def activations(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 4), st.integers(1, 3)))
    dtype = draw(st.sampled_from([np.float32, np.float16, np.float64]))
    values = draw(arrays.arrays(dtype, shape, elements=VALUES))
    left_out = draw(arrays.arrays(bool, shape[:2]))
    return np.where(left_out[:, :, np.newaxis], dtype(np.nan), values)


@given(activations(), st.integers(1, 5), st.integers(1, 12))
def test_they_are_those_of_a_search_through_all(values: np.ndarray, count: int, step: int) -> None:
    found = found_in(values, count, step)
    samples, strengths, positions = searched(values, count)
    assert found.samples.tolist() == samples
    np.testing.assert_array_equal(found.values, strengths)
    assert found.positions.tolist() == positions
    assert not np.signbit(found.values[found.values == 0]).any()


@given(activations(), st.integers(1, 5), st.integers(1, 12), st.booleans())
def test_they_depend_neither_on_cuts_nor_on_order(
    values: np.ndarray, count: int, cut: int, backwards: bool
) -> None:
    parts = [
        found_in(values[start : start + cut], count).moved(start) for start in range(0, len(values), cut)
    ]
    joined = parts.pop(-1 if backwards else 0)
    for part in reversed(parts) if backwards else parts:
        joined = merged(joined, part)
    assert_same(joined, found_in(values, count))


@pytest.mark.parametrize("shape", [(1000, 1, 1500), (40, 300, 8), (5, 1, 1)])
def test_larger_layers_are_searched_in_pieces(shape: tuple[int, ...]) -> None:
    """More than is ranked at a time, with float32's own ties; against a sort of all peaks."""
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32).round(2)
    found = found_in(values, 9)
    peaks = values.max(axis=1)
    order = np.argsort(-peaks, axis=0, kind="stable")[:9].T
    there = min(9, shape[0])
    np.testing.assert_array_equal(found.samples[:, :there], order)
    np.testing.assert_array_equal(found.values[:, :there], np.take_along_axis(peaks.T, order, axis=1))
    neuron = np.arange(shape[2])[:, np.newaxis]
    np.testing.assert_array_equal(values[order, found.positions[:, :there], neuron], found.values[:, :there])
    assert (found.samples[:, there:] == -1).all()
    assert np.isnan(found.values[:, there:]).all()
