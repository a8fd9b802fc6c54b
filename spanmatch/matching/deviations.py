"""Blocks of samples less their means, of which products are summed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from spanmatch.matching.inputs import AnyArray, FloatArray

# Samples whose products BLAS sums at once. Like the size of a group, a constant: the bits of a co-moment must
# not depend on what else is computed beside it.
BLOCK_SAMPLES = 4096
# Samples that share a mean; the means of a block's groups are rows of their own.
GROUP_SAMPLES = 128
# Groups are centred in slabs of about this size, which stay in a core's cache from pass to pass.
SLAB_BYTES = 2**20
# A mean that carries less of a sum of squares than this moves no product by a rounding.
NEGLIGIBLE = 2.0**-58
# A computed mean this close to the first value is that of a constant, for all that rounding tells.
ROUNDED = 2.0**-49
# BLAS adds up at most so many products by themselves, and adds to its result after at least so many: what
# OpenBLAS does on x86-64, 256 or 384 by processor.
ROWS_BY_THEMSELVES, ROWS_BETWEEN = 384, 256
# Columns are filled up with zeros to a multiple of this, so that BLAS sums every neuron alike, wherever it
# stands: OpenBLAS's kernels for x86-64 treat what is left over below that in ways of their own.
FILLED_TO = 8
# Rows that marks are summed of at a time: a product of few rows is no faster than memory.
MARKED_ROWS = 32
# BLAS sums eight samples at a time faster than NumPy.
EIGHT = np.ones((1, 8))
# What means of groups add to `roundings`: docs/theory.md has the proof.
OF_GROUPS = 28


@dataclass(frozen=True, eq=False)
class Deviations:
    """A block of samples of one layer less its mean: inner products of these columns are its co-moments.

    Attributes
    ----------
    filled : ndarray, (n_rows, n or up to seven more)
        Deviations from the mean of a group of samples; where there are several groups, then those of the
        groups' means from the mean of the block, times the root of each group's size. Columns beyond the
        neurons are zero.
    shift, remainder : ndarray, (n,)
        The mean, as a sum that is not carried out: so it has digits however large an offset is.
    n_samples : int
        Samples in the block.
    """

    filled: FloatArray
    shift: FloatArray
    remainder: FloatArray
    n_samples: int

    @property
    def values(self) -> FloatArray:
        """The neurons' own columns of `filled`, (n_rows, n), not copied."""
        return self.filled[:, : self.shift.size]

    @property
    def roundings(self) -> int:
        """Bound of the rounding errors of the co-moments of this block, as `CoMoments.roundings`."""
        if self.n_samples == 1:
            return 0
        summed = products_roundings(len(self.filled))
        return summed + (OF_GROUPS if len(self.filled) > self.n_samples else 0)

    def products(self, other: "Deviations") -> FloatArray:
        """Return the inner products with another layer's on the same samples, (n, n_other), or with its own.

        The bits of an inner product do not depend on where its two neurons stand among the others.
        """
        inner: FloatArray = self.filled.T @ other.filled
        return inner[: self.shift.size, : other.shift.size]

    def marks(self, samples_before: int) -> FloatArray:
        """Return what tells columns apart: the rows' sum with weights e^(ik), real and imaginary, (2, n).

        Parameters
        ----------
        samples_before : int
            Those of earlier blocks; k starts from twice as many, because a block has more rows than samples.
            The last row is the mean.
        """
        weights = _turning(len(self.filled) + 1)
        slabs, width = len(self.filled) // MARKED_ROWS, self.filled.shape[1]
        cut = slabs * MARKED_ROWS
        slab_weights = weights[:, :cut].reshape(2, slabs, MARKED_ROWS).transpose(1, 0, 2)
        sums = np.matmul(slab_weights, self.filled[:cut].reshape(slabs, MARKED_ROWS, width)).sum(axis=0)
        sums += weights[:, cut:-1] @ self.filled[cut:]
        of_mean = np.multiply.outer(weights[:, -1], self.shift + self.remainder)
        return turned(sums[:, : self.shift.size] + of_mean, samples_before)


def products_roundings(rows: int) -> int:
    """Bound the rounding errors of an inner product of so many deviations, as `CoMoments.roundings`."""
    return 3 + min(rows, ROWS_BY_THEMSELVES) + -(-rows // ROWS_BETWEEN)


def blocks(chunk: AnyArray) -> Iterator[AnyArray]:
    """Cut a chunk, (n_samples, n), into blocks of `BLOCK_SAMPLES` samples, the last of what is left."""
    for start in range(0, len(chunk), BLOCK_SAMPLES):
        yield chunk[start : start + BLOCK_SAMPLES]


def deviations(block: AnyArray, out: FloatArray | None = None) -> Deviations:
    """Return a block of samples less its mean.

    Parameters
    ----------
    block : ndarray, (n_samples, n)
        Activations, at least one sample; any real dtype, cast to float64.
    out : ndarray, optional
        `filled` of a block of this layer that is no longer needed: written over where there is room.

    Notes
    -----
    Costs a few passes over the block, most of them in cache. A constant column gives zeros, and its own value
    as the mean.
    """
    n_samples, n = block.shape
    width = filled_width(n)
    groups = -(-n_samples // GROUP_SAMPLES)
    n_rows = n_samples + (groups if groups > 1 else 0)
    room = out is not None and len(out) >= n_rows and out.shape[1] == width
    values = out[:n_rows] if out is not None and room else np.empty((n_rows, width))
    values[:, n:] = 0
    shift, remainder = np.empty((2, groups, width))
    per_slab = max(1, SLAB_BYTES // (8 * GROUP_SAMPLES * width))
    full = n_samples // GROUP_SAMPLES
    cuts = [*range(0, full, per_slab), full, groups]
    for first, end in pairwise(cuts):
        if first == end:
            continue
        rows = slice(first * GROUP_SAMPLES, min(end * GROUP_SAMPLES, n_samples))
        values[rows, :n] = block[rows]
        shift[first:end], remainder[first:end] = _centre(values[rows].reshape(end - first, -1, width))
    if groups == 1:
        return Deviations(values, shift[0, :n], remainder[0, :n], n_samples)
    counts = np.full((groups, 1), float(GROUP_SAMPLES))
    counts[-1] = n_samples - (groups - 1) * GROUP_SAMPLES
    mean, rest = _centre_means(values[n_samples:], shift, remainder, counts)
    return Deviations(values, mean[:n], rest[:n], n_samples)


@lru_cache(maxsize=8)
def _turning(number: int) -> FloatArray:
    """Return e^(ik) for k = 0, 1, …, real and imaginary, (2, number)."""
    places = np.arange(number)
    return np.stack((np.cos(places), np.sin(places)))


def turned(marks: FloatArray, samples_before: int) -> FloatArray:
    """Return marks, (2, n), as they would be with so many more samples before."""
    real, imaginary = marks
    cosine, sine = math.cos(2 * samples_before), math.sin(2 * samples_before)
    return np.stack((cosine * real - sine * imaginary, sine * real + cosine * imaginary))


def filled_width(neurons: int) -> int:
    """Return how many columns so many neurons are filled up to."""
    return -(-neurons // FILLED_TO) * FILLED_TO


def _centre(groups: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Subtract from each group, (n_groups, n_samples, n), its mean, in place; return the means."""
    count = groups.shape[1]
    shift = _near_first(_sum(groups) / count, groups[:, 0])
    groups -= shift[:, None]
    remainder = np.zeros_like(shift)
    rest = _sum(groups) / count
    for _ in range(3):
        # Some squares bound all from below: enough to see that what is left is nothing.
        some = (groups[:, ::16] ** 2).sum(axis=1)
        much = np.where(count * rest**2 > NEGLIGIBLE * some, rest, 0)
        if not much.any():
            break
        groups -= much[:, None]
        remainder += much
        rest = _sum(groups) / count
    return two_sum(shift, remainder + rest)


def _centre_means(
    out: FloatArray, shift: FloatArray, remainder: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Write the weighted deviations of means from their mean to `out`; return that mean."""
    total = counts.sum()
    middle = _near_first(_sum(shift[None])[0] / len(shift), shift[0])
    np.subtract(shift, middle, out=out)
    out += remainder
    rest = np.zeros_like(middle)
    for _ in range(2):
        left = _sum((counts * out)[None])[0] / total
        out -= left
        rest += left
    out *= np.sqrt(counts)
    return two_sum(middle, rest)


def _near_first(mean: FloatArray, first: FloatArray) -> FloatArray:
    """Return the mean, or the first value where they differ by no more than rounding."""
    chosen: FloatArray = np.where(np.abs(mean - first) <= ROUNDED * np.abs(first), first, mean)
    return chosen


def _sum(groups: FloatArray) -> FloatArray:
    """Sum each group, (n_groups, n_samples, n), by eights and then by halves: few additions for any value."""
    if groups.shape[1] == GROUP_SAMPLES:
        groups = np.matmul(EIGHT, groups.reshape(len(groups), -1, EIGHT.size, groups.shape[2]))[:, :, 0]
    while (count := groups.shape[1]) > 1:
        half = (count + 1) // 2
        summed = np.empty((len(groups), half, groups.shape[2]))
        np.add(groups[:, : count - half], groups[:, half:], out=summed[:, : count - half])
        if count % 2:
            summed[:, -1] = groups[:, half - 1]
        groups = summed
    return groups[:, 0]


def two_sum(one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a sum and its rounding error, exactly (Knuth 1969)."""
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)
