"""What nothing refers to is found and removed, whole; what a study refers to, and what is not ours, stays."""

import errno
import json
import os
import shutil
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import obstore
import pytest
from conftest import NOTHING, TINY, Environment, computed, results, spanmatch, write_study
from tasks.grams import prefixes
from test_reuse import content
from test_roots import objects

from flows.command.prune import remove, survey
from flows.command.status import planned, status
from flows.study.file import read_study
from flows.study.kept import keep
from flows.study.model import Study
from flows.study.resolve import resolve
from spanmatch.errors import SpanmatchError
from storage.bucket import Bucket
from storage.folder import Folder
from storage.places import UnusableRootError
from storage.result_files import STUDY
from storage.root import FORMAT, STAGES, Root

# A further seed, and a further segment of images: every stage has something that the tiny study has not.
GROWN = TINY | {"seeds": [0, 1, 2], "images": 135}
# Something of every stage but the first is left over.
FEWER = TINY | {"layers": TINY["layers"][:1]}
DEAD, OTHER = "d" * 64, "e" * 64


@pytest.fixture(scope="module")
def grown_root(
    tiny_root: Path, tmp_path_factory: pytest.TempPathFactory, env: Environment, outside: list[str]
) -> Path:
    """The tiny study, grown. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("grown")
    root = Path(shutil.copytree(tiny_root, folder / "root"))
    spanmatch("run", write_study(folder, GROWN), "--root", root, *outside, env=env)
    return root


def study_of(values: dict, root: Path | str, folder: Path) -> Study:
    return read_study(write_study(folder, values)).with_options(root=str(root))


def stages(root: Path) -> dict[str, bytes]:
    kept = (*STAGES, *(f"cache/{stage}" for stage in STAGES))
    return {
        name: file
        for name, file in content(root).items()
        if name.startswith(tuple(f"{each}/" for each in kept))
    }


def litter(root: Path) -> tuple[list[Path], list[Path]]:
    """Leave what kills and older versions leave, and what others do; return what goes and what stays."""
    segment, record = min((root / "segments").iterdir()), min((root / "cache" / "grams").iterdir())
    finished = min((root / "networks").iterdir()).name
    gone = [
        Path(shutil.copytree(segment, segment.with_name(f"{DEAD}.zarr"))),  # an artefact without a record
        Path(shutil.copy(record, record.with_name(DEAD))),  # a record without an artefact
        root / "training" / f"{finished}.safetensors",  # of a network that is done
        root / "training" / f"{DEAD}.safetensors",
        root / "cache" / "settings" / DEAD,
        root / "staging" / f"{socket.gethostname()}~{dead_process()}~{uuid.uuid4().hex}" / "artefact",
        root / "staging" / f"elsewhere~1~{uuid.uuid4().hex}" / "artefact",
    ]
    theirs = Path(shutil.copytree(segment, segment.with_name(f"{OTHER}.zarr"))) / "notes.txt"
    alive = root / "staging" / f"elsewhere~1~{uuid.uuid4().hex}" / "artefact"
    stay = [
        root / "notes.txt",
        root / "networks" / "notes.txt",
        root / "matches" / f"{DEAD}.txt",
        root / "training" / f"{DEAD}.safetensors.bak",
        root / "cache" / "notes.txt",
        root / "staging" / "notes.txt",
        theirs,
        theirs.with_name("zarr.json"),
        alive,
    ]
    for path in (*gone, *stay):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text("something")
    for path in (gone[-1], gone[-1].parent):
        os.utime(path, (0, 0))
    return gone, stay


def dead_process() -> int:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    return child


def test_what_is_left_is_the_study_and_what_is_not_ours_and_what_went_comes_back(
    tiny_root: Path,
    grown_root: Path,
    copy_of: Callable[[Path], Path],
    tmp_path: Path,
    env: Environment,
    outside: list[str],
) -> None:
    root, study = copy_of(grown_root), write_study(tmp_path, TINY)
    gone, stay = litter(root)
    wanted = study_of(TINY, root, tmp_path)
    done, before = status(wanted), content(root)
    unused = {item.kind for item in survey([wanted], hours=0).unused}
    assert unused == {"segments", "grams", "training", "settings", "staging"}, (
        "the last run wanted the others"
    )
    keep(Root.at(root), wanted, resolve(wanted))  # as a run of it does
    before["study.json"] = (root / "study.json").read_bytes()
    printed = spanmatch("prune", study, "--root", root, env=env)
    assert "left alone: " in printed, "all was written just now"
    assert "nothing was deleted" in printed
    assert content(root) == before
    printed = spanmatch("prune", study, "--root", root, "--older-than", 0, "--yes", env=env)
    assert "such as segments/" in printed, "why an artefact is left is said"
    assert not [path for path in gone if path.exists()]
    assert all(path.is_file() for path in stay)
    foreign = {path.relative_to(root).as_posix() for path in stay}
    left = {name: file for name, file in stages(root).items() if name not in foreign and OTHER not in name}
    assert left == stages(tiny_root)
    assert status(wanted) == done
    assert survey([wanted], hours=0).unused == ()
    spanmatch("run", study, "--root", root, env=env)
    assert computed(root) == NOTHING
    assert results(root) == results(tiny_root)
    spanmatch("run", write_study(tmp_path, GROWN), "--root", root, *outside, env=env)
    # the third segment of four checkpoints that are there, three of the two that are not
    assert computed(root) == {"networks": 1, "segments": 10, "grams": 12, "profiles": 12, "matches": 24}
    assert results(root) == results(grown_root)
    assert stages(grown_root).items() <= stages(root).items()


def vouched(root: Root) -> bool:
    """Tell whether every record's artefact is there, with the manifest that it is read by."""
    names = {file.name for stage in STAGES for file in root.place.files(stage)}
    ends = {"networks": "/final.safetensors", "matches": ""}
    return all(
        root.artefact(stage, key) + ends.get(stage, "/manifest.json") in names
        for stage in STAGES
        for key in root.recorded(stage)
    )


def test_an_interrupt_between_any_two_removals_leaves_nothing_half(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy_of(tiny_root)
    root, study = Root.at(path), study_of(FEWER, path, tmp_path)
    root.place.remove(STUDY)
    whole, times, took = survey([study], hours=0).used, 0, Folder.remove

    def once(place: Folder, name: str) -> None:
        was_there = (place.path / name).exists()
        took(place, name)
        if was_there:
            raise KeyboardInterrupt

    while (found := survey([study], hours=0)).unused:
        assert found.used == whole
        assert vouched(root)
        monkeypatch.setattr(Folder, "remove", once)
        with pytest.raises(KeyboardInterrupt):
            remove(root, found.unused)
        monkeypatch.setattr(Folder, "remove", took)
        times += 1
    assert found.used == whole
    # record, then artefact, of 8 segments, 2 Gram matrices, 2 profiles and 4 matches; and what was looked up
    assert times == 2 * (8 + 2 + 2 + 4) + 1


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
    found = survey([study], hours=0)
    assert [item.foreign for item in found.foreign] == [f"segments/{DEAD}.zarr/chunk.txt"]
    assert survey([study]).unused == ()
    two = list({item.kind: item for item in found.unused if item.kind in ("matches", "grams")}.values())
    delete, steps = obstore.delete, 0

    class Interrupting:
        """Deletes so many times."""

        def __init__(self, last: int) -> None:
            self.left = last

        def __call__(self, *args: object) -> None:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            delete(*args)

    while True:
        with monkeypatch.context() as patched:
            patched.setattr(obstore, "delete", Interrupting(steps))
            try:
                remove(root, two)
                break
            except KeyboardInterrupt:
                assert vouched(root)
        steps += 1
    assert steps >= 2 * len(two)
    printed = spanmatch(
        "prune",
        write_study(tmp_path, FEWER),
        "--root",
        url,
        "--older-than",
        0,
        "--yes",
        env={**os.environ, **env},
    )
    assert url in printed
    left = objects(root)
    looked_up = {name for name in left if name.startswith("cache/settings/")}
    assert {name: file for name, file in left.items() if name not in looked_up}.items() <= there.items()
    assert len(looked_up) == 1
    assert left["notes.txt"] == b"mine"
    assert survey([study], hours=0).used == found.used
    kept = tuple(f"{folder}/" for folder in (*STAGES, "cache"))
    assert sum(item.size for item in (*found.used, *found.foreign)) == sum(
        len(file) for name, file in left.items() if name.startswith(kept)
    )
    assert survey([study], hours=0).unused == ()


def test_what_stands_on_what_is_missing_is_left_alone(
    grown_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = copy_of(grown_root)
    root = Root.at(path)
    root.place.remove(STUDY)
    tiny, grown = study_of(TINY, path, tmp_path), study_of(GROWN, path, tmp_path)

    def kinds(study: Study, verdict: str) -> dict[str, int]:
        items = [item.kind for item in getattr(survey([study], hours=0), verdict)]
        return {kind: items.count(kind) for kind in dict.fromkeys(items)}

    # nobody reduces from the sums over fewer images any more, now that there are those over all
    assert kinds(grown, "unused") == {"matches": 8, "profiles": 4, "grams": 4}
    gram = next(unit for unit in planned(grown, resolve(grown), root)["grams"].units)
    shorter = prefixes(gram)[0]
    root.forget("grams", gram.key)
    shorter_is = {
        verdict: shorter.key in {item.key for item in getattr(survey([grown], hours=0), verdict)}
        for verdict in ("used", "unused", "undecided")
    }
    assert shorter_is == {"used": True, "unused": False, "undecided": False}
    assert kinds(grown, "undecided") == {"profiles": 5, "matches": 10}
    assert kinds(grown, "unused") == {"grams": 3}
    root.place.remove(root.record("segments", min(root.recorded("segments"))))
    assert "grams" not in kinds(grown, "unused")
    network = next(unit for unit in planned(tiny, resolve(tiny), root)["networks"].units)
    state = path / "training" / f"{network.key}.safetensors"
    state.parent.mkdir(exist_ok=True)
    state.write_text("epoch 1")
    assert kinds(tiny, "unused")["training"] == 1
    root.place.remove(root.record("networks", network.key))
    assert kinds(tiny, "used")["training"] == 1
    assert kinds(tiny, "unused") == {"networks": 1}
    assert survey([tiny, grown], hours=0).unused == ()
    gone = study_of(TINY | {"weights": {"alice": "gone.safetensors"}}, path, tmp_path)
    keep(root, gone, replace(resolve(tiny), weights={"alice": DEAD}))
    with pytest.raises(ValueError, match=r"`weights` must be files .* \(asked for by what the last run comp"):
        survey([tiny], hours=0)


@pytest.mark.parametrize(
    ("values", "prepare", "says"),
    [
        (
            [{}, {"root": "elsewhere"}],
            None,
            r"`STUDY` must be studies of one root, got '.*elsewhere' and '.*root'",
        ),
        ([{}], None, r"`root` must be the root of a study that was run, got '.*root', which no run has prep"),
        ([{}], FORMAT + 1, rf"`root` must have storage format {FORMAT} or older, got {FORMAT + 1}"),
        ([{"layers": ["absent"]}], FORMAT, r"`layers` must"),
        ([{"images": 5000}], FORMAT, r"`images` must be at most"),
    ],
    ids=["roots", "no-root", "newer", "layer", "images"],
)
def test_what_cannot_be_decided_is_refused(
    values: list[dict], prepare: int | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # which a relative root is taken from
    root = tmp_path / "root"
    if prepare is not None:
        Root.prepare(root)
        (root / "spanmatch.json").write_text(json.dumps({"format": prepare}))
    before = content(tmp_path)
    studies = [read_study(write_study(tmp_path, {**TINY, "root": str(root)} | changes)) for changes in values]
    (tmp_path / "study.yaml").unlink()
    with pytest.raises(SpanmatchError, match=says):
        survey(studies, hours=0)
    assert content(tmp_path) == before
    assert prepare or not root.exists()


def test_what_cannot_be_removed_is_said_and_the_rest_is_there(
    tiny_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy_of(tiny_root)
    Root.at(path).place.remove(STUDY)
    found = survey([study_of(FEWER, path, tmp_path)], hours=0).unused

    def denied(file: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(Path, "unlink", denied)  # the tests may run as root, whom no permissions stop
    with pytest.raises(UnusableRootError, match=r"`root` must be a folder that .* \(Permission denied: "):
        remove(Root.at(path), found)
    assert (path / "cache" / "matches").exists()
