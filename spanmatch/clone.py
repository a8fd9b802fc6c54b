"""Where the pipeline is: beside the library in a clone or an image, nowhere where a wheel is installed."""

from importlib.util import find_spec
from pathlib import Path

from spanmatch.errors import MissingExtraError, SpanmatchError

ROOT = Path(__file__).parents[1]
PIPELINE = ("storage", "tasks", "flows")
HAS_PIPELINE = all(
    (ROOT / place).is_file() for place in ("pyproject.toml", *(f"{name}/__init__.py" for name in PIPELINE))
)


def require_pipeline(what: str) -> None:
    """See that the pipeline is there, and that Python finds it, not somebody else's modules of its names.

    Parameters
    ----------
    what : str
        What needs it.

    Raises
    ------
    SpanmatchError
        If not.
    """
    if not HAS_PIPELINE:
        raise SpanmatchError(
            f"`{what}` must be used where the pipeline is, got the library alone; clone the repository and "
            "type `make`, or use its image"
        )
    for name in PIPELINE:
        spec = find_spec(name)
        if spec is not None and (
            spec.origin is None or not Path(spec.origin).samefile(ROOT / name / "__init__.py")
        ):
            raise SpanmatchError(
                f"`{name}` must be the pipeline's own package where a study is run, got {spec.origin!r}, "
                "which Python finds first; rename it, or take its folder off PYTHONPATH"
            )


def missing_package(error: ModuleNotFoundError, what: str = "this command") -> MissingExtraError | None:
    """Return what to tell whoever uses something of which a package is not installed; None for our own."""
    if error.name is None or error.name.partition(".")[0] in ("spanmatch", *PIPELINE):
        return None
    remedy = f"pip install --editable '{ROOT}[all]'" if HAS_PIPELINE else "pip install 'spanmatch[command]'"
    message = f"{what} must have its packages installed, got none called {error.name!r}; {remedy}"
    return MissingExtraError(message, name=error.name)
