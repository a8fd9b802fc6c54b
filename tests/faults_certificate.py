"""Rows of the table of mended faults: sums of products, and kept Gram matrices."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import Fault

from spanmatch import GramMatrix, is_match, offset_neurons
from spanmatch.errors import SpanmatchError

INTEGERS = np.arange(60).reshape(15, 4) % 7 - 3


def any_layout(_: Path) -> None:
    plain = INTEGERS.astype(np.float64)
    expected = plain.T @ plain
    frozen = plain.copy()
    frozen.flags.writeable = False
    wide = np.zeros((30, 9))
    wide[::-2, 1::2] = plain
    for side in (plain, frozen, wide[::-2, 1::2], np.asfortranarray(plain), plain.astype(">f8"), INTEGERS):
        gram = GramMatrix.from_activations(side[:, :3], side[:, 3:])
        np.testing.assert_allclose(gram.matrix, expected, rtol=1e-14)
        np.testing.assert_allclose(gram.sums, plain.sum(axis=0), rtol=1e-14)


def mapped(folder: Path) -> None:
    np.save(folder / "x.npy", INTEGERS.astype(np.float32))
    side = np.load(folder / "x.npy", mmap_mode="r")
    gram = GramMatrix.from_activations(side, side[:, ::-1])
    np.testing.assert_allclose(gram.xy, (INTEGERS.T @ INTEGERS)[:, ::-1], rtol=1e-14)


def one_accumulator_is_not_anothers_size(_: Path) -> None:
    gram = GramMatrix.zeros(2, 1)
    for x, y in ((INTEGERS, INTEGERS), (INTEGERS[:, :2], INTEGERS), (INTEGERS[:, :1], INTEGERS[:, :1])):
        with pytest.raises(ValueError, match="columns, as many as neurons in this GramMatrix"):
            gram.update(x, y)
    assert gram.n_samples == 0


def parts(**changes: Any) -> dict[str, Any]:
    gram = GramMatrix.from_activations(INTEGERS[:, :3], INTEGERS[:, 3:])
    kept = {"matrix": gram.matrix, "sums": gram.sums, "n_samples": 15, "n_x": 3, "roundings": gram.roundings}
    return kept | changes


def refused_parts(says: str, **changes: Any) -> Callable[[Path], None]:
    def check(_: Path) -> None:
        with pytest.raises(SpanmatchError, match=re.escape(says)) as caught:
            GramMatrix.from_parts(**parts(**changes))
        assert "\n" not in str(caught.value)

    return check


def of(*rows: list[float]) -> dict[str, Any]:
    return {"matrix": np.array(rows), "sums": np.zeros(len(rows)), "n_samples": 9, "n_x": 1}


KEPT = parts()
PARTS = {
    "a float32 matrix": {
        "matrix": KEPT["matrix"].astype(np.float32),
        "says": "must be float64, got dtype f",
    },
    "sums in float32": {"sums": KEPT["sums"].astype(np.float32), "says": "`sums` must be float64"},
    "a complex matrix": {
        "matrix": KEPT["matrix"] + 1j,
        "says": "`matrix` must be float64, got dtype c",
    },
    "a matrix of integers": {"matrix": KEPT["matrix"].astype(int), "says": "`matrix` must be float64"},
    "a negative square": {**of([-1.0, 0.0], [0.0, 1.0]), "says": "squared lengths on its diagonal, got -1"},
    "products beyond the lengths": {**of([1.0, 5.0], [5.0, 1.0]), "says": "(1 for neurons 0 and 1), got 5"},
    "products of a neuron without length": {**of([0.0, 1.0], [1.0, 1.0]), "says": "neurons 0 and 1), got 1"},
    "sums beyond the lengths": {"sums": KEPT["sums"] + 1000, "says": "`sums` must be at most the root"},
    "sums of no samples": {"n_samples": 0, "says": "must be at most"},
    "half a sample": {"n_samples": 14.5, "says": "`n_samples` must be a whole number, got 14.5"},
    "half a neuron": {"n_x": "3", "says": "`n_x` must be a whole number, got '3'"},
    "half a rounding": {"roundings": 1.5, "says": "`roundings` must be a whole number, got 1.5"},
}


def any_real_parts(_: Path) -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-300, 1e-170, 1e-160, 1e-16, 1.0, 1e150):
        for rank in (1, 4):
            rows = rng.standard_normal((500, rank)) @ rng.standard_normal((rank, 8))
            rows[:, 2], rows[:, 3], rows[:, 4] = 0, 1 / scale**0.5, 3
            gram = GramMatrix.from_activations(rows[:, :4] * scale, rows[:, 4:] * scale)
            gram.update(np.zeros((1, 4)), np.zeros((1, 4)))
            again = GramMatrix.from_parts(gram.matrix, gram.sums, gram.n_samples, gram.n_x, gram.roundings)
            np.testing.assert_array_equal(again.matrix, gram.matrix)
    none = GramMatrix.zeros(1, 1)
    assert GramMatrix.from_parts(none.matrix, none.sums, 0, 1).n_samples == 0
    with pytest.raises(SpanmatchError, match=r"`n_x` must be a whole number, got 2\.0"):
        GramMatrix.zeros(2.0, 3)  # type: ignore[arg-type]


def not_what_they_must_be(_: Path) -> None:
    gram: Any = GramMatrix.from_activations(INTEGERS[:, :3], INTEGERS[:, 3:])
    pair: Any = ([0], [0])
    with pytest.raises(SpanmatchError, match="`match` must be a Match, got tuple"):
        is_match(gram, pair, epsilon=0.3)
    with pytest.raises(SpanmatchError, match="`gram` must be a GramMatrix, got ndarray"):
        offset_neurons(gram.matrix)
    with pytest.raises(SpanmatchError, match="`epsilon` must be a number, got 'a'"):
        offset_neurons(gram, epsilon="a")  # type: ignore[arg-type]


FAULTS: list[Fault] = [
    Fault(
        12,
        "a pair of lists for a Match, an array for a GramMatrix",
        "an AttributeError",
        "one sentence",
        not_what_they_must_be,
    ),
    Fault(
        13,
        "activations of another width than the accumulator",
        "products of another layer were added",
        "one sentence, and nothing is added",
        one_accumulator_is_not_anothers_size,
    ),
    Fault(13, "activations of any layout or type", "not tried", "the right sums", any_layout),
    Fault(13, "activations in a file that is mapped", "not tried", "the right sums", mapped),
    *(
        Fault(
            13,
            f"{what} kept for a Gram matrix",
            "taken, and what followed from it certified, or a traceback",
            "refused in one sentence",
            refused_parts(**changes),
        )
        for what, changes in PARTS.items()
    ),
    Fault(13, "a Gram matrix of any scale, kept", "taken", "taken still", any_real_parts),
]
