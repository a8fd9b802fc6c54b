"""Which pairs of layers a study may ask for, of which of its networks: refused or joined before any work."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from test_pairs import STUDY
from torch import nn

from flows.run import plan
from flows.study.kept import Kept, joined, keep, require_same_data
from flows.study.model import Study, validated
from flows.study.pairing import check_pairs, shared_layers
from flows.study.resolved import Resolved, ResolvedOther, Shape
from spanmatch import networks
from spanmatch.errors import InputValueError
from storage.root import Root
from tasks.together import together


def resolved(maps: Mapping[str, tuple[int, ...]], of_other: Mapping[str, tuple[int, ...]]) -> Resolved:
    """What a study and another one, `wide`, have for layers, by the sizes of their maps."""
    own, theirs = ({name: Shape(sizes, 9) for name, sizes in of.items()} for of in (maps, of_other))
    wide = Study.model_validate({**STUDY, "name": "wide"})
    other = ResolvedOther(wide, "data", "", layers=tuple(theirs), shapes=theirs)
    return Resolved(tuple(own), "data", "held-out", 599, shapes=own, others={"wide": other})


def check(pairs: Any, of: Resolved, **changes: Any) -> None:
    across = {"compare": ["networks", "others"], "others": {"wide": "wide.yaml"}}
    check_pairs(Study.model_validate({**STUDY, "pairs": pairs, **across, **changes}), of)


MAPS = {"conv": (8, 8), "tokens": (64,), "dense": ()}


@pytest.mark.parametrize("positions", ["all", 5])
@pytest.mark.parametrize(
    ("pairs", "theirs", "says"),
    [
        ("grid", MAPS, "'conv' of 'seed0' has 8 × 8 positions and 'dense' of 'seed1' has one position; set"),
        (
            [["conv", "dense"]],
            MAPS,
            "'conv' of 'seed0' has 8 × 8 positions and 'dense' of 'seed1' has one pos",
        ),
        ([["conv", "conv"]], {"conv": (4, 16)}, "and 'conv' of 'wide/seed0' has 4 × 16 positions; set `pos"),
        ([["tokens", "tokens"]], {"tokens": (16,)}, "has 64 positions and 'tokens' of 'wide/seed0' has 16"),
    ],
)
def test_layers_whose_samples_differ_are_refused_with_both_shapes_and_the_mean(
    pairs: Any, theirs: dict[str, tuple[int, ...]], says: str, positions: Any
) -> None:
    compare = ["networks" if "'seed1'" in says else "others", "others"]
    with pytest.raises(InputValueError, match=f"`pairs` must be of layers with the same positions.*{says}"):
        check(pairs, resolved(MAPS, theirs), positions=positions, compare=list(dict.fromkeys(compare)))
    check(pairs, resolved(MAPS, theirs), positions="mean")


def test_layers_of_one_name_have_the_same_maps_or_are_averaged() -> None:
    found, *theirs = (
        networks.list_layers(nn.Sequential(nn.Conv2d(1, 2, 2, stride=stride)), (1, 8, 8))
        for stride in ((2, 4), (4, 2), (2, 4))
    )
    chosen = networks.choose(found, [("0", None)])
    study = Study.model_validate(
        {**STUDY, "positions": "all", "compare": ["others"], "others": {"wide": "wide.yaml"}}
    )
    of_other = resolved({}, {}).others["wide"]
    says = "same positions in both networks, got 4 × 2 positions and 2 × 4 positions of '0' in 'wide'"
    with pytest.raises(InputValueError, match=says):
        shared_layers(study, chosen, {"wide": (of_other, theirs[0])})
    shared_layers(study, chosen, {"wide": (of_other, theirs[1])})
    shared_layers(study.model_copy(update={"positions": "mean"}), chosen, {"wide": (of_other, theirs[0])})


def test_rows_of_as_many_positions_as_a_map_has_are_its_positions() -> None:
    check([["conv", "tokens"]], resolved(MAPS, MAPS), positions="all")


def test_a_pair_must_be_there_in_every_comparison() -> None:
    of = resolved({"conv": (), "relu": ()}, {"stem": ()})
    check([["conv", "stem"]], of, compare=["others"])
    with pytest.raises(InputValueError, match="got 'stem', which is none of 'seed1': conv, relu"):
        check([["conv", "stem"]], of)
    with pytest.raises(InputValueError, match=r"got 'stemm', .* 'wide/seed0': stem; did you mean 'stem'"):
        check([["conv", "stemm"]], of, compare=["others"])


def test_patterns_must_stand_for_the_same_pairs_in_every_comparison() -> None:
    of = resolved({"conv": (), "relu": ()}, {"conv": (), "relu": (), "rest": ()})
    says = "but 'relu' with 'rest' is one of 'seed0' and 'wide/seed0' and none of 'seed0' and 'seed1'; write"
    with pytest.raises(InputValueError, match=says):
        check([["relu", "re*"]], of)
    for alike in (
        ([["relu", "re*"]], of, {"compare": ["others"]}),
        ([["relu", "rel*"]], of, {}),
        ("grid", of, {}),
    ):
        check(*alike[:2], **alike[2])


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ("every", "`pairs` must be same, grid, or a list .* got 'every'"),
        ([], r"`pairs` must be same, grid, or a list .* got \[\]"),
        (3, "`pairs` must be same, grid, or a list .* got 3"),
        ([["a", "b", "c"]], r"`pairs` must hold pairs of names or patterns, got \['a', 'b', 'c'\]; write"),
        (["ab"], "`pairs` must hold pairs of names or patterns, got 'ab'"),
        ([["a", 3]], r"`pairs` must hold pairs of names or patterns, got \['a', 3\]"),
    ],
)
def test_a_study_says_what_pairs_may_be(pairs: Any, says: str) -> None:
    with pytest.raises(InputValueError, match=says):
        validated({**STUDY, "pairs": pairs}, "the test")


ONE, OTHER = [["conv", "stem"]], [["relu", "stem"], ["conv", "stem"]]


@pytest.mark.parametrize(
    ("asked", "kept", "both"),
    [
        ("same", "same", "same"),
        ("grid", "same", "grid"),
        ("same", "grid", "grid"),
        (ONE, OTHER, [*ONE, OTHER[0]]),
        (ONE, "same", None),
        ("grid", ONE, None),
    ],
)
def test_pairs_of_a_study_are_joined_with_those_of_its_last_run(
    asked: Any, kept: Any, both: Any, tmp_path: Path
) -> None:
    across = {"compare": ["others"], "others": {"wide": "wide.yaml"}, "root": str(tmp_path / "root")}
    asking, last = (Study.model_validate({**STUDY, **across, "pairs": pairs}) for pairs in (asked, kept))
    keep(Root.prepare(tmp_path / "root"), last, resolved({"conv": (), "relu": ()}, {"stem": ()}))
    if both is None:
        with pytest.raises(InputValueError, match=r"`pairs` must be as in what is there, .*another name"):
            joined(asking)
    else:
        assert joined(asking)[0].pairs == both


def test_layers_of_each_side_are_those_of_its_own_study() -> None:
    study = Study.model_validate(
        {**STUDY, "pairs": "grid", "compare": ["others"], "others": {"wide": "wide.yaml"}}
    )
    made = plan.wanted(study, resolved({"conv": (8, 8), "relu": ()}, {"stem": (), "relu": ()}))
    assert {(pair.layer_x, pair.layer_y) for pair in made.pairs} == set(
        product(("conv", "relu"), ("stem", "relu"))
    )
    assert {pair.layers for pair in made.looked_into} == {"relu"}


def test_layers_of_one_name_and_other_maps_are_read_apart() -> None:
    """A list may pair `conv` of one study with a layer of its map, and `conv` of the other with another."""
    of = resolved({"conv": (8, 8), "relu": (4, 4)}, {"stem": (8, 8), "conv": (4, 4)})
    across = {"positions": "all", "compare": ["others"], "others": {"wide": "wide.yaml"}}
    study = Study.model_validate({**STUDY, "pairs": [["conv", "stem"], ["relu", "conv"]], **across})
    check_pairs(study, of)
    made = plan.wanted(study, of)
    groups = together(made)
    assert sum(len(one.sides) for one in groups) == sum(map(len, made.sides.values()))
    for one in groups:
        assert len({layer.positions for layer in one.sides.values()}) == 1


@pytest.mark.parametrize("called", ["held-out samples", "held-out images"])
def test_held_out_samples_must_be_those_of_the_last_run_whatever_it_called_them(called: str) -> None:
    found, study = resolved(MAPS, MAPS), Study.model_validate(STUDY)
    require_same_data(Kept(study=study, digests={called: found.held_out_digest}), found)
    with pytest.raises(InputValueError, match="must stand on the same held-out samples as its last run"):
        require_same_data(Kept(study=study, digests={called: "others"}), found)
