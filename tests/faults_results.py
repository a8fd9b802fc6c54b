"""Layers that are left out of a comparison, wherever a person looks; and result files that are not ours."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faults import Fault
from pipeline import carried_out, in_this_process, quick, write
from prefect.logging import disable_run_logger
from rich.console import Console

from flows.command.screen import Bars, show_status, show_summary
from flows.command.status import status
from flows.run.execute import _notify
from flows.run.prepared import look
from flows.run.read_back import read_results
from flows.study import resolve as checks
from flows.study.kept import keep
from flows.study.resolved import Resolved
from spanmatch.errors import InputValueError
from spanmatch.reporting import (
    ComparisonRow,
    CoverRow,
    CriticalEpsilons,
    EpochRow,
    EssentialRow,
    GrowthRow,
    MeasureRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
    left_out_sentences,
    report_markdown,
    report_page,
)
from storage.root import Root
from tasks.progress import listening
from tasks.publishing import write_results

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
        prepared = look(study)
        state, resolved = status(prepared), prepared.resolved
    assert list(results.left_out) == ["block3.relu2", "classifier.relu1"]
    assert state.left_out == resolved.left_out == results.left_out
    sentence = (
        f"Not compared: {', '.join(results.left_out)}, because the networks of 'wide' have no such layer."
    )
    root = Root.at(study.root)
    write_results(results, root)
    assert read_results(root, study.name).left_out == results.left_out

    def begin(console: Console) -> None:
        with Bars(console, prepared.wanted) as bars, listening(bars), disable_run_logger():
            _notify(left_out_sentences(resolved.left_out))

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
    resolved = replace(checks.resolve(study), left_out={"flow": "the axis of its neurons cannot be told"})
    checks.remember(study, root, resolved)
    assert checks.resolve(study, root) == resolved


ROWS = StudyResults(
    study="tiny",
    layers=("relu",),
    comparisons=(ComparisonRow("a-final", "b-final", "final"),),
    networks=(NetworkRow("a", "final", 0.5), NetworkRow("b", "final", 0.5, 0.1, 1)),
    similarity=(SimilarityRow("relu", "a-final", "b-final", 0.3, 0.5, 1, 1, 2, 2, 0, 0, 50),),
    simple_matches=(SimpleMatchRow("relu", "a-final", "b-final", 0.3, ("x", 0), (0,), (1,)),),
    critical_epsilons=(CriticalEpsilons("relu", "a-final", "b-final", np.array([0.1, 1.0]), np.ones(2)),),
    ledger={"networks": {"computed": 0, "reused": 2}},
    training=(EpochRow("a", 1, 0.1, 1.0, 1.0, 0.5),),
    left_out={"fc": "why"},
    measures=(
        MeasureRow(
            *("relu", "relu", "a-final", "b-final", "linear-cka", None, 0.5, 50),
            null_mean=0.1,
            threshold=0.2,
            p=0.04,
            p_family=0.05,
            calibrated=0.375,
            permutations=24,
            level=0.05,
            error=0.1,
            held_out=-0.1,
            folds=5,
        ),
    ),
    growth=(GrowthRow("relu", "relu", "a-final", "b-final", "linear-cka", None, "mean", 25, 0.5),),
    covers=(CoverRow("relu", "a-final", "b-final", "raw", 0.3, 5, 1, 2, 0.5),),
    essential=(EssentialRow("relu", "a-final", "b-final", "raw", 0.3, 2, ((0, 2), (2, 0))),),
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


def of_earlier_versions(folder: Path) -> None:
    """Tables without centre, certificate, null and error: activations were compared as they are."""
    root = Root.prepare(folder)
    match = MeasureRow("relu", "relu", "a-final", "b-final", "maximum-match", 0.3, 0.5, 50, centre="raw")
    cka = MeasureRow("relu", "relu", "a-final", "b-final", "linear-cka", None, 0.5, 50, centre="mean")
    rows = replace(ROWS, measures=(match, cka), growth=(), covers=(), essential=())
    write_results(rows, root)
    for name, columns in {"similarity.csv": 14, "measures.csv": 8}.items():
        text = (folder / name).read_text()
        (folder / name).write_text(
            "".join(",".join(line.split(",")[:columns]) + "\n" for line in text.splitlines())
        )
    (folder / "essential.jsonl").unlink()
    found = read_results(root, "tiny")
    assert found.similarity == rows.similarity
    assert found.measures == rows.measures
    assert found.growth == found.covers == found.essential == ()
    assert [pair.centre for pair in found.critical_epsilons] == ["raw"]
    assert "relu" in report_page(found)


def as_a_spreadsheet_writes(folder: Path) -> None:
    root = Root.prepare(folder)
    write_results(ROWS, root)
    path = folder / "similarity.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_results(root, "tiny").similarity == ROWS.similarity


def of_another_study(folder: Path) -> None:
    study = quick(folder)
    root = Root.prepare(folder)
    write_results(ROWS, root)
    keep(root, study.model_copy(update={"name": "other"}), Resolved(("relu",), "", "", 0))
    says = f"those in {str(folder)!r} are of 'other', which ran last, got 'tiny'; run 'tiny' again"
    with pytest.raises(InputValueError, match=re.escape(says)):
        read_results(root, "tiny")
    assert read_results(root, "other").study == "other"


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


def one_with(**values: object) -> Callable[[str], str]:
    """Change columns of the first row of a JSON list."""
    return lambda text: json.dumps([json.loads(text)[0] | values, *json.loads(text)[1:]])


def cell(column: str, value: object) -> Callable[[str], str]:
    """Change a column of the only row of a table."""

    def change(text: str) -> str:
        header, row = (line.split(",") for line in text.splitlines())
        row[header.index(column)] = str(value)
        return ",".join(header) + "\n" + ",".join(row) + "\n"

    return change


FILES = {
    "a further column": ("similarity.csv", widened, "column 'median' is not one of"),
    "a cell too many": ("similarity.csv", lambda text: text.rstrip() + ",7\n", "'beyond the header'"),
    "a missing column": ("similarity.csv", without("samples"), "'samples'"),
    "a cell that is no number": ("similarity.csv", swap("0.5", "half"), "'similarity'"),
    "a row cut short": ("similarity.csv", lambda text: text.rpartition(",")[0], "row 1 has no cell"),
    "a further key of a network": ("networks.json", swap('"loss"', '"lost"'), "'lost'"),
    "networks that are no list": ("networks.json", lambda _: "7", "list"),
    "a document cut short": ("ledger.json", lambda text: text[:-4], "line"),
    "a ledger of words": ("ledger.json", swap("2", '"two"'), "'reused'"),
    "an epoch without loss": ("training.jsonl", swap("training_loss", "loss"), "'loss'"),
    "a simple match of nothing": ("simple_matches.jsonl", rows_with(neuron=7), "'neuron'"),
    "another key of a simple match": ("simple_matches.jsonl", rows_with(z=[1]), "'z'"),
    "reasons that are no words": ("left_out.json", lambda _: '{"fc": 7}', "'fc'"),
    "a centre that there is none of": ("similarity.csv", cell("centre", "median"), "'centre' must be"),
    "more uncertain neurons than neurons": ("similarity.csv", cell("uncertain", 5), "'uncertain' must be"),
    "a certificate above the similarity": ("similarity.csv", cell("low", 0.6), "'low' must be from 0"),
    "a certificate below the similarity": ("similarity.csv", cell("high", 0.4), "'high' must be from"),
    "a match of another centre": ("simple_matches.jsonl", rows_with(centre="x"), "'centre' must be one"),
    "a value beyond the measure": ("measures.csv", cell("value", 2), "'value' must be within the measure's"),
    "a null beyond the measure": ("measures.csv", cell("null_mean", -1), "'null_mean' must be within"),
    "an infinite threshold": ("measures.csv", cell("threshold", "inf"), "'threshold' must be within"),
    "a p of 2": ("measures.csv", cell("p", 2), "row 1, column 'p' must be in [0, 1]"),
    "a p that is no number": ("measures.csv", cell("p", "nan"), "row 1, column 'p' must be in [0, 1]"),
    "a p without permutations": ("measures.csv", cell("permutations", 0), "'p' must be in [0, 1]"),
    "a p of a family of -1": ("measures.csv", cell("p_family", -1), "'p_family' must be in [0, 1]"),
    "a calibrated value of 2": ("measures.csv", cell("calibrated", 2), "'calibrated' must be in [0, 1]"),
    "a level of 5 %": ("measures.csv", cell("level", 5), "'level' must be in [0, 1], or empty, got 5.0"),
    "an error below nothing": ("measures.csv", cell("error", -1), "'error' must be finite and at least 0"),
    "an infinite held-out value": ("measures.csv", cell("held_out", "inf"), "'held_out' must be finite"),
    "fewer than no permutations": ("measures.csv", cell("permutations", -1), "'permutations' must be finite"),
    "one fold": ("measures.csv", cell("folds", 1), "'folds' must be 0, or at least 2, got 1"),
    "another centre of a measure": ("measures.csv", cell("centre", 0), "'centre' must be one of raw, mean"),
    "a column that measures lack": ("measures.csv", swap("held_out", "held"), "column 'held' is not one of"),
    "growth of no images": ("growth.csv", cell("images", 0), "'images' must be finite and at least 1, got 0"),
    "growth beyond the measure": ("growth.csv", cell("value", 2), "'value' must be within the measure's"),
    "growth of another centre": ("growth.csv", cell("centre", "x"), "'centre' must be one of raw, mean"),
    "growth at an ε that CKA has not": ("growth.csv", cell("parameter", 0.3), "'parameter' must be an ε"),
    "growth twice": ("growth.csv", lambda text: text + text.splitlines()[1], "row 2 must differ from row 1"),
    "a cover of no order": ("covers.jsonl", rows_with(orders=0), "'orders' must be finite and at least 1"),
    "fewest beyond most": ("covers.jsonl", rows_with(fewest=5), "'fewest' must be between 0 and `most`"),
    "more recurs than there is": ("covers.jsonl", rows_with(recurring=1.5), "'recurring' must be in [0, 1]"),
    "a permuted match of no neuron": ("covers.jsonl", rows_with(permuted=[0]), "'permuted' must be sizes"),
    "a cover at an ε of 3": ("covers.jsonl", rows_with(epsilon=3), "'epsilon' must be at least 0 and"),
    "an edge from before the first": ("essential.jsonl", rows_with(edges=[[-1, 0]]), "'edges' must be pairs"),
    "an edge of three": ("essential.jsonl", rows_with(edges=[[0, 1, 2]]), "row 1, column 'edges'"),
    "essential neurons of no layer": ("essential.jsonl", rows_with(neurons_x=0), "'neurons_x' must be"),
    "essential neurons of another centre": ("essential.jsonl", rows_with(centre=""), "'centre' must be one"),
    "an infinite similarity": ("similarity.csv", cell("similarity", "inf"), "'similarity' must be in [0, 1]"),
    "a similarity of 5": ("similarity.csv", cell("similarity", 5), "row 1, column 'similarity' must be"),
    "a similarity that is no number": ("similarity.csv", cell("similarity", "nan"), "got nan"),
    "an ε of 3": ("similarity.csv", cell("epsilon", 3), "'epsilon' must be at least 0 and below 1, got 3.0"),
    "no neurons": ("similarity.csv", cell("neurons_x", 0), "row 1, column 'neurons_x' must be"),
    "more matched neurons than neurons": ("similarity.csv", cell("matched_x", 3), "'matched_x' must be"),
    "more dead neurons than neurons": ("similarity.csv", cell("dead_x", 3), "0 and `neurons_x`, got 3"),
    "fewer than no samples": ("similarity.csv", cell("samples", -5), "row 1, column 'samples' must be"),
    "a repeated row": ("similarity.csv", lambda text: text + text.splitlines()[1], "row 2 must differ from"),
    "an accuracy of 7": ("networks.json", one_with(accuracy=7), "row 1, column 'accuracy' must be in [0, 1]"),
    "an accuracy that is no number": ("networks.json", one_with(accuracy=np.nan), "'accuracy' must be"),
    "no networks": ("networks.json", lambda _: "[]", "a row for each network"),
    "a repeated network": ("networks.json", swap('"b"', '"a"'), "row 2 must differ from row 1 in 'network'"),
    "an epoch before the first": ("training.jsonl", rows_with(epoch=-1), "row 1, column 'epoch' must be"),
    "a network's epoch before the first": ("networks.json", one_with(epoch=-1), "'epoch' must be at least 0"),
    "a loss that is no number": ("training.jsonl", rows_with(training_loss=np.nan), "'training_loss' must"),
    "a neuron before the first": ("simple_matches.jsonl", rows_with(neuron=["x", -1]), "'neuron' must be"),
    "a third side": ("simple_matches.jsonl", rows_with(neuron=["z", 1]), "got ('z', 1)"),
    "an index before the first": ("simple_matches.jsonl", rows_with(y=[-1]), "row 1, column 'y' must be"),
    "a ledger below nothing": ("ledger.json", swap("2", "-2"), "'reused' of 'networks' must be at least 0"),
    "brackets in brackets": ("ledger.json", lambda _: "[" * 100_000, "nested too deeply"),
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
    Fault(6, "a remembered resolved with a layer left out", "forgotten", "named again", remembered),
    Fault(
        14, "result files as they are written", "worked", "works, with those of earlier versions", as_written
    ),
    Fault(
        14,
        "tables of versions without centres, nulls and errors",
        "maximum matches of activations as they are shown as of those less their means",
        "read as what they are",
        of_earlier_versions,
    ),
    Fault(
        14,
        "a table with a byte order mark, as spreadsheets write it",
        "refused: a column '\\ufefflayer'",
        "read",
        as_a_spreadsheet_writes,
    ),
    Fault(
        4,
        "`spanmatch report` of a study, where another ran last under the same root",
        "the other's results under its name",
        "refused: run it again",
        of_another_study,
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
