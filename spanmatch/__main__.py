"""The program ``spanmatch``, also ``python -m spanmatch``: finds the commands, or says what they need.

Imports nothing but Python's own at first, and the pipeline by its name alone: a wheel does not hold it.
"""

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import spanmatch
from spanmatch.clone import HAS_PIPELINE, PIPELINE, ROOT, missing_package
from spanmatch.errors import SpanmatchError

_PIPELINE_COMMANDS = ("run", "serve", "status", "report", "layers", "prune")


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
    if first and first[0] in _PIPELINE_COMMANDS and not HAS_PIPELINE:
        raise SpanmatchError(
            f"`spanmatch {first[0]}` must be given where the pipeline is, got the library alone; clone the "
            "repository and type `make`, or use its image"
        )
    pipeline = HAS_PIPELINE and first != ["match"]
    if pipeline:
        _require_ours()
    try:
        return import_module("flows.command.cli" if pipeline else "spanmatch.command.program")
    except ModuleNotFoundError as error:
        raise missing_package(error) or error from None


def _require_ours() -> None:
    """See that Python finds the pipeline's packages, not somebody else's modules of their names."""
    for name in PIPELINE:
        spec = find_spec(name)
        if spec is not None and (
            spec.origin is None or not Path(spec.origin).samefile(ROOT / name / "__init__.py")
        ):
            raise SpanmatchError(
                f"`{name}` must be the pipeline's own package where a study is run, got {spec.origin!r}, "
                "which Python finds first; rename it, or take its folder off PYTHONPATH"
            )


if __name__ == "__main__":
    main()
