"""What a row of the table of mended faults is: see test_faults.py."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """A network or file that used to give a wrong number, or a traceback, without a word.

    Attributes
    ----------
    kind
        Number of the kind of fault, a key of `test_faults.KINDS`.
    case
        The network or file.
    before, now
        What used to happen, and what happens now.
    check
        Shows the latter; it is given an empty folder.
    """

    kind: int
    case: str
    before: str
    now: str
    check: Callable[[Path], None]
