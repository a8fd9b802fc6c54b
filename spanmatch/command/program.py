"""The commands of the library: ``spanmatch match``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import spanmatch
from spanmatch import command
from spanmatch.command.refusals import refusals


def command_line(epilog: str | None = None) -> typer.Typer:
    """Return the command line, with no command yet."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="How much of each layer do two neural networks have in common?",
        epilog=epilog,
    )
    app.callback()(_options)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spanmatch {spanmatch.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that belong to no command."""


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
    with refusals():
        found = command.match_arrays(x, y, epsilon)
    if as_json:
        command.show_json(found)
    else:
        command.show_matches(Console(), found)


app = command_line(
    "All other commands are the pipeline's, which runs from a clone of the repository or an image."
)
app.command()(match)
