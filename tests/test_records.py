"""Records of finished units: kept together, looked up at once, and none where anything is wrong with them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from storage.folder import Folder
from storage.places import File
from storage.records import Found, Records, name_of
from storage.root import Root

KEYS = [f"{number:064x}" for number in range(12)]


@dataclass(frozen=True)
class Counted(Folder):
    """A folder that counts what is asked of it."""

    asked: list[str] = field(default_factory=list)

    def read(self, name: str) -> bytes:
        self.asked.append(name)
        return super().read(name)

    def names(self, folder: str) -> set[str]:
        self.asked.append(folder)
        return super().names(folder)

    def files(self, folder: str) -> Iterator[File]:
        self.asked.append(folder)
        return super().files(folder)


def of(*keys: str) -> dict[str, dict[str, str]]:
    return {key: {"digest": f"of {key}"} for key in keys}


def as_before(record: object, serializer: str = "json") -> str:
    """What versions before kept a record as: a result of Prefect's, in a file of its own."""
    metadata = {"storage_key": "key", "serializer": {"type": serializer}}
    return json.dumps({"metadata": metadata, "result": json.dumps(record)})


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    if request.param == "bucket":
        return Root.prepare(request.getfixturevalue("url"))
    return Root.prepare(tmp_path / "root")


def test_what_is_kept_together_is_found_one_by_one(root: Root) -> None:
    records, (a, b, c, d, *_) = Records(root), KEYS
    assert records.find("stage", [a]) == {}
    assert records.kept("stage") == {}
    kept = records.keep("stage", of(a, b, c))
    assert kept == {key: Found(record, name_of([c, a, b])) for key, record in of(a, b, c).items()}
    assert records.find("stage", [b, d]) == {b: kept[b]}
    assert records.find("other", [b]) == {}
    assert records.find("stage", []) == {}
    assert records.kept("stage") == {name_of([a, b, c]): {a, b, c}}


def test_one_that_is_forgotten_leaves_the_others(root: Root) -> None:
    records, (a, b, c, d, *_) = Records(root), KEYS
    records.keep("stage", of(a, b, c))
    records.keep("stage", of(d))
    assert records.forget("stage", [b]) == set()
    assert records.find("stage", KEYS).keys() == {a, c, d}
    assert records.forget("stage", [a, c, d]) == {name_of([a, b, c]), name_of([d])}
    assert records.forget("stage", [a, c, d]) == set()
    assert records.find("stage", KEYS) == {}
    assert root.place.names("cache/stage") == set()


def test_records_of_the_version_before_are_found_replaced_and_forgotten(root: Root) -> None:
    records, (a, b, c, d, *_) = Records(root), KEYS
    (record,) = of(a).values()
    root.write_text(f"cache/stage/{a}", as_before(record))
    root.write_text(f"cache/stage/{b}", as_before(record))
    root.write_text(f"cache/stage/{c}", as_before(record, "pickle"))
    root.write_text(f"cache/stage/{d}", as_before(record)[:-20])
    assert records.find("stage", KEYS) == {a: Found(record, a), b: Found(record, b)}
    assert records.kept("stage") == {key: {key} for key in (a, b, c, d)}
    root.write_text(f"cache/stage/{c}", as_before({"__class__": "subprocess.Popen", "data": ["true"]}))
    assert records.find("stage", [c])[c].record == {"__class__": "subprocess.Popen", "data": ["true"]}
    newer = records.keep("stage", of(b) | {a: {"digest": "newer"}})
    assert records.find("stage", [a]) == {a: newer[a]}
    records.forget("stage", [a, c, d])
    assert records.find("stage", KEYS).keys() == {b}
    records.forget("stage", [b])
    assert root.place.names("cache/stage") == set()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "null", "not JSON", '{"a": ', "[" * 100_000, "\x00"],
    ids=["empty", "list", "number", "null", "words", "cut", "deep", "nul"],
)
def test_a_file_that_holds_no_records_counts_as_none(root: Root, text: str) -> None:
    records, (a, b, *_) = Records(root), KEYS
    records.keep("stage", of(a))
    there = records.keep("stage", of(b))
    root.write_text(f"cache/stage/{name_of([a])}.json", text)
    assert records.find("stage", [a, b]) == there
    assert records.kept("stage") == {name_of([a]): {name_of([a])}, name_of([b]): {b}}
    assert records.forget("stage", [b]) == {name_of([b])}
    records.keep("stage", of(a))
    assert records.find("stage", [a]).keys() == {a}


@given(st.integers(0, 600))
@examples(40)
def test_a_file_that_is_cut_anywhere_gives_whole_records_or_none(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    root = Root.prepare(tmp_path_factory.mktemp("root"))
    kept = Records(root).keep("stage", of(*KEYS[:4]))
    path = Path(root.where(f"cache/stage/{name_of(KEYS[:4])}.json"))
    path.write_bytes(path.read_bytes()[:length])
    assert Records(root).find("stage", KEYS) in ({}, kept)


def test_thousands_are_looked_up_with_one_listing_and_a_read_for_each_file(tmp_path: Path) -> None:
    Root.prepare(tmp_path)
    place = Counted(tmp_path)
    records = Records(Root(place))
    keys = [f"{number:064x}" for number in range(5000)]
    for start in range(0, len(keys), 500):
        records.keep("stage", of(*keys[start : start + 500]))
    place.asked.clear()
    assert records.find("stage", keys).keys() == set(keys)
    assert len(place.asked) == 1 + 10
    place.asked.clear()
    assert records.find("stage", keys[:1]).keys() == {keys[0]}
    assert len(place.asked) <= 1 + 10
    place.asked.clear()
    assert sum(map(len, records.kept("stage").values())) == len(keys)
    assert len(place.asked) == 1 + 10


def test_of_many_old_records_only_those_that_are_wanted_are_read(tmp_path: Path) -> None:
    root = Root.prepare(tmp_path)
    for key in KEYS:
        root.write_text(f"cache/stage/{key}", as_before({"digest": key}))
    place = Counted(tmp_path)
    assert Records(Root(place)).find("stage", KEYS[:2]).keys() == set(KEYS[:2])
    assert sorted(place.asked) == ["cache/stage", *(f"cache/stage/{key}" for key in KEYS[:2])]


@given(st.lists(st.sampled_from(KEYS), unique=True, min_size=1), st.randoms(use_true_random=False))
def test_the_name_of_a_set_depends_on_what_is_in_it(keys: list[str], random: object) -> None:
    shuffled = list(keys)
    random.shuffle(shuffled)
    assert name_of(shuffled) == name_of(keys)
    assert name_of(keys) != name_of([*keys, "f" * 64])
