"""A root of the version before: its networks and activations are used, and the rest is computed anew."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NOTHING, TINY, Environment, computed, ledger, measured, results, spanmatch, write_study
from in_process import spanmatch_here
from older_roots import make_older

from flows.command.prune import remove, survey
from flows.command.status import status
from flows.run.prepared import look
from flows.study.file import read_study
from spanmatch.networks.datasource import DataSource
from spanmatch.networks.recipe import Recipe
from storage.inventory import inventory
from storage.root import Artefact, Root
from tasks.networks import NetworkUnit
from tasks.segments import SegmentUnit
from tasks.stages import KINDS

SAID = (
    "the root was written by an earlier version: networks and activations that this version would compute in "
)


@pytest.fixture
def older(tiny_root: Path, copy_of: Callable[[Path], Path]) -> tuple[Path, list[str]]:
    """The tiny study's root as the version before would have left it, and what is of no use in it."""
    root = copy_of(tiny_root)
    return root, make_older(root)


def test_networks_and_activations_are_used_the_rest_is_computed_and_then_cleared(
    older: tuple[Path, list[str]], tiny_root: Path, tmp_path: Path, env: Environment, outside: list[str]
) -> None:
    (root, old), study = older, write_study(tmp_path, TINY)
    printed = spanmatch_here("status", study, "--root", root, env=env)
    assert SAID in printed
    printed = spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert printed.count(SAID) >= 1
    assert "is damaged" not in printed
    assert ledger(root) == {
        "networks": {"computed": 0, "reused": 2},
        "segments": {"computed": 0, "reused": 8},
        "comoments": {"computed": 24, "reused": 0},
        "permuted": {"computed": 0, "reused": 0},
        "profiles": {"computed": 4, "reused": 0},
        "matches": {"computed": 8, "reused": 0},
        "measures": {"computed": measured(4, 2), "reused": 0},
        "exemplars": {"computed": 0, "reused": 0},
    }
    assert results(root) == results(tiny_root)
    assert all((root / name).exists() for name in old)
    spanmatch("prune", study, "--root", root, "--older-than", 0, "--yes", env=env)
    assert not any((root / name).exists() for name in old)
    printed = spanmatch_here("run", study, "--root", root, *outside, env=env)
    assert SAID not in printed
    assert computed(root) == NOTHING
    assert results(root) == results(tiny_root)


def test_status_tells_what_is_there_and_what_will_be_computed(
    older: tuple[Path, list[str]], tmp_path: Path
) -> None:
    root, _ = older
    found = status(look(read_study(write_study(tmp_path, TINY | {"root": str(root)}))))
    assert [notice.startswith(SAID) for notice in found.notices] == [True]
    assert {each.stage: (each.done, each.total) for each in found.stages} == {
        "networks": (2, 2),
        "segments": (8, 8),
        "comoments": (0, 24),
        "permuted": (0, 0),
        "profiles": (0, 4),
        "matches": (0, 8),
        "measures": (0, measured(4, 2)),
        "exemplars": (0, 0),
    }


def test_pruning_before_the_first_run_keeps_all_that_it_will_use(
    older: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, old = older
    root, study = Root.at(path), read_study(write_study(tmp_path, TINY | {"root": str(path)}))
    there = status(look(study))
    found = survey([study], hours=0)
    assert {item.kind.name for item in found.unused} == {"grams"}
    assert {item.kind.name for item in found.undecided} == {"profiles", "matches"}
    files = [file for folder in (*{name.partition("/")[0] for name in old}, "networks", "segments")
             for file in root.place.files(folder)]  # fmt: skip
    assert sum(item.size for item in inventory(root, KINDS)) == sum(file.size for file in files)
    remove(root, found)
    assert status(look(study)) == there
    assert survey([study], hours=0).unused == ()


def test_keys_of_networks_and_activations_are_those_of_the_version_before() -> None:
    source = DataSource("digits")
    known = {"architecture": "vgg9-digits", "code": "", "width": 1.0, "source": source, "device": "cpu"}
    network = NetworkUnit(
        label="",
        **known,
        dataset_digest="data",
        seed=3,
        recipe=Recipe(epochs=2, batch_size=64, learning_rate=0.1, momentum=0.9, weight_decay=0.0005),
        mixed_precision=False,
        weights=None,
        weights_digest=None,
        keep=("final",),
    )
    segment = SegmentUnit(
        label="",
        **known,
        network=Artefact("networks", "key", "networks/key", "weights"),
        checkpoint="final",
        dataset_digest="data",
        layer="relu",
        start=0,
        stop=45,
        positions=4,
        positions_seed=1,
        dtype="float16",
        neurons="last",
    )
    assert network.key == "8ace52c14dbc4f1751ce72b1095f57eb422c64ae277efaad40b752f3442e1f89"
    assert segment.key == "3cb73ebbf8391e9c710d3052ad5ad53243728c02713bb746bebfec63aa1e09f9"
