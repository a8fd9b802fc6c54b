"""Errors that a user can mend, with one base class; any other exception is a bug."""

import difflib
from collections.abc import Collection


class SpanmatchError(Exception):
    """Something that the user can mend; its message is one sentence: argument, rule, value, remedy."""


class InputValueError(SpanmatchError, ValueError):
    """An argument of the right type breaks a rule."""


class InputTypeError(SpanmatchError, TypeError):
    """An argument is of another type than it must be."""


class InputIndexError(SpanmatchError, IndexError):
    """An index names nothing that is there."""


class MissingExtraError(SpanmatchError, ImportError):
    """What is asked for needs packages that one of spanmatch's extras installs."""


class UndefinedMeasureError(SpanmatchError):
    """A measure says nothing of two layers; the message says why."""


class OwnCodeError(SpanmatchError):
    """Code of the user's own, an architecture or a data set, raised an error.

    Attributes
    ----------
    trace
        Where, as Python prints it: the calls from the first in that code on.
    """

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message, trace)
        self.trace = trace

    def __str__(self) -> str:
        return str(self.args[0])


def unknown_name(
    argument: str, name: object, known: Collection[str], *, forms: Collection[str] = (), remedy: str = ""
) -> InputValueError:
    """Return the error of a name that is not known, which gives the nearest that is.

    Parameters
    ----------
    argument : str
        What the user calls the name.
    name : object
        What was given, a name or something else.
    known : Collection[str]
        All that there are.
    forms : Collection[str], optional
        Further forms that a name may have.
    remedy : str, optional
        What else may help.
    """
    near = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    help_ = " ".join(filter(None, [f"did you mean {near[0]!r}?" if near else "", remedy]))
    message = f"`{argument}` must be one of: {', '.join([*known, *forms])}; got {name!r}; {help_}"
    return InputValueError(message.rstrip("; "))
