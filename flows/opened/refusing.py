"""What is damaged under a root, said in one sentence to whoever reads it."""

from collections.abc import Iterator
from contextlib import contextmanager

from spanmatch.errors import SpanmatchError
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
