"""Results of a study, from the finished units of a run or from the result files."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from itertools import product
from typing import Any, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from flows.run.measured import growth_rows, measure_rows
from flows.run.plan import Finished
from flows.run.prepared import Prepared
from flows.run.row_rules import broken_rule, negative_count, place
from flows.study.kept import read_kept
from spanmatch import MatchProfile
from spanmatch.errors import InputValueError
from spanmatch.matching.centring import Centre
from spanmatch.measures import MEASURES
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
)
from spanmatch.statistics import jackknife_error
from storage import result_files as files
from storage.packs import Packs
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.matches import CoverDocument, MatchDocument, MatchName, read_matches
from tasks.measures import MeasureName
from tasks.profiles import ProfileName, read_profile
from tasks.publishing import CRITICAL_EPSILONS, pair_name
from tasks.unit import Done
from tasks.wanted import WHOLE, Checkpoint, Comparison, LayerPair, Resample

Rows = TypeVar("Rows")
Read = TypeVar("Read")

_PACKS_AT_ONCE = 8  # packs that are read at a time: an object store answers each late


def collect(prepared: Prepared, finished: Finished, ledger: Mapping[str, Mapping[str, int]]) -> StudyResults:
    """Read all profiles and matches of a finished plan.

    Raises
    ------
    DamagedArtefactsError
        If some are not what was written.
    """
    packs = Packs(prepared.root)
    profiles: dict[ProfileName, MatchProfile] = _read_all(
        packs, read_profile, {name: done for name, done in finished["profiles"].items() if _is_read(name)}
    )
    matches: dict[MatchName, MatchDocument] = _read_all(packs, read_matches, finished["matches"])
    measures: dict[MeasureName, Done] = finished["measures"]
    pairs = dict.fromkeys(name.pair for name in profiles)
    compared = dict.fromkeys(pair.compared for pair in pairs)
    wanted = prepared.wanted
    return StudyResults(
        study=prepared.study.name,
        layers=tuple(dict.fromkeys(pair.layer_x for pair in pairs)),
        comparisons=tuple(map(_comparison, compared)),
        networks=tuple(_network_rows(finished["networks"], {one for pair in compared for one in pair})),
        training=tuple(_epoch_rows(finished["networks"])),
        similarity=tuple(_similarity_row(name, document) for name, document in matches.items()),
        simple_matches=tuple(
            row for name, document in matches.items() for row in _simple_match_rows(name, document)
        ),
        critical_epsilons=tuple(
            _critical_epsilons(pair, centre, profiles) for pair, centre in product(pairs, wanted.centres)
        ),
        measures=tuple(measure_rows(wanted, measures)),
        growth=tuple(growth_rows(wanted, measures)),
        covers=tuple(
            _cover_row(name, cover)
            for name, document in matches.items()
            if (cover := document["cover"]) is not None
        ),
        essential=tuple(_essential_row(name, document) for name, document in matches.items()),
        ledger=ledger,
        left_out=prepared.resolved.left_out,
    )


def _is_read(name: ProfileName) -> bool:
    """Tell whether results show more of a profile than measures say."""
    return name.resample.kind in ("whole", "without", "held-out")


def _critical_epsilons(
    pair: LayerPair, centre: Centre, profiles: Mapping[ProfileName, MatchProfile]
) -> CriticalEpsilons:
    whole = profiles[ProfileName(pair, centre, WHOLE)]
    of_folds = [
        profile
        for (of, by, resample), profile in profiles.items()
        if (of, by, resample.kind) == (pair, centre, "without")
    ]
    held_out = profiles.get(ProfileName(pair, centre, Resample("held-out")))
    return CriticalEpsilons(
        pair.layer_x,
        *_labels(pair),
        whole.x,
        whole.y,
        centre=centre,
        errors=_errors(of_folds) if of_folds else None,
        held_out=(held_out.x, held_out.y) if held_out else None,
    )


def _errors(of_folds: Sequence[MatchProfile]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        jackknife_error(np.stack([profile.x for profile in of_folds])),
        jackknife_error(np.stack([profile.y for profile in of_folds])),
    )


def _read_all(
    packs: Packs, read: Callable[[Packs, Artefact], Read], finished: Mapping[Any, Done]
) -> dict[Any, Read]:
    """Read units' results, those of a pack after each other, and find out all that are damaged."""
    by_pack: dict[str, list[Any]] = {}
    for name, done in finished.items():
        by_pack.setdefault(done.artefact.name, []).append(name)
    damages: list[DamagedArtefactError] = []

    def read_pack(names: Sequence[Any]) -> dict[Any, Read]:
        found = {}
        for name in names:
            try:
                found[name] = read(packs, finished[name].artefact)
            except DamagedArtefactError as damage:
                damages.append(damage)
        return found

    with ThreadPoolExecutor(_PACKS_AT_ONCE) as pool:
        found = {
            name: result
            for several in pool.map(read_pack, by_pack.values())
            for name, result in several.items()
        }
    if damages:
        raise DamagedArtefactsError(damages)
    return {name: found[name] for name in finished}


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
    layers = tuple(dict.fromkeys(row.layer for row in similarity))
    pairs = tuple(dict.fromkeys((row.checkpoint_x, row.checkpoint_y) for row in similarity))
    return StudyResults(
        study=study,
        layers=layers,
        comparisons=tuple(_comparison(Comparison(*map(Checkpoint.of_label, pair))) for pair in pairs),
        networks=tuple(networks),
        training=tuple(training),
        similarity=tuple(similarity),
        simple_matches=tuple(_rows(root, files.SIMPLE_MATCHES, list[SimpleMatchRow], simple)),
        critical_epsilons=tuple(
            _read_critical_epsilons(root, layers, pairs, {row.centre for row in similarity})
        ),
        measures=tuple(_read_measures(root)),
        growth=tuple(_read_table_if_there(root, files.GROWTH, list[GrowthRow])),
        covers=tuple(_read_lines_if_there(root, files.COVERS, list[CoverRow])),
        essential=tuple(_read_lines_if_there(root, files.ESSENTIAL, list[EssentialRow])),
        ledger=_read_ledger(root),
        left_out=_read_left_out(root),
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
    wanted = [pair_name(*pair) for pair in pairs]
    for centre, file in CRITICAL_EPSILONS.items():
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


def _comparison(compared: Comparison) -> ComparisonRow:
    return ComparisonRow(compared.x.label, compared.y.label, compared.group)


def _labels(pair: LayerPair) -> tuple[str, str]:
    return pair.compared.x.label, pair.compared.y.label


def _network_rows(networks: Mapping[str, Done], compared: Collection[Checkpoint]) -> Iterator[NetworkRow]:
    """Yield the checkpoints that were compared, in the order of the networks."""
    for name, done in networks.items():
        for moment, one in sorted(done.record["checkpoints"].items(), key=lambda item: item[1]["epoch"]):
            if Checkpoint(name, moment) in compared:
                yield NetworkRow(name, moment, one["accuracy"], one["loss"], one["epoch"])


def _epoch_rows(networks: Mapping[str, Done]) -> Iterator[EpochRow]:
    for name, done in networks.items():
        for epoch in done.record["history"]:
            yield EpochRow(
                network=name,
                epoch=epoch["epoch"],
                learning_rate=epoch["learning_rate"],
                training_loss=epoch["training_loss"],
                held_out_loss=epoch["held_out_loss"],
                accuracy=epoch["held_out_accuracy"],
            )


def _similarity_row(name: MatchName, document: MatchDocument) -> SimilarityRow:
    pair = name.pair
    return SimilarityRow(
        layer=pair.layer_x,
        checkpoint_x=pair.compared.x.label,
        checkpoint_y=pair.compared.y.label,
        epsilon=document["epsilon"],
        similarity=document["similarity"],
        matched_x=len(document["x"]),
        matched_y=len(document["y"]),
        neurons_x=document["neurons_x"],
        neurons_y=document["neurons_y"],
        dead_x=document["dead_x"],
        dead_y=document["dead_y"],
        samples=document["samples"],
        offset_x=document["offset_x"],
        offset_y=document["offset_y"],
        centre=name.centre,
        uncertain=document["uncertain"],
        low=document["low"],
        high=document["high"],
    )


def _cover_row(name: MatchName, cover: CoverDocument) -> CoverRow:
    return CoverRow(
        layer=name.pair.layer_x,
        checkpoint_x=name.pair.compared.x.label,
        checkpoint_y=name.pair.compared.y.label,
        centre=name.centre,
        epsilon=name.epsilon,
        orders=cover["orders"],
        fewest=cover["fewest"],
        most=cover["most"],
        recurring=cover["recurring"],
        sizes=tuple(map(tuple, cover["sizes"])),
    )


def _essential_row(name: MatchName, document: MatchDocument) -> EssentialRow:
    return EssentialRow(
        layer=name.pair.layer_x,
        checkpoint_x=name.pair.compared.x.label,
        checkpoint_y=name.pair.compared.y.label,
        centre=name.centre,
        epsilon=name.epsilon,
        neurons_x=document["neurons_x"],
        edges=tuple((u, v) for u, v in document["essential"]),
    )


def _simple_match_rows(name: MatchName, document: MatchDocument) -> list[SimpleMatchRow]:
    pair = name.pair
    return [
        SimpleMatchRow(
            layer=pair.layer_x,
            checkpoint_x=pair.compared.x.label,
            checkpoint_y=pair.compared.y.label,
            epsilon=document["epsilon"],
            neuron=(simple["neuron"][0], simple["neuron"][1]),
            x=tuple(simple["x"]),
            y=tuple(simple["y"]),
            centre=name.centre,
        )
        for simple in document["simple_matches"]
    ]
