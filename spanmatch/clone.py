"""Whether the pipeline lies beside the library: in a clone or an image, never where a wheel was installed."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PIPELINE = ("storage", "tasks", "flows")
HAS_PIPELINE = all(
    (ROOT / place).is_file() for place in ("pyproject.toml", *(f"{name}/__init__.py" for name in PIPELINE))
)
