"""Artefacts appear whole or not at all, and no byte of one that is used may differ from what was written."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from spanmatch.errors import InputValueError
from storage import arrays
from storage.arrays import Artefact, GroupReader, GroupWriter
from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.digests import array_digest, json_digest
from storage.layout import Layout
from storage.places import UnusableRootError
from storage.result_files import CRITICAL_EPSILONS, read_critical_epsilons, write_critical_epsilons
from storage.root import FORMAT, DamagedArtefactError, Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.prepare(tmp_path / "root")


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(10, 4, 3)).astype(np.float32)


def name_of(key: str) -> str:
    return f"segments/{key}.zarr"


def path_of(root: Root, key: str) -> Path:
    return Path(root.where(name_of(key)))


def publish(root: Root, values: np.ndarray, key: str = "key", shard_rows: int = 4) -> Artefact:
    with root.publish(name_of(key)) as folder:
        writer = GroupWriter(folder, {"samples": len(values)})
        layout = Layout(chunk_rows=4 if shard_rows == 4 else 2, shard_rows=shard_rows)
        dimensions = ("image", "position", "neuron")
        writer.create("layer", values.shape, "float32", layout=layout, dimensions=dimensions)
        for start in range(0, len(values), shard_rows):
            writer.write_rows("layer", start, values[start : start + shard_rows])
        writer.write("empty", np.empty(0))
        return Artefact("segments", key, name_of(key), writer.finish())


def test_a_group_reads_back_as_it_was_written(root: Root, values: np.ndarray) -> None:
    reader = GroupReader(root, publish(root, values))
    assert reader.blocks("layer") == 3
    np.testing.assert_array_equal(reader.read("layer"), values)
    np.testing.assert_array_equal(reader.read_block("layer", 2), values[8:])
    assert reader.read("empty").shape == (0,)
    assert reader.attributes == {"samples": 10}


def test_the_digest_is_a_function_of_the_content(root: Root, values: np.ndarray) -> None:
    digest = publish(root, values, "one").digest
    assert publish(root, values, "two").digest == digest
    values[0, 0, 0] += 1
    assert publish(root, values, "three").digest != digest


@pytest.mark.parametrize("shard_rows", [4, 6], ids=["chunks", "shards"])
def test_no_changed_byte_goes_unnoticed(root: Root, values: np.ndarray, shard_rows: int) -> None:
    artefact = publish(root, values, shard_rows=shard_rows)
    folder = path_of(root, "key")
    generator = random.Random(0)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        every = len(content) < 400 and shard_rows == 4
        count = len(content) if every else min(len(content), 100 if shard_rows == 4 else 25)
        places = generator.sample(range(len(content)), count)
        for place in places:
            changed = bytearray(content)
            changed[place] ^= 1 << generator.randrange(8)
            path.write_bytes(changed)
            try:
                read = GroupReader(root, artefact).read("layer")
            except DamagedArtefactError:
                continue
            finally:
                path.write_bytes(content)
            np.testing.assert_array_equal(read, values, err_msg=f"{path.name} byte {place}")


@pytest.mark.parametrize("what", ["a chunk", "the manifest", "all of it"])
def test_what_is_missing_is_noticed(what: str, root: Root, values: np.ndarray) -> None:
    artefact = publish(root, values)
    folder = path_of(root, "key")
    if what == "a chunk":
        max(folder.glob("layer/c/**/*"), key=lambda path: path.is_file()).unlink()
    elif what == "the manifest":
        (folder / "manifest.json").unlink()
    else:
        root.place.remove(name_of("key"))
    with pytest.raises(DamagedArtefactError, match="segments/key"):
        GroupReader(root, artefact).read("layer")


@pytest.mark.parametrize("shard_rows", [4, 6], ids=["chunks", "shards"])
def test_a_chunk_that_is_missing_cut_or_changed_is_named_and_written_anew(
    root: Root, values: np.ndarray, shard_rows: int
) -> None:
    artefact = publish(root, values, shard_rows=shard_rows)
    stored = sorted(path for path in path_of(root, "key").glob("layer/c/**/*") if path.is_file())
    assert len(stored) == -(-len(values) // shard_rows)
    chunk_rows = 4 if shard_rows == 4 else 2
    for number, path in enumerate(stored):
        content = path.read_bytes()
        first = number * shard_rows
        changed = bytearray(content)
        changed[len(content) // 8] ^= 1  # in a shard, the first of its chunks
        for damaged in (None, b"", content[: len(content) // 2], content[:-1], bytes(changed)):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(DamagedArtefactError) as found:
                GroupReader(root, artefact).read("layer")
            rows = f"array 'layer', rows {first} to {min(first + chunk_rows, len(values)) - 1} "
            assert rows in str(found.value) or (shard_rows == 6 and "array 'layer', rows" in str(found.value))
            assert (found.value.stage, found.value.key) == ("segments", "key")
        root.place.remove(name_of("key"))
        assert publish(root, values, shard_rows=shard_rows) == artefact
        np.testing.assert_array_equal(GroupReader(root, artefact).read("layer"), values)


@pytest.mark.parametrize("shard_rows", [4, 6], ids=["chunks", "shards"])
def test_chunks_of_zeros_are_written_and_missed_like_all_others(root: Root, shard_rows: int) -> None:
    artefact = publish(root, np.zeros((10, 4, 3), np.float32), shard_rows=shard_rows)
    stored = [path for path in path_of(root, "key").glob("layer/c/**/*") if path.is_file()]
    assert len(stored) == -(-10 // shard_rows)
    assert sum(path.stat().st_size for path in stored) >= 10 * 4 * 3 * 4
    stored[0].unlink()
    with pytest.raises(DamagedArtefactError, match="a missing or changed chunk"):
        GroupReader(root, artefact).read("layer")


def test_whole_chunks_and_whole_shards_are_written_or_nothing(root: Root, values: np.ndarray) -> None:
    with root.publish("group") as folder:
        writer = GroupWriter(folder, {})
        writer.create("layer", values.shape, "float32", layout=Layout(2, 6))
        for start, stop in ((0, 2), (0, 4), (2, 8), (6, 8), (0, 9)):
            with pytest.raises(ValueError, match="`values` must be whole chunks of 6 rows"):
                writer.write_rows("layer", start, values[start:stop])
        with pytest.raises(ValueError, match="`values` must be whole"):
            writer.write_rows("layer", 0, values[:6, :, :2])


def test_who_wrote_an_artefact_is_kept_and_is_no_part_of_its_identity(
    root: Root, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = publish(root, values)
    manifest = json.loads((path_of(root, "key") / "manifest.json").read_text())
    assert manifest["written_by"]["numpy"] == np.__version__
    monkeypatch.setattr(arrays, "_versions", lambda: {"numpy": "another"})
    assert publish(root, values, "other").digest == artefact.digest


def test_another_groups_chunk_in_its_place_is_noticed(root: Root, values: np.ndarray) -> None:
    mine, other = publish(root, values, "mine"), publish(root, values[::-1].copy(), "other")
    chunk = next(path for path in path_of(root, "other").glob("layer/c/0/**/*") if path.is_file())
    target = path_of(root, "mine") / chunk.relative_to(path_of(root, "other"))
    target.write_bytes(chunk.read_bytes())
    GroupReader(root, other).read("layer")
    with pytest.raises(DamagedArtefactError, match="rows 0 to 3"):
        GroupReader(root, mine).read("layer")


def test_what_raises_publishes_nothing_and_leaves_the_old(root: Root) -> None:
    target = Path(root.where("similarity.csv"))
    root.write_text("similarity.csv", "old")

    def write_half() -> None:
        with root.publish("similarity.csv") as staged:
            staged.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert not list(Path(root.where("staging")).iterdir())


def test_an_artefact_that_another_run_has_published_stays(root: Root, values: np.ndarray) -> None:
    first = publish(root, values)
    before = path_of(root, "key").stat().st_ino
    assert publish(root, values) == first
    assert path_of(root, "key").stat().st_ino == before
    np.testing.assert_array_equal(GroupReader(root, first).read("layer"), values)
    assert not list(Path(root.where("staging")).iterdir())


def test_what_is_removed_is_published_anew(root: Root, values: np.ndarray) -> None:
    publish(root, values)
    root.place.remove(name_of("key"))
    root.place.remove(name_of("key"))
    artefact = publish(root, values + 1)
    np.testing.assert_array_equal(GroupReader(root, artefact).read("layer"), values + 1)


def test_a_result_folder_replaces_the_old(root: Root) -> None:
    for epsilon in (0.25, 0.5):
        critical = np.full((1, 2), epsilon)
        write_critical_epsilons(root, CRITICAL_EPSILONS, ["a~b"], {"layer": {"x": critical, "y": critical}})
    names, arrays = read_critical_epsilons(root, CRITICAL_EPSILONS, ["layer"])
    assert names == ["a~b"]
    assert arrays["layer"].keys() == {"x", "y"}
    np.testing.assert_array_equal(arrays["layer"]["x"], critical)


def test_critical_epsilons_of_pairs_of_other_widths_read_back_and_a_missing_chunk_shows(root: Root) -> None:
    rows = [np.array([0.1, np.inf]), np.array([0.2, 0.3, 0.4]), np.array([0.5])]
    write_critical_epsilons(root, CRITICAL_EPSILONS, ["a~b", "a~c", "a~d"], {"layer": {"x": rows, "y": rows}})
    _, arrays = read_critical_epsilons(root, CRITICAL_EPSILONS, ["layer"])
    for found in arrays["layer"].values():
        assert [row.tolist() for row in found] == [row.tolist() for row in rows]
    group = zarr.open_group(root.where(CRITICAL_EPSILONS), mode="r+")
    for wrong in ([2, 3, 0], [2, 3, 4], [2, 2, 2], [2, 3]):
        group["layer/x"].attrs["neurons"] = wrong
        with pytest.raises(InputValueError, match="cannot be read"):
            read_critical_epsilons(root, CRITICAL_EPSILONS, ["layer"])


def test_what_a_killed_process_left_is_cleared_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys; from storage.root import Root; root = Root.prepare(sys.argv[1])\n"
        "with root.publish('never') as staged: staged.write_text('half'); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "root"
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert list((path / "staging").iterdir())
    with Root.prepare(path).publish("mine") as staged:
        staged.write_text("whole")
        Root.prepare(path)
    assert (path / "mine").read_text() == "whole"
    assert not (path / "never").exists()
    assert not list((path / "staging").iterdir())


def test_a_checkpoint_reads_back_and_its_file_is_a_function_of_its_content(root: Root) -> None:
    weights = {"b": np.arange(6.0).reshape(2, 3), "a": np.array(3)}
    metadata = {"accuracy": 0.5, "seed": 1, "checkpoint": "final", "architecture": "x"}
    digests = set()
    for key in ("one", "two", "three"):
        digests.add(write_checkpoint(root, f"networks/{key}", "final", weights, metadata))
    (digest,) = digests
    network = Artefact("networks", "one", "networks/one", digest)
    read = read_checkpoint(root, network, "final")
    assert read.keys() == weights.keys()
    np.testing.assert_array_equal(read["b"], weights["b"])
    path = Path(root.where("networks/one/final.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtefactError, match="not what was written"):
        read_checkpoint(root, network, "final")
    path.unlink()
    with pytest.raises(DamagedArtefactError, match="missing"):
        read_checkpoint(root, network, "final")


def test_digests_see_content_and_nothing_else() -> None:
    assert json_digest({"a": 1, "b": [2.5]}) == json_digest({"b": [2.5], "a": 1})
    assert json_digest([1, 2]) != json_digest([2, 1])
    with pytest.raises(ValueError, match="JSON"):
        json_digest(float("nan"))
    array = np.arange(12.0).reshape(3, 4)
    assert array_digest(array) == array_digest(np.asfortranarray(array)) == array_digest(array.astype(">f8"))
    assert array_digest(array) != array_digest(array.reshape(4, 3))
    assert array_digest(array) != array_digest(array.astype(np.float32))


def test_a_root_of_another_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spanmatch.json").write_text('{"format": 99}')
    with pytest.raises(
        UnusableRootError, match=rf"`root` must have storage format {FORMAT} or older, got 99"
    ):
        Root.prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["spanmatch.json"]


@pytest.mark.parametrize("older", range(1, FORMAT))
def test_a_root_of_an_older_format_is_used_and_marked_anew(older: int, tmp_path: Path) -> None:
    (tmp_path / "spanmatch.json").write_text(json.dumps({"format": older}))
    assert Root.at(tmp_path).is_older
    assert not Root.prepare(tmp_path).is_older
    assert json.loads((tmp_path / "spanmatch.json").read_text()) == {"format": FORMAT}
    Root.prepare(tmp_path)
    assert not Root.at(tmp_path / "absent").is_older


def test_a_root_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableRootError, match=r"`root` must be a folder that can be written"):
        Root.prepare(tmp_path / "file" / "root")
