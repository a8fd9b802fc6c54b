"""The command line: ``init``, ``run``, ``serve``, ``status``, ``report``, ``view``, ``layers``, and so on.

What is slow to load comes with the command that needs it, by the lazy names of `flows.command`.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows import command
from flows.study.file import read_study
from spanmatch.command.program import command_line, match
from spanmatch.command.refusals import refusals
from tasks.mendable import explained

app = command_line()
console = Console()

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
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study to write.", show_default=False)],
    architecture: Annotated[
        str, typer.Option("--architecture", help="A name, or module:function, which returns a network.")
    ],
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset", help="A name, folder:PATH, text:PATH, or module:function, which returns one."
        ),
    ],
    weights: Annotated[
        list[Path] | None,
        typer.Option("--weights", help="A file of a network that is trained already; may be repeated."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option("--seed", help="Train a network from it; may be repeated. Without weights: 0 and 1."),
    ] = None,
    root: _Root = None,
) -> None:
    """Write a commented study of a network and data, after a look at both: layers, shapes and sizes."""
    with refusals(explained):
        command.init_session(
            file,
            console,
            architecture=architecture,
            dataset=dataset,
            weights=weights or (),
            seeds=seed or (),
            root=root,
        )


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
    with refusals(explained):
        wanted = read_study(study).with_options(epsilon or (), scheduler, root)
        command.run_session(wanted, console)


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
    with refusals(explained):
        wanted = read_study(study).with_options(root=root)
        command.serve_session(wanted, console, cron=cron, every=every)


@app.command()
def status(study: _Study, epsilon: _Epsilons = None, root: _Root = None) -> None:
    """Show what of a study is done, and what a run would compute."""
    with refusals(explained):
        command.status_session(read_study(study).with_options(epsilon or (), root=root), console)


@app.command()
def report(study: _Study, root: _Root = None) -> None:
    """Write the report page again, from the results of the last run."""
    with refusals(explained):
        command.report_session(read_study(study).with_options(root=root), console)


@app.command()
def view(
    root: Annotated[
        str, typer.Argument(metavar="ROOT", help="The root, a folder or URL; or the study's YAML file.")
    ],
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Serve the report on this port of loopback."),
    ] = None,
) -> None:
    """Open a study's report in the browser; one in an object store is served on loopback until Ctrl-C."""
    with refusals(explained):
        command.view_session(root, console, port)


@app.command()
def layers(study: _Study) -> None:
    """List the layers of a study's network, with their shapes; marked are those that it compares."""
    with refusals(explained):
        command.layers_session(read_study(study), console)


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, by which editors complete, explain and check them."""
    with refusals(explained):
        typer.echo(command.schema_text(), nl=False)


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
    with refusals(explained):
        wanted = [read_study(study).with_options(root=root) for study in studies]
        command.prune_session(wanted, console, older_than=older_than, delete=yes)


app.command()(match)
