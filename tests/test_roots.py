"""A root in an object store is what one in a folder is: a real S3 server, on loopback."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import obstore
import pytest
from conftest import CREDENTIALS, NOTHING, TINY, Environment, measured, results, spanmatch, write_study
from distributed.protocol import pickle as dask_pickle
from test_packs import published
from test_storage import name_of, publish

from spanmatch.errors import SpanmatchError
from storage import bucket
from storage.arrays import Artefact, GroupReader
from storage.bucket import Bucket
from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.packs import Packs, document_array, pack_of
from storage.places import UnusableRootError
from storage.records import Records
from storage.result_files import CRITICAL_EPSILONS, read_critical_epsilons, write_critical_epsilons
from storage.root import FORMAT, DamagedArtefactError, Root
from tasks.stage import Form
from tasks.stages import STAGES


@pytest.fixture
def root(url: str) -> Root:
    return Root.prepare(url)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(10, 4, 3)).astype(np.float32)


def objects(root: Root) -> dict[str, bytes]:
    assert isinstance(root.place, Bucket)
    store = root.place._store
    names = [entry["path"] for page in obstore.list(store) for entry in page]
    return {name: obstore.get(store, name).bytes().to_bytes() for name in names}


def put(root: Root, name: str, content: bytes | None) -> None:
    assert isinstance(root.place, Bucket)
    store = root.place._store
    obstore.delete(store, name) if content is None else obstore.put(store, name, content)


def without_packs(names: Iterable[str]) -> set[str]:
    """Put its folder in place of each pack and record: which units share a pack depends on their time."""
    packed = tuple(
        f"{start}{name}/"
        for name, stage in STAGES.items()
        if stage.form is Form.PACK
        for start in ("", "cache/")
    )
    return {name.rpartition("/")[0] if name.startswith(packed) else name for name in names}


@pytest.mark.parametrize("shard_rows", [4, 6])
def test_arrays_read_back_and_what_is_removed_is_published_anew(
    root: Root, values: np.ndarray, shard_rows: int
) -> None:
    artefact = publish(root, values, shard_rows=shard_rows)
    np.testing.assert_array_equal(GroupReader(root, artefact).read("layer"), values)
    before = objects(root)
    assert publish(root, values, shard_rows=shard_rows) == artefact
    assert objects(root) == before
    root.place.remove(name_of("key"))
    root.place.remove(name_of("key"))
    assert list(objects(root)) == ["spanmatch.json"]
    with pytest.raises(DamagedArtefactError, match="missing"):
        GroupReader(root, artefact)
    other = publish(root, values + 1, shard_rows=shard_rows)
    np.testing.assert_array_equal(GroupReader(root, other).read("layer"), values + 1)
    assert not list(root.place.staging.iterdir())


def test_checkpoints_packs_and_results_read_back(root: Root) -> None:
    weights = {"a": np.arange(6.0).reshape(2, 3)}
    digest = write_checkpoint(root, "networks/key", "final", weights, {"accuracy": 0.5})
    network = Artefact("networks", "key", "networks/key", digest)
    np.testing.assert_array_equal(read_checkpoint(root, network, "final")["a"], weights["a"])
    with pytest.raises(DamagedArtefactError, match=r"initial\.safetensors is missing"):
        read_checkpoint(root, network, "initial")
    members = {"a": {"document": document_array({"x": [1, 2]})}, "b": weights}
    for key, artefact in published(root, members).items():
        read = Packs(root).read(artefact)
        assert read.keys() == members[key].keys()
        assert all(np.array_equal(read[name], array) for name, array in members[key].items())
    for epsilon in (0.25, 0.5):
        critical = np.full((1, 2), epsilon)
        write_critical_epsilons(root, CRITICAL_EPSILONS, ["a~b"], {"layer": {"x": critical, "y": critical}})
    names, arrays = read_critical_epsilons(root, CRITICAL_EPSILONS, ["layer"])
    assert names == ["a~b"]
    assert arrays["layer"].keys() == {"x", "y"}
    np.testing.assert_array_equal(arrays["layer"]["x"], critical)


def test_an_upload_that_stops_anywhere_leaves_nothing_that_is_read(
    root: Root, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(root, values)
    uploads = len(objects(root)) - 1
    root.place.remove(name_of("key"))
    upload = Bucket._upload
    assert uploads >= 5
    for last in range(uploads):
        done = []

        def stopping(self: Bucket, path: Path, name: str, last: int = last, done: list[str] = done) -> None:
            if len(done) == last:
                raise KeyboardInterrupt
            upload(self, path, name)
            done.append(name)

        monkeypatch.setattr(bucket, "_CONNECTIONS", 1)
        monkeypatch.setattr(Bucket, "_upload", stopping)
        with pytest.raises(KeyboardInterrupt):
            publish(root, values)
        assert len(objects(root)) == 1 + last
        assert f"segments/key.zarr/{bucket._MARKERS[-1]}" not in objects(root)
        monkeypatch.setattr(Bucket, "_upload", upload)
        artefact = publish(root, values)
        np.testing.assert_array_equal(GroupReader(root, artefact).read("layer"), values)
        root.place.remove(name_of("key"))


@pytest.mark.parametrize("shard_rows", [4, 6])
def test_a_missing_cut_or_changed_object_is_named_and_published_anew(
    root: Root, values: np.ndarray, shard_rows: int
) -> None:
    artefact = publish(root, values, shard_rows=shard_rows)
    intact = objects(root)
    chunks = [name for name in intact if "/layer/c/" in name]
    assert len(chunks) == -(-len(values) // shard_rows)
    for chunk in chunks:
        content = intact[chunk]
        flipped = bytearray(content)
        flipped[len(content) // 4] ^= 1  # in a row that is used: what fills up the last chunk is never read
        for damaged in (None, b"", content[:3], content[:-3], bytes(flipped)):
            put(root, chunk, damaged)
            with pytest.raises(DamagedArtefactError, match=r"array 'layer', rows \d+ to \d"):
                GroupReader(root, artefact).read("layer")
        root.place.remove(name_of("key"))
        assert publish(root, values, shard_rows=shard_rows) == artefact
        np.testing.assert_array_equal(GroupReader(root, artefact).read("layer"), values)


def test_the_same_study_in_a_bucket_gives_identical_results_and_is_reused(
    tiny_root: Path, url: str, s3: Environment, tmp_path: Path, env: Environment
) -> None:
    study, online = write_study(tmp_path, {**TINY, "root": url}), {**env, **s3}
    assert url in spanmatch("run", study, env=online)
    root = Root.at(url)
    there = objects(root)
    assert (there["similarity.csv"].decode(), there["simple_matches.jsonl"].decode()) == results(tiny_root)
    assert there["report.html"] == (tiny_root / "report.html").read_bytes()
    local = {path.relative_to(tiny_root).as_posix() for path in tiny_root.rglob("*") if path.is_file()}
    assert without_packs(there) == without_packs(local)
    assert not any(
        secret.encode() in content for content in there.values() for secret in CREDENTIALS.values()
    )
    segment = next(name for name in there if name.startswith("segments/") and "/c/" in name)
    put(root, segment, None)
    spanmatch("run", study, "--epsilon", 0.4, env=online)
    counts = json.loads(root.read("ledger.json"))
    further = {**NOTHING, "matches": 4, "measures": measured(4, 3) - measured(4, 2)}
    assert {stage: each["computed"] for stage, each in counts.items()} == further
    page = root.read("report.html")
    put(root, "report.html", None)
    assert f"report: {url}/report.html" in spanmatch("report", study, env=online)
    assert root.read("report.html") == page


@pytest.mark.parametrize(
    ("where", "changes", "says"),
    [
        ("s3://absent/prefix", {}, "`root` must lie in a bucket that exists, got 's3://absent/prefix'"),
        (None, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "set AWS_ACCESS_KEY_ID and"),
        (None, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "`root` must be the URL of an object store that"),
        (None, {"AWS_ENDPOINT_URL": "nonsense"}, "`AWS_ENDPOINT_URL` must begin with http"),
        ("ftp://host/prefix", {}, "`root` must be a folder or a URL that begins with one of s3://"),
        ("s3:///prefix", {}, "`root` must name a bucket, got 's3:///prefix'"),
        ("s3://an-id:a-secret@bucket/prefix", {}, "credentials or options in it; give them in the envir"),
    ],
    ids=["bucket", "credentials", "endpoint", "endpoint-form", "scheme", "no-bucket", "secret"],
)
def test_a_url_that_cannot_be_used_is_refused_in_one_sentence_and_soon(
    where: str | None, changes: dict[str, str | None], says: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")  # where a machine's own would come from
    for name, value in changes.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    start = time.monotonic()
    with pytest.raises(SpanmatchError) as refusal:
        Root.prepare(where or url)
    assert time.monotonic() - start < 10
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "a-secret" not in str(refusal.value)


def test_a_store_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    root = Root.at(url)
    put(root, "spanmatch.json", json.dumps({"format": FORMAT + 1}).encode())
    before = objects(root)
    with pytest.raises(UnusableRootError, match=rf"storage format {FORMAT} or older, got {FORMAT + 1}"):
        Root.prepare(url)
    assert objects(root) == before


def test_a_store_that_no_longer_answers_is_not_taken_for_damage(
    root: Root, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = publish(root, values)
    gone = GroupReader(root, artefact)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    bucket._open.cache_clear()
    attempts: list[Callable[[], object]] = [
        lambda: gone.read("layer"),
        lambda: GroupReader(root, artefact),
        lambda: read_checkpoint(root, Artefact("networks", "key", "networks/key", "digest"), "final"),
        lambda: Packs(root).read(Artefact("matches", "key", pack_of("matches", "key"), "digest")),
        lambda: Records(root).find("matches", ["key"]),
        lambda: publish(root, values, "further"),
    ]
    for attempt in attempts:
        with pytest.raises(UnusableRootError, match="must be the URL of an object store that answers"):
            attempt()
    bucket._open.cache_clear()


def test_a_root_travels_as_its_name_alone(root: Root) -> None:
    sent = dask_pickle.dumps(root)
    assert len(sent) < 300
    assert not any(value.encode() in sent for value in CREDENTIALS.values())
    assert dask_pickle.loads(sent) == root


def test_the_command_line_refuses_what_it_cannot_reach(tmp_path: Path, bare_env: Environment) -> None:
    study = write_study(tmp_path, {**TINY, "root": "s3://bucket/prefix"})
    offline = {**bare_env, **CREDENTIALS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    for command in ("status", "run"):
        printed = spanmatch(command, study, env=offline, expect=2)
        assert "`root` must be the URL of an object store that answers, got 's3://bucket/prefix'" in printed
        assert "Traceback" not in printed
