"""Rows of the table of mended faults: calls of BLAS."""

from pathlib import Path

import numpy as np
import pytest
from faults import Fault
from test_architecture import REPOSITORY, imported

from spanmatch import GramMatrix

INTEGERS = np.arange(60).reshape(15, 4) % 7 - 3


def no_foreign_calls(_: Path) -> None:
    for folder in ("spanmatch", "storage", "tasks", "flows"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            assert "ctypes" not in {module.partition(".")[0] for module in imported(path)}, path


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
        "an accumulator smaller than the rows",
        "BLAS, called by its address, wrote beyond it: a segmentation fault",
        "no address is called: NumPy multiplies, and checks",
        no_foreign_calls,
    ),
    Fault(
        13,
        "activations of another width than the accumulator",
        "only one caller stood between them and the address",
        "one sentence, and nothing is added",
        one_accumulator_is_not_anothers_size,
    ),
    Fault(
        13,
        "activations that are read-only, strided, in Fortran's order, of the other byte order, or integers",
        "an address says nothing of layout: another path was taken for some",
        "one path, the right sums",
        any_layout,
    ),
    Fault(
        13,
        "activations in a file that is mapped",
        "as above",
        "the right sums",
        mapped,
    ),
]
