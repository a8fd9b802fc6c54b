"""The program ``spanmatch``, also ``python -m spanmatch``: finds the commands, or says what they need.

Imports nothing but Python's own at first, and the pipeline by its name alone: a wheel does not hold it.
"""

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

import spanmatch
from spanmatch.clone import HAS_PIPELINE, missing_package, require_pipeline
from spanmatch.errors import SpanmatchError

_PIPELINE_COMMANDS = ("init", "run", "serve", "status", "report", "view", "layers", "schema", "prune")


def main() -> None:
    """Enter the command line; modules of one's own are found in the current folder too, after all others."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"spanmatch {spanmatch.__version__}\n")
        return
    _look_here_last()
    try:
        commands = _commands(sys.argv[1:2])
    except SpanmatchError as error:
        sys.stderr.write(f"spanmatch: {error}\n")
        sys.exit(2)
    commands.app()


def _look_here_last() -> None:
    with suppress(FileNotFoundError):  # somebody has removed it: whoever needs it will say so
        here = str(Path.cwd())
        sys.path[:] = [*(folder for folder in sys.path if folder not in ("", here)), here]


def _commands(first: list[str]) -> ModuleType:
    """Import the commands among which the first word is looked for."""
    asked = bool(first) and first[0] in _PIPELINE_COMMANDS
    pipeline = asked or (HAS_PIPELINE and first != ["match"])
    if pipeline:
        require_pipeline(f"spanmatch {first[0]}" if asked else "spanmatch")
    try:
        return import_module("flows.command.cli" if pipeline else "spanmatch.command.program")
    except ModuleNotFoundError as error:
        raise missing_package(error) or error from None


if __name__ == "__main__":
    main()
