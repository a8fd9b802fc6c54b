"""What is damaged under a root, or not there, said in one sentence to whoever reads it."""

from collections.abc import Iterator
from contextlib import contextmanager

from spanmatch.errors import InputValueError, SpanmatchError
from storage.result_files import STUDY
from storage.root import DamagedArtefactError, DamagedArtefactsError, Root


@contextmanager
def damage_named(root: Root) -> Iterator[None]:
    """Name what is damaged, and what computes it again.

    Raises
    ------
    SpanmatchError
        If something within the block is not what was written.
    """
    try:
        yield
    except (DamagedArtefactError, DamagedArtefactsError) as error:
        raise SpanmatchError(
            f"`path` must hold what was written, but in {root.where()!r} is damaged {error}; `spanmatch run` "
            "of its study computes it again"
        ) from None


def nothing_in(root: Root, argument: str = "path") -> InputValueError:
    """Return the error of a folder in which no run has finished, with the roots right below it.

    Parameters
    ----------
    root
        Where nothing was found.
    argument
        What the user calls it.
    """
    below = sorted(name for name in root.place.folders("") if STUDY in root.place.names(name))
    if below:
        return InputValueError(
            f"`{argument}` must be the root of a study, got {root.where()!r}, which holds those of "
            f"{', '.join(below)}; open one of them, such as {root.where(below[0])!r}"
        )
    return InputValueError(
        f"`{argument}` must be the root of a study of which a run has finished, got {root.where()!r}, which "
        f"has no {STUDY}; `spanmatch run` of the study computes it"
    )
