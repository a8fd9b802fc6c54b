"""Results of a study, read back from the files that its last run left; people may have edited them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from flows.run.collect import comparison_row
from flows.run.row_rules import broken_rule, negative_count, place
from flows.study.kept import read_kept
from spanmatch.errors import InputValueError
from spanmatch.measures import MEASURES
from spanmatch.reporting import (
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
    Terms,
)
from storage import result_files as files
from storage.root import Root
from tasks.exemplar_files import read_exemplar_file
from tasks.wanted import Checkpoint, Comparison

Rows = TypeVar("Rows")


def read_results(root: Root, study: str) -> StudyResults:
    """Read the result files of a root's last run.

    Raises
    ------
    InputValueError
        If the last run was another study's, a file is missing or cannot be read, or its rows have other
        columns or values than they must have.
    """
    _require_own(root, study)
    training = _rows(root, files.TRAINING, list[EpochRow], files.read_lines(root, files.TRAINING))
    similarity = _read_table(root, files.SIMILARITY, list[SimilarityRow])
    networks = _rows(root, files.NETWORKS, list[NetworkRow], files.read_json(root, files.NETWORKS))
    if not networks:
        raise files.unreadable(root, files.NETWORKS, "it must have a row for each network, got none")
    simple = files.read_lines(root, files.SIMPLE_MATCHES)
    exemplars, shown = read_exemplar_file(root)
    measures = _read_measures(root)
    layers = tuple(dict.fromkeys(row.layer for row in similarity))
    pairs = tuple(dict.fromkeys((row.checkpoint_x, row.checkpoint_y) for row in similarity or measures))
    return StudyResults(
        study=study,
        layers=layers,
        comparisons=tuple(comparison_row(Comparison(*map(Checkpoint.of_label, pair))) for pair in pairs),
        networks=tuple(networks),
        training=tuple(training),
        similarity=tuple(similarity),
        simple_matches=tuple(_rows(root, files.SIMPLE_MATCHES, list[SimpleMatchRow], simple)),
        critical_epsilons=tuple(
            _read_critical_epsilons(root, layers, pairs, {row.centre for row in similarity})
        ),
        measures=tuple(measures),
        growth=tuple(_read_table_if_there(root, files.GROWTH, list[GrowthRow])),
        covers=tuple(_read_lines_if_there(root, files.COVERS, list[CoverRow])),
        essential=tuple(_read_lines_if_there(root, files.ESSENTIAL, list[EssentialRow])),
        exemplars=exemplars,
        shown=shown,
        ledger=_read_ledger(root),
        left_out=_read_left_out(root),
        terms=_read_terms(root),
    )


def _require_own(root: Root, study: str) -> None:
    """See that the results under a root, which several studies may share, are this study's."""
    kept = read_kept(root)
    if kept is not None and kept.study.name != study:
        message = (
            f"`STUDY` must be the one whose results are under its root, but those in {root.where('')!r} are "
            f"of {kept.study.name!r}, which ran last, got {study!r}; run {study!r} again"
        )
        raise InputValueError(message)


def _read_ledger(root: Root) -> dict[str, dict[str, int]]:
    ledger = _rows(root, files.LEDGER, dict[str, dict[str, int]], files.read_json(root, files.LEDGER))
    if reason := negative_count(ledger):
        raise files.unreadable(root, files.LEDGER, reason)
    return ledger


def _read_critical_epsilons(
    root: Root, layers: Sequence[str], pairs: Sequence[tuple[str, str]], centres: Collection[str]
) -> Iterator[CriticalEpsilons]:
    wanted = [files.pair_name(*pair) for pair in pairs]
    for centre, file in files.CRITICAL_EPSILONS_BY_CENTRE.items():
        if centre not in centres:
            continue
        names, arrays = files.read_critical_epsilons(root, file, layers)
        if sorted(names) != sorted(wanted):
            reason = f"its pairs must be those of {files.SIMILARITY}, {wanted}, got {names}"
            raise files.unreadable(root, file, reason)
        for layer in layers:
            for array, values in arrays[layer].items():
                if len(values) != len(names):
                    reason = (
                        f"{layer!r} must have a row for each of {len(names)} pairs, got {len(values)} in "
                        f"{array!r}"
                    )
                    raise files.unreadable(root, file, reason)
            if missing := {"x", "y"} - arrays[layer].keys():
                raise files.unreadable(root, file, f"{layer!r} must have {sorted(missing)}, got none")
        for name, pair in zip(wanted, pairs, strict=True):
            for layer in layers:
                of_pair = {array: values[names.index(name)] for array, values in arrays[layer].items()}
                yield CriticalEpsilons(
                    layer,
                    *pair,
                    of_pair["x"],
                    of_pair["y"],
                    centre,
                    errors=_both(of_pair, "error"),
                    held_out=_both(of_pair, "held_out"),
                )


def _both(
    arrays: Mapping[str, NDArray[np.float64]], what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    sides = [arrays.get(f"{side}_{what}") for side in "xy"]
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])


def _read_table_if_there(root: Root, name: str, kind: type[Rows]) -> Rows:
    """Read a table of values, where an empty cell is none; versions that had none wrote no such file."""
    return _read_table(root, name, kind) if name in root.place.names("") else _rows(root, name, kind, [])


def _read_measures(root: Root) -> list[MeasureRow]:
    """Read the table of measures; versions that did not say the centre compared activations as they are."""
    if files.MEASURES not in root.place.names(""):
        return []
    table = [
        row if "centre" in row else {**row, "centre": _former_centre(row.get("measure", ""))}
        for row in files.read_table(root, files.MEASURES)
    ]
    return _of_texts(root, files.MEASURES, list[MeasureRow], table)


def _former_centre(measure: str) -> str:
    return "raw" if measure in MEASURES and MEASURES[measure].depends_on_centre else "mean"


def _read_table(root: Root, name: str, kind: type[Rows]) -> Rows:
    return _of_texts(root, name, kind, files.read_table(root, name))


def _of_texts(root: Root, name: str, kind: type[Rows], table: Sequence[Mapping[str, str]]) -> Rows:
    texts = {field.name for field in fields(get_args(kind)[0]) if field.type is str}
    values = [
        {column: value or (value if column in texts else None) for column, value in row.items()}
        for row in table
    ]
    return _rows(root, name, kind, values)


def _read_lines_if_there(root: Root, name: str, kind: type[Rows]) -> Rows:
    """Read lines of values; versions that had none wrote no such file."""
    there = name in root.place.names("")
    return _rows(root, name, kind, files.read_lines(root, name) if there else [])


def _read_left_out(root: Root) -> dict[str, str]:
    """Read which layers were left out; versions that did not say it wrote no such file."""
    if files.LEFT_OUT not in root.place.names(""):
        return {}
    return _rows(root, files.LEFT_OUT, dict[str, str], files.read_json(root, files.LEFT_OUT))


def _read_terms(root: Root) -> Terms:
    """Read what samples are called; of images there is no such file."""
    if files.TERMS not in root.place.names(""):
        return Terms()
    try:
        return TypeAdapter(Terms).validate_python(files.read_json(root, files.TERMS))
    except ValidationError as error:
        raise files.unreadable(root, files.TERMS, " ".join(str(error).split())) from None


def _rows(root: Root, name: str, kind: type[Rows], values: Any) -> Rows:  # noqa: ANN401 - what JSON holds
    """Make rows of what a file holds; refuse unknown, missing and wrong columns by name."""
    (row_kind, *_) = get_args(kind)
    of_rows = is_dataclass(row_kind) and isinstance(values, list)
    if of_rows:
        known = {field.name for field in fields(row_kind)}
        unknown = [column for row in values if isinstance(row, dict) for column in row if column not in known]
        if unknown:
            reason = f"column {unknown[0]!r} is not one of {', '.join(sorted(known))}"
            raise files.unreadable(root, name, reason)
    try:
        rows = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise files.unreadable(root, name, _first_of(error, of_rows)) from None
    if is_dataclass(row_kind) and (broken := broken_rule(cast("Sequence[object]", rows))):
        raise files.unreadable(root, name, broken)
    return rows


def _first_of(error: ValidationError, of_rows: bool) -> str:
    """Say where the first of a file's values is of a wrong type, and what it is."""
    first = error.errors()[0]
    match first["loc"]:
        case (int() as row, str() as column, *_) if of_rows:
            where = place(row + 1, column)
        case parts:
            where = " of ".join(f"{part!r}" for part in reversed(parts))
    return f"{where}: {first['msg']}, got {first['input']!r}"
