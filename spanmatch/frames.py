"""Pandas, where it is installed: results become data frames, and nothing else needs it."""

from importlib import import_module
from typing import Any

from spanmatch.errors import MissingExtraError


def pandas_for(what: str, instead: str) -> Any:  # noqa: ANN401 - a package that need not be there
    """Return pandas.

    Parameters
    ----------
    what : str
        The method that must have it.
    instead : str
        What to read without it.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    try:
        return import_module("pandas")
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"`{what}` must have pandas, got none installed; pip install pandas, or read {instead}",
            name="pandas",
        ) from None
