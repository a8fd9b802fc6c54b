"""Docstrings are numpydoc's, by its own validation and the checks that pyproject.toml names."""

import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from conftest import REPOSITORY
from numpydoc.validate import ERROR_MSGS, validate

import flows
import spanmatch
import storage
import tasks
from spanmatch import command, errors, matching, measures, networks, reporting, statistics

SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
NAMED = set(SETTINGS["numpydoc_validation"]["checks"])
CHECKS = set(ERROR_MSGS) - NAMED if "all" in NAMED else NAMED


def modules(package: ModuleType) -> list[ModuleType]:
    """A package and all modules in it."""
    inside = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [package, *(importlib.import_module(each.name) for each in inside)]


def is_documented(key: str, member: object) -> bool:
    """Tell methods and properties from fields, whose values may be functions of another name."""
    method = inspect.isfunction(member) and member.__name__ == key
    return method or isinstance(member, property | classmethod | staticmethod)


def public(module: ModuleType) -> Iterator[str]:
    """Names of what a module defines for others: functions, classes and their methods."""
    for name, value in vars(module).items():
        if name.startswith("_") or not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        if not name.isidentifier():  # pydantic's, of a generic class with its arguments
            continue
        if (value.__module__, value.__name__) == (module.__name__, name):
            yield from (f"{module.__name__}.{each}" for each in (name, *methods(name, value)))


def methods(name: str, value: object) -> list[str]:
    members = vars(value).items() if inspect.isclass(value) else ()
    return [f"{name}.{key}" for key, member in members if key[0] != "_" and is_documented(key, member)]


EXPORTED = {f"spanmatch.{name}": getattr(spanmatch, name) for name in spanmatch.__all__}
METHODS = [method for name, value in EXPORTED.items() for method in methods(name, value)]
PACKAGES = (command, matching, measures, networks, reporting, statistics, storage, tasks, flows)
INSIDE = [name for package in PACKAGES for module in modules(package) for name in public(module)]


def faults(name: str) -> list[str]:
    """What numpydoc says; of exported functions all parameters are asked for, and an example."""
    found: dict[str, Any] = validate(name)
    in_full = inspect.isfunction(EXPORTED.get(name)) or "Parameters\n---" in found["docstring"]
    wanted = CHECKS | {"PR01"} if in_full else CHECKS
    if inspect.isfunction(EXPORTED.get(name)) and name != "spanmatch.open_root":  # which needs a root
        wanted = wanted | {"EX01"}
    return [f"{code} {message}" for code, message in found["errors"] if code in wanted]


@pytest.mark.parametrize("name", [*EXPORTED, *METHODS, *public(errors), *INSIDE])
def test_a_public_docstring_is_valid(name: str) -> None:
    assert faults(name) == []


def misnamed(first: int, second: int) -> int:
    """Add two numbers

    Returns
    -------
    int
        The sum

    Parameters
    ----------
    first
        One of them.
    third
        Another.
    """
    return first + second


def test_a_docstring_that_is_wrong_is_found() -> None:
    found = {fault.partition(" ")[0] for fault in faults(f"{__name__}.misnamed")}
    assert found == {"SS03", "GL07", "PR01", "PR02", "RT05"}
