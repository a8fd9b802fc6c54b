"""The command line: ``spanmatch run | serve | status | report | layers | prune | match``.

Dask's worker processes import this module too, so whatever is slow to load is imported by the command that
needs it.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from spanmatch.errors import OwnCodeError, SpanmatchError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="How much of each layer do two neural networks have in common?",
)
console = Console()
_errors = Console(stderr=True)

_Study = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's YAML file.", show_default=False)]
_Epsilons = Annotated[
    list[float] | None,
    typer.Option("--epsilon", help="A further tolerance ε, beside the study's own; may be repeated."),
]
_Root = Annotated[
    str | None,
    typer.Option(
        "--root", help="Folder or URL (s3://bucket/prefix) for everything computed, in place of the study's."
    ),
]


@app.command()
def run(
    study: _Study,
    epsilon: _Epsilons = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a Dask scheduler, in place of this machine.")
    ] = None,
    root: _Root = None,
) -> None:
    """Run a study: compute what is missing, reuse the rest, and report."""
    with _refusals():
        from flows.study.file import read_study

        wanted = read_study(study).with_options(epsilon or (), scheduler, root)
        from flows.command.session import (
            run_session,  # Prefect takes seconds to import: not before the study is sound
        )

        run_session(wanted, console)


@app.command()
def serve(
    study: _Study,
    cron: Annotated[
        str | None, typer.Option("--cron", help="When runs start, such as '0 3 * * *', in local time.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="How often runs start: 90s, 30m, 12h, 1d.")
    ] = None,
    root: _Root = None,
) -> None:
    """Run a study on a schedule, or whenever the UI asks, for as long as this command runs."""
    with _refusals():
        from flows.study.file import read_study

        wanted = read_study(study).with_options(root=root)
        from flows.command.serving import serve_session

        serve_session(wanted, console, cron=cron, every=every)


@app.command()
def status(study: _Study, epsilon: _Epsilons = None, root: _Root = None) -> None:
    """Show what of a study is done, and what a run would compute."""
    from flows.study.file import read_study

    with _refusals():
        wanted = read_study(study).with_options(epsilon or (), root=root)
        from flows.command.screen import show_status
        from flows.command.status import status as status_of
        from flows.run.prepared import look

        show_status(console, wanted, status_of(look(wanted)))


@app.command()
def report(study: _Study, root: _Root = None) -> None:
    """Write the report page again, from the results of the last run."""
    from flows.study.file import read_study

    with _refusals():
        wanted = read_study(study).with_options(root=root)
        from flows.run.collect import read_results
        from storage.result_files import REPORT
        from storage.root import Root
        from tasks.report import write_report

        kept = Root.at(wanted.root)
        kept.check()
        write_report(read_results(kept, wanted.name), kept)
        console.print(f"report: {kept.where(REPORT)}", soft_wrap=True, highlight=False)


@app.command()
def layers(study: _Study) -> None:
    """List the layers of a study's network, with their shapes; marked are those that it compares."""
    from flows.study.file import read_study

    with _refusals():
        wanted = read_study(study)
        from flows.command.screen import show_layers
        from flows.study.layer_list import as_compared, layers_of

        known = layers_of(wanted)
        try:
            shown, compared = as_compared(wanted, known)
        except SpanmatchError:
            show_layers(console, wanted, known, ())  # whoever asked for the wrong ones wants to see them
            raise
        show_layers(console, wanted, shown, compared)


@app.command()
def prune(
    studies: Annotated[
        list[Path],
        typer.Argument(metavar="STUDY...", help="The YAML files of all studies to keep.", show_default=False),
    ],
    root: _Root = None,
    older_than: Annotated[
        float,
        typer.Option(
            "--older-than",
            min=0,
            metavar="HOURS",
            help="Leave alone what was written in the last so many hours: a run may be at work.",
        ),
    ] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is unused.")] = False,
) -> None:
    """List what under a root neither these studies nor its last run refer to; with --yes, delete it."""
    from flows.study.file import read_study

    with _refusals():
        wanted = [read_study(study).with_options(root=root) for study in studies]
        from flows.command.prune import common_root, remove, survey
        from flows.command.screen import show_survey

        kept = common_root(wanted)
        found = survey(wanted, older_than)
        show_survey(console, kept, found)
        if yes:
            remove(kept, found)
            console.print(f"deleted: {len(found.unused)} unused", highlight=False)
        else:
            console.print("nothing was deleted; --yes deletes what is unused", highlight=False)


@app.command()
def match(
    x: Annotated[Path, typer.Argument(metavar="X", help="(samples, neurons) of one network: .npy or .npz.")],
    y: Annotated[Path, typer.Argument(metavar="Y", help="(samples, neurons) of the other.")],
    epsilon: Annotated[
        list[float], typer.Option("--epsilon", help="Tolerance ε in [0, 1); may be repeated.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Match two arrays: no study, no pipeline. Rows are samples, columns are neurons.

    A .npz file holds one array and may hold the samples' ids, which must then be those of the other file.
    """
    from flows.command.match_files import match_arrays, show_json, show_matches

    with _refusals():
        found = match_arrays(x, y, epsilon)
    if as_json:
        show_json(found)
    else:
        show_matches(console, found)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the user can mend into one message and exit code 2, and own up to what is a bug."""
    try:
        yield
    except SpanmatchError as error:
        raise _refused(error) from None
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_interrupt(error):
            raise _failed(error) from None
        _errors.print("stopped; the same command goes on from here", highlight=False)
        raise typer.Exit(130) from None
    except typer.Exit:
        raise
    except Exception as error:
        raise _failed(error) from None


def _failed(error: Exception) -> typer.Exit:
    from tasks.mendable import explained

    told = explained(error)
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
        f"{name} {version(name)}" for name in ("spanmatch", "torch", "prefect", "distributed")
    )
    _errors.print(
        "[bold red]spanmatch:[/] this is a bug in spanmatch, not a fault of yours; what was computed is "
        "kept. Please report it where you have spanmatch from, with all that is printed here, the command "
        f"and the study's file (Python {sys.version.split()[0]}, {versions})",
        highlight=False,
        soft_wrap=True,
    )


def _is_interrupt(error: BaseException | None) -> bool:
    """Tell whether an interrupt is behind an error: inside Python's own locks it comes out as another."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def main() -> None:
    """Enter the command line; modules of one's own are found in the current folder too, after all others."""
    with suppress(FileNotFoundError):  # somebody has removed it: whoever needs it will say so
        sys.path.append(str(Path.cwd()))
    app()


if __name__ == "__main__":
    main()
