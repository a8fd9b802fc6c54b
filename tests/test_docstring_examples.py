"""The examples in docstrings run, and give what they show."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import spanmatch


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in pkgutil.walk_packages(spanmatch.__path__, "spanmatch."):
        for found in finder.find(importlib.import_module(module.name)):
            if found.examples:
                yield found


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_an_example_gives_what_it_shows(example: doctest.DocTest) -> None:
    said: list[str] = []
    failed, tried = doctest.DocTestRunner().run(example, out=said.append)
    assert (failed, tried) == (0, len(example.examples)), "".join(said)
