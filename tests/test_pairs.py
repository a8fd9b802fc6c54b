"""Which layers are paired: planned without computing, from the study and what is recorded."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flows.run import plan
from flows.study.model import Study
from flows.study.resolved import Resolved, Shape
from spanmatch import networks
from spanmatch.comparing.choice import choose_layers
from spanmatch.comparing.pairs import names_of_pairs
from spanmatch.errors import InputValueError
from storage.root import Artefact
from tasks import permuting, reduction, streamed, streamed_null
from tasks.reduction import CrossName, OwnName
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.together import in_blocks, together
from tasks.unit import Done, Unit
from tasks.wanted import Checkpoint, Side, Wanted, WantedLayer

LAYERS = ("block1.relu1", "block2.relu1", "classifier.relu1")
STUDY = {
    "name": "planned",
    "dataset": "digits",
    "architecture": "vgg9-digits",
    "seeds": [0, 1, 2],
    "images": 300,
    "segment_images": 200,
    "positions": "mean",
    "epsilons": [0.3, 0.5],
    "root": "root",
}
NAMES = ("a", "b", "block.relu1", "block.relu2", "lstm[1][0]")


def wanted(pairing: Any = "same", **changes: Any) -> Wanted:
    resolved = Resolved(LAYERS, "data", "held-out", 599, shapes=dict.fromkeys(LAYERS, Shape((8, 8), 20)))
    made = plan.wanted(Study.model_validate({**STUDY, **changes}), resolved)
    return replace(made, pairing=pairing)


def planned(made: Wanted) -> dict[str, dict[Any, Unit]]:
    """Walk the plan as if every unit were finished, with a content of its own."""
    units: dict[str, dict[Any, Unit]] = {}

    def complete(stage: Stage, of_stage: Mapping[Any, Unit]) -> dict[Any, Done]:
        units[stage.name] = dict(of_stage)
        return {
            name: Done(
                unit,
                {
                    "digest": unit.key,
                    "content": unit.key,
                    "checkpoints": {moment: {"digest": unit.key + moment} for moment in ("initial", "final")},
                },
                Artefact(stage.name, unit.key, stage.name, unit.key),
            )
            for name, unit in of_stage.items()
        }

    plan.walk(made, complete)
    return units


def keys(units: Mapping[str, Mapping[Any, Unit]]) -> dict[str, set[str]]:
    return {stage: {unit.key for unit in of_stage.values()} for stage, of_stage in units.items()}


def test_names_are_paired_as_asked() -> None:
    def pairs(asked: Any) -> list[tuple[str, str]]:
        return names_of_pairs(("a", "b", "b.relu1"), ("b", "c.relu1", "c.relu2"), asked, ("one", "other"))

    assert pairs("same") == [("b", "b")]
    assert pairs("grid") == list(product(("a", "b", "b.relu1"), ("b", "c.relu1", "c.relu2")))
    assert pairs([("b", "c.relu2"), ["a", "b"], ("b", "c.relu2")]) == [("b", "c.relu2"), ("a", "b")]
    assert pairs([("b*", "c.*")]) == list(product(("b", "b.relu1"), ("c.relu1", "c.relu2")))


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1))
def test_a_list_of_names_is_itself_without_repetitions(pairs: list[tuple[str, str]]) -> None:
    assert names_of_pairs(NAMES, NAMES, pairs, ("x", "y")) == list(dict.fromkeys(pairs))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("every", "`pairs` must be 'grid', 'same' or a list .* got 'every'"),
        (
            [("a", "lstm[1][9]")],
            r"got 'lstm\[1\]\[9\]', which is none of 'other': .* mean 'lstm\[1\]\[0\]'\?",
        ),
        ([("relu*", "a")], r"got 'relu\*', which is none of 'one'"),
        ([("a", 3)], r"two names each, got \('a', 3\)"),
        ([["a"]], r"two names each, got \['a'\]"),
        (["ab"], "two names each, got 'ab'"),
    ],
)
def test_pairs_of_what_there_is_not_are_refused(asked: Any, says: str) -> None:
    with pytest.raises(InputValueError, match=says):
        names_of_pairs(NAMES, NAMES, asked, ("one", "other"))


@pytest.mark.parametrize("changes", [{}, {"folds": 0}, {"compare": ["networks", "checkpoints"]}])
def test_a_grid_recomputes_nothing_that_same_names_have(changes: dict[str, Any]) -> None:
    same, grid = keys(planned(wanted(**changes))), keys(planned(wanted("grid", **changes)))
    for stage in STAGES:
        assert same[stage] <= grid[stage], stage
    assert same["networks"] == grid["networks"]
    assert same["segments"] == grid["segments"]
    assert same["matches"] == grid["matches"]
    own = {unit.key for name, unit in planned(wanted(**changes))["comoments"].items() if len(name) == 3}
    further = grid["comoments"] - same["comoments"]
    pairs = len(wanted(**changes).comparisons) * len(LAYERS) * (len(LAYERS) - 1)
    assert own <= same["comoments"]
    assert len(further) == 2 * pairs  # of two segments, cross parts alone


def test_a_list_needs_no_layers_but_those_it_names() -> None:
    made = wanted([("block1.relu1", "block2.relu1")], checkpoints=["final"])
    units = planned(made)
    x, y, z = (Checkpoint(f"seed{seed}", "final") for seed in range(3))
    sides = {
        Side("block1.relu1", x),
        Side("block1.relu1", y),
        Side("block2.relu1", y),
        Side("block2.relu1", z),
    }
    assert {Side(name.layer, name.checkpoint) for name in units["segments"]} == sides
    assert {
        Side(name.layer, name.checkpoint) for name in units["comoments"] if isinstance(name, OwnName)
    } == sides
    crosses = [name.pair for name in units["comoments"] if isinstance(name, CrossName) and name.start == 0]
    assert [pair.sides for pair in crosses] == [
        (Side("block1.relu1", one), Side("block2.relu1", other)) for one, other in ((x, y), (x, z), (y, z))
    ]
    # what a list names is looked into as names that are the same
    assert {name.pair for name in units["matches"]} == set(crosses)
    assert {name.resample for name in units["profiles"]} == set(made.resamples)


def test_of_a_grid_only_pairs_of_one_name_are_looked_into() -> None:
    made = wanted("grid")
    units = planned(made)
    for pair in made.pairs:
        kinds = {name.resample.kind for name in units["profiles"] if name.pair == pair}
        looked_into = pair.layer_x == pair.layer_y
        assert kinds == (
            {"whole", "null", "without", "first", "held-out"} if looked_into else {"whole", "null"}
        )
        assert any(name.pair == pair for name in units["matches"]) == looked_into
        assert {name.measure for name in units["measures"] if name.pair == pair} == set(made.measures)


def test_layers_that_no_pair_connects_are_read_apart() -> None:
    named = [("block1.relu1", "block2.relu1"), ("classifier.relu1", "classifier.relu1")]
    apart = together(wanted(named, checkpoints=["final"]))
    assert [one.label for one in apart] == ["block1.relu1 … block2.relu1 (2 layers)", "classifier.relu1"]
    assert [one.label for one in together(wanted("same", checkpoints=["final"]))] == list(LAYERS)
    (whole,) = together(wanted("grid", checkpoints=["final"]))
    assert whole.pairs == wanted("grid", checkpoints=["final"]).pairs
    assert len(whole.sides) == len(LAYERS) * 3
    (whole,) = together(wanted("grid", compare=["networks", "checkpoints"]))
    assert len(whole.sides) == len(LAYERS) * 6


@pytest.mark.parametrize("pairing", ["same", "grid", [LAYERS[:2], LAYERS[1:], LAYERS[2::-2]]])
def test_groups_are_the_sides_of_their_pairs_each_with_a_name_of_its_own(pairing: Any) -> None:
    made = wanted(pairing, checkpoints=["initial", "final"])
    groups = together(made)
    assert sorted(pair for one in groups for pair in one.pairs) == sorted(made.pairs)
    assert len({one.label for one in groups}) == len(groups) > 1
    for one in groups:
        assert set(one.sides) == {side for pair in one.pairs for side in pair.sides}
        assert len({side.checkpoint.moment for side in one.sides}) == 1


def test_layers_that_a_mask_leaves_out_are_named_in_the_order_of_the_forward_pass() -> None:
    layers = networks.list_layers(nn.Sequential(*(nn.Conv1d(3, 3, 2) for _ in range(9))), (3, 20))
    chosen, left_out = choose_layers({"a": layers}, "*", {"a": 19})
    assert list(chosen["a"]) == ["0"]
    assert left_out == [f"'{number}' of 'a': other positions than the mask" for number in range(1, 9)]


def test_passes_are_named_by_their_networks_in_order() -> None:
    """Whatever the order of a set is, which is another in every process."""
    made = wanted(checkpoints=["initial", "final"])
    assert {tile.label(made) for tile in (*streamed.tiles(made), *streamed_null.tiles(made))} == {
        "seed0-initial … seed2-initial (3)",
        "seed0-final … seed2-final (3)",
    }


@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=60), folds=st.integers(0, 20))
def test_any_two_blocks_of_layers_have_sums_that_fit_into_memory(sizes: list[int], folds: int) -> None:
    one = Checkpoint("seed0", "final")
    layers = {
        Side(str(place), one): WantedLayer(str(place), neurons=size) for place, size in enumerate(sizes)
    }
    blocks = reduction.blocks_of_sums(layers, folds)
    numbers = list(blocks.values())
    assert list(blocks) == list(layers)
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(numbers[-1] + 1))
    for number in set(numbers):
        within = [layers[side].neurons for side in layers if blocks[side] == number]
        assert len(within) == 1 or sum(within) ** 2 * 8 * max(folds, 1) <= reduction._TILE_BYTES
        if number:  # no block could have taken the first of the next
            before = [layers[side].neurons for side in layers if blocks[side] == number - 1]
            assert (sum(before) + within[0]) ** 2 * 8 * max(folds, 1) > reduction._TILE_BYTES


def test_permuted_parts_of_a_grid_are_summed_in_blocks_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    made = wanted("grid", checkpoints=["final"])
    whole = {unit.tile for unit in planned(made)["permuted"].values()}
    assert whole == {"block1.relu1 … classifier.relu1 (3 layers) · permuted"}
    monkeypatch.setattr(permuting, "_SUMS_BYTES", (3 * 20) ** 2 * 8 * made.permutations)
    tiles: dict[str, set[Side]] = {}
    for name, unit in planned(made)["permuted"].items():
        tiles.setdefault(unit.tile, set()).update(name.pair.sides)
    assert len(tiles) > 1
    assert max(map(len, tiles.values())) <= 6


def test_of_a_grid_whose_null_is_streamed_networks_pass_once_for_each_two_blocks_of_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"layer{number}" for number in range(24)]
    of = Resolved(tuple(names), "data", "held-out", 599, shapes=dict.fromkeys(names, Shape((8, 8), 20)))
    study = {**STUDY, "pairs": "grid", "checkpoints": ["final"], "activations": "stream", "seeds": [0, 1]}
    held, sums = 300 * 64 * 20 * 4, 8 * 20 * 20 * 20  # of a layer, and of a pair
    # where two blocks of six layers have half of the room, and where the pairs of two of eight have
    for positions, room, blocks in (("all", 2 * 2 * 6 * held, 4), ("mean", 2 * 8**2 * sums, 3)):
        made = plan.wanted(Study.model_validate({**study, "positions": positions}), of)
        monkeypatch.setattr(permuting, "HELD_BYTES", room)
        tiles = list(streamed_null.tiles(made))
        assert all(tile.bytes <= room for tile in tiles)
        assert len(tiles) <= blocks**2
        found = [name for tile in tiles for name in tile.names]
        assert len(found) == len(set(found)) == len(names) ** 2 * made.permutations


def test_blocks_are_filled_in_order() -> None:
    one = Checkpoint("seed0", "final")
    shares = {Side(str(place), one): share for place, share in enumerate((0.5, 0.25, 0.5, 2.0, 0.1))}
    assert list(in_blocks(shares).values()) == [0, 0, 1, 2, 3]
