"""From the records of a finished plan to what a report shows, and back from the result files.

Apart from running because `spanmatch report` needs no run.
"""

from typing import Any

from flows import comparisons
from flows.comparisons import Checkpoint
from flows.plan import Outcome, Pair
from spanmatch.reporting import (
    Comparison,
    CriticalEpsilons,
    EpochRow,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
)
from storage import results as files
from storage.root import Root
from tasks.matches import MatchDocument, read_matches
from tasks.profiles import read_profile
from tasks.report import pair_name


def collect(root: Root, study: str, outcome: Outcome, ledger: dict[str, dict[str, int]]) -> StudyResults:
    """Read all profiles and matches of a finished plan.

    Raises
    ------
    DamagedArtefactError
        If one is not what was written.
    """
    similarity: list[SimilarityRow] = []
    simple: list[SimpleMatchRow] = []
    for (pair, _), done in outcome.matches.items():
        document = read_matches(root, done.unit.key, done.record["digest"])
        similarity.append(_similarity_row(pair, document))
        simple += _simple_match_rows(pair, document)
    critical = []
    for pair, done in outcome.profiles.items():
        profile = read_profile(root, done.artefact)
        x, y = (checkpoint.label for checkpoint in pair.compared)
        critical.append(CriticalEpsilons(pair.layer, x, y, profile.x, profile.y))
    return StudyResults(
        study=study,
        layers=tuple(dict.fromkeys(pair.layer for pair in outcome.grams)),
        comparisons=tuple(
            _comparison(*compared) for compared in {pair.compared: None for pair in outcome.grams}
        ),
        networks=tuple(_network_rows(outcome)),
        training=tuple(
            EpochRow(
                network=name,
                epoch=epoch["epoch"],
                learning_rate=epoch["learning_rate"],
                training_loss=epoch["training_loss"],
                held_out_loss=epoch["held_out_loss"],
                accuracy=epoch["held_out_accuracy"],
            )
            for name, done in outcome.networks.items()
            for epoch in done.record["history"]
        ),
        similarity=tuple(similarity),
        simple_matches=tuple(simple),
        critical_epsilons=tuple(critical),
        ledger=ledger,
    )


def read_results(root: Root, study: str) -> StudyResults:
    """Read the result files of a root's last run.

    Raises
    ------
    ValueError
        If a file is missing or cannot be read.
    """
    training = tuple(EpochRow(**row) for row in files.read_lines(root, files.TRAINING))
    similarity = [_parsed_row(row) for row in files.read_table(root, files.SIMILARITY)]
    layers = tuple(dict.fromkeys(row.layer for row in similarity))
    pairs = tuple(dict.fromkeys((row.checkpoint_x, row.checkpoint_y) for row in similarity))
    names, arrays = files.read_critical_epsilons(root, layers)
    places = [names.index(pair_name(*pair)) for pair in pairs]
    return StudyResults(
        study=study,
        layers=layers,
        comparisons=tuple(_comparison(*map(Checkpoint.of_label, pair)) for pair in pairs),
        networks=tuple(NetworkRow(**row) for row in files.read_json(root, files.NETWORKS)),
        training=training,
        similarity=tuple(similarity),
        simple_matches=tuple(
            _parsed_simple_match(row) for row in files.read_lines(root, files.SIMPLE_MATCHES)
        ),
        critical_epsilons=tuple(
            CriticalEpsilons(layer, *pair, arrays[layer][0][place], arrays[layer][1][place])
            for pair, place in zip(pairs, places, strict=True)
            for layer in layers
        ),
        ledger=files.read_json(root, files.LEDGER),
    )


def _comparison(x: Checkpoint, y: Checkpoint) -> Comparison:
    return Comparison(x.label, y.label, comparisons.Comparison(x, y).group)


def _network_rows(outcome: Outcome) -> list[NetworkRow]:
    """Return the checkpoints that were compared, in the order of the networks."""
    compared = {checkpoint for pair in outcome.grams for checkpoint in pair.compared}
    return [
        NetworkRow(name, moment, checkpoint["accuracy"], checkpoint["loss"], checkpoint["epoch"])
        for name, done in outcome.networks.items()
        for moment, checkpoint in sorted(
            done.record["checkpoints"].items(), key=lambda item: item[1]["epoch"]
        )
        if Checkpoint(name, moment) in compared
    ]


def _similarity_row(pair: Pair, document: MatchDocument) -> SimilarityRow:
    return SimilarityRow(
        layer=pair.layer,
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


def _simple_match_rows(pair: Pair, document: MatchDocument) -> list[SimpleMatchRow]:
    return [
        SimpleMatchRow(
            layer=pair.layer,
            checkpoint_x=pair.compared.x.label,
            checkpoint_y=pair.compared.y.label,
            epsilon=document["epsilon"],
            neuron=(simple["neuron"][0], simple["neuron"][1]),
            x=tuple(simple["x"]),
            y=tuple(simple["y"]),
        )
        for simple in document["simple_matches"]
    ]


def _parsed_row(row: dict[str, str]) -> SimilarityRow:
    names = {"layer", "checkpoint_x", "checkpoint_y"}
    reals = {"epsilon", "similarity"}
    values = {
        name: text if name in names else float(text) if name in reals else int(text)
        for name, text in row.items()
    }
    return SimilarityRow(**values)  # type: ignore[arg-type]


def _parsed_simple_match(row: dict[str, Any]) -> SimpleMatchRow:
    side, index = row["neuron"]
    sets = {"neuron": (side, index), "x": tuple(row["x"]), "y": tuple(row["y"])}
    return SimpleMatchRow(**{**row, **sets})
