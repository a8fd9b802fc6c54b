"""Mended faults of stale results: what a factory stands on, and what does not count; see test_faults.py."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from conftest import TINY
from faults import Fault

from flows.run import plan
from flows.study import resolve as checks
from flows.study.model import Study
from spanmatch.errors import SpanmatchError
from spanmatch.networks.architectures import build
from spanmatch.networks.data import load_dataset
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.factories import require_same_code
from spanmatch.networks.project import project_digest, project_modules
from storage.root import Root
from tasks import networks
from tasks.statistic import Reading

NET = """from torch import nn
def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width()))
"""
EMPTY = {"f_pkg/__init__.py": ""}


@contextmanager
def project(folder: Path, files: dict[str, str]) -> Iterator[None]:
    """Lay out a project that can be imported, and forget it afterwards."""
    write(folder, files)
    loaded, paths = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = paths
        for name in set(sys.modules) - loaded:
            if str(folder) in str(getattr(sys.modules[name], "__path__", "")) + str(
                getattr(sys.modules[name], "__file__", "")
            ):
                del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def width(number: int) -> str:
    return f"def width():\n    return {number}\n"


# The factory's module and how it imports `width`, and the file that holds it.
IMPORTS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "a module beside it": ("f_one", "from f_helper import width", "f_helper.py", {}),
    "import as": ("f_one", "import f_helper as h; width = h.width", "f_helper.py", {}),
    "inside a function": (
        "f_one",
        "def width():\n    import f_helper as h\n    return h.width()",
        "f_helper.py",
        {},
    ),
    "a module of a package": (
        "f_one",
        "from f_pkg.sub import width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "import of a dotted name": (
        "f_one",
        "import f_pkg.sub\nwidth = f_pkg.sub.width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "from a package": (
        "f_one",
        "from f_pkg import sub\nwidth = sub.width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "a package's own file": ("f_one", "from f_pkg import width", "f_pkg/__init__.py", {}),
    "by way of another": (
        "f_one",
        "from f_pkg import width",
        "f_pkg/deep/sub.py",
        {"f_pkg/__init__.py": "from .mid import width", "f_pkg/mid.py": "from .deep.sub import *"},
    ),
    "a star of a package": (
        "f_one",
        "from f_pkg import *\nwidth = sub.width",
        "f_pkg/sub.py",
        {"f_pkg/__init__.py": "__all__ = ['sub']"},
    ),
    "from . import": (
        "f_pkg.one",
        "from . import sub\nwidth = sub.width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "from .module import": ("f_pkg.one", "from .sub import width", "f_pkg/sub.py", EMPTY),
    "from .. import": (
        "f_pkg.deep.one",
        "from ..sub import width",
        "f_pkg/sub.py",
        {"f_pkg/__init__.py": "", "f_pkg/deep/__init__.py": ""},
    ),
    "a package on the way": (
        "f_pkg.one",
        "from builtins import f_width as width",
        "f_pkg/sub.py",
        {"f_pkg/__init__.py": "import builtins\nfrom .sub import width\nbuiltins.f_width = width"},
    ),
    "a namespace package": ("f_space.one", "from f_space.deep.sub import width", "f_space/deep/sub.py", {}),
    "two that import each other": (
        "f_one",
        "import f_two\nwidth = f_two.width",
        "f_two.py",
        {"f_three.py": "import f_two"},
    ),
    "a name given to import_module": (
        "f_one",
        "import importlib\nwidth = importlib.import_module('f_pkg.sub').width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "a name given to import_module by keyword": (
        "f_one",
        "import importlib\nwidth = importlib.import_module(name='f_pkg.sub').width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "import_module by another name": (
        "f_one",
        "from importlib import import_module as im\nwidth = im('f_pkg.sub').width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "a name beside a package's, by keyword": (
        "f_one",
        "from importlib import import_module\nwidth = import_module('.sub', package='f_pkg').width",
        "f_pkg/sub.py",
        EMPTY,
    ),
    "a name beside a package's": (
        "f_one",
        "from importlib import import_module\nwidth = import_module('.sub', 'f_pkg').width",
        "f_pkg/sub.py",
        EMPTY,
    ),
}


def _stale(case: tuple[str, str, str, dict[str, str]], folder: Path) -> None:
    module, statement, helper, others = case
    factory = f"{module}:net"
    files = {**others, f"{module.replace('.', '/')}.py": f"{statement}\n{NET}", helper: width(3)}
    with project(folder, files):
        loaded = set(sys.modules)
        before = project_digest(factory)
        assert set(sys.modules) == loaded, "something was imported"
        network = build(factory, (1, 8, 8), 10)
        assert network[1].out_features == 3
        require_same_code(factory, before)
        write(folder, {helper: "# a comment\n\n" + width(3)})
        assert project_digest(factory) == before
        write(folder, {helper: width(14)})
        after = project_digest(factory)
        assert after != before
        assert build(factory, (1, 8, 8), 10)[1].out_features == 14, "this process went on with the old module"
        require_same_code(factory, after)
        with pytest.raises(ValueError, match="`architecture` must stand on the same sources"):
            require_same_code(factory, before)


FAULTS = [
    Fault(4, f"a changed helper, {case}", "everything reused", "computed anew", partial(_stale, files))
    for case, files in IMPORTS.items()
]


def _another_entry(folder: Path) -> None:
    one = project(folder / "a", {"f_one.py": f"from f_lib import width\n{NET}"})
    with one, project(folder / "b", {"f_lib.py": width(3)}):
        assert project_modules("f_one:net").keys() == {"f_one", "f_lib"}


def _not_the_projects(folder: Path) -> None:
    text = "import json, numpy, torch.nn\nfrom spanmatch.networks.data import Dataset\nimport f_absent\n"
    with project(folder, {"f_one.py": text, "f_unrelated.py": ""}):
        assert project_modules("f_one:net").keys() == {"f_one"}
        assert project_modules("torchvision.models:alexnet").keys() == {"torchvision.models"}
    assert project_digest("resnet20") == ""


def _no_source(folder: Path) -> None:
    with project(folder, {"f_one.py": "import f_wrong\n", "f_wrong.py": "def ("}):
        before = project_digest("f_one:net")
        write(folder, {"f_wrong.py": "def (("})
        assert project_digest("f_one:net") != before


DATA = """import numpy as np
from pathlib import Path
from spanmatch.networks.data import Dataset, Images
from f_helper import width
def data():
    x = np.full((4, 5), width(), np.float32)
    return Dataset("made", None, Images(x, np.zeros(4, np.int64), tuple("abcd")), 1)
"""


def _data(folder: Path) -> None:
    with project(folder, {"f_data.py": DATA, "f_helper.py": width(3)}):
        before = load_dataset("f_data:data")
        assert load_dataset("f_data:data") is before
        write(folder, {"f_helper.py": width(14)})
        after = load_dataset("f_data:data")
        assert after.digest != before.digest
        assert after.held_out.pixels.max() == 14


def _run(folder: Path) -> None:
    changes = {
        "dataset": "digits",
        "architecture": "f_one:net",
        "layers": ["1"],
        "root": str(folder / "root"),
    }
    study = Study.model_validate({**TINY, **changes})
    with project(folder, {"f_one.py": f"from f_helper import width\n{NET}", "f_helper.py": width(10)}):
        resolved = checks.resolve(study)
        assert resolved.code == project_digest("f_one:net")
        unit = networks.plan(plan.wanted(study, resolved), {})["seed0"]
        other = replace(unit, source=DataSource("f_data:data"), recipe=None, weights="none.pt")
        write(folder, {"f_data.py": DATA})
        with pytest.raises(SpanmatchError, match="`dataset` must give the same samples whenever"):
            networks.compute(Root.prepare(study.root), [other], Reading(Root.at(study.root)))
        write(folder, {"f_helper.py": "# longer\n" + width(12)})
        assert project_digest("f_one:net") != resolved.code
        with pytest.raises(SpanmatchError, match="`architecture` must stand on the same sources"):
            networks.compute(Root.prepare(study.root), [unit], Reading(Root.at(study.root)))


FAULTS += [
    Fault(4, "sources and images of a worker that differ", "computed with the old ones", "refused", _run),
    Fault(4, "a helper below another entry of the path", "everything reused", "digested", _another_entry),
    Fault(4, "installed packages, the standard library, spanmatch", "-", "left out", _not_the_projects),
    Fault(4, "a helper that does not parse", "everything reused", "digested as it is", _no_source),
    Fault(4, "a changed helper of a data set", "kept for the life of a process", "loaded anew", _data),
]
