"""Rows of the table of mended faults: calls of BLAS."""

from pathlib import Path

import numpy as np
import pytest
from faults import Fault

from spanmatch import GramMatrix
from spanmatch.matching.rank_update import add_products

INTEGERS = np.arange(60).reshape(15, 4) % 7 - 3


def too_small(_: Path) -> None:
    rows = np.ones((50, 40))
    for shape in ((3, 3), (40, 3), (3, 40), (40, 39), (41, 41), (40,), (40, 40, 1), (0, 0)):
        with pytest.raises(ValueError, match="`lower` must be square and as wide as `rows`"):
            add_products(rows, np.zeros(shape, order="F"))
    with pytest.raises(ValueError, match="`lower` must be"):
        add_products(np.ones(40), np.zeros((40, 40), order="F"))


def layouts_that_an_address_does_not_tell(_: Path) -> None:
    rows, lower = INTEGERS.astype(np.float64), np.zeros((4, 4), order="F")
    frozen = lower.copy(order="F")
    frozen.flags.writeable = False
    shifted = np.zeros(8 * 16 + 1, dtype=np.uint8)[1:].view(np.float64).reshape((4, 4), order="F")
    wide = np.zeros((30, 9))
    wide[::-2, 1::2] = rows
    of_rows = (
        rows,
        np.asfortranarray(rows),
        rows.astype(">f8"),
        rows.astype(np.float32),
        INTEGERS,
        wide[::-2, 1::2],
    )
    of_lower = (lower, np.zeros((4, 4)), frozen, shifted, lower.astype(">f8"), lower.astype(np.float32))
    for factor in of_rows:
        for target in of_lower:
            found = add_products(factor, target.copy("K") if target.flags.writeable else target)
            np.testing.assert_array_equal(np.tril(found), np.tril(INTEGERS.T @ INTEGERS))
    assert not frozen.any()
    assert not add_products(np.zeros((0, 4)), lower).any()


def any_layout(_: Path) -> None:
    plain = INTEGERS.astype(np.float64)
    expected = plain.T @ plain
    frozen = plain.copy()
    frozen.flags.writeable = False
    wide = np.zeros((30, 9))
    wide[::-2, 1::2] = plain
    for side in (plain, frozen, wide[::-2, 1::2], np.asfortranarray(plain), plain.astype(">f8"), INTEGERS):
        gram = GramMatrix.from_activations(side[:, :3], side[:, 3:])
        np.testing.assert_array_equal(gram.matrix, expected)
        np.testing.assert_array_equal(gram.sums, plain.sum(axis=0))


def mapped(folder: Path) -> None:
    np.save(folder / "x.npy", INTEGERS.astype(np.float32))
    side = np.load(folder / "x.npy", mmap_mode="r")
    gram = GramMatrix.from_activations(side, side[:, ::-1])
    np.testing.assert_array_equal(gram.xy, (INTEGERS.T @ INTEGERS)[:, ::-1])


def one_accumulator_is_not_anothers_size(_: Path) -> None:
    gram = GramMatrix.zeros(2, 1)
    for x, y in ((INTEGERS, INTEGERS), (INTEGERS[:, :2], INTEGERS), (INTEGERS[:, :1], INTEGERS[:, :1])):
        with pytest.raises(ValueError, match="columns, as many as neurons in this GramMatrix"):
            gram.update(x, y)
    assert gram.n_samples == 0


FAULTS: list[Fault] = [
    Fault(
        13,
        "an accumulator of another size than the rows",
        "BLAS, called by its address, read and wrote beyond it: a segmentation fault",
        "one sentence before it is called",
        too_small,
    ),
    Fault(
        13,
        "rows or accumulators that are read-only, strided, unaligned, empty or of other types",
        "read as if they were plain float64 in the right order, or written although they are read-only",
        "SciPy's wrapper takes what an address does not tell: the right sums",
        layouts_that_an_address_does_not_tell,
    ),
    Fault(
        13,
        "activations of another width than the accumulator",
        "only this check stood between them and the address",
        "one sentence, and nothing is added",
        one_accumulator_is_not_anothers_size,
    ),
    Fault(13, "activations of any layout or type", "not tried", "the right sums", any_layout),
    Fault(13, "activations in a file that is mapped", "not tried", "the right sums", mapped),
]
