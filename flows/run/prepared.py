"""A study that is checked, resolved and planned from once, and ready to run."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import tasks
from flows.run import plan
from flows.study.kept import Kept, read_kept, require_same_data, stands_on
from flows.study.model import Study
from flows.study.resolve import check_names, remember, resolve
from flows.study.resolved import Resolved
from storage.root import Root
from tasks.links import report_link
from tasks.wanted import Wanted

_OLDER = (
    "the root was written by an earlier version: networks and activations that this version would compute in "
    "the same way are used as they are; all else is computed anew, Gram matrices now centred and by segment; "
    "`spanmatch prune` removes what is left behind"
)


@dataclass(frozen=True)
class Prepared:
    """A study with its root and all that it refers to.

    Attributes
    ----------
    notices
        What a person should know before it runs, in sentences.
    """

    study: Study
    root: Root
    resolved: Resolved
    notices: tuple[str, ...] = ()

    @cached_property
    def wanted(self) -> Wanted:
        """What stages plan from."""
        return plan.wanted(self.study, self.resolved)


def check_quickly(study: Study) -> Root:
    """See what can be seen of a study without loading torch or data; return its root.

    Raises
    ------
    ValueError
        If it names what there is not, or the root or the scheduler does not answer.
    """
    check_names(study)
    root = Root.at(study.root)
    root.check()
    report_link(root)  # which refuses what no link can be made of: now, and not when all is computed
    if study.scheduler is not None:
        tasks.check_scheduler(study.scheduler)
    return root


def look(study: Study, kept: Kept | None = None) -> Prepared:
    """See that a run can begin, and look up what the study refers to; change nothing.

    Parameters
    ----------
    study
        What to compare.
    kept
        What the last run stood on, where this one must stand on the same.

    Raises
    ------
    ValueError
        If the study asks for what there is not, or the root or the scheduler does not answer.
    """
    root = check_quickly(study)
    resolved = resolve(study, root)
    if kept is not None:
        require_same_data(kept, resolved)
    older = [_OLDER] if root.is_older else []
    return Prepared(study, root, resolved, (*older, *_left_out(study, resolved), *_unjudged(resolved)))


def _left_out(study: Study, resolved: Resolved) -> Iterator[str]:
    """Say of what there are too few samples, where the study left a number to what is usual."""
    images, items = study.segments(resolved.held_out)[-1][1], resolved.items
    folds, permutations = study.resampling(images)
    if study.folds is None and not folds:
        yield f"no errors and no held-out values: {images} {items} cannot be in folds; use more"
    if study.null.permutations is None and not permutations:
        yield (
            f"no null: {images} {items} are too few to be permuted often enough for p ≤ "
            f"{study.null.level:g}; use more"
        )


def _unjudged(resolved: Resolved) -> Iterator[str]:
    """Say why networks that are given are not judged, where that is not plain."""
    if resolved.foreseeing:
        yield (
            "no perplexity of `weights`: their logits depend on the tokens that they are to predict, as "
            "those of masked language models do"
        )


def prepare(study: Study, kept: Kept | None = None) -> Prepared:
    """Look at the study, and make its root ready to be written.

    Raises
    ------
    ValueError
        As `look`, or if the root cannot be written.
    """
    prepared = look(study, kept)
    Root.prepare(study.root)
    remember(study, prepared.root, prepared.resolved)
    return prepared


def is_finished(prepared: Prepared) -> bool:
    """Tell whether the last run under the root was of this very study, so that nothing is left to compute."""
    kept = read_kept(prepared.root)
    return kept is not None and kept == stands_on(prepared.study, prepared.resolved)
