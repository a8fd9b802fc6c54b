"""Activations are written as planned, whatever batches they come in; a full disk harms nothing."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_storage import name_of, publish

from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.layout import plan_layout
from storage.places import UnusableRootError
from storage.root import Root
from tasks import writing
from tasks.writing import BackgroundWriter, LayerWriter

MEBIBYTE = 1 << 20


@given(
    st.tuples(st.integers(1, 10**6), st.integers(1, 60_000), st.integers(1, 30_000)), st.sampled_from([2, 4])
)
def test_chunks_and_shards_cover_a_layer_and_are_bounded(shape: tuple[int, int, int], itemsize: int) -> None:
    layout = plan_layout(shape, itemsize)
    images, positions, _ = shape
    row_bytes = prod(shape[1:]) * itemsize
    chunk_bytes, shard_bytes = layout.chunk_rows * row_bytes, layout.shard_rows * row_bytes
    assert 1 <= layout.chunk_rows <= images
    assert layout.shard_rows % layout.chunk_rows == 0
    assert layout.chunk_rows == 1 or (layout.chunk_rows * positions <= 8192 and chunk_bytes <= 32 * MEBIBYTE)
    assert layout.shard_rows == layout.chunk_rows or shard_bytes <= 32 * MEBIBYTE
    files = -(-images // layout.shard_rows)
    # beyond 128 files, a file has 16 MiB at least: two of them would not fit a shard, or it is one chunk
    assert files <= 128 or shard_bytes > 16 * MEBIBYTE


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.prepare(tmp_path / "root")


def batches(values: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def extracted(
    root: Root, key: str, values: np.ndarray, batch: int, dtype: str = "float32", **attributes: Any
) -> Artefact:
    """Write a layer as the extraction does."""
    with root.publish(name_of(key)) as folder:
        writer = LayerWriter(GroupWriter(folder, attributes), "layer", len(values), dtype)
        with BackgroundWriter() as background:
            for part in batches(values, batch):
                writer.append(part, background)
        assert writer.blocks == len(writer.group._arrays["layer"]["blocks"])
        return Artefact("segments", key, name_of(key), writer.group.finish())


# 1,000 positions: 8 images to a chunk; 100: 81 images; 9,000: 1 image, so 130 chunks in one shard
@pytest.mark.parametrize("shape", [(157, 1000, 3), (200, 100, 2), (5, 1, 7), (130, 9000, 1)])
def test_what_is_written_depends_on_the_values_and_not_on_the_batches(
    root: Root, shape: tuple[int, int, int]
) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    digests = set()
    for batch in (1, 13, 64, 1000):
        artefact = extracted(root, f"key{batch}", values, batch)
        digests.add(artefact.digest)
        np.testing.assert_array_equal(GroupReader(root, artefact).read("layer"), values)
    assert len(digests) == 1
    layout = plan_layout(shape, 4)
    stored = Path(root.where(name_of("key13"))) / "layer" / "c"
    assert sum(path.is_file() for path in stored.rglob("*")) == -(-shape[0] // layout.shard_rows)


def test_float16_keeps_half_the_bytes(root: Root) -> None:
    values = np.random.default_rng(0).normal(size=(20, 3, 4)).astype(np.float32)
    read = GroupReader(root, extracted(root, "key", values, 6, "float16")).read("layer")
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, values.astype(np.float16))


def test_writing_waits_for_room_keeps_its_order_and_stops_at_the_first_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "WAITING_BYTES", 100)
    gate, done, started = threading.Event(), [], threading.Event()

    def work(values: np.ndarray) -> None:
        started.set()
        gate.wait(10)
        if values[0] == 6:
            raise OSError("disk")
        done.append(int(values[0]))

    submitted = []

    def submit_all() -> None:
        with BackgroundWriter() as background:
            for number in range(20):
                background.submit(work, np.full(5, number))  # 40 bytes: two have room
                submitted.append(number)

    errors: list[BaseException] = []

    def run() -> None:
        try:
            submit_all()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)
    thread.join(0.2)
    assert submitted == [0, 1], "it waits while what came before is not written"
    gate.set()
    thread.join(10)
    assert done == [0, 1, 2, 3, 4, 5]
    assert [str(error) for error in errors] == ["disk"]
    assert len(submitted) < 20


def test_what_is_larger_than_the_room_waits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "WAITING_BYTES", 10)
    done: list[int] = []
    with BackgroundWriter() as background:
        for number in range(5):
            background.submit(lambda values: done.append(int(values[0])), np.full(100, number))
    assert done == list(range(5))


def files(root: Root) -> dict[Path, bytes]:
    folder = Path(root.where())
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_beyond_the_process_limit_leaves_the_store_as_it_was(root: Root) -> None:
    """The nearest to a full disk that needs no privileges: writing fails in the same places."""
    values = np.random.default_rng(0).normal(size=(100, 100, 10)).astype(np.float32)
    publish(root, values[:10], "before")
    before = files(root)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UnusableRootError, match=r"`root` must have room for segments/key\.zarr"):
            extracted(root, "key", values, 16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(root) == before
    assert not list(Path(root.where("staging")).iterdir())
    np.testing.assert_array_equal(GroupReader(root, extracted(root, "key", values, 16)).read("layer"), values)


FILL = """
import sys
import numpy as np
from storage.checkpoints import write_checkpoint
from storage.places import UnusableRootError
from storage.root import Root
from test_writing import extracted, files

root = Root.prepare(sys.argv[1])
values = np.random.default_rng(0).normal(size=(500, 100, 10)).astype(np.float32)
extracted(root, "small", values[:50], 16)
before = files(root)
def weights():
    write_checkpoint(root, "networks/key", "final", {"weight": values}, {})
for attempt in (lambda: extracted(root, "large", values, 16), weights):
    try:
        attempt()
    except UnusableRootError as error:
        assert "`root` must have room for" in str(error), error
    else:
        raise AssertionError("there was room")
    assert files(root) == before
print("full", len(before))
"""


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """On a disk of 1 MiB, mounted in a namespace of the test's own."""
    repository = Path(__file__).parent.parent
    command = (
        f"mount -t tmpfs -o size=1m tmpfs '{tmp_path}' && exec '{sys.executable}' -c \"$0\" '{tmp_path}'"
    )
    if subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=False
    ).returncode:
        pytest.skip("no disk can be mounted here: the kernel forbids user namespaces")
    paths = os.pathsep.join([str(repository), str(repository / "tests")])
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, FILL],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("full"), done.stderr
