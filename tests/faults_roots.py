"""Every operation of a root, tried on one that does not answer, or whose files cannot be read."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import obstore
import pytest
from conftest import CREDENTIALS
from faults import Fault
from obstore.exceptions import BaseError
from pipeline import quick

from flows.command import prune
from flows.command.status import status
from flows.run import plan
from flows.run import read_back as results
from flows.run.prepared import look
from flows.study import kept
from flows.study import resolve as checks
from flows.study.model import Study
from flows.study.resolved import Resolved
from spanmatch.networks.data import load_dataset
from storage import bucket
from storage import result_files as files
from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.inventory import Item, discard, inventory, keep_only
from storage.packs import Packs, pack_of, publish_pack
from storage.places import UnreachableRootError, UnusableRootError
from storage.records import Records
from storage.root import Root
from storage.training_state import TrainingState
from tasks import networks
from tasks.stages import KINDS, STAGES, TRAINING
from tasks.statistic import Reading

WEIGHTS = {"a": np.arange(6.0)}
DIGITS = load_dataset("digits")
SETTING = Resolved(("block2.relu2",), DIGITS.digest, DIGITS.held_out.digest, 599)
KEY = "0" * 64


def unit_of(study: Study) -> Any:
    return networks.plan(plan.wanted(study, SETTING), {})["seed0"]


def operations(study: Study) -> dict[str, Callable[[], object]]:
    """All that is ever done with a root, by name."""
    root, unit = Root.at(study.root), unit_of(study)
    records, state = Records(root), TrainingState(root, unit.key)
    group = Artefact("segments", KEY, f"segments/{KEY}.zarr", "digest")
    network = Artefact("networks", KEY, f"networks/{KEY}", "digest")
    packed = Artefact("matches", KEY, pack_of("matches", KEY), "digest")
    several = Item(STAGES["matches"].kind, KEY, 0, 0.0, frozenset({KEY}))

    def publish() -> None:
        with root.publish("segments/other.zarr") as folder:
            writer = GroupWriter(folder, {})
            writer.write("layer", np.arange(6.0))
            writer.finish()

    critical = np.zeros((1, 2))
    return {
        "prepare": lambda: Root.prepare(study.root),
        "check": root.check,
        "exists": lambda: root.exists,
        "publish": publish,
        "read": lambda: root.read("spanmatch.json"),
        "write_text": lambda: root.write_text("name", "text"),
        "remove": lambda: root.place.remove(group.name),
        "forget": lambda: STAGES["networks"].forget(root, [KEY]),
        "kept": lambda: records.kept("networks"),
        "inventory": lambda: inventory(root, KINDS),
        "discard": lambda: discard(root, [Item(TRAINING, KEY, 0, 0.0, frozenset({KEY}))]),
        "keep only": lambda: keep_only(root, several, {KEY}),
        "group": lambda: GroupReader(root, group),
        "checkpoint": lambda: read_checkpoint(root, network, "final"),
        "write checkpoint": lambda: write_checkpoint(root, network.name, "final", WEIGHTS, {}),
        "pack": lambda: Packs(root).read(packed),
        "write pack": lambda: publish_pack(root, "matches", KEY, {KEY: WEIGHTS}),
        "save a training": lambda: state.save(1, WEIGHTS, {}),
        "load a training": state.load,
        "discard a training": state.discard,
        "look up": lambda: records.find("networks", [unit.key]),
        "keep": lambda: records.keep("networks", {unit.key: {}}),
        "results": lambda: results.read_results(root, study.name),
        "critical epsilons": lambda: files.read_critical_epsilons(root, files.CRITICAL_EPSILONS, ["layer"]),
        "write critical epsilons": lambda: files.write_critical_epsilons(
            root, files.CRITICAL_EPSILONS, ["a~b"], {"l": {"x": critical, "y": critical}}
        ),
        "study.json": lambda: kept.read_kept(root),
        "keep study.json": lambda: kept.keep(root, study, SETTING),
        "join": lambda: kept.joined(study),
        "settings": lambda: checks.resolve(study, root),
        "status": lambda: status(look(study)),
        "prune": lambda: prune.survey([study]),
        "train": lambda: networks.compute(root, [unit], Reading(root)),
    }


def refusals(study: Study, without: frozenset[str] = frozenset()) -> dict[str, Exception | None]:
    """Do all of it at once, and return what each raised."""
    todo = {name: do for name, do in operations(study).items() if name not in without}

    def attempt(do: Callable[[], object]) -> Exception | None:
        try:
            do()
        except Exception as error:
            return error
        return None

    with ThreadPoolExecutor(len(todo)) as pool:
        return dict(zip(todo, pool.map(attempt, todo.values()), strict=True))


def unreachable(folder: Path) -> None:
    study = quick(folder, root="s3://bucket/prefix")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}.items():
            patch.setenv(name, value)
        bucket._open.cache_clear()
        try:
            raised = refusals(study)
        finally:
            bucket._open.cache_clear()
    assert {name: type(error) for name, error in raised.items()} == dict.fromkeys(
        raised, UnreachableRootError
    )
    assert all("\n" not in str(error) for error in raised.values())


READERS = {
    "spanmatch.json": {"prepare", "check", "read", "join", "status", "prune"},
    "study.json": {"study.json", "join", "prune"},
    "training/{unit}.safetensors": {"load a training", "train"},
    "cache/networks/{unit}": {"look up", "train"},  # as versions before kept them
    f"cache/networks/{KEY}.json": {"look up", "train", "kept", "forget", "inventory"},
    "cache/settings/{settings}": {"settings", "status", "prune"},
    f"segments/{KEY}.zarr/manifest.json": {"group"},
    f"networks/{KEY}/final.safetensors": {"checkpoint"},
    f"matches/{KEY}.safetensors": {"pack", "keep only"},
    "similarity.csv": {"results"},
    "training.jsonl": {"results"},
    "critical_epsilons.zarr/zarr.json": {"critical epsilons"},
}


def unreadable(name: str) -> Callable[[Path], None]:
    """Check that a file which is there, and cannot be read, is refused by all that read it, and stays."""

    def check(folder: Path) -> None:
        study = quick(folder)
        root = Root.prepare(study.root)
        root.write_text("training.jsonl", "")
        file = Path(root.where(name.format(unit=unit_of(study).key, settings=checks.remembered_as(study))))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.symlink_to(file)  # opening it is an error, whoever asks
        for one in READERS[name]:
            with pytest.raises(
                UnusableRootError, match=r"`root` must be a folder that can be read and"
            ) as said:
                operations(study)[one]()
            assert "Too many levels of symbolic links" in str(said.value)
        assert file.is_symlink()

    return check


def unwritable(folder: Path) -> None:
    study = quick(folder)
    root = Root.prepare(study.root)
    for name in (
        "networks",
        "segments",
        "matches",
        "training",
        "cache",
        "critical_epsilons.zarr",
        "study.json",
    ):
        Path(root.where(name)).symlink_to(root.where(name))
    writers = {"publish", "write checkpoint", "write pack", "save a training", "keep"}
    for name in writers:
        with pytest.raises(UnusableRootError, match=r"`root` must be a folder that can be"):
            operations(study)[name]()


class Breaking(BaseHTTPRequestHandler):
    """An object store whose connections break in the midst of every object."""

    def do_GET(self) -> None:
        self.send_response(HTTPStatus.PARTIAL_CONTENT if "Range" in self.headers else HTTPStatus.OK)
        self.send_header("Content-Length", "1000")
        self.send_header("Content-Range", "bytes 0-999/1000")
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Wed, 25 Nov 2020 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(bytes(500))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def broken_off(_: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Breaking)
    with pytest.MonkeyPatch.context() as patch, server:
        Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        }.items():
            patch.setenv(name, value)
        bucket._open.cache_clear()
        try:
            place = Root.at("s3://bucket/prefix").place
            assert isinstance(place, bucket.Bucket)
            with pytest.raises(UnreachableRootError):
                place.read("name")
            with pytest.raises(BaseError) as within:  # as Zarr reads a chunk
                obstore.get_range(place._store, "name", start=0, length=1000)
            assert isinstance(place.trouble(within.value), UnreachableRootError)
        finally:
            bucket._open.cache_clear()
            server.shutdown()


def kinds(_: Path) -> None:
    """A file server that is away may come back, so that a task is tried again."""
    place = Root.at("/nowhere").place
    for number, kind in {errno.EIO: UnreachableRootError, errno.EACCES: UnusableRootError}.items():
        assert type(place.trouble(OSError(number, "why", "file"))) is kind
    assert place.trouble(FileNotFoundError(errno.ENOENT, "why", "file")) is None
    assert place.trouble(ValueError("a wrong byte")) is None


ROOTS = [
    Fault(
        11,
        "every operation of a root whose object store does not answer",
        "a training began anew, and replaced its good state",
        "each is refused in one sentence, before anything is trained",
        unreachable,
    ),
    *(
        Fault(
            11,
            f"{name} cannot be read",
            "it counted as missing or damaged",
            "it is refused",
            unreadable(name),
        )
        for name in READERS
    ),
    Fault(
        11,
        "a connection that breaks in the midst of a chunk",
        "the chunk counted as damaged, and its artefact was removed",
        "the task is tried again",
        broken_off,
    ),
    Fault(11, "a folder of the root cannot be written", "a traceback", "it is refused", unwritable),
    Fault(11, "a disk or file server that fails", "a traceback", "the task is tried again", kinds),
]
