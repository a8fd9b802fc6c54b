"""Errors that a user can mend, with one base class; any other exception is a bug."""


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
