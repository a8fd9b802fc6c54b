"""Names, and patterns that stand for some."""

from collections.abc import Collection
from fnmatch import fnmatchcase


def is_pattern(name: str) -> bool:
    """Tell whether a name has ``*``, ``?`` or ``[…]`` in it."""
    return any(sign in name for sign in "*?[")


def answering(name: str, known: Collection[str]) -> list[str]:
    """Return the name where it is known, or else the known names that answer to it as a pattern."""
    return [name] if name in known else [one for one in known if fnmatchcase(one, name)]
