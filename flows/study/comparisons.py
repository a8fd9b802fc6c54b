"""Which networks a study has, and which of their checkpoints it compares, by pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from flows.study.model import Study
from spanmatch.errors import InputValueError
from spanmatch.networks.recipe import require_checkpoints
from spanmatch.reporting import shown_network
from tasks.wanted import Checkpoint, Comparison


@dataclass(frozen=True)
class Network:
    """One network: which study trains it from which seed, or which weights it is given.

    Attributes
    ----------
    name
        ``seed0``; the name that the study gives to weights; ``other/seed0`` for another study's.
    study
        The study whose architecture and training it has.
    other
        The name of that study when it is another; None for the study itself.
    seed
        None for a network that is trained already.
    """

    name: str
    study: Study
    other: str | None
    seed: int | None

    @property
    def own_name(self) -> str:
        """Its name in its own study."""
        return self.name.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """What people call it."""
        return shown_network(self.name)


def networks(study: Study, others: Mapping[str, Study]) -> dict[str, Network]:
    """Return all networks that the study knows, by name: its own first."""
    known = list(_networks(study, None))
    for name, other in others.items():
        known += _networks(other, name)
    return {network.name: network for network in known}


def _networks(study: Study, other: str | None) -> Iterator[Network]:
    prefix, where = ("", "") if other is None else (f"{other}/", f" in {other!r}")
    seeds = {f"seed{seed}": seed for seed in study.seeds}
    if taken := [name for name in study.weights if name in seeds]:
        raise InputValueError(
            f"`weights` must have names that no seed of `seeds` has, got {taken[0]!r}{where}; choose another"
        )
    for name in [*seeds, *study.weights]:
        yield Network(f"{prefix}{name}", study, other, seeds.get(name))


def comparisons(study: Study, others: Mapping[str, Study]) -> list[Comparison]:
    """Return what is compared with what, each once, in the order of the study's `compare`.

    Raises
    ------
    ValueError
        If a pair names a network or a moment that there is not.
    """
    known = networks(study, others)
    own = [network for network in known.values() if network.other is None]
    theirs = [network for network in known.values() if network.other is not None]
    found: dict[Comparison, None] = {}
    for kind in study.compare:
        if kind == "networks":
            found.update(dict.fromkeys(_every_two(study, own)))
        elif kind == "checkpoints":
            found.update(dict.fromkeys(_every_moment(study, own)))
        elif kind == "others":
            found.update(dict.fromkeys(_across(study, own, theirs)))
        else:
            named = _named(kind, known)
            if Comparison(named.y, named.x) not in found:
                found[named] = None
    if not found:
        raise InputValueError(
            f"`compare` must name something to compare, got {study.compare} with seeds {study.seeds} and "
            f"checkpoints {study.checkpoints}; networks that are trained already have `final` only"
        )
    return list(found)


def moments(network: Network) -> Sequence[str]:
    """Return the checkpoints that a network has of those its study compares."""
    if network.seed is None:
        return [moment for moment in network.study.checkpoints if moment == "final"]
    return network.study.checkpoints


def _every_two(study: Study, own: Sequence[Network]) -> Iterator[Comparison]:
    for moment in study.checkpoints:
        with_it = [network for network in own if moment in moments(network)]
        for x, y in combinations(with_it, 2):
            yield Comparison(Checkpoint(x.name, moment), Checkpoint(y.name, moment))


def _every_moment(study: Study, own: Sequence[Network]) -> Iterator[Comparison]:
    for first, second in combinations(study.checkpoints, 2):
        for network in own:
            if network.seed is not None:
                yield Comparison(Checkpoint(network.name, first), Checkpoint(network.name, second))


def _across(study: Study, own: Sequence[Network], theirs: Sequence[Network]) -> Iterator[Comparison]:
    for moment, x, y in product(study.checkpoints, own, theirs):
        if moment in moments(x) and (y.seed is not None or moment == "final"):
            yield Comparison(Checkpoint(x.name, moment), Checkpoint(y.name, moment))


def _named(pair: str, known: Mapping[str, Network]) -> Comparison:
    x, y = (_checkpoint(label.strip(), known) for label in pair.split("~"))
    return Comparison(x, y)


def _checkpoint(label: str, known: Mapping[str, Network]) -> Checkpoint:
    name, moment = Checkpoint.of_label(label)
    if name not in known:
        raise InputValueError(
            f"`compare` must name checkpoints such as seed0-final of {', '.join(known)}; got {label!r}"
        )
    network = known[name]
    if network.seed is None and moment != "final":
        raise InputValueError(
            f"`compare` must name {name}-final: a network that is trained already has no other checkpoint, "
            f"got {label!r}"
        )
    require_checkpoints([moment], network.study.training.epochs)
    return Checkpoint(name, moment)
