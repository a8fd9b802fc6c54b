"""Which samples results show, those that matched neurons are strongest at, and how they look."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import product

from flows.run.prepared import Prepared
from spanmatch import networks
from spanmatch.errors import InputValueError, SpanmatchError
from spanmatch.reporting import Exemplars, Shown
from tasks.datasets import load_planned
from tasks.exemplar_files import read_exemplar_file
from tasks.exemplars import StoredExemplars
from tasks.matches import MatchDocument, MatchName
from tasks.wanted import Side

MOST = 2000
"""Samples that are shown, at most."""


def exemplar_rows(exemplars: Mapping[Side, StoredExemplars]) -> Iterator[Exemplars]:
    """Yield exemplars as results have them."""
    for (layer, checkpoint), (strongest, map_) in exemplars.items():
        samples, values, positions = strongest
        yield Exemplars(layer, checkpoint.label, samples, values.astype("f4", copy=False), positions, map_)


def shown(
    prepared: Prepared,
    exemplars: Mapping[Side, StoredExemplars],
    matches: Mapping[MatchName, MatchDocument],
) -> Shown:
    """Return how the samples look that neurons in simple matches are strongest at.

    Those that the root's results show already are taken from there: the data set is loaded for others only.
    Where it is gone, or does not say how its samples look, they are not shown, and a remark says why.
    """
    wanted = prepared.wanted
    numbers = strongest_of_matched(exemplars, matches)
    if not numbers:
        return Shown({}, {})
    digest, items, remarks = wanted.held_out_digest, wanted.items, []
    if len(numbers) > MOST:
        remarks.append(
            f"of {len(numbers):,} {items} that matched neurons are strongest at, {MOST:,} are shown, those "
            "that come first"
        )
    known = _shown_already(prepared, digest)
    lacking = [number for number in numbers[:MOST] if number not in known]
    if lacking:
        try:
            dataset = load_planned(wanted.source, digest, "held-out")
            known |= networks.appearances(dataset, lacking)
        except SpanmatchError as error:
            missing = f"{len(lacking):,} {items}" if known else items
            remarks.append(f"{missing} that matched neurons are strongest at are not shown: {error}")
    chosen = {number: known[number] for number in sorted(numbers[:MOST]) if number in known}
    return Shown(
        {number: look for number, look in chosen.items() if not isinstance(look, tuple)},
        {number: look for number, look in chosen.items() if isinstance(look, tuple)},
        "; ".join(remarks),
        digest,
    )


def strongest_of_matched(
    exemplars: Mapping[Side, StoredExemplars], matches: Mapping[MatchName, MatchDocument]
) -> list[int]:
    """Return the samples that matched neurons are strongest at, each once.

    First the strongest of each neuron, then the second of each, and so on: so that the first of them are of
    as many neurons as can be.
    """
    neurons: dict[Side, set[int]] = defaultdict(set)
    for name, document in matches.items():
        x, y = name.pair.sides
        for simple in document["simple_matches"]:
            neurons[x].update(simple["x"])
            neurons[y].update(simple["y"])
    ranks = max((stored.strongest.samples.shape[1] for stored in exemplars.values()), default=0)
    found: dict[int, None] = {}
    for rank, (side, stored) in product(range(ranks), exemplars.items()):
        of_rank = stored.strongest.samples[sorted(neurons[side]), rank].tolist()
        found.update(dict.fromkeys(number for number in of_rank if number >= 0))
    return list(found)


def _shown_already(prepared: Prepared, digest: str) -> "dict[int, networks.Appearance]":
    """Return how samples look by the results that the root has of the same samples."""
    try:
        _, before = read_exemplar_file(prepared.root)
    except InputValueError:  # which this run writes anew
        return {}
    return {**before.pictures, **before.texts} if before.digest == digest else {}
