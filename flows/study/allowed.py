"""Which modules and schedulers the runs of a deployment may use, whoever fills in their form.

A module named in a parameter is imported on the worker and a scheduler's answers are unpickled there; a
person's own command is not restricted.
"""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

from flows.study.file import read_study
from flows.study.model import Study
from spanmatch.errors import InputValueError
from spanmatch.networks.catalogue import FactoryName, is_factory

MODULES = "SPANMATCH_MODULES"
SCHEDULERS = "SPANMATCH_SCHEDULERS"


def check_allowed(study: Study, environment: Mapping[str, str] = os.environ) -> None:
    """See that a study names only modules and schedulers that the worker's environment lists.

    Imports nothing and connects to nothing.

    Raises
    ------
    ValueError
        If it names others.
    """
    modules = _listed(environment, MODULES)
    for argument, name in _factories(study):
        package = FactoryName.of(name).package
        if package not in modules:
            message = (
                f"`{argument}` must name a module of a package that {MODULES} lists in the worker's "
                f"environment ({', '.join(modules) or 'none'}), got {name!r}; have {package!r} added there, "
                "or run the study from the command line"
            )
            raise InputValueError(message)
    schedulers = _listed(environment, SCHEDULERS)
    if study.scheduler is not None and study.scheduler not in schedulers:
        message = (
            f"`scheduler` must be an address that {SCHEDULERS} lists in the worker's environment "
            f"({', '.join(schedulers) or 'none'}), got {study.scheduler!r}; have it added there, or leave "
            "`scheduler` out"
        )
        raise InputValueError(message)


def allow(study: Study, environment: MutableMapping[str, str] = os.environ) -> None:
    """List what a study names, for runs that this process starts: whoever serves a study has chosen it."""
    named = {MODULES: [FactoryName.of(name).package for _, name in _factories(study)]}
    named[SCHEDULERS] = [] if study.scheduler is None else [study.scheduler]
    for variable, names in named.items():
        environment[variable] = ",".join(dict.fromkeys([*_listed(environment, variable), *names]))


def _listed(environment: Mapping[str, str], name: str) -> list[str]:
    return [entry.strip() for entry in environment.get(name, "").split(",") if entry.strip()]


def _factories(study: Study) -> Iterator[tuple[str, str]]:
    """Yield what the study, and those that it compares with, would have imported."""
    others = [(f"others.{name}.", read_study(Path(path))) for name, path in study.others.items()]
    for prefix, one in (("", study), *others):
        if is_factory(one.architecture):
            yield f"{prefix}architecture", one.architecture
        if is_factory(one.dataset):
            yield f"{prefix}dataset", one.dataset
