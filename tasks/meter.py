"""What work took: seconds and memory, measured on workers, so that the next run can be foreseen."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.unit import Unit

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # of one unit of `ru_maxrss`


class Took(NamedTuple):
    """What some units took.

    Attributes
    ----------
    seconds
        On a worker, what was kept of them included.
    foreseen
        Their own `Unit.seconds`.
    """

    seconds: float
    foreseen: float

    def and_(self, other: "Took") -> "Took":
        """Return what both took."""
        return Took(self.seconds + other.seconds, self.foreseen + other.foreseen)


@dataclass
class Meter:
    """Adds up what units took.

    Attributes
    ----------
    took
        By stage and pace.
    peak
        Resident bytes of one process.
    """

    took: dict[tuple[str, str], Took] = field(default_factory=dict)
    peak: int = 0

    def note(self, group: Sequence[Unit], seconds: float) -> None:
        """Note what a group took."""
        self._add((group[0].stage, group[0].pace), Took(seconds, sum(unit.seconds for unit in group)))

    def add(self, other: "Meter") -> None:
        """Add what another has measured."""
        for what, took in other.took.items():
            self._add(what, took)
        self.peak = max(self.peak, other.peak)

    def _add(self, what: tuple[str, str], took: Took) -> None:
        self.took[what] = self.took.get(what, Took(0.0, 0.0)).and_(took)


class Stopwatch:
    """Measures one piece of work after the other, without a gap between them."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        return seconds


def peak_of_this_process() -> int:
    """Return the most resident bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
