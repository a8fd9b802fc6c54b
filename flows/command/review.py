"""`spanmatch status | layers | prune`: what exists, and what of it is unused.

Nothing is computed.
"""

from collections.abc import Sequence

from rich.console import Console

from flows.command.prune import common_root, remove, survey
from flows.command.screen import show_layers, show_preview, show_status, show_survey
from flows.command.status import status
from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.run.preview import preview, with_paces
from flows.run.rates import keep_rates, read_rates
from flows.run.room import require_fits
from flows.study import layer_list
from flows.study.model import Study
from spanmatch.errors import SpanmatchError
from tasks.cluster import workers_of


def status_session(study: Study, console: Console) -> None:
    """Show what of a study is done, and what a run would compute.

    Raises
    ------
    ValueError, TypeError
        If the study asks for what there is not.
    SpanmatchError
        If what a run would compute does not fit on the disk or into a worker's memory.
    """
    prepared = look(study)
    stages = foresee(prepared)
    show_status(console, study, status(prepared, stages))
    if not any(stage.missing for stage in stages.values()):
        return
    before = read_rates(prepared.root)
    rates = with_paces(stages, before)
    if prepared.root.exists and rates != before:
        keep_rates(prepared.root, rates)
    workers = workers_of(study.scheduler)
    foreseen = preview(prepared, stages, rates, workers.at_once)
    show_preview(console, foreseen, prepared.root, workers)
    require_fits(prepared, foreseen, workers)


def progress_session(study: Study, console: Console) -> None:
    """Show what of a study is done, and nothing of what a run would take.

    Raises
    ------
    ValueError, TypeError
        If the study asks for what there is not.
    """
    show_status(console, study, status(look(study)))


def layers_session(study: Study, console: Console) -> None:
    """List the layers of a study's network, those that it compares marked.

    Raises
    ------
    ValueError, TypeError
        If the study asks for what there is not; of wrong layers, once all have been listed.
    """
    known, items = layer_list.layers_of(study), layer_list.items_of(study)
    try:
        shown, compared = layer_list.as_compared(study, known)
    except SpanmatchError:
        show_layers(console, study, known, (), items)  # whoever asked for the wrong ones wants to see them
        raise
    show_layers(console, study, shown, compared, items)


def prune_session(studies: Sequence[Study], console: Console, *, older_than: float, delete: bool) -> None:
    """List what under the studies' root they do not refer to, and delete it where that is wanted.

    Parameters
    ----------
    studies
        All whose work is kept, of one root.
    console
        Where the list is shown.
    older_than
        Hours: what was written later is left alone.
    delete
        Whether to delete what is unused.

    Raises
    ------
    ValueError
        If the studies have no one root, or it cannot be read.
    """
    root = common_root(studies)
    found = survey(studies, older_than)
    show_survey(console, root, found)
    if delete:
        remove(root, found)
        console.print(f"deleted: {len(found.unused)} unused", highlight=False)
    else:
        console.print("nothing was deleted; --yes deletes what is unused", highlight=False)
