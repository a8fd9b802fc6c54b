"""Results of a study, from the finished units of a run."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from flows.run.exemplified import exemplar_rows, shown
from flows.run.measured import growth_rows, measure_rows
from flows.run.plan import Finished
from flows.run.prepared import Prepared
from spanmatch import MatchProfile
from spanmatch.matching.centring import Centre
from spanmatch.reporting import (
    ComparisonRow,
    CoverRow,
    CriticalEpsilons,
    EpochRow,
    EssentialRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
    Terms,
)
from spanmatch.statistics import jackknife_error
from storage.packs import Packs
from storage.root import Artefact, DamagedArtefactError, DamagedArtefactsError
from tasks.exemplars import StoredExemplars, read_exemplars
from tasks.matches import CoverDocument, MatchDocument, MatchName, read_matches
from tasks.measures import MeasureName
from tasks.profiles import ProfileName, read_profile
from tasks.unit import Done
from tasks.wanted import WHOLE, Checkpoint, Comparison, LayerPair, Resample, Side, Wanted

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
        packs,
        read_profile,
        {name: done for name, done in finished["profiles"].items() if _is_read(prepared.wanted, name)},
    )
    matches: dict[MatchName, MatchDocument] = _read_all(packs, read_matches, finished["matches"])
    exemplars: dict[Side, StoredExemplars] = _read_all(packs, read_exemplars, finished["exemplars"])
    measures: dict[MeasureName, Done] = finished["measures"]
    pairs = dict.fromkeys(name.pair for name in profiles)
    wanted = prepared.wanted
    compared = dict.fromkeys(name.pair.compared for name in measures)
    return StudyResults(
        study=prepared.study.name,
        layers=tuple(dict.fromkeys(pair.layers for pair in pairs)),
        comparisons=tuple(map(comparison_row, compared)),
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
        exemplars=tuple(exemplar_rows(exemplars)),
        shown=shown(prepared, exemplars, matches),
        ledger=ledger,
        left_out=prepared.resolved.left_out,
        terms=Terms(**prepared.resolved.terms),
    )


def _is_read(wanted: Wanted, name: ProfileName) -> bool:
    """Tell whether results show more of a profile than measures say."""
    return wanted.is_looked_into(name.pair) and name.resample.kind in ("whole", "without", "held-out")


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
        pair.layers,
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


def comparison_row(compared: Comparison) -> ComparisonRow:
    """Return the row of two checkpoints that are compared."""
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
        layer=pair.layers,
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
        layer=name.pair.layers,
        checkpoint_x=name.pair.compared.x.label,
        checkpoint_y=name.pair.compared.y.label,
        centre=name.centre,
        epsilon=name.epsilon,
        orders=cover["orders"],
        fewest=cover["fewest"],
        most=cover["most"],
        recurring=cover["recurring"],
        sizes=tuple(map(tuple, cover["sizes"])),
        permuted=tuple(cover["permuted"]),
    )


def _essential_row(name: MatchName, document: MatchDocument) -> EssentialRow:
    return EssentialRow(
        layer=name.pair.layers,
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
            layer=pair.layers,
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
