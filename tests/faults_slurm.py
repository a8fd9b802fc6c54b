"""Rows of the table of mended faults: scaling on SLURM; order, offsets; memory and dtypes of one process."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from conftest import TINY, spanmatch, write_study
from faults import Fault
from jobs import check_data_is_left_alone, check_jobs_that_are_over_are_replaced, check_work_is_left_alone

from flows.run.read_back import read_results
from spanmatch import (
    GramMatrix,
    MatchProfile,
    OffsetWarning,
    decompose,
    match_profile,
    maximum_match,
    minimal_match,
    minimal_matches,
    simple_matches,
)
from spanmatch.command.activation_files import gram_of_files
from spanmatch.command.match_files import match_arrays
from spanmatch.errors import SpanmatchError
from spanmatch.reporting import offset_sentences, report_markdown
from storage.root import Root

GOOD = np.random.default_rng(0).standard_normal((6, 2))
IDS = np.array(["a", "b", "c", "d", "e", "f"])
TENSOR = torch.from_numpy(GOOD)

SCALING = [
    Fault(
        15,
        "a job of two workers of which one trains",
        "cancelled when the other was idle; the training began again",
        "left alone; a job that is idle as a whole is given back",
        check_work_is_left_alone,
    ),
    Fault(
        15,
        "a job whose workers do nothing but hold a result",
        "cancelled, with the copy that had to be made elsewhere",
        "left alone until nobody wants the result",
        check_data_is_left_alone,
    ),
    Fault(
        15,
        "a job that SLURM has ended",
        "counted as there for as long as there was work",
        "forgotten; another is asked for when there is work",
        check_jobs_that_are_over_are_replaced,
    ),
]


class Frame:
    """What is known of a pandas data frame: columns, an index of row labels, and an array."""

    columns = ("p", "q")

    def __init__(self, values: np.ndarray, index: Any) -> None:
        self.values, self.index = values, index

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.values, dtype)


class Labelled(Frame):
    """What is known of an array of xarray's."""

    dims = ("sample", "neuron")

    @property
    def indexes(self) -> dict[str, Any]:
        return {"sample": self.index}


def refused(says: str, x: Any, y: Any = GOOD) -> None:
    """See that arrays are refused on either side, in one sentence."""
    for side, pair in (("x", (x, y)), ("y", (y, x))):
        with pytest.raises(SpanmatchError, match=re.escape(says.replace("SIDE", side))) as caught:
            GramMatrix.from_activations(*pair)
        assert "\n" not in str(caught.value)


def taken(x: Any, y: Any) -> None:
    assert np.array_equal(
        GramMatrix.from_activations(x, y).matrix, GramMatrix.from_activations(GOOD, GOOD).matrix
    )


def check_frames(_: Path) -> None:
    frame, other = Frame(GOOD, IDS), Frame(GOOD[::-1], IDS[::-1])
    refused("must have the same samples in the same order", frame, other)
    refused("y.loc[x.index]", frame, other)
    refused("y.loc[x.index]", frame, Frame(GOOD, np.arange(6)))
    gram = GramMatrix.zeros(2, 2)
    with pytest.raises(SpanmatchError, match="in row 0: a and f"):
        gram.update(frame, other)
    assert gram.n_samples == 0
    for same in (Frame(GOOD, IDS.copy()), GOOD, Labelled(GOOD, None)):
        taken(frame, same)


def check_labelled_arrays(_: Path) -> None:
    refused("y.sel in xarray", Labelled(GOOD, IDS), Labelled(GOOD[::-1], IDS[::-1]))
    refused("y.sel in xarray", Labelled(GOOD, IDS), Frame(GOOD[::-1], IDS[::-1]))
    taken(Labelled(GOOD, IDS), Labelled(GOOD, IDS))


def archive(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.npz"
    np.savez_compressed(path, **arrays)
    return path


def check_ids(folder: Path) -> None:
    named = archive(folder, layer=GOOD, ids=IDS)
    plain = folder / "plain.npy"
    np.save(plain, GOOD)
    for wrong, says in (
        (archive(folder, layer=GOOD[::-1], ids=IDS[::-1]), "(in another order)"),
        (archive(folder, layer=GOOD, ids=np.arange(6)), "got text and integers"),
        (archive(folder, layer=GOOD, ids=np.char.upper(IDS)), "(not the same)"),
        (archive(folder, layer=GOOD[:5], ids=IDS[:5]), "6 and 5 of them"),
        (archive(folder, layer=GOOD, ids=IDS[:5]), "must have shape (6,)"),
        (archive(folder, layer=GOOD, ids=IDS[:, None]), "must have shape (6,)"),
        (archive(folder, layer=GOOD), "must both have ids of their samples or neither"),
        (plain, "must both have ids of their samples or neither"),
        (archive(folder, one=GOOD, two=GOOD, ids=IDS), "must hold one array beside `ids`"),
        (archive(folder, ids=IDS), "must hold one array beside `ids`"),
    ):
        with pytest.raises(SpanmatchError, match=re.escape(says)):
            gram_of_files(named, wrong)
    assert gram_of_files(named, archive(folder, other=GOOD, ids=IDS)).n_samples == 6
    assert gram_of_files(plain, archive(folder, layer=GOOD)).n_samples == 6


def named(ids: Any) -> Callable[[Path], Path]:
    return lambda folder: archive(folder, layer=GOOD, ids=np.asarray(ids))


BEYOND = 2**53 + np.arange(6)
# Ids of two files, and what is said to them.
NO_IDS: dict[str, tuple[Any, Any, str]] = {
    "ids that are repeated": (
        list("abcdea"),
        list("abcdea"),
        "`ids` of X must tell its samples apart, got a",
    ),
    "ids that are all true": ([True] * 6, [True] * 6, "must tell its samples apart, got True 6 times"),
    "structured ids": (IDS, np.zeros(6, "i4,i4"), "must be numbers, text or dates, got dtype [('f0'"),
    "ids without a type": (np.zeros(6, "V3"), IDS, "must be numbers, text or dates, got dtype |V3"),
    "integers and floats": (
        BEYOND,
        2.0**53 + 2 * np.arange(6),
        "got integers and floating",
    ),
    "integers that floats cannot tell": (BEYOND, BEYOND.astype(np.uint64) + np.uint64(1), "(not the same)"),
    "integers and durations": (np.arange(6), np.arange(6).astype("m8[s]"), "durations (timedelta64[s])"),
    "text and bytes": (IDS, IDS.astype("S1"), "of one kind, got text and bytes"),
}


def ids_check(x: Any, y: Any, says: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        with pytest.raises(SpanmatchError, match=re.escape(says)) as caught:
            gram_of_files(named(x)(folder), named(y)(folder))
        assert "\n" not in str(caught.value)
        assert gram_of_files(named(BEYOND)(folder), named(BEYOND.astype(np.uint64))(folder)).n_samples == 6

    return check


def check_damaged_headers(folder: Path) -> None:
    good, bad = folder / "good.npy", folder / "bad.npy"
    np.save(good, GOOD)
    whole = good.read_bytes()
    changes = {b"(6, 2)": (b"(6, 2 ", b"(6 2) ", b"(-6,2)", b"'6, 2'", b"[6, 2]", b"{}    ", b"((((((")}
    changes |= {b"'<f8'": (b"'<f9'", b"'<O8'", b"'<f8 ", b"12345"), b"{'descr": (b"('descr", b" 'descr")}
    for old, new in ((old, new) for old, many in changes.items() for new in many):
        bad.write_bytes(whole.replace(old, new))
        with pytest.raises(SpanmatchError, match="`Y` must be what numpy") as caught:
            gram_of_files(good, bad)
        assert "\n" not in str(caught.value)
    bad.write_text("1,2\n3,4\n", encoding="utf-8")
    with pytest.raises(SpanmatchError, match=r"it has another format, or holds Python objects") as caught:
        gram_of_files(bad, good)
    assert "allow_pickle" not in str(caught.value)


def check_memory_advice(folder: Path) -> None:
    np.save(folder / "x.npy", GOOD)

    def full(*_: Path) -> GramMatrix:
        raise MemoryError("no room")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spanmatch.command.match_files.gram_of_files", full)
        with pytest.raises(SpanmatchError, match=r"save fewer columns"):
            match_arrays(folder / "x.npy", folder / "x.npy", [0.3])


ORDER = [
    Fault(
        12,
        "`spanmatch match` out of memory",
        "advice for a study",
        "advice for its arrays",
        check_memory_advice,
    ),
    *(
        Fault(3, f"{what} in .npz files", "taken, or a traceback", says, ids_check(x, y, says))
        for what, (x, y, says) in NO_IDS.items()
    ),
    Fault(
        12,
        "damaged headers of .npy files, and files of another format",
        "a bug in spanmatch, or the advice to load pickles",
        "one sentence that names the file",
        check_damaged_headers,
    ),
    Fault(
        3,
        "data frames whose rows are in different orders",
        "matched row by row",
        "refused: pass y.loc[x.index]; equal indices, or one alone, are taken",
        check_frames,
    ),
    Fault(
        3,
        "arrays of xarray's with coordinates in different orders",
        "matched row by row",
        "refused: pass y.sel",
        check_labelled_arrays,
    ),
    Fault(
        3,
        ".npz files with ids of the samples",
        "refused as archives",
        "taken where the ids are equal; other ids, another order and ids in one file alone are refused",
        check_ids,
    ),
]


def gaussian(offset: float, seed: int, neurons: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((1000, neurons)) + offset


def warned(x: np.ndarray, y: np.ndarray, epsilon: float) -> bool:
    gram = GramMatrix.from_activations(x, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        maximum_match(gram, epsilon=epsilon)
    return [each.category for each in caught] == [OffsetWarning]


def check_offsets(_: Path) -> None:
    cases = (1000, 0.01), (1000, 0.5), (-1000, 0.3), (20, 0.1), (10, 0.15), (5, 0.3), (3, 0.35), (2, 0.5)
    for offset, epsilon in cases:
        x, y = gaussian(offset, 0), gaussian(offset, 1)
        assert match_profile_of(x, y).similarity(epsilon) == 1
        assert warned(x, y, epsilon)
    some = gaussian(0, 0) + np.repeat([0, 1000], [7, 3])
    assert warned(some, some[::-1], 0.3), "three of ten neurons"
    assert warned(gaussian(1000, 0), gaussian(0, 1), 0.3), "one side"
    assert warned(np.hstack([gaussian(1000, 0, 2), np.zeros((1000, 30))]), gaussian(0, 1), 0.3), (
        "the live ones"
    )


def match_profile_of(x: np.ndarray, y: np.ndarray) -> MatchProfile:
    with pytest.warns(OffsetWarning, match=re.escape("subtract each neuron's mean over the samples")):
        return match_profile(GramMatrix.from_activations(x, y))


def check_functions_warn(_: Path) -> None:
    gram = GramMatrix.from_activations(gaussian(1000, 0), gaussian(1000, 1))
    with pytest.warns(OffsetWarning):
        everything = maximum_match(gram, epsilon=0.3)
    for search in (
        lambda: simple_matches(gram, epsilon=0.3),
        lambda: minimal_match(gram, ("x", 0), epsilon=0.3),
        lambda: minimal_matches(gram, ("x", 0), epsilon=0.3, limit=1),
        lambda: decompose(gram, everything, epsilon=0.3),
    ):
        with pytest.warns(OffsetWarning, match=re.escape("10 of 10 `x` and 10 of 10 `y`")) as caught:
            search()
        assert caught[0].filename == __file__, "the caller's line"


def check_ordinary_layers_do_not_warn(_: Path) -> None:
    rectified = np.maximum(gaussian(0, 0, 32), 0)
    assert not warned(rectified, np.maximum(gaussian(0.5, 1, 32), 0), 0.7), "they lie at 0.83 and 0.73"
    rectified[:, 3] = 1  # one constant neuron moves the similarity by a thirty-second
    assert not warned(rectified, rectified, 0.3)
    assert not warned(gaussian(5, 0), gaussian(5, 1), 0.1), "they do not match at this epsilon"


def check_match_command(folder: Path) -> None:
    paths = folder / "x.npy", folder / "y.npy"
    for seed, path in enumerate(paths):
        np.save(path, gaussian(10, seed))
    found = match_arrays(*paths, [0.05, 0.3])
    assert [at.similarity for at in found.matches] == [0, 1]
    (warning,) = found.warnings
    assert "10 of 10 `x` and 10 of 10 `y` neurons lie within 0.3 of their own mean" in warning


BIASED = """
from torch import nn


def biased(classes):
    first = nn.Linear(64, 16)
    nn.init.constant_(first.bias, 1000)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, classes))
"""


def check_study(folder: Path) -> None:
    (folder / "biased.py").write_text(BIASED, encoding="utf-8")
    changes: dict[str, Any] = {"architecture": "biased:biased", "checkpoints": ["initial"], "layers": ["2"]}
    study, root = write_study(folder, {**TINY, **changes}), folder / "root"
    env = {**os.environ, "PYTHONPATH": str(folder), "PREFECT_HOME": str(folder / "prefect"), "COLUMNS": "400"}
    sentence = "Means decide in 2 of initial from ε = 0.3 on"
    assert sentence in spanmatch("run", study, "--root", root, env=env)
    assert sentence in (root / "report.html").read_text(encoding="utf-8")
    results = read_results(Root.at(str(root)), "tiny")
    assert {(row.offset_x, row.offset_y) for row in results.similarity} == {(16, 16)}
    assert sentence in report_markdown(results)
    old = (root / "similarity.csv").read_text(encoding="utf-8").splitlines()
    (root / "similarity.csv").write_text("\n".join(line.rsplit(",", 6)[0] for line in old), encoding="utf-8")
    assert not offset_sentences(read_results(Root.at(str(root)), "tiny")), "of an older version"


OFFSETS = [
    Fault(
        3,
        "two independent Gaussian layers with an offset",
        "similarity 1",
        "similarity 1, with an OffsetWarning wherever they match by their means",
        check_offsets,
    ),
    Fault(
        3,
        "searches other than the maximum match, on such layers",
        "matches",
        "matches, with an OffsetWarning",
        check_functions_warn,
    ),
    Fault(
        3,
        "rectified layers, and a constant neuron among many",
        "no warning",
        "no warning still",
        check_ordinary_layers_do_not_warn,
    ),
    Fault(
        3, "`spanmatch match` on such layers", "similarity 1", "and a warning at each ε", check_match_command
    ),
    Fault(
        3,
        "a study of a network with large biases",
        "similarity 1",
        "and a warning on the screen, on the page and in Prefect; columns in similarity.csv",
        check_study,
    ),
]

PEAK = """
import sys
from pathlib import Path
from spanmatch.command.activation_files import gram_of_files

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024

before = peak()
gram_of_files(*map(Path, sys.argv[1:]))
print(peak() - before)
"""


def memory_check(order: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        path = folder / "x.npy"
        array = np.asarray(np.random.default_rng(0).random((10**6, 24), dtype=np.float32), order=order)
        np.save(path, array)
        command = [sys.executable, "-c", PEAK, str(path), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
        assert int(done.stdout) < array.nbytes, "both files are twice that"
        expected = GramMatrix.from_activations(array, array)
        np.testing.assert_allclose(gram_of_files(path, path).matrix, expected.matrix, rtol=1e-12)

    return check


MEMORY = [
    Fault(
        16,
        f"`spanmatch match` on .npy files in {name} order",
        "both files in memory",
        "a chunk of samples in memory",
        memory_check(order),
    )
    for name, order in (("C", "C"), ("Fortran", "F"))
]


class OnGpu:
    """What is known of a tensor on a GPU, on a machine that has none."""

    device, dtype = SimpleNamespace(type="cuda"), "torch.float32"

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


MASKED = np.ma.masked_greater(GOOD, 0.5)

# What is given, and what is said to it.
UNREADABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "a bfloat16 tensor": (TENSOR.bfloat16, "pass SIDE.float()"),
    "a float8 tensor": (lambda: TENSOR.to(torch.float8_e4m3fn), "pass SIDE.float()"),
    "a quantised tensor": (
        lambda: torch.quantize_per_tensor(TENSOR.float(), 0.1, 0, torch.qint8),
        "pass SIDE.dequantize()",
    ),
    "a tensor that requires grad": (lambda: TENSOR.clone().requires_grad_(), "pass SIDE.detach()"),
    "a bfloat16 parameter": (lambda: torch.nn.Parameter(TENSOR.bfloat16()), "pass SIDE.detach().float()"),
    "a tensor on a GPU": (OnGpu, "pass SIDE.cpu()"),
    "a sparse tensor": (TENSOR.to_sparse, "pass SIDE.to_dense()"),
    "a sparse tensor by rows": (TENSOR.to_sparse_csr, "pass SIDE.to_dense()"),
    "a tensor on no device": (lambda: TENSOR.to("meta"), "on device meta; compute"),
    "a complex tensor": (lambda: TENSOR.to(torch.complex64), "pass abs(SIDE)"),
    "a conjugated tensor": (lambda: TENSOR.to(torch.complex64).conj(), "pass abs(SIDE)"),
    "an imaginary part": (lambda: TENSOR.to(torch.complex64).conj().imag, "pass SIDE.resolve_neg()"),
    "tensors of differing lengths": (
        lambda: [TENSOR[:2], TENSOR[:3]],
        "must be an array that NumPy can read",
    ),
    "a complex array": (lambda: GOOD + 0j, "pass abs(SIDE)"),
    "a sparse array of SciPy's": (lambda: scipy.sparse.csr_array(GOOD), "pass SIDE.toarray()"),
    "a masked array": (lambda: MASKED, "must have no masked values, got 3"),
    "rows of masked arrays": (lambda: list(MASKED), "must have no masked values, got 3"),
}


def dtype_check(make: Callable[[], Any], says: str) -> Callable[[Path], None]:
    def check(_: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of what it will remove or may change
            values = make()
        refused(says, values)

    return check


DTYPES = [
    Fault(
        16,
        f"{name} given to the library",
        "matched by what lies under the mask"
        if "masked" in name
        else "an error of another library's, or bad advice",
        says.replace("SIDE", "x"),
        dtype_check(make, says),
    )
    for name, (make, says) in UNREADABLE.items()
]

FAULTS = [*SCALING, *ORDER, *OFFSETS, *MEMORY, *DTYPES]
