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

import pytest
from conftest import NOTHING, TINY, Environment, computed, measured, results, write_study
from in_process import spanmatch_here
from test_reuse import content, recorded

from flows.command.prune import remove, survey
from flows.command.status import status
from flows.run.foresee import foresee
from flows.run.prepared import look
from flows.study.file import read_study
from flows.study.kept import keep
from flows.study.model import Study
from flows.study.resolve import resolve
from spanmatch.errors import SpanmatchError
from storage.places import UnusableRootError
from storage.records import Records, name_of
from storage.result_files import STUDY
from storage.root import FORMAT, Root
from tasks.stages import STAGES

# A further seed, and a further segment of images: every stage has something that the tiny study has not.
GROWN = TINY | {"seeds": [0, 1, 2], "images": 135}
# Something of every stage but the first is left over: activations whole, and some of what is packed.
FEWER = TINY | {"layers": TINY["layers"][:1]}
DEAD, OTHER, THIRD = "d" * 64, "e" * 64, "f" * 64


@pytest.fixture(scope="module")
def grown_root(
    tiny_root: Path, tmp_path_factory: pytest.TempPathFactory, env: Environment, outside: list[str]
) -> Path:
    """The tiny study, grown. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("grown")
    root = Path(shutil.copytree(tiny_root, folder / "root"))
    spanmatch_here("run", write_study(folder, GROWN), "--root", root, *outside, env=env)
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
    segment, (pack, *_) = min((root / "segments").iterdir()), (root / "comoments").iterdir()
    finished = min((root / "networks").iterdir()).name
    gone = [
        Path(shutil.copytree(segment, segment.with_name(f"{DEAD}.zarr"))),  # an artefact without a record
        Path(shutil.copy(pack, pack.with_name(f"{DEAD}.safetensors"))),
        root / "cache" / "profiles" / f"{OTHER}.json",  # a record that was cut
        root / "cache" / "segments" / THIRD,  # as versions before kept them
        root / "grams" / f"{DEAD}.zarr" / "zarr.json",
        root / "cache" / "grams" / DEAD,
        root / "profiles" / f"{DEAD}.zarr" / "manifest.json",
        root / "matches" / f"{DEAD}.json",
        root / "cache" / "matches" / DEAD,
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
    done, before = status(look(wanted)), content(root)
    found = survey([wanted], hours=0)
    # the old match and the old Gram matrix with their records; the last run wanted the others
    assert len(found.unused) == len(gone) - 2
    keep(Root.at(root), wanted, resolve(wanted))  # as a run of it does
    before |= {name: (root / name).read_bytes() for name in ("study.json", "studies/tiny.json")}
    printed = spanmatch_here("prune", study, "--root", root, env=env)
    assert "left alone: " in printed, "all was written just now"
    assert "nothing was deleted" in printed
    assert content(root) == before
    printed = spanmatch_here("prune", study, "--root", root, "--older-than", 0, "--yes", env=env)
    assert "such as segments/" in printed, "why an artefact is left is said"
    assert not [path for path in gone if path.exists()]
    assert all(path.is_file() for path in stay)
    foreign = {path.relative_to(root).as_posix() for path in stay}
    left = {name: file for name, file in stages(root).items() if name not in foreign and OTHER not in name}
    assert left == stages(tiny_root)
    assert status(look(wanted)) == done
    assert survey([wanted], hours=0).unused == ()
    spanmatch_here("run", study, "--root", root, env=env)
    assert computed(root) == NOTHING
    assert results(root) == results(tiny_root)
    spanmatch_here("run", write_study(tmp_path, GROWN), "--root", root, *outside, env=env)
    # the third segment of four checkpoints that are there, three of the two that are not; of each layer and
    # moment the own part of three networks and the cross part of three pairs, of which 24 are there
    assert computed(root) == {
        "networks": 1,
        "segments": 10,
        "comoments": 48,
        "permuted": 0,
        "profiles": 12,
        "matches": 24,
        "measures": measured(12, 2),
        "exemplars": 0,
    }
    assert results(root) == results(grown_root)
    for stage in STAGES:
        assert recorded(grown_root, stage).items() <= recorded(root, stage).items()


def test_what_stands_on_what_is_missing_is_left_alone(
    grown_root: Path, copy_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = copy_of(grown_root)
    root = Root.at(path)
    root.place.remove(STUDY)
    tiny, grown = study_of(TINY, path, tmp_path), study_of(GROWN, path, tmp_path)

    def kinds(study: Study, verdict: str) -> dict[str, int]:
        items = [item.kind.name for item in getattr(survey([study], hours=0), verdict)]
        return {kind: items.count(kind) for kind in dict.fromkeys(items)}

    # profiles over fewer images are those of a study with fewer; the parts of all images are in use
    assert kinds(grown, "unused").keys() == {"measures", "matches", "profiles"}
    records = Records(root)
    unit = next(iter(foresee(look(grown))["comoments"].units.values()))
    assert records.forget("comoments", [unit.key]) == set()
    files = {stage: len(root.place.names(stage)) for stage in ("profiles", "matches")}
    undecided, used = kinds(grown, "undecided"), kinds(grown, "used")
    assert {stage: undecided.get(stage, 0) + used.get(stage, 0) for stage in files} == files
    assert min(undecided.values()) >= 1, "of those over fewer images, who knows"
    assert kinds(grown, "unused") == {}
    records.drop("segments", min(records.kept("segments")))
    assert "comoments" not in kinds(grown, "unused") | kinds(grown, "shared")
    network = next(iter(foresee(look(tiny))["networks"].units.values()))
    state = path / "training" / f"{network.key}.safetensors"
    state.parent.mkdir(exist_ok=True)
    state.write_text("epoch 1")
    assert kinds(tiny, "unused")["training"] == 1
    records.drop("networks", name_of([network.key]))
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
    found = survey([study_of(FEWER, path, tmp_path)], hours=0)

    def denied(file: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(Path, "unlink", denied)  # the tests may run as root, whom no permissions stop
    with pytest.raises(UnusableRootError, match=r"`root` must be a folder that .* \(Permission denied: "):
        remove(Root.at(path), found)
    assert (path / "cache" / "matches").exists()
