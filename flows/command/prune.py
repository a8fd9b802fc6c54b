"""What lies under a root and is referred to by no study of it, and its removal.

Apart from status because it looks from the other side: at what is there, not at what is wanted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from flows.command.status import Planned, planned
from flows.study.kept import read_kept
from flows.study.model import Study
from flows.study.resolve import check_names, remembered_as, resolve
from spanmatch.errors import InputTypeError, InputValueError
from storage.inventory import KINDS, Item, Kind, inventory
from storage.result_files import STUDY
from storage.root import STAGES, Root
from tasks.grams import GramUnit, prefixes

# What nothing refers to is left alone for so long: a run of another study may have written it.
HOURS = 24.0


@dataclass(frozen=True)
class References:
    """What studies refer to.

    Attributes
    ----------
    keys
        By kind, the keys that are referred to.
    undecided
        Stages of which a study refers to more than can be told, because it lacks what they stand on.
    """

    keys: dict[Kind, set[str]]
    undecided: set[Kind]


@dataclass(frozen=True)
class Survey:
    """All that lies under a root, each item in one of these.

    Attributes
    ----------
    unused
        Nothing refers to it: what `prune` removes, in this order.
    used
        A study refers to it.
    recent
        Nothing refers to it, but it was written lately, perhaps by a run that is still at work.
    foreign
        Nothing refers to it, but somebody has put a file of their own into it.
    undecided
        It belongs to a stage that cannot be decided before the studies are run.
    """

    unused: tuple[Item, ...]
    used: tuple[Item, ...]
    recent: tuple[Item, ...]
    foreign: tuple[Item, ...]
    undecided: tuple[Item, ...]


def survey(studies: Sequence[Study], hours: float = HOURS) -> Survey:
    """Find what nothing under the studies' root refers to, without removing it.

    Parameters
    ----------
    studies
        All whose work is to be kept, of one root.
    hours
        What was written in the last so many hours is left alone.

    Raises
    ------
    ValueError
        If the studies have different roots or one that no run has prepared, or what one refers to cannot be
        told.
    """
    root = common_root(studies)
    references = refer(studies, root)
    since = time.time() - 3600 * hours
    sorted_out: dict[str, list[Item]] = {name: [] for name in Survey.__dataclass_fields__}
    for item in inventory(root):
        sorted_out[_verdict(item, references, since)].append(item)
    sorted_out["unused"].sort(key=lambda item: (KINDS.index(item.kind), item.key))
    return Survey(**{name: tuple(items) for name, items in sorted_out.items()})


def remove(root: Root, items: Sequence[Item]) -> None:
    """Remove items one by one, each whole; a kill or an error leaves the rest as it is."""
    for item in items:
        item.discard(root)


def common_root(studies: Sequence[Study]) -> Root:
    """Return the one root of all studies, which a run has prepared.

    Raises
    ------
    ValueError
        If there are several, or none yet.
    """
    roots = {Root.at(study.root) for study in studies}
    if len(roots) > 1:
        names = " and ".join(sorted(repr(root.where()) for root in roots))
        raise InputValueError(
            f"`STUDY` must be studies of one root, got {names}; prune one root at a time, or give `--root`"
        )
    (root,) = roots
    root.check()
    if not root.exists:
        raise InputValueError(
            f"`root` must be the root of a study that was run, got {root.where()!r}, which no run has "
            "prepared; correct `--root` or the study's"
        )
    return root


def refer(studies: Sequence[Study], root: Root) -> References:
    """Gather what the studies refer to, and what the root's last run compared.

    Raises
    ------
    ValueError, TypeError
        If one asks for what there is not any more, so that it cannot be told.
    """
    references = References({kind: set() for kind in KINDS}, set())
    for study in studies:
        check_names(study)
        _add(references, study, root)
    if (kept := read_kept(root)) is not None:
        try:
            _add(references, kept.study, root)
        except (InputValueError, InputTypeError) as error:
            where = root.where(STUDY)
            raise InputValueError(f"{error} (asked for by what the last run compared, {where!r})") from None
    return references


def _add(references: References, study: Study, root: Root) -> None:
    """Walk the plan of a study with the records that are there."""
    keys = references.keys
    stages = planned(study, resolve(study, root), root)
    for number, stage in enumerate(STAGES):
        keys[stage] |= {unit.key for unit in stages[stage].units}
        if stages[stage].missing:
            references.undecided.update(STAGES[number + 1 :])
    keys["grams"] |= _starting_points(stages["grams"])
    keys["training"] |= stages["networks"].missing
    keys["settings"].add(remembered_as(study))


def _starting_points(grams: Planned) -> set[str]:
    """Keys of the sums over fewer segments from which the missing Gram matrices would be reduced."""
    return {
        prefix.key
        for unit in grams.units
        if unit.key in grams.missing and isinstance(unit, GramUnit)
        for prefix in prefixes(unit)
    }


def _verdict(item: Item, references: References, since: float) -> str:
    """Name the field of `Survey` that an item belongs to."""
    if item.key in references.keys[item.kind]:
        return "used"
    if item.kind in references.undecided:
        return "undecided"
    if item.foreign is not None:
        return "foreign"
    return "recent" if item.modified > since else "unused"
