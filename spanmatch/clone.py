"""Where the pipeline is: beside the library in a clone or an image, nowhere where a wheel is installed."""

from pathlib import Path

from spanmatch.errors import MissingExtraError

ROOT = Path(__file__).parents[1]
PIPELINE = ("storage", "tasks", "flows")
HAS_PIPELINE = all(
    (ROOT / place).is_file() for place in ("pyproject.toml", *(f"{name}/__init__.py" for name in PIPELINE))
)


def missing_package(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return what to tell whoever gives a command of which a package is not installed; None for our own."""
    if error.name is None or error.name.partition(".")[0] in ("spanmatch", *PIPELINE):
        return None
    remedy = f"pip install --editable '{ROOT}[all]'" if HAS_PIPELINE else "pip install 'spanmatch[command]'"
    message = f"this command must have its packages installed, got none called {error.name!r}; {remedy}"
    return MissingExtraError(message, name=error.name)
