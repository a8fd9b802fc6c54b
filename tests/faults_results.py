"""Layers that are left out of a comparison, wherever a person looks; and result files that are not ours."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faults import Fault
from pipeline import carried_out, in_this_process, quick, write
from prefect.logging import disable_run_logger
from rich.console import Console

from flows import checks
from flows.results import read_results
from flows.run import _tell_left_out
from flows.screen import Bars, show_status, show_summary
from flows.status import status
from spanmatch.errors import InputValueError
from spanmatch.reporting import (
    Comparison,
    CriticalEpsilons,
    EpochRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
    report_markdown,
    report_page,
)
from storage.root import Root
from tasks.progress import listening
from tasks.report import write_results

OTHER = """
from torch import nn
from spanmatch.networks.architectures import build

def network(classes, shape):
    network = build("vgg9-digits", shape, classes)
    del network.classifier.relu1, network.block3.relu2
    return network
"""


def printed(show: Callable[[Console], None]) -> str:
    into = io.StringIO()
    show(Console(file=into, width=400))
    return into.getvalue()


def left_out_layers(folder: Path) -> None:
    (folder / "other_layers.py").write_text(OTHER)
    with pytest.MonkeyPatch.context() as patch, in_this_process() as cluster:
        patch.syspath_prepend(folder)
        file = write(quick(folder, architecture="other_layers:network"), folder / "wide.yaml")
        study = quick(
            folder, compare=["others"], others={"wide": str(file)}, layers=["block3.*", "classifier.relu*"]
        )
        results, _ = carried_out(study, cluster)
        state = status(study)
        setting = checks.look_up(study)
    assert list(results.left_out) == ["block3.relu2", "classifier.relu1"]
    assert state.left_out == setting.left_out == results.left_out
    sentence = (
        f"Not compared: {', '.join(results.left_out)}, because the networks of 'wide' have no such layer."
    )
    root = Root.at(study.root)
    write_results(results, root)
    assert read_results(root, study.name).left_out == results.left_out

    def begin(console: Console) -> None:
        with Bars(console, study) as bars, listening(bars), disable_run_logger():
            _tell_left_out(setting)

    for shown in (
        report_page(results).replace("&#x27;", "'"),
        report_markdown(results),
        printed(lambda console: show_summary(console, results, root)),
        printed(begin),
        printed(lambda console: show_status(console, study, state)),
    ):
        assert sentence in shown


def remembered(folder: Path) -> None:
    study = quick(folder)
    root = Root.prepare(study.root)
    setting = replace(checks.look_up(study), left_out={"flow": "the axis of its neurons cannot be told"})
    checks.remember(study, root, setting)
    assert checks.look_up(study, root) == setting


ROWS = StudyResults(
    study="tiny",
    layers=("relu",),
    comparisons=(Comparison("a-final", "b-final", "final"),),
    networks=(NetworkRow("a", "final", 0.5), NetworkRow("b", "final", 0.5, 0.1, 1)),
    similarity=(SimilarityRow("relu", "a-final", "b-final", 0.3, 0.5, 1, 1, 2, 2, 0, 0, 50),),
    simple_matches=(SimpleMatchRow("relu", "a-final", "b-final", 0.3, ("x", 0), (0,), (1,)),),
    critical_epsilons=(CriticalEpsilons("relu", "a-final", "b-final", np.array([0.1, 1.0]), np.ones(2)),),
    ledger={"networks": {"computed": 0, "reused": 2}},
    training=(EpochRow("a", 1, 0.1, 1.0, 1.0, 0.5),),
    left_out={"fc": "why"},
)


def as_written(folder: Path) -> None:
    root = Root.prepare(folder)
    write_results(ROWS, root)
    found = read_results(root, "tiny")
    same = {"critical_epsilons": (), "left_out": {}}
    assert replace(found, **same) == replace(ROWS, **same)
    assert found.left_out == ROWS.left_out
    (folder / "left_out.json").unlink()  # as earlier versions left it
    assert read_results(root, "tiny").left_out == {}


def refused(file: str, change: Callable[[str], str], says: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        root = Root.prepare(folder)
        write_results(ROWS, root)
        path = folder / file
        path.write_text(change(path.read_text()))
        with pytest.raises(InputValueError) as refusal:
            read_results(root, "tiny")
        assert str(refusal.value).startswith("`STUDY` must have results to report, but ")
        assert says in str(refusal.value)
        assert "\n" not in str(refusal.value)

    return check


def widened(text: str) -> str:
    header, row, *_ = text.splitlines()
    return f"{header},median\n{row},0.5\n"


def without(column: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        header, row = (line.split(",") for line in text.splitlines())
        place = header.index(column)
        return "\n".join(",".join(cells[:place] + cells[place + 1 :]) for cells in (header, row))

    return change


def rows_with(**values: object) -> Callable[[str], str]:
    return lambda text: "".join(json.dumps(json.loads(line) | values) + "\n" for line in text.splitlines())


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


FILES = {
    "a further column": ("similarity.csv", widened, "column 'median' is not one of"),
    "a cell too many": ("similarity.csv", lambda text: text.rstrip() + ",7\n", "'beyond the header'"),
    "a missing column": ("similarity.csv", without("samples"), "'samples'"),
    "a cell that is no number": ("similarity.csv", swap("0.5", "half"), "'similarity'"),
    "a row cut short": ("similarity.csv", lambda text: text.rpartition(",")[0], "'offset_y'"),
    "a further key of a network": ("networks.json", swap('"loss"', '"lost"'), "'lost'"),
    "networks that are no list": ("networks.json", lambda _: "7", "list"),
    "a document cut short": ("ledger.json", lambda text: text[:-4], "line"),
    "a ledger of words": ("ledger.json", swap("2", '"two"'), "'reused'"),
    "an epoch without loss": ("training.jsonl", swap("training_loss", "loss"), "'loss'"),
    "a simple match of nothing": ("simple_matches.jsonl", rows_with(neuron=7), "'neuron'"),
    "another key of a simple match": ("simple_matches.jsonl", rows_with(z=[1]), "'z'"),
    "reasons that are no words": ("left_out.json", lambda _: '{"fc": 7}', "'fc'"),
    "pairs that the Zarr group lacks": ("similarity.csv", swap("b-final", "c-final"), "epsilons.zarr"),
}  # fmt: skip

RESULTS = [
    Fault(
        6,
        "`others` whose networks lack two of the layers that are asked for",
        "left out without a word",
        "named with the reason on the screen, in status, results, report and artefact",
        left_out_layers,
    ),
    Fault(6, "a remembered setting with a layer left out", "forgotten", "named again", remembered),
    Fault(
        14, "result files as they are written", "worked", "works, with those of earlier versions", as_written
    ),
    *(
        Fault(
            14,
            f"{what} in {file}",
            "a traceback",
            "one sentence that names file and column",
            refused(file, change, says),
        )
        for what, (file, change, says) in FILES.items()
    ),
]
