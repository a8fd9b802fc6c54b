"""The memory of networks, freed at once: what watches one refers to itself."""

import atexit
import gc
from functools import cache


def collect() -> None:
    """Free what refers to itself: Python waits for many objects, however large. Costs what was made since."""
    gc.collect()
    _pass_by_what_is_there()


@cache
def _pass_by_what_is_there() -> None:
    """Let collections pass by what this process holds now: libraries alone take a third of a second."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # extension modules complain of what is not collected in the end
