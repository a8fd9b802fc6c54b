"""Jobs hold every unit once and about equal work; what a worker has done it keeps, whatever comes after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from spanmatch.errors import SpanmatchError
from storage.packs import Packs, content_digest
from storage.places import UnusableRootError
from storage.records import Records
from storage.root import DamagedArtefactError, DamagedArtefactsError, Root
from tasks import work as working
from tasks.stage import Artefact, Cost, Form, Result, Stage
from tasks.unit import Unit
from tasks.work import counted, groups, jobs, work


class Record(TypedDict):
    """Of a made unit."""

    digest: str


@dataclass(frozen=True)
class Made(Unit):
    """A unit that takes so long, alone or with others."""

    stage: ClassVar[str] = "made"
    version: ClassVar[int] = 1

    takes: float = 1.0
    together: str | None = None

    @property
    def group(self) -> str:
        return self.key if self.together is None else self.together

    @property
    def seconds(self) -> float:
        return self.takes

    def identity(self) -> dict[str, Any]:
        return {"label": self.label}


UNITS = st.lists(
    st.builds(
        Made,
        st.sampled_from([f"unit {number}" for number in range(200)]),
        st.floats(1e-3, 1e3) | st.just(0.01),
        st.sampled_from([None, None, *"abcdef"]),
    ),
    max_size=300,
)


def takes(units: Sequence[Unit]) -> float:
    return sum(unit.seconds for unit in units)


@given(UNITS)
def test_every_unit_is_in_one_job_with_its_group_and_in_order(units: list[Made]) -> None:
    cut = jobs(units)
    gathered = [group for job in cut for group in job.groups]
    assert gathered == groups(units)
    keys = [unit.key for group in gathered for unit in group]
    assert sorted(keys) == sorted({unit.key for unit in units})
    assert len(gathered) == len({group[0].group for group in gathered})
    firsts = [keys.index(group[0].key) for group in gathered]
    assert firsts == sorted(firsts)
    for group in gathered:
        assert len({unit.group for unit in group}) == 1
    assert counted(units) == len(keys)


@given(UNITS)
@example([Made(f"{number}", 1.0) for number in range(300)])  # of which four and a half are a job's share
def test_jobs_are_few_and_none_is_longer_than_its_share_and_one_group(units: list[Made]) -> None:
    cut, gathered = jobs(units), groups(units)
    total, longest = sum(map(takes, gathered)), max(map(takes, gathered), default=0.0)
    share = max(working._LEAST_SECONDS, total / working._MOST_JOBS)
    assert len(cut) <= min(working._MOST_JOBS, len(gathered), total // share + 1)
    for job in cut:
        assert takes(job.units) <= (share + longest) * (1 + 1e-9)


@given(st.integers(2, 64), st.floats(2, 1e4))
def test_units_that_are_worth_a_job_each_have_one(count: int, seconds: float) -> None:
    assert [len(job.units) for job in jobs(Made(f"{n}", seconds) for n in range(count))] == [1] * count


def test_a_job_is_called_by_its_first_and_last_group_and_their_number() -> None:
    (one,) = jobs([Made("relu · seed 0 ~ seed 1")])
    assert one.label == "relu · seed 0 ~ seed 1"
    (three,) = jobs([Made(name, 0.1) for name in ("first", "second", "third")])
    assert three.label == "first … third (3)"
    assert three.steps == 3
    assert jobs([]) == []


def stage_of(compute: Callable[[Made], Result], form: Form = Form.PACK) -> Stage:
    return Stage(
        name="made",
        verb="make",
        bar=lambda _: "make",
        record=Record,
        form=form,
        plan=lambda *_: {},
        compute=lambda root, group, reading: [compute(unit) for unit in group],
        cost=lambda *_: Cost(0),
    )


def result(unit: Made) -> Result:
    content = {"of": np.frombuffer(unit.label.encode(), np.uint8)}
    return Result(unit, {"digest": content_digest(content)}, content)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.prepare(tmp_path / "root")


@pytest.fixture
def do(root: Root, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Do one job of a made stage, given what computes a unit."""

    def do(units: Sequence[Made], compute: Callable[[Made], Result], form: Form = Form.PACK) -> Any:
        monkeypatch.setattr(working, "STAGES", {"made": stage_of(compute, form)})
        (job,) = jobs(units)
        return work(root, "made", job)

    return do


UNIT, OTHER, THIRD = (Made(name, 0.1) for name in ("one", "other", "third"))


def kept(root: Root) -> set[str]:
    """Labels of the units that are kept, each read and verified."""
    found = Records(root).find("made", [unit.key for unit in (UNIT, OTHER, THIRD)])
    stage, reading = stage_of(result), Packs(root)
    return {reading.read(stage.artefact(key, one))["of"].tobytes().decode() for key, one in found.items()}


def test_a_job_keeps_its_units_together_and_returns_their_records(root: Root, do: Callable[..., Any]) -> None:
    found = do([UNIT, OTHER], result)
    assert found == Records(root).find("made", [UNIT.key, OTHER.key])
    assert len({one.together for one in found.values()}) == 1
    assert len(root.place.names("made")) == len(root.place.names("cache/made")) == 1
    assert kept(root) == {"one", "other"}


@pytest.mark.parametrize(
    "error", [SpanmatchError("no"), MemoryError(), KeyboardInterrupt(), ValueError("bug")]
)
def test_what_was_done_before_a_unit_fails_is_kept(
    error: BaseException, root: Root, do: Callable[..., Any]
) -> None:
    def failing(unit: Made) -> Result:
        if unit == OTHER:
            raise error
        return result(unit)

    with pytest.raises(type(error)):
        do([UNIT, OTHER, THIRD], failing)
    # what one unit is refused for is no matter to the others
    assert kept(root) == ({"one", "third"} if isinstance(error, SpanmatchError) else {"one"})


def test_all_that_is_damaged_is_named_at_once_and_the_rest_is_done(
    root: Root, do: Callable[..., Any]
) -> None:
    def damage(name: str) -> DamagedArtefactError:
        return DamagedArtefactError(Artefact("before", name, f"before/{name}", ""), "it is missing")

    def damaged(unit: Made) -> Result:
        if unit == UNIT:
            raise damage("a")
        if unit == THIRD:
            raise DamagedArtefactsError([damage("b"), damage("c")])
        return result(unit)

    with pytest.raises(DamagedArtefactsError) as found:
        do([UNIT, OTHER, THIRD], damaged)
    assert [one.key for one in found.value.damages] == ["a", "b", "c"]
    assert str(found.value) == "; ".join(f"before/{name}: it is missing" for name in "abc")
    assert kept(root) == {"other"}


def test_a_root_that_takes_nothing_more_ends_a_job_at_once(do: Callable[..., Any]) -> None:
    tried = []

    def full(unit: Made) -> Result:
        tried.append(unit)
        raise UnusableRootError("`root` must have room")

    with pytest.raises(UnusableRootError):
        do([UNIT, OTHER], full, Form.FOLDER)
    assert tried == [UNIT]


def test_what_is_done_is_kept_after_a_while_or_when_it_is_much(
    root: Root, do: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def watched(unit: Made) -> Result:
        seen.append(kept(root))
        return result(unit)

    do([UNIT, OTHER, THIRD], watched)
    assert seen == [set(), set(), set()]
    for limit in ("_KEEP_SECONDS", "_KEEP_BYTES"):
        for folder in ("made", "cache/made"):
            root.place.remove(folder)
        seen.clear()
        with monkeypatch.context() as patched:
            patched.setattr(working, limit, 0)
            do([UNIT, OTHER, THIRD], watched)
        assert seen == [set(), {"one"}, {"one", "other"}]
        assert kept(root) == {"one", "other", "third"}


def test_results_in_the_record_itself_need_no_pack(root: Root, do: Callable[..., Any]) -> None:
    do([UNIT, OTHER], lambda unit: Result(unit, {"digest": unit.label}), Form.RECORD)
    assert root.place.names("made") == set()
    found = Records(root).find("made", [UNIT.key, OTHER.key])
    assert {one.record["digest"] for one in found.values()} == {"one", "other"}
