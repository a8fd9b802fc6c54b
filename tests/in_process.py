"""The command line in the process of the tests: what it loads is there after the first command."""

import os
from pathlib import Path

from conftest import Environment
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    temporary_settings,
)
from typer.testing import CliRunner

from flows.command import cli


def spanmatch_here(*args: object, env: Environment, expect: int = 0) -> str:
    """Run a command in an environment with a running server; return what it printed.

    For tests to which it is all one which process a command runs in; a process of its own takes seconds.
    """
    settings = {
        PREFECT_API_URL: env["PREFECT_API_URL"],
        PREFECT_HOME: Path(env["PREFECT_HOME"]),
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # ending it takes a second
    }
    before, width = dict(os.environ), cli.console.width
    try:
        cli.console.width = int(env["COLUMNS"])
        with temporary_settings(settings):
            done = CliRunner().invoke(cli.app, [*map(str, args)], env=env, catch_exceptions=False)
    finally:
        cli.console.width = width
        os.environ.clear()
        os.environ.update(before)  # a run sets what nobody has chosen
    assert done.exit_code == expect, done.output
    return done.output
