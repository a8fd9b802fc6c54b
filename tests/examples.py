"""How many examples a property is tried on."""

import os

from hypothesis import settings

SHARE = "SPANMATCH_EXAMPLES"  # in the environment: the share of the examples that are tried

_FEWEST = 5


def share(count: int, fewest: int = 1) -> int:
    """Return so many, or the share of them that the environment asks for."""
    return max(min(count, fewest), round(float(os.environ.get(SHARE, "1")) * count))


def examples(count: int) -> settings:
    """Try so many examples, or the share of them that the environment asks for."""
    return settings(deadline=None, max_examples=share(count, _FEWEST))
