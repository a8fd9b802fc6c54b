"""Every stage has what runs, progress, `status` and `prune` need of it, and a name of its own."""

import re

import pytest
from pipeline import quick

from flows.run.prepared import look
from spanmatch.errors import InputValueError
from storage.records import Found
from tasks.running import TASKS
from tasks.stage import Form, Stage
from tasks.stages import KINDS, STAGES, registered
from tasks.wanted import Wanted

EACH = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Wanted:
    asked = {"null": {"permutations": 20}, "folds": 2, "exemplars": 9}
    return look(quick(tmp_path_factory.mktemp("study"), **asked)).wanted


def test_a_stage_that_is_registered_twice_is_refused_in_one_sentence() -> None:
    first, *others = STAGES.values()
    assert list(registered(others)) == [stage.name for stage in others]
    with pytest.raises(
        InputValueError, match=rf"`STAGES` must .*, got '{first.name}' twice; give one"
    ) as said:
        registered([first, *others, first])
    assert "\n" not in str(said.value)


def test_stages_have_names_folders_and_tasks_of_their_own() -> None:
    assert list(STAGES) == [stage.name for stage in STAGES.values()]
    assert TASKS.keys() == STAGES.keys()
    assert len({task.name for task in TASKS.values()}) == len(STAGES)
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    patterns = [pattern for kind in KINDS for pattern, _ in kind.files]
    assert len(set(patterns)) == len(patterns)


@EACH
def test_a_stage_is_planned_and_shown(stage: Stage, wanted: Wanted) -> None:
    assert re.fullmatch(r"[a-z][^()]+ \([^()]+\)", stage.bar(wanted))
    nothing = {key: {} for key in STAGES}
    assert bool(stage.plan(wanted, nothing)) == (stage.name == "networks"), "it stands on those before"


@EACH
def test_a_stage_is_pruned_as_it_is_kept(stage: Stage) -> None:
    kind = next(kind for kind in KINDS if kind.name == stage.name)
    assert kind == stage.kind
    assert kind.recorded
    assert kind.packed == (stage.form is not Form.FOLDER)
    own = stage.place("key", "together")
    patterns = [pattern for pattern, _ in kind.files]
    if stage.form is Form.FOLDER:
        assert own == patterns[0].format("key")
        assert kind.files[0][1], "files in a folder are told from somebody's own"
    if stage.form is Form.PACK:
        assert own == patterns[0].format("together")


@EACH
def test_a_record_of_another_form_counts_as_none(stage: Stage, wanted: Wanted) -> None:
    (unit,) = list(STAGES["networks"].plan(wanted, {}).values())[:1]
    fields = stage.record.__annotations__
    for record in (None, 3, [], {}, "text", dict.fromkeys(fields, object()), dict.fromkeys(fields)):
        assert not stage.accepted(unit, Found(record, "together"))
    assert not stage.accepted(unit, None)


def test_kinds_are_cleared_in_the_order_in_which_they_stand_on_each_other() -> None:
    names = [kind.name for kind in KINDS if kind.name in STAGES]
    assert names == list(reversed(STAGES))
