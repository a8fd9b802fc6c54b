"""Packs of small results: whole or not at all, each unit's arrays verified by themselves."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from storage import packs
from storage.packs import Packs, array_document, content_digest, document_array, pack_of, publish_pack, repack
from storage.root import Artefact, DamagedArtefactError, Root

ARRAYS = hnp.arrays(
    st.sampled_from([np.float64, np.int64, np.uint8]), hnp.array_shapes(max_dims=3, min_side=0)
)
CONTENTS = st.dictionaries(st.sampled_from("abc"), ARRAYS, min_size=1)
MEMBERS = st.dictionaries(st.text("0123456789abcdef", min_size=4, max_size=4), CONTENTS, min_size=1)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.prepare(tmp_path / "root")


@pytest.fixture
def members() -> dict[str, dict[str, np.ndarray]]:
    """Of three units."""
    generator = np.random.default_rng(0)
    return {key: {"x": generator.normal(size=9), "y": generator.normal(size=(2, 3))} for key in "abc"}


def published(root: Root, members: packs.Content, together: str = "pack") -> dict[str, Artefact]:
    publish_pack(root, "stage", together, members)
    name = pack_of("stage", together)
    return {key: Artefact("stage", key, name, content_digest(content)) for key, content in members.items()}


@given(MEMBERS)
@examples(50)
def test_every_unit_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, members: packs.Content
) -> None:
    root = Root.prepare(tmp_path_factory.mktemp("root"))
    artefacts, reading = published(root, members), Packs(root)
    for key, content in members.items():
        read = reading.read(artefacts[key])
        assert read.keys() == content.keys()
        assert all(read[name].dtype == array.dtype for name, array in content.items())
        assert all(
            np.array_equal(read[name], array, equal_nan=array.dtype.kind == "f")
            for name, array in content.items()
        )


def test_no_changed_byte_goes_unnoticed(root: Root, members: packs.Content) -> None:
    artefacts = published(root, members)
    path = Path(root.where(pack_of("stage", "pack")))
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        for key, artefact in artefacts.items():
            with suppress(DamagedArtefactError):
                read = Packs(root).read(artefact)
                assert read.keys() == members[key].keys()
                assert all(np.array_equal(read[name], array) for name, array in members[key].items())


def test_a_changed_value_is_damage_of_its_unit_alone(root: Root, members: packs.Content) -> None:
    artefacts = published(root, members)
    path = Path(root.where(pack_of("stage", "pack")))
    content, value = bytearray(path.read_bytes()), members["b"]["y"].tobytes()
    content[content.index(value)] ^= 1
    path.write_bytes(content)
    reading = Packs(root)
    for key in "ac":
        reading.read(artefacts[key])
    with pytest.raises(DamagedArtefactError, match="it is not what was written"):
        reading.read(artefacts["b"])


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [(None, "is missing"), (b"", "cannot be read"), (b"\xff" * 40, "cannot be read"), (-3, "cannot be read")],
    ids=["gone", "empty", "nonsense", "cut"],
)
def test_a_pack_that_cannot_be_read_is_damage_of_each_of_its_units(
    root: Root, members: packs.Content, damaged: bytes | int | None, reason: str
) -> None:
    artefacts = published(root, members)
    path = Path(root.where(pack_of("stage", "pack")))
    if damaged is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:damaged] if isinstance(damaged, int) else damaged)
    reading = Packs(root)
    for artefact in artefacts.values():
        with pytest.raises(DamagedArtefactError, match=rf"^stage/pack\.safetensors: .*{reason}"):
            reading.read(artefact)


def test_a_unit_that_is_not_in_its_pack_is_missed(root: Root, members: packs.Content) -> None:
    artefacts = published(root, members)
    published(root, {key: members[key] for key in "ab"})
    with pytest.raises(DamagedArtefactError, match="does not hold it"):
        Packs(root).read(artefacts["c"])


def test_a_pack_is_read_once_and_the_latest_stay(
    root: Root, members: packs.Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = published(root, members, "first"), published(root, members, "second")
    reads, read = [], Root.read

    def counting(self: Root, name: str) -> bytes:
        reads.append(name)
        return read(self, name)

    monkeypatch.setattr(Root, "read", counting)
    reading = Packs(root)
    for artefact in (*first.values(), *second.values(), *first.values()):
        reading.read(artefact)
    assert reads == ["stage/first.safetensors", "stage/second.safetensors"]
    monkeypatch.setattr(packs, "KEPT_BYTES", 1)
    reading = Packs(root)
    for artefact in (*first.values(), *second.values(), first["a"]):
        reading.read(artefact)
    assert reads[2:] == ["stage/first.safetensors", "stage/second.safetensors", "stage/first.safetensors"]


def test_some_units_of_a_pack_become_a_smaller_one_with_the_same_digests(
    root: Root, members: packs.Content
) -> None:
    artefacts = published(root, members)
    repack(root, "stage", "pack", ["c", "a"], "smaller")
    smaller = Packs(root)
    for key in "ac":
        one = Artefact("stage", key, pack_of("stage", "smaller"), artefacts[key].digest)
        assert smaller.read(one).keys() == members[key].keys()
    sizes = [Path(root.where(pack_of("stage", name))).stat().st_size for name in ("smaller", "pack")]
    assert sizes[0] < sizes[1]


@given(st.recursive(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_documents_read_back_and_equal_ones_are_the_same_array(value: object) -> None:
    document = {"value": value, "other": 1}
    array = document_array(document)
    assert array_document(array) == document
    np.testing.assert_array_equal(array, document_array(dict(reversed(document.items()))))
