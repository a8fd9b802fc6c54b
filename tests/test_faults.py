"""The table of mended faults, a row a case: what used to be silently wrong, and what happens now."""

from pathlib import Path

import faults_certificate
import faults_files
import faults_networks
import faults_pipeline
import faults_slurm
import pytest
from faults import Fault

FAULTS: list[Fault] = [
    *faults_certificate.FAULTS,
    *faults_files.FAULTS,
    *faults_networks.FAULTS,
    *faults_pipeline.FAULTS,
    *faults_slurm.FAULTS,
]

KINDS = {
    1: "which axis is the neuron",
    2: "a layer's name means that layer",
    3: "padding, order, offsets",
    4: "stale results",
    5: "hidden folders and files",
    6: "layers that are dropped",
    7: "layers with the same activations",
    8: "networks that are no classifiers",
    9: "weights as people have them",
    10: "shapes, names and advice",
    11: "a root that does not answer",
    12: "a bug is not the user's fault",
    13: "calls of BLAS",
    14: "traps for the next developer",
    15: "scaling on SLURM",
    16: "memory and dtypes of one process",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}: {fault.case}")
def test_a_mended_fault_stays_mended(fault: Fault, tmp_path: Path) -> None:
    fault.check(tmp_path)


def test_there_is_a_case_of_every_kind() -> None:
    assert {fault.kind for fault in FAULTS} == KINDS.keys()
