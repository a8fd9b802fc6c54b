"""Modules that a user's factory depends on: found, read and digested, without importing them.

A cached result is reused only while their digest stays the same.
"""

import ast
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions, version
from pathlib import Path
from pkgutil import get_importer, iter_modules

from spanmatch.clone import ROOT
from spanmatch.networks.catalogue import TAKEN_MODULES, FactoryName, is_factory

_IMPORTERS = ("import_module", "__import__")


@dataclass(frozen=True)
class _Module:
    """A module of the project, or a package: then with the folders that its modules are in."""

    name: str
    origin: str
    source: str | None
    folders: tuple[str, ...] | None

    @property
    def package(self) -> str:
        return self.name if self.folders is not None else self.name.rpartition(".")[0]


def project_modules(factory: str) -> dict[str, str]:
    """Return a digest of each module that ``package.module:factory`` stands on, by its name.

    These are the factory's module, and what it imports in turn by a statement, anywhere in it, or by
    ``import_module`` of a name that stands there as text, with the packages on the way. Not those of the
    standard library, of installed distributions (but for the factory's own) and of spanmatch; nor what only
    shows when the code runs: names in variables, ``pkgutil.resolve_name``, ``runpy``, ``exec``,
    ``spec_from_file_location``, ``torch.hub``.

    Comments and layout are not part of a digest. Nothing is imported.
    """
    importlib.invalidate_caches()
    finder = _Finder()
    start = FactoryName.of(factory).module
    digests: dict[str, str] = {}
    waiting = list(_with_packages(start))
    looked_at: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in looked_at:
            continue
        looked_at.add(name)
        module = finder.find(name)
        if module is None:
            continue
        if not _is_installed(module):
            digests[name] = _digest(module)
            waiting += _imports(module, finder)
        elif name == start:
            digests[name] = f"{_digest(module)} {_versions(name)}"
    return digests


def project_digest(factory: str) -> str:
    """Return one digest of all that `project_modules` finds; empty for an architecture of spanmatch's."""
    if not is_factory(factory):
        return ""
    lines = "\n".join(f"{name} {digest}" for name, digest in sorted(project_modules(factory).items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _with_packages(name: str) -> Iterator[str]:
    """Yield the packages that a module is in, outermost first, and the module; nothing for no name."""
    parts = name.split(".") if name else []
    yield from (".".join(parts[: count + 1]) for count in range(len(parts)))


class _Finder:
    """Finds modules as an import would, without importing the packages that they are in."""

    def __init__(self) -> None:
        self._found: dict[str, _Module | None] = {}

    def find(self, name: str) -> _Module | None:
        """Return a module that has a place on the disk."""
        if name not in self._found:
            self._found[name] = self._look_for(name)
        return self._found[name]

    def modules_in(self, package: str) -> list[str]:
        """Return the modules of a package: what a star may import."""
        found = self.find(package)
        folders = () if found is None or found.folders is None else found.folders
        return [f"{package}.{one.name}" for one in iter_modules(folders)]

    def _look_for(self, name: str) -> _Module | None:
        parent = name.rpartition(".")[0]
        package = self.find(parent) if parent else None
        if not parent:
            spec = _top_level(name)
        else:
            spec = None if package is None or package.folders is None else _inner(name, package.folders)
        if spec is None:
            return None
        places = spec.submodule_search_locations
        origin = spec.origin if spec.has_location and spec.origin else ""
        if not origin and not places:
            return None  # built in
        source = spec.loader.get_source(name) if origin and isinstance(spec.loader, InspectLoader) else None
        return _Module(name, origin, source, None if places is None else tuple(places))


def _inner(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """Find a module in the folders of its package, which need not be imported."""
    namespace = ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = []
    for folder in folders:
        finder = get_importer(folder)
        spec = None if finder is None else finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        if spec is not None:
            namespace.submodule_search_locations += spec.submodule_search_locations or []
    return namespace if namespace.submodule_search_locations else None


def _top_level(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a module without a spec, such as __main__
        return None


def _is_installed(module: _Module) -> bool:
    path = Path(module.origin or (module.folders or ("",))[0]).resolve()
    standard = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]
    return (
        not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
        or any(map(path.is_relative_to, standard))
        or (module.name.partition(".")[0] in TAKEN_MODULES and path.is_relative_to(ROOT))
    )


def _versions(name: str) -> str:
    """Return the versions of the distributions that a module comes from."""
    distributions = packages_distributions().get(name.partition(".")[0], [])
    return " ".join(f"{one} {version(one)}" for one in sorted(set(distributions)))


def _digest(module: _Module) -> str:
    if module.source is None:  # a namespace, or a module without a source
        content = Path(module.origin).read_bytes() if Path(module.origin).is_file() else b""
        return hashlib.sha256(content).hexdigest()
    tree = _parsed(module.source)
    return hashlib.sha256((module.source if tree is None else ast.dump(tree)).encode()).hexdigest()


@lru_cache(maxsize=256)
def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def _imports(module: _Module, finder: _Finder) -> Iterator[str]:
    """Yield the names that a module may import; some are those of functions and classes."""
    tree = None if module.source is None else _parsed(module.source)
    importers = set() if tree is None else _importers(tree)
    for node in () if tree is None else ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), module.package)
            if base:
                yield from _with_packages(base)
                for alias in node.names:
                    star = alias.name == "*"
                    yield from finder.modules_in(base) if star else [f"{base}.{alias.name}"]
        elif isinstance(node, ast.Call) and _called(node) in importers:
            yield from _with_packages(_asked_for(node, module.package))


def _importers(tree: ast.Module) -> set[str]:
    """Return what a module calls the functions that import a module by its name."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    aliases = (alias for node in imports if node.module in ("importlib", "builtins") for alias in node.names)
    renamed = {alias.asname for alias in aliases if alias.asname and alias.name in _IMPORTERS}
    return {*_IMPORTERS, *renamed}


def _asked_for(call: ast.Call, package: str) -> str:
    """Return the module that a call of `import_module` names as text, in its own package or a given one."""
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    named = dict(zip(("name", "package"), call.args, strict=False)) | given
    if _called(call) == "__import__":
        named.pop("package", None)  # its second argument is another
    name, anchor = (_text(named.get(key)) for key in ("name", "package"))
    return _absolute(name, anchor or package) if name else ""


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _absolute(name: str, package: str) -> str:
    try:
        return importlib.util.resolve_name(name, package or None)
    except ImportError:  # beyond the outermost package
        return ""
