"""What several parts of one report compute from the same results, computed once."""

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from spanmatch.reporting.results import StudyResults

__all__ = ["once_for_results"]

Made = TypeVar("Made")


def once_for_results(function: Callable[[StudyResults], Made]) -> Callable[[StudyResults], Made]:
    """Remember what a function made of the last results, which are frozen; nobody may change what it made."""
    last: list[tuple[weakref.ref[StudyResults], Made]] = []

    @wraps(function)
    def remembering(results: StudyResults) -> Made:
        if last and last[0][0]() is results:
            return last[0][1]
        made = function(results)
        last[:] = [(weakref.ref(results), made)]
        return made

    return remembering
