"""Imports what ``package.module:factory`` names, anew where its sources have changed.

Nothing here loads torch.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import FactoryName
from spanmatch.networks.project import project_modules

_imported: dict[str, dict[str, str]] = {}


def import_factory(name: str, argument: str) -> Callable[..., object]:
    """Import ``package.module:factory``.

    Parameters
    ----------
    name
        The factory's.
    argument
        What a message calls it: ``architecture`` or ``dataset``.

    Raises
    ------
    ValueError
        If it does not import or cannot be called.
    """
    module, function = FactoryName.of(name)
    try:
        factory = getattr(_import_anew(module), function)
    except Exception as error:
        got = f"it does not import: {reason(error)}; put its folder on PYTHONPATH, for every worker too"
        raise unusable(name, argument, "a factory that can be imported", got) from error
    if not callable(factory):
        raise unusable(name, argument, "a factory that can be called", f"it is {type(factory).__name__}")
    return factory  # type: ignore[no-any-return]


def unusable(name: str, argument: str, rule: str, got: str) -> InputValueError:
    """Return the error that says what a factory should be and what it is."""
    return InputValueError(f"`{argument}` must name {rule}, but of {name!r} {got}")


def reason(error: Exception) -> str:
    """Name an error's class before its message."""
    return f"{type(error).__name__}: {error}"


def _import_anew(module: str) -> ModuleType:
    """Import a module; anew, with what it stands on, where that has changed since this process imported it.

    A process that outlives an edit, such as a worker of another scheduler, would compute with the old code
    what is kept as the new code's.
    """
    before = _imported.get(module)
    if before is not None and project_modules(module) != before:
        for name in before:
            sys.modules.pop(name, None)
    imported = importlib.import_module(module)
    _imported[module] = project_modules(module)
    return imported
