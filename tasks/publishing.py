"""The last task: result files under the root, the report page, and the artefacts in the Prefect UI."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from spanmatch.reporting import (
    CriticalEpsilons,
    Drawn,
    GrowthRow,
    MeasureRow,
    SimilarityRow,
    StudyResults,
    Terms,
    explorer_page,
    report_markdown,
    similarity_table,
)
from storage import result_files as files
from storage.root import Root
from tasks.exemplar_files import write_exemplars
from tasks.garbage import others_at_rest
from tasks.links import report_link, report_sentence
from tasks.retries import RETRIES


def report_key(study: str) -> str:
    """Name a study's Markdown artefacts in the Prefect UI: reports, and reasons why there is none."""
    return f"{study}-report"


@task(name="report", task_run_name="report {results.study}", cache_policy=NO_CACHE, **RETRIES)
def publish(results: StudyResults, root: Root, request: Sequence[str]) -> None:
    """Write the results and the report, and show both in the Prefect UI, with what was asked for."""
    write_results(results, root)
    drawn = Drawn(results)
    with others_at_rest():
        write_report(results, root, drawn)
        brief = report_markdown(results, request, drawn, whole=report_sentence(root))
    if table := similarity_table(results):
        create_table_artifact(
            table=table,
            key=f"{results.study}-similarity",
            description=f"Maximum match similarity of {results.study} by layer and ε",
        )
    if link := report_link(root):
        create_link_artifact(
            link=link,
            link_text=f"The report of {results.study}, to explore",
            key=f"{results.study}-explorer",
            description="Opens where this address can be reached",
        )
    create_markdown_artifact(markdown=brief, key=report_key(results.study), description="What came out")


def write_results(results: StudyResults, root: Root) -> None:
    """Write the tables, critical epsilons, networks and ledger, each whole."""
    _write_table(root, files.SIMILARITY, SimilarityRow, results.similarity)
    _write_table(root, files.MEASURES, MeasureRow, results.measures)
    if results.growth:
        _write_table(root, files.GROWTH, GrowthRow, results.growth)
    else:
        root.place.remove(files.GROWTH)  # of an earlier run that asked for it
    files.write_lines(root, files.COVERS, (asdict(row) for row in results.covers))
    files.write_lines(root, files.ESSENTIAL, (asdict(row) for row in results.essential))
    files.write_lines(root, files.SIMPLE_MATCHES, (asdict(row) for row in results.simple_matches))
    for centre, name in files.CRITICAL_EPSILONS_BY_CENTRE.items():
        of_centre = [entry for entry in results.critical_epsilons if entry.centre == centre]
        if of_centre:
            pairs = [files.pair_name(pair.checkpoint_x, pair.checkpoint_y) for pair in results.comparisons]
            layers = {layer: _critical_epsilons(results, of_centre, layer) for layer in results.layers}
            files.write_critical_epsilons(root, name, pairs, layers)
        else:
            root.place.remove(name)
    write_exemplars(results, root)
    files.write_json(root, files.NETWORKS, [asdict(row) for row in results.networks])
    files.write_lines(root, files.TRAINING, (asdict(row) for row in results.training))
    files.write_json(root, files.LEDGER, results.ledger)
    files.write_json(root, files.LEFT_OUT, results.left_out)
    if results.terms == Terms():
        root.place.remove(files.TERMS)
    else:
        files.write_json(root, files.TERMS, asdict(results.terms))


def _write_table(root: Root, name: str, kind: type[Any], rows: Sequence[Any]) -> None:
    files.write_table(root, name, [field.name for field in fields(kind)], map(asdict, rows))


def write_report(results: StudyResults, root: Root, drawn: Drawn | None = None) -> None:
    """Write the report page, from the figures that are drawn already."""
    root.write_text(files.REPORT, explorer_page(results, drawn))


def _critical_epsilons(
    results: StudyResults, of_centre: Sequence[CriticalEpsilons], layer: str
) -> dict[str, list[NDArray[np.float64]]]:
    """Return a layer's critical epsilons, and what is known of them, in the order of the comparisons."""
    of_layer = {
        (entry.checkpoint_x, entry.checkpoint_y): entry for entry in of_centre if entry.layer == layer
    }
    entries = [of_layer[pair.checkpoint_x, pair.checkpoint_y] for pair in results.comparisons]
    found = {"x": [entry.x for entry in entries], "y": [entry.y for entry in entries]}
    for what in ("error", "held_out"):
        sides = [entry.errors if what == "error" else entry.held_out for entry in entries]
        if None not in sides:
            for place, side in enumerate("xy"):
                found[f"{side}_{what}"] = [both[place] for both in sides if both]
    return found
