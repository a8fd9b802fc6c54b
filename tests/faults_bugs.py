"""What a user can mend ends in one sentence and exit code 2; a bug in a traceback and exit code 1."""

import gc
import os
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import COMMAND
from faults import Fault
from pipeline import carried_out, in_this_process, quick, write
from typer.testing import CliRunner

from flows.command import cli
from flows.study import layer_list as layers
from spanmatch.errors import OwnCodeError, SpanmatchError
from tasks.mendable import explained

RAISING = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fc = nn.Linear(64, 16)
        self.relu = nn.ReLU()
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        if WHEN:
            raise KeyError("of my own")
        return self.head(self.relu(self.fc(x.flatten(1))))

def network(classes):
    return Net(classes)
"""


def commanded(*args: object) -> tuple[int, str]:
    """Run the command line in this process; return its exit code and what it printed."""
    done = CliRunner().invoke(cli.app, [*map(str, args)])
    return done.exit_code, done.output


def raising(when: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        name = f"raising_{abs(hash(when))}"
        (folder / f"{name}.py").write_text(RAISING.replace("WHEN", when))
        study = quick(folder, architecture=f"{name}:network", layers=["relu"])
        with pytest.MonkeyPatch.context() as patch, in_this_process() as cluster:
            patch.syspath_prepend(folder)
            with pytest.raises((OwnCodeError, KeyError)) as raised:
                carried_out(study, cluster)
        said = explained(raised.value)  # what is raised before there is work is not yet
        assert isinstance(said, OwnCodeError)
        assert f"forward in {folder / name}.py, line 13, raised KeyError: 'of my own'" in str(said)
        assert "\n" not in str(said)
        assert 'raise KeyError("of my own")' in said.trace
        assert "tasks/networks.py" not in said.trace

    return check


def shown(error: Exception, code: int, *says: str) -> Callable[[Path], None]:
    """Check what the command line makes of an error that comes up within a command."""

    def check(folder: Path) -> None:
        # as if it came up in a module of ours, not in the tests'
        module = {"error": error}
        exec(compile("def layers_of(study): raise error", layers.__file__, "exec"), module)
        study = write(quick(folder), folder / "study.yaml")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(layers, "layers_of", module["layers_of"])
            exit_code, printed = commanded("layers", study)
        assert exit_code == code
        assert all(words in printed for words in says)
        assert ("this is a bug in spanmatch" in printed) == (code == 1)
        assert ("in layers_of" in printed) == (code == 1)

    return check


def refused(
    *says: str, command: str = "status", text: str | None = None, **changes: Any
) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        values = quick(folder).model_dump(mode="json") | changes
        study = folder / "study.yaml"
        study.write_text(yaml.safe_dump(values) if text is None else text, encoding="latin-1")
        exit_code, printed = commanded(command, study)
        assert exit_code == 2, printed
        assert all(words in printed for words in says), printed
        assert "Traceback" not in printed

    return check


def served_beside(folder: Path) -> None:
    study = write(quick(folder), folder / "study.yaml")
    (folder / "tasks.py").write_text("X = 1")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exit_code, printed = commanded("serve", study)
    assert exit_code == 2, printed
    assert "tasks.py'; rename it" in printed.replace("\n", " ")


def folder_as_study(folder: Path) -> None:
    exit_code, printed = commanded("status", folder)
    assert exit_code == 2
    assert "`STUDY` must be a YAML file that can be read" in printed


def file_as_root(folder: Path) -> None:
    (folder / "file").touch()
    refused("`root` must be a folder that can be written", command="run", root=str(folder / "file"))(folder)


def archive(folder: Path) -> None:
    file = folder / "x.npy"
    file.write_bytes(b"PK\x03\x04 and no more of an archive")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # NumPy leaves it open
        exit_code, printed = commanded("match", file, file, "--epsilon", 0.3)
        gc.collect()
    assert exit_code == 2
    assert "write it with numpy.save" in printed


def settings_of_prefect(folder: Path) -> None:
    study = write(quick(folder), folder / "study.yaml")
    done = subprocess.run(
        [*COMMAND, "run", str(study)],
        env={**os.environ, "PREFECT_API_REQUEST_TIMEOUT": "soon", "PREFECT_HOME": str(folder / "prefect")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "the variables PREFECT_… must be what Prefect takes" in done.stderr
    assert "Traceback" not in done.stderr


def memory_of_a_worker(_: Path) -> None:
    with in_this_process() as cluster:
        with pytest.raises(SpanmatchError, match="a piece of work must fit into memory") as raised:
            cluster.run(bytearray, 2**60)
        assert "\n" not in str(raised.value)
        with pytest.raises(ZeroDivisionError):  # a bug stays what it is
            cluster.run(divmod, 1, 0)


def system(do: Callable[[Path], object], *says: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        with pytest.raises(OSError) as raised:
            do(folder)
        raised.value.__traceback__ = None  # which is in the tests' own code
        told = explained(raised.value)
        assert told is not None
        assert all(words in str(told) for words in says)

    return check


def fill(_: Path) -> None:
    with Path("/dev/full").open("w") as file:
        file.write("text")


NUL = "a\0b"
YAML = "`STUDY` must be YAML"
BUGS = [
    Fault(
        12, "a network that raises in training", "a bug of ours", "a sentence on it", raising("self.training")
    ),
    Fault(
        12,
        "a network that raises in extraction",
        "a bug of ours",
        "a sentence on it",
        raising("2 < len(x) < 32"),
    ),
    Fault(
        12, "a KeyError within", "exit code 1", "traceback", shown(KeyError("k"), 1, "KeyError", "report it")
    ),
    Fault(
        12,
        "a ValueError within",
        "one line, exit code 2",
        "traceback",
        shown(ValueError("v"), 1, "Traceback"),
    ),
    Fault(
        12, "a TypeError within", "one line, exit code 2", "traceback", shown(TypeError("t"), 1, "Traceback")
    ),
    Fault(12, "a RuntimeError within", "traceback", "traceback", shown(RuntimeError("r"), 1, "Traceback")),
    Fault(
        12,
        "an error of one's own code, at the command line",
        "a bug of ours",
        "the user's traceback, and a sentence",
        shown(OwnCodeError("it must run", "a trace of theirs"), 2, "it must run", "a trace of theirs"),
    ),
    Fault(12, "no memory left", "a bug", "a sentence", shown(MemoryError(), 2, "must fit into memory")),
    Fault(12, "no memory left on a worker", "a bug", "a sentence", memory_of_a_worker),
    Fault(12, "a full disk outside the root", "a bug", "a sentence", system(fill, "the disk must have room")),
    Fault(12, "a study that is a folder", "a sentence", "a sentence", folder_as_study),
    Fault(12, "a root that is a file", "a sentence", "a sentence", file_as_root),
    Fault(
        12, "a root with a NUL", "a traceback", "a sentence", refused("`root` must be the path of", root=NUL)
    ),
    Fault(
        12,
        "a root of nobody's",
        "a traceback",
        "a sentence",
        refused("`root` must be the path", root="~no-one/x"),
    ),
    Fault(
        12,
        "weights with a NUL in their path",
        "a traceback",
        "a sentence",
        refused("`weights` must be files that can be read", weights={"a": NUL}),
    ),
    Fault(
        12,
        "another study with a NUL in its path",
        "a traceback",
        "a sentence",
        refused("`STUDY` must be a YAML file that can be read", others={"a": NUL}, compare=["others"]),
    ),
    Fault(
        12,
        "YAML with a date that there is not",
        "a traceback",
        "a sentence",
        refused(YAML, text="name: 2026-13-45"),
    ),
    Fault(12, "YAML of thousands of brackets", "a traceback", "a sentence", refused(YAML, text="[" * 5000)),
    Fault(12, "YAML that holds itself", "a sentence", "a sentence", refused("seeds", text="seeds: &a [*a]")),
    Fault(12, "YAML with a key that is a list", "a sentence", "a sentence", refused(YAML, text="? [a]\n: b")),
    Fault(12, "YAML with a key that is a number", "a sentence", "a sentence", refused("STUDY", text="1: 2")),
    Fault(12, "YAML that is not UTF-8", "a sentence", "a sentence", refused(YAML, text="name: caf\xe9")),
    Fault(12, "an archive cut short in place of an array", "a traceback", "a sentence", archive),
    Fault(12, "a variable of Prefect's with no sense", "a traceback", "a sentence", settings_of_prefect),
    *(
        Fault(
            14,
            f"a factory in one's own {name}",
            "ours was imported in its place",
            "refused: rename it",
            refused(f"rename '{name}'", **{argument: f"{name}.inner:made"}),
        )
        for argument, name in (("architecture", "tasks"), ("dataset", "flows"), ("architecture", "storage"))
    ),
    Fault(14, "serving beside one's own tasks.py", "runs found it, not ours", "refused", served_beside),
    Fault(
        10,
        "a factory's file in place of its module",
        "'put its folder on PYTHONPATH'",
        "drop `.py`",
        refused("drop `.py`: inside:network", architecture="inside.py:network"),
    ),
]
