"""Rows of the table of mended faults: layers left out, equal activations, roots, bugs, traps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import measured
from faults import Fault
from faults_bugs import BUGS
from faults_dask import DASK
from faults_process import PROCESS
from faults_results import RESULTS
from faults_roots import ROOTS
from pipeline import carried_out, in_this_process, quick, write
from safetensors.numpy import save_file

from flows.command.prune import survey
from flows.command.status import status
from flows.run.prepared import look
from spanmatch.networks.architectures import build
from spanmatch.networks.resume import weights_of

DROPPING = """
from torch import nn

def network(classes):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(), nn.Identity(), nn.Linear(16, classes)
    )
"""


def write_weights(folder: Path) -> None:
    """Write the weights of one network as two files, with other words beside them."""
    found = weights_of(build("vgg9-digits", (1, 8, 8), 10))
    for name in ("a", "b"):
        save_file(found, folder / f"{name}.safetensors", metadata={"called": name})


def write_itself(folder: Path) -> None:
    write(quick(folder, seeds=[0, 1]), folder / "itself.yaml")


def write_dropping(folder: Path) -> None:
    (folder / "dropping.py").write_text(DROPPING)


def nothing_to_prepare(folder: Path) -> None:
    """Leave the folder empty."""


def shared(
    *jobs: int, alike: int, prepare: Callable[[Path], None] = nothing_to_prepare, **changes: Any
) -> Callable[[Path], None]:
    """Check how many results each stage has but the measures, and how many rows of similarity 1 there are."""

    def check(folder: Path) -> None:
        prepare(folder)
        with pytest.MonkeyPatch.context() as patch, in_this_process() as cluster:
            patch.chdir(folder)
            patch.syspath_prepend(folder)
            study = quick(folder, **changes)
            results, computed = carried_out(study, cluster)
            again, nothing = carried_out(study, cluster)
            counts = [(stage.done, stage.total) for stage in status(look(study)).stages]
            left = survey([study], hours=0)
        # nothing is permuted; the maximum match at one ε, and linear CKA
        assert tuple(computed.values()) == (*jobs[:3], 0, *jobs[3:], measured(jobs[-1], 1), 0)
        assert not +nothing
        assert again.similarity == results.similarity
        assert len(results.similarity) == len(results.layers) * len(results.comparisons)
        assert sum(row.similarity == 1 for row in results.similarity) == alike
        assert counts == [(count, count) for count in computed.values()]
        assert not left.unused + left.undecided

    return check


UNPACK = "the run ended in 'too many values to unpack'"
LAYER = {"layers": ["block2.conv2"]}  # where no neuron is dead

EQUAL = [
    Fault(
        7,
        "Flatten after a pooling to one position",
        UNPACK,
        "both layers share one statistic, profile and search",
        shared(2, 4, 6, 1, 1, alike=2, images=40, layers=["block3.pool", "classifier.flatten"]),
    ),
    Fault(
        7,
        "Dropout and Identity in evaluation",
        UNPACK,
        "all three layers share one statistic, profile and search",
        shared(2, 4, 6, 1, 1, alike=0, prepare=write_dropping, architecture="dropping:network",
            layers=["[234]"]),
    ),
    Fault(
        7,
        "one file of weights under two names",
        UNPACK,
        "one network, one pass of its images",
        shared(1, 2, 2, 1, 1, alike=1, prepare=write_weights, seeds=[],
            weights=dict.fromkeys("cd", "a.safetensors"), **LAYER),
    ),
    Fault(
        7,
        "two files of the same weights, each compared with a third network",
        UNPACK,
        "both pairs share one statistic",
        shared(
            3, 6, 6, 2, 2,
            alike=1,
            prepare=write_weights,
            seeds=[0],
            weights={name: f"{name}.safetensors" for name in "ab"},
            compare=["seed0-final ~ a-final", "seed0-final ~ b-final", "a-final ~ b-final"],
            **LAYER,
        ),
    ),
    Fault(
        7,
        "a checkpoint compared with itself",
        "worked",
        "works",
        shared(1, 2, 2, 1, 1, alike=1, seeds=[0], compare=["seed0-final ~ seed0-final"], **LAYER),
    ),
    Fault(
        7,
        "`others` naming the study itself",
        UNPACK,
        "each network is trained once, and keeps what either name wants",
        shared(
            2, 6, 12, 5, 5,
            alike=2,
            prepare=write_itself,
            compare=["others", "seed0-final ~ itself/seed0-initial"],
            others={"itself": "itself.yaml"},
            **LAYER,
        ),
    ),
]  # fmt: skip

FAULTS: list[Fault] = [*EQUAL, *ROOTS, *PROCESS, *DASK, *RESULTS, *BUGS]
