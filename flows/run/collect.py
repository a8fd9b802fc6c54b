"""Results of a study, from the finished units of a run or from the result files."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from flows.run.plan import Finished
from flows.run.prepared import Prepared
from flows.run.row_rules import broken_rule, negative_count, place
from flows.study.kept import read_kept
from spanmatch import MatchProfile
from spanmatch.errors import InputValueError
from spanmatch.reporting import (
    ComparisonRow,
    CriticalEpsilons,
    EpochRow,
    MeasureRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
)
from storage import result_files as files
from storage.packs import Packs
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError, Root
from tasks.matches import MatchDocument, read_matches
from tasks.measures import MeasureName
from tasks.profiles import read_profile
from tasks.publishing import pair_name
from tasks.unit import Done
from tasks.wanted import Checkpoint, Comparison, LayerPair

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
    profiles: dict[LayerPair, MatchProfile] = _read_all(packs, read_profile, finished["profiles"])
    matches: dict[tuple[LayerPair, float], MatchDocument] = _read_all(
        packs, read_matches, finished["matches"]
    )
    compared = dict.fromkeys(pair.compared for pair in profiles)
    return StudyResults(
        study=prepared.study.name,
        layers=tuple(dict.fromkeys(pair.layer_x for pair in profiles)),
        comparisons=tuple(map(_comparison, compared)),
        networks=tuple(_network_rows(finished["networks"], {one for pair in compared for one in pair})),
        training=tuple(_epoch_rows(finished["networks"])),
        similarity=tuple(_similarity_row(pair, document) for (pair, _), document in matches.items()),
        simple_matches=tuple(
            row for (pair, _), document in matches.items() for row in _simple_match_rows(pair, document)
        ),
        critical_epsilons=tuple(
            CriticalEpsilons(pair.layer_x, *_labels(pair), profile.x, profile.y)
            for pair, profile in profiles.items()
        ),
        measures=tuple(_measure_row(name, done) for name, done in finished["measures"].items()),
        ledger=ledger,
        left_out=prepared.resolved.left_out,
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
    similarity = _rows(root, files.SIMILARITY, list[SimilarityRow], files.read_table(root, files.SIMILARITY))
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
        critical_epsilons=tuple(_read_critical_epsilons(root, layers, pairs)),
        measures=tuple(_read_measures(root)),
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
    root: Root, layers: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> Iterator[CriticalEpsilons]:
    names, arrays = files.read_critical_epsilons(root, layers)
    wanted = [pair_name(*pair) for pair in pairs]
    if sorted(names) != sorted(wanted):
        reason = f"its pairs must be those of {files.SIMILARITY}, {wanted}, got {names}"
        raise files.unreadable(root, files.CRITICAL_EPSILONS, reason)
    for name, pair in zip(wanted, pairs, strict=True):
        place = names.index(name)
        for layer in layers:
            x, y = arrays[layer]
            if len(x) != len(names) or len(y) != len(names):
                reason = (
                    f"{layer!r} must have a row for each of {len(names)} pairs, got {len(x)} and {len(y)}"
                )
                raise files.unreadable(root, files.CRITICAL_EPSILONS, reason)
            yield CriticalEpsilons(layer, *pair, x[place], y[place])


def _read_measures(root: Root) -> list[MeasureRow]:
    """Read the measures' values; versions that had none wrote no such file."""
    if files.MEASURES not in root.place.names(""):
        return []
    table = files.read_table(root, files.MEASURES)
    values = [{column: value or None for column, value in row.items()} for row in table]
    return _rows(root, files.MEASURES, list[MeasureRow], values)


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


def _measure_row(name: MeasureName, done: Done) -> MeasureRow:
    return MeasureRow(
        layer_x=name.pair.layer_x,
        layer_y=name.pair.layer_y,
        checkpoint_x=name.pair.compared.x.label,
        checkpoint_y=name.pair.compared.y.label,
        measure=name.measure,
        parameter=name.parameter,
        value=done.record["value"],
        samples=done.record["samples"],
    )


def _similarity_row(pair: LayerPair, document: MatchDocument) -> SimilarityRow:
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
    )


def _simple_match_rows(pair: LayerPair, document: MatchDocument) -> list[SimpleMatchRow]:
    return [
        SimpleMatchRow(
            layer=pair.layer_x,
            checkpoint_x=pair.compared.x.label,
            checkpoint_y=pair.compared.y.label,
            epsilon=document["epsilon"],
            neuron=(simple["neuron"][0], simple["neuron"][1]),
            x=tuple(simple["x"]),
            y=tuple(simple["y"]),
        )
        for simple in document["simple_matches"]
    ]
