"""What the tests of deployments/ share: its files, and whether a command would be taken by its program."""

import importlib.metadata
from pathlib import Path
from typing import Any

import click
import typer
from conftest import REPOSITORY
from distributed.cli import dask_scheduler, dask_worker
from prefect.cli._app import _app as prefect_commands

from flows.command.cli import app as spanmatch_commands

FOLDER = REPOSITORY / "deployments"
TEXT = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.iterdir()) if path.is_file()}
SCHEDULER = "SPANMATCH_SCHEDULER"  # what `prefect deploy` puts in the studies of prefect.yaml


def dask_options(program: str, *arguments: str) -> dict[str, Any]:
    """Parse options of `dask scheduler` or `dask worker`, which ignore those that they do not know."""
    command = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[program]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = {word for word in arguments if word.startswith("--")} - known
    assert not unknown, f"unknown options of dask {program}: {unknown}"
    return command.make_context(program, list(arguments)).params


def check_command(command: list[str]) -> None:
    """Parse a command as the program itself does, without running it."""
    program, *arguments = command
    if program == "prefect":
        prefect_commands.parse_args(arguments, print_error=False, exit_on_error=False)
    elif program == "dask":
        dask_options(*arguments)
    elif program == "spanmatch":
        group = typer.main.get_command(spanmatch_commands)
        assert isinstance(group, click.Group | typer.core.TyperGroup)
        if arguments != ["--help"]:
            group.commands[arguments[0]].make_context(arguments[0], arguments[1:])
    elif program == "python" and arguments[0] == "-c":
        compile(arguments[1], "<command>", "exec")
    else:
        assert (program, arguments[0]) in {("python", "deployments/slurm.py"), ("pg_isready", "--username")}


def packaged(distribution: str, end: str) -> Path:
    """Return a file inside an installed distribution."""
    files = importlib.metadata.files(distribution) or []
    (found,) = [Path(str(file.locate())) for file in files if str(file).endswith(end)]
    return found
