"""The memory of networks, freed at once: what watches one refers to itself."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def collect() -> None:
    """Free what refers to itself: Python waits for many objects, however large.

    Costs what was made since others were put to rest; a third of a second where none are, for libraries. What
    is left is put to rest with them.
    """
    gc.collect()
    if gc.get_freeze_count():
        gc.freeze()


@contextmanager
def others_at_rest() -> Iterator[None]:
    """Keep Python's collector from going through all that is there while much more is made.

    Where objects are at rest already it leaves them so: nobody can tell which to wake afterwards.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
