"""`spanmatch status | layers | prune`: what exists, and what of it is unused.

Nothing is computed.
"""

from collections.abc import Sequence

from rich.console import Console

from flows.command.prune import common_root, remove, survey
from flows.command.screen import show_layers, show_status, show_survey
from flows.command.status import status
from flows.run.prepared import look
from flows.study import layer_list
from flows.study.model import Study
from spanmatch.errors import SpanmatchError


def status_session(study: Study, console: Console) -> None:
    """Show what of a study is done, and what a run would compute.

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
