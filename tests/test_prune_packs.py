"""Packs of which some is wanted are made smaller, whatever comes in between, and nothing wanted is lost."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import pytest
from conftest import NOTHING, Environment, computed, results, write_study
from in_process import spanmatch_here
from test_prune import DEAD, FEWER, study_of
from test_reuse import content
from test_roots import objects

from flows.command.prune import Survey, remove, survey
from flows.command.status import status
from flows.run.prepared import look
from storage.bucket import Bucket
from storage.folder import Folder
from storage.packs import Packs
from storage.records import Records
from storage.result_files import STUDY
from storage.root import Root
from tasks.stage import Form
from tasks.stages import STAGES

PACKED = {name for name, stage in STAGES.items() if stage.form is not Form.FOLDER}


def vouched(root: Root) -> set[str]:
    """Return the keys of all records, having seen that the artefact of each is there, read where packed."""
    names = {file.name for stage in STAGES for file in root.place.files(stage)}
    reading, records, there = Packs(root), Records(root), set()
    for stage in STAGES.values():
        keys = {key for together in records.kept(stage.name).values() for key in together}
        found = records.find(stage.name, keys)
        assert found.keys() == keys
        for key, one in found.items():
            if stage.form is Form.PACK:
                reading.read(stage.artefact(key, one))
            elif stage.form is Form.FOLDER:
                end = "final.safetensors" if stage.name == "networks" else "manifest.json"
                assert f"{stage.artefact(key, one).name}/{end}" in names
        there |= keys
    return there


def size_of(root: Root, folder: str) -> int:
    return sum(file.size for file in root.place.files(folder))


def accounted(root: Root, found: Survey) -> bool:
    """Tell whether the sizes of all items are those of all files, but for the results."""
    items = [
        item for name in Survey.__dataclass_fields__ if name != "wanted" for item in getattr(found, name)
    ]
    kept = (*STAGES, "grams", "training", "cache")
    return sum(item.size for item in items) == sum(size_of(root, folder) for folder in kept)


def test_a_pack_of_which_some_is_wanted_is_made_smaller(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, env: Environment, outside: list[str]
) -> None:
    path = copy_of(tiny_root)
    root, study = Root.at(path), study_of(FEWER, path, tmp_path)
    root.place.remove(STUDY)
    done, found = status(look(study)), survey([study], hours=0)
    assert {item.kind.name for item in found.shared} <= PACKED
    assert sum(len(item.keys) for item in found.shared) > sum(
        len(item.keys & found.wanted) for item in found.shared
    )
    assert accounted(root, found)
    assert not survey([study], hours=24).shared, "a run may have just written them"
    before = {stage: size_of(root, stage) for stage in STAGES}
    printed = spanmatch_here(
        "prune", write_study(tmp_path, FEWER), "--root", path, "--older-than", 0, "--yes", env=env
    )
    assert f"{len(found.shared)} files of " in printed
    left = survey([study], hours=0)
    assert (left.shared, left.unused) == ((), ())
    assert accounted(root, left)
    assert status(look(study)) == done
    assert vouched(root) < found.wanted, "and of settings"
    assert all(
        size_of(root, stage) < before[stage]
        for stage in STAGES
        if stage not in ("networks", "permuted", "measures", "exemplars")
    )
    spanmatch_here("run", write_study(tmp_path, FEWER), "--root", path, *outside, env=env)
    assert computed(path) == NOTHING
    assert set(results(path)[0].splitlines()) < set(results(tiny_root)[0].splitlines())


@pytest.mark.parametrize("damaged", [None, b"", b"nonsense"], ids=["gone", "empty", "nonsense"])
def test_a_pack_that_cannot_be_read_is_left_to_the_run_that_repairs_it(
    damaged: bytes | None, tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = copy_of(tiny_root)
    root, study = Root.at(path), study_of(FEWER, path, tmp_path)
    root.place.remove(STUDY)
    pack = min((path / "profiles").iterdir())
    pack.unlink() if damaged is None else pack.write_bytes(damaged)
    done = status(look(study))
    remove(root, survey([study], hours=0))
    assert status(look(study)) == done
    left = survey([study], hours=0)
    assert {item.kind.name for item in left.shared} <= {"profiles"}
    assert all(item.key == pack.stem for item in left.shared)
    assert left.unused == ()


def test_a_kill_between_any_two_changes_leaves_nothing_half(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(FEWER, tmp_path / "root", tmp_path)
    root, steps, ended = Root.at(study.root), 0, False
    while not ended:
        shutil.rmtree(study.root, ignore_errors=True)
        shutil.copytree(tiny_root, study.root)
        root.place.remove(STUDY)
        done, found = status(look(study)), survey([study], hours=0)
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "remove", interrupting(Folder.remove, left := [steps]))
            patched.setattr(Folder, "settle", interrupting(Folder.settle, left))
            try:
                remove(root, found)
                ended = True
            except KeyboardInterrupt:
                steps += 1
        assert vouched(root)
        assert status(look(study)) == done
        again = survey([study], hours=0)
        assert again.wanted == found.wanted
        assert accounted(root, again)
        remove(root, again)
        again = survey([study], hours=0)
        assert (again.unused, again.shared) == ((), ())
        assert status(look(study)) == done
        assert vouched(root) <= found.wanted
    # what was looked up; record, then activations, of 8 segments; of each that is made smaller its pack and
    # its record, new and old; measures are in their record
    assert steps == 1 + 2 * 8 + sum(4 if item.kind.files else 2 for item in found.shared)


def interrupting(change: Callable[..., None], left: list[int]) -> Callable[..., None]:
    """Make changes as before, so many times."""

    def limited(place: Folder, *args: Any, **options: Any) -> None:
        name = args[-1]
        if change.__name__ == "remove" and not (place.path / name).exists():
            return
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        change(place, *args, **options)

    return limited


def test_in_an_object_store_too(
    tiny_root: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: Environment
) -> None:
    root, study = Root.at(url), study_of(FEWER, url, tmp_path)
    assert isinstance(root.place, Bucket)
    store = root.place._store
    there = {**content(tiny_root), "notes.txt": b"mine", f"segments/{DEAD}.zarr/chunk.txt": b"mine"}
    for name, file in there.items():
        obstore.put(store, name, file)
    root.place.remove(STUDY)
    done, found = status(look(study)), survey([study], hours=0)
    assert [item.foreign for item in found.foreign] == [f"segments/{DEAD}.zarr/chunk.txt"]
    assert survey([study]).unused == ()
    changes, steps = {"delete": obstore.delete, "put": obstore.put}, 0
    one = next(item for item in found.unused if item.kind.name == "segments")
    some = replace(found, unused=(one,), shared=found.shared[-1:])

    class Interrupting:
        """Changes the store so many times."""

        left = 0

        def __init__(self, change: Callable[..., object]) -> None:
            self.change = change

        def __call__(self, *args: object) -> None:
            if not Interrupting.left:
                raise KeyboardInterrupt
            Interrupting.left -= 1
            self.change(*args)

    while True:
        Interrupting.left = steps
        with monkeypatch.context() as patched:
            for name, change in changes.items():
                patched.setattr(obstore, name, Interrupting(change))
            try:
                remove(root, some)
                break
            except KeyboardInterrupt:
                assert vouched(root)
        steps += 1
    assert steps >= 2 + 4
    assert status(look(study)) == done
    printed = spanmatch_here(
        "prune",
        write_study(tmp_path, FEWER),
        "--root",
        url,
        "--older-than",
        0,
        "--yes",
        env=env,
    )
    assert url in printed
    left, found = objects(root), survey([study], hours=0)
    assert left["notes.txt"] == b"mine"
    assert (found.unused, found.shared) == ((), ())
    assert accounted(root, found)
    assert vouched(root) <= found.wanted
    assert status(look(study)) == done
