"""What whoever uses spanmatch can mend, as exceptions with one base; anything else that is raised is a bug.

Imports nothing, so that every package may use it.
"""


class SpanmatchError(Exception):
    """Something that the user can mend; its message is one sentence: argument, rule, value, remedy."""


class InputValueError(SpanmatchError, ValueError):
    """An argument of the right type breaks a rule."""


class InputTypeError(SpanmatchError, TypeError):
    """An argument is of another type than it must be."""


class InputIndexError(SpanmatchError, IndexError):
    """An index names nothing that is there."""
