"""What a command shows of an error: one sentence where the user can mend it, else a traceback."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import typer
from rich.console import Console

from spanmatch.clone import missing_package
from spanmatch.errors import OwnCodeError, SpanmatchError

_errors = Console(stderr=True)

Explain = Callable[[Exception], SpanmatchError | None]


def itself(error: Exception) -> SpanmatchError | None:
    """Return an error that the user can mend, or None."""
    return error if isinstance(error, SpanmatchError) else None


@contextmanager
def refusals(explained: Explain = itself) -> Iterator[None]:
    """Turn what the user can mend into one message and exit code 2, and own up to what is a bug.

    Parameters
    ----------
    explained
        Returns what to tell the user in place of an error, or None where it is a bug.
    """
    try:
        yield
    except SpanmatchError as error:
        raise _refused(error) from None
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_interrupt(error):
            raise _failed(error, explained) from None
        _errors.print("stopped; the same command goes on from here", highlight=False)
        raise typer.Exit(130) from None
    except typer.Exit:
        raise
    except Exception as error:
        raise _failed(error, explained) from None


def _failed(error: Exception, explained: Explain) -> typer.Exit:
    told = explained(error)
    if told is None and isinstance(error, ModuleNotFoundError):
        told = missing_package(error)
    if told is not None:
        return _refused(told)
    _show_bug(error)
    return typer.Exit(1)


def _refused(error: SpanmatchError) -> typer.Exit:
    if isinstance(error, OwnCodeError):
        _errors.print(error.trace, markup=False, highlight=False, soft_wrap=True)
    _errors.print("[bold red]spanmatch:[/]", end=" ")
    _errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(2)


def _show_bug(error: Exception) -> None:
    """Print the traceback of what is not the user's fault, and what to do with it."""
    traceback.print_exception(error)
    versions = ", ".join(
        f"{name} {_version(name)}" for name in ("spanmatch", "numpy", "torch", "prefect", "distributed")
    )
    _errors.print(
        "[bold red]spanmatch:[/] this is a bug in spanmatch, not a fault of yours; what was computed is "
        "kept. Please report it where you have spanmatch from, with all that is printed here, the command "
        f"and the study's file (Python {sys.version.split()[0]}, {versions})",
        highlight=False,
        soft_wrap=True,
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _is_interrupt(error: BaseException | None) -> bool:
    """Tell whether an interrupt is behind an error: inside Python's own locks it comes out as another."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
