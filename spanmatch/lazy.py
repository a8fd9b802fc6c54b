"""Names of a package that load their modules when they are asked for (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType

from spanmatch.errors import MissingExtraError

Lazy = tuple[Callable[[str], object], Callable[[], list[str]], list[str]]


def lazy(
    package: str,
    modules: Mapping[str, str],
    extra: str | None = None,
    needs: Mapping[str, str] = MappingProxyType({}),
) -> Lazy:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package whose `__init__` imports nothing.

    Parameters
    ----------
    package
        The package's ``__name__``.
    modules
        The names that each module gives the package, separated by spaces. None is called as a module of the
        package: importing that would put it in the name's place.
    extra
        What of spanmatch's extras installs what these modules import.
    needs
        Names with a package each without which they are not listed: ``import *`` asks for all that are.

    Notes
    -----
    ``__getattr__`` raises `MissingExtraError` where a package of that extra is not installed.
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def load(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(home[name])
        except ModuleNotFoundError as error:
            if extra is None or error.name is None or error.name.startswith("spanmatch"):
                raise
            message = (
                f"`{package}.{name}` must have the packages of the extra {extra!r}, got none called "
                f"{error.name!r}; pip install 'spanmatch[{extra}]'"
            )
            raise MissingExtraError(message, name=error.name) from None
        return getattr(module, name)

    missing = {name for name, needed in needs.items() if find_spec(needed) is None}
    names = sorted(name for name in home.keys() - missing if not name.startswith("_"))
    return load, lambda: names, names
