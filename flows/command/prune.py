"""What lies under a root without any study's reference to it, and its removal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.study.kept import read_kept
from flows.study.model import Study
from flows.study.resolve import remembered_as
from spanmatch.errors import InputTypeError, InputValueError
from storage.inventory import Item, discard, inventory, keep_only
from storage.result_files import STUDY
from storage.root import Root
from tasks.stages import KINDS, SETTINGS, STAGES, TRAINING

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

    keys: dict[str, set[str]]
    undecided: set[str]


@dataclass(frozen=True)
class Survey:
    """All that lies under a root, each item in one of these.

    Attributes
    ----------
    unused
        Nothing refers to it: what `prune` removes, in this order.
    used
        A study refers to it.
    shared
        Files of several results of which studies refer to some: `prune` keeps these alone.
    recent
        Nothing refers to it, but it was written lately, perhaps by a run that is still at work.
    foreign
        Nothing refers to it, but somebody has put a file of their own into it.
    undecided
        It belongs to a stage that cannot be decided before the studies are run.
    wanted
        The keys of what studies refer to.
    """

    unused: tuple[Item, ...]
    used: tuple[Item, ...]
    shared: tuple[Item, ...]
    recent: tuple[Item, ...]
    foreign: tuple[Item, ...]
    undecided: tuple[Item, ...]
    wanted: frozenset[str]


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
    references = gather_references(studies, root)
    cutoff = time.time() - 3600 * hours
    by_category: dict[str, list[Item]] = {
        name: [] for name in Survey.__dataclass_fields__ if name != "wanted"
    }
    for item in inventory(root, KINDS):
        by_category[_category(item, references, cutoff)].append(item)
    by_category["unused"].sort(key=lambda item: (KINDS.index(item.kind), item.key))
    wanted = frozenset(key for keys in references.keys.values() for key in keys)
    return Survey(**{name: tuple(items) for name, items in by_category.items()}, wanted=wanted)


def remove(root: Root, found: Survey) -> None:
    """Remove what is unused, each item whole; a kill or an error leaves the rest as it is."""
    discard(root, found.unused)
    for item in found.shared:
        keep_only(root, item, set(found.wanted))


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


def gather_references(studies: Sequence[Study], root: Root) -> References:
    """Gather what the studies refer to, and what the root's last run compared.

    Raises
    ------
    ValueError, TypeError
        If one asks for what there is not any more, so that it cannot be told.
    """
    references = References({kind.name: set() for kind in KINDS}, set())
    for study in studies:
        _add(references, study)
    if (kept := read_kept(root)) is not None:
        try:
            _add(references, kept.study.model_copy(update={"root": studies[0].root}))
        except (InputValueError, InputTypeError) as error:
            where = root.where(STUDY)
            raise InputValueError(f"{error} (asked for by what the last run compared, {where!r})") from None
    return references


def _add(references: References, study: Study) -> None:
    """Walk the plan of a study with the records that are there."""
    keys, names = references.keys, list(STAGES)
    stages = foresee(look(study))
    for number, name in enumerate(names):
        keys[name] |= {unit.key for unit in stages[name].units.values()}
        if stages[name].missing:
            references.undecided.update(names[number + 1 :])
    keys[TRAINING.name] |= stages["networks"].missing
    keys[SETTINGS.name].add(remembered_as(study))


def _category(item: Item, references: References, cutoff: float) -> str:
    """Name the field of `Survey` that an item belongs to."""
    wanted = item.keys & references.keys.get(item.kind.name, set())
    if wanted == item.keys:
        return "used"
    if item.kind.name in references.undecided:
        return "used" if wanted else "undecided"
    if item.foreign is not None:
        return "used" if wanted else "foreign"
    if item.modified > cutoff:
        return "used" if wanted else "recent"
    return "shared" if wanted else "unused"
