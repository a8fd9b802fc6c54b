"""Activations that are streamed: what is summed of them is, to the bit, what is summed of stored ones."""

import gc
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared import seeded
from hypothesis import given
from hypothesis import strategies as st
from pipeline import quick

from flows.command.status import status
from flows.run.collect import collect
from flows.run.plan import Finished, walk
from flows.run.prepared import Prepared, look
from spanmatch.errors import SpanmatchError
from spanmatch.networks import Images, architectures
from storage.checkpoints import write_checkpoint
from storage.records import Records
from storage.root import Artefact, Root
from tasks import permuting, reduction, segments, streamed, streamed_null
from tasks.fold_sums import FoldSums, bytes_at_once, images_at_once
from tasks.passing import Piece, packed
from tasks.reduction import CrossName, OwnName
from tasks.stage import Stage
from tasks.stages import STAGES
from tasks.statistic import Reading
from tasks.together import layers_of
from tasks.unit import Done, Unit
from tasks.wanted import Checkpoint, Wanted, WantedLayer
from tasks.work import jobs, work

SUMS = ("comoments", "permuted")
WIDTHS = {"block1.relu1": 16, "block2.relu2": 32, "block3.relu2": 64, "classifier.relu1": 64}
STUDY: dict[str, Any] = {
    "images": 24,
    "segment_images": 12,
    "centre": ["mean"],
    "folds": 3,
    "null": {"permutations": 4, "level": 0.2},
    "measures": ["linear-cka"],
}


@dataclass
class Pipeline:
    """Stages in this process, of networks with random weights; what each has computed."""

    root: Root
    computed: Counter[str] = field(default_factory=Counter)
    networks: dict[str, Done] = field(default_factory=dict)

    def finished(self, wanted: Wanted, until: str = "measures") -> Finished:
        """Compute what is missing of the stages up to one."""
        last = list(STAGES).index(until)

        def complete(stage: Stage, units: Mapping[Any, Unit]) -> dict[Any, Done]:
            if stage.name == "networks":
                return {
                    name: self._network(unit, number) for number, (name, unit) in enumerate(units.items())
                }
            if list(STAGES).index(stage.name) > last:
                return {}
            found = Records(self.root).find(stage.name, {unit.key for unit in units.values()})
            missing = [unit for unit in units.values() if unit.key not in found]
            self.computed[stage.name] += len(missing)
            for job in jobs(missing):
                found |= work(self.root, stage.name, job)
            return {
                name: Done(unit, found[unit.key].record, stage.artefact(unit.key, found[unit.key]))
                for name, unit in units.items()
            }

        return walk(wanted, complete)

    def _network(self, unit: Any, seed: int) -> Done:
        if unit.key in self.networks:
            return self.networks[unit.key]
        network = seeded(lambda: architectures.build(unit.architecture, (1, 8, 8), 10), seed)
        weights = {name: values.numpy() for name, values in network.state_dict().items()}
        digest = write_checkpoint(self.root, f"networks/{unit.key}", "final", weights, {})
        one = {"digest": digest, "epoch": 1, "accuracy": 0.1, "loss": 2.3}
        artefact = Artefact("networks", unit.key, f"networks/{unit.key}", digest)
        done = Done(unit, {"checkpoints": {"final": one}, "history": []}, artefact)
        return self.networks.setdefault(unit.key, done)


def pipeline(folder: Path) -> Pipeline:
    return Pipeline(Root.prepare(folder / "root"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """One root for tests that want no more than what is computed."""
    return pipeline(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return look(quick(tmp_path_factory.mktemp("prepared"), **STUDY))


def digests(finished: Finished) -> dict[str, dict[Any, str]]:
    return {stage: {name: done.record["digest"] for name, done in finished[stage].items()} for stage in SUMS}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dtype": "float16", "positions": 3},
        {"positions": "mean", "folds": 0, "permutations": 0},
    ],
    ids=str,
)
def test_streamed_sums_have_the_bits_of_stored_ones(shared: Pipeline, prepared: Prepared, changes) -> None:
    kept = replace(prepared.wanted, **changes)
    streamed_sums = shared.finished(replace(kept, streams=True), "permuted")
    stored = shared.finished(kept, "permuted")
    assert (
        len(streamed_sums["comoments"]) == 2 * 2 * 3
    )  # layers, segments, two own parts and one between them
    assert digests(streamed_sums) == digests(stored)
    assert not gc.get_freeze_count(), "what a job puts to rest it wakes"


def test_sums_in_blocks_of_layers_of_any_width_have_the_bits_of_those_of_all_at_once(
    tmp_path, shared: Pipeline, prepared: Prepared, monkeypatch
) -> None:
    layers = {
        name: tuple(WantedLayer(layer, None, neurons) for layer, neurons in WIDTHS.items())
        for name in prepared.wanted.layers
    }
    wanted = replace(prepared.wanted, layers=layers, pairing="grid", positions="mean", permutations=2)
    at_once = digests(shared.finished(wanted, "permuted"))
    assert len(at_once["comoments"]) == 2 * (2 * len(WIDTHS) + len(WIDTHS) ** 2)
    widest = max(WIDTHS.values())
    of_two = 2 * 8 * wanted.folds * (2 * widest) ** 2  # no two of the widest with their sums are in a block
    for name, one in (("_TILE_BYTES", reduction), ("_SUMS_BYTES", permuting), ("_PASS_BYTES", streamed)):
        monkeypatch.setattr(one, name, of_two)
    monkeypatch.setattr(permuting, "HELD_BYTES", of_two)
    blocks = reduction.blocks_of_sums(layers_of(wanted), wanted.folds)
    assert 1 < len(set(blocks.values())) < len(blocks)
    assert len(list(streamed.tiles(wanted))) > 2
    for number, streams in enumerate((False, True)):
        under = pipeline(tmp_path / str(number))
        assert digests(under.finished(replace(wanted, streams=streams), "permuted")) == at_once


def test_all_that_stands_on_sums_is_shared_and_only_statistics_are_written(tmp_path, prepared) -> None:
    under = pipeline(tmp_path)
    kept = prepared.wanted
    one = under.finished(replace(kept, streams=True))
    folders = {path.name for path in (tmp_path / "root").iterdir() if path.is_dir()}
    assert folders - {"cache", "staging"} == {"networks", "comoments", "permuted", "profiles", "matches"}
    under.computed.clear()
    other = under.finished(kept)
    again = {stage: under.computed[stage] for stage in ("profiles", "matches", "measures")}
    assert again == {"profiles": 0, "matches": 0, "measures": 0}
    there = replace(prepared, root=under.root)
    streamed_rows, stored_rows = (collect(there, finished, {}) for finished in (one, other))
    for table in fields(streamed_rows):
        if table.name != "critical_epsilons":
            assert getattr(streamed_rows, table.name) == getattr(stored_rows, table.name), table.name
    assert streamed_rows.similarity
    for row, of_stored in zip(streamed_rows.critical_epsilons, stored_rows.critical_epsilons, strict=True):
        np.testing.assert_array_equal(row.x, of_stored.x)
        np.testing.assert_array_equal(row.y, of_stored.y)


def passed_images(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the images that pass, by the label of their network."""
    passed, count = segments.passed, Counter[str]()

    def counted(root, units, images, *rest):
        for batch in passed(root, units, images, *rest):
            values = batch[units[0].layer]
            count[units[0].label.split(" · ")[0]] += len(values) if len(images) > 2 else 0
            yield batch

    monkeypatch.setattr(streamed, "passed", counted)
    monkeypatch.setattr(streamed_null, "passed", counted)
    return count


@pytest.mark.parametrize("stage", SUMS)
def test_what_is_interrupted_in_mid_pass_keeps_all_before_and_goes_on_to_the_same_bits(
    tmp_path, shared: Pipeline, prepared: Prepared, monkeypatch, stage: str
) -> None:
    whole = digests(shared.finished(replace(prepared.wanted, streams=True), "permuted"))
    under, wanted = pipeline(tmp_path), replace(prepared.wanted, streams=True)
    if stage == "permuted":
        under.finished(wanted, "comoments")
    passed, left = segments.passed, 3  # batches until somebody interrupts: in the second segment

    def interrupted(*of: Any):
        nonlocal left
        for batch in passed(*of):
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patch:
        for one in (streamed, streamed_null):
            patch.setattr(one, "passed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            under.finished(wanted, stage)
    under.computed.clear()
    assert digests(under.finished(wanted, "permuted")) == whole
    planned = len(whole[stage])
    assert under.computed[stage] == (planned // 2 if stage == "comoments" else planned)  # of two segments


def test_networks_pass_as_often_as_their_activations_do_not_fit(shared, prepared, monkeypatch) -> None:
    under, wanted = shared, replace(prepared.wanted, streams=True, permutation_seed=1)
    finished = under.finished(wanted, "comoments")
    widest = max(layers_of(wanted).values(), key=lambda layer: layer.neurons * layer.positions)
    whole = 24 * widest.neurons * widest.positions * 4
    assert widest.positions >= 4
    monkeypatch.setattr(permuting, "HELD_BYTES", whole // 2)  # a quarter of both sides
    count = passed_images(monkeypatch)
    in_parts = under.finished(wanted, "permuted")
    assert set(count.values()) == {
        sum(24 * streamed_null.times(tile) for tile in streamed_null.tiles(wanted))
    }
    assert count["seed 0"] > 24
    foretold = STAGES["permuted"].foretold(wanted, finished["permuted"])
    assert foretold == f"streaming: for the null, 2 checkpoints pass over {count['seed 0']} images"
    stored = under.finished(replace(prepared.wanted, permutation_seed=1), "permuted")
    assert digests(in_parts) == digests(stored)


def test_a_further_seed_has_all_networks_pass_but_sums_only_what_is_missing(
    tmp_path, prepared, monkeypatch
) -> None:
    under = pipeline(tmp_path)
    wanted = replace(prepared.wanted, streams=True, permutations=0)
    finished = under.finished(wanted, "permuted")
    further = look(quick(tmp_path, **STUDY, seeds=[0, 1, 2], activations="stream"))
    more = replace(further.wanted, permutations=0)
    said = STAGES["comoments"].foretold(more, finished["comoments"])
    assert said == "streaming: 3 checkpoints pass over 24 images, 2 of them again"
    assert STAGES["comoments"].foretold(wanted, finished["comoments"]) is None
    assert STAGES["comoments"].foretold(prepared.wanted, ()) is None
    under.computed.clear()
    count = passed_images(monkeypatch)
    under.finished(more, "comoments")
    assert under.computed["comoments"] == 2 * 2 * 3  # layers, segments, an own part and two pairs
    assert count == {"seed 0": 24, "seed 1": 24, "seed 2": 24}


def test_status_says_what_passes_before_anything_has(tmp_path) -> None:
    notices = status(look(quick(tmp_path, **STUDY, activations="stream"))).notices
    assert notices == (
        "streaming: 2 checkpoints pass over 24 images",
        "streaming: for the null, 2 checkpoints pass over 24 images",
    )


def test_a_key_says_what_passes_and_not_what_is_computed_beside_it(shared, prepared) -> None:
    under = shared

    def keys(**changes: Any) -> dict[Any, str]:
        wanted = replace(prepared.wanted, streams=True, **changes)
        done = under.finished(wanted, "segments")
        return {name: unit.key for name, unit in streamed.plan(wanted, done).items()}

    planned = keys()
    of_one_layer = {name: key for name, key in planned.items() if "block3" in str(name)}
    only = {
        network: tuple(layer for layer in layers if layer.name == "block3.relu2")
        for network, layers in prepared.wanted.layers.items()
    }
    assert keys(layers=only) == of_one_layer
    assert keys(permutations=0, epsilons=(0.1,)) == planned
    for changes in ({"folds": 2}, {"positions": "mean"}, {"dtype": "float16"}, {"held_out_digest": "other"}):
        others = keys(**changes)
        assert others.keys() == planned.keys()
        assert not set(others.values()) & set(planned.values()), changes


def test_a_network_that_is_not_finite_is_named(tmp_path, prepared, monkeypatch) -> None:
    under = pipeline(tmp_path)
    build = architectures.build

    def broken(*args: object):
        network = build(*args)
        network.get_parameter("block3.norm2.bias").data[3] = np.nan
        return network

    monkeypatch.setattr(architectures, "build", broken)
    with pytest.raises(SpanmatchError, match=r"activations of seed 0 · final · images 0-11 must be finite"):
        under.finished(replace(prepared.wanted, streams=True), "comoments")


checkpoints = st.frozensets(
    st.sampled_from([Checkpoint(f"seed{seed}", "final") for seed in range(5)]), min_size=1
)
pieces = st.lists(
    st.tuples(checkpoints, st.dictionaries(st.integers(0, 9), st.integers(1, 9), min_size=1)), max_size=12
)


@given(pieces, st.integers(1, 40))
def test_what_is_computed_in_one_go_fits_and_leaves_nothing_out(drawn, room: int) -> None:
    sizes: dict[int, int] = {}
    for _, takes in drawn:
        takes.update({what: sizes.setdefault(what, size) for what, size in takes.items()})
    apart = [Piece((number,), of, takes, 10) for number, (of, takes) in enumerate(drawn)]
    tiles = list(packed(apart, room))
    assert [name for tile in tiles for name in tile.names] == list(range(len(drawn)))
    for tile in tiles:
        assert len(tile.names) == 1 or tile.bytes <= room
        assert tile.checkpoints == frozenset().union(*(drawn[name][0] for name in tile.names))
        assert tile.takes.keys() == {what for name in tile.names for what in drawn[name][1]}
    for tile, following in pairwise(tiles):
        first = apart[following.names[0]]
        assert not tile.checkpoints & first.checkpoints or tile.joined(first).bytes > room


def test_what_a_tile_takes_is_what_is_in_memory_while_images_are_summed_and_kept() -> None:
    """Whatever is summed, of many layers with each other: sums, the blocks that are added, and no copy."""
    rng, neurons, count = np.random.default_rng(0), 160, 4
    numbers = range(count)
    pairs = {(i, i) for i in numbers} | set(product(numbers[:2], numbers[2:]))
    images = [rng.standard_normal((images_at_once(1), 1, neurons), dtype=np.float32) for _ in numbers]
    for folds in (0, 10):
        takes = 8 * max(folds, 1) * neurons**2 * len(pairs) + neurons * count * bytes_at_once(1, folds)
        tracemalloc.start()
        sums = FoldSums(list(map(str, numbers)), pairs, folds, 0)
        sums.add(images)
        kept = [sums.taken(pair) for pair in pairs]
        (now, peak), _ = tracemalloc.get_traced_memory(), tracemalloc.stop()
        held = sum(array.nbytes for content in kept for array in content.values())
        assert now < 1.2 * held
        assert 0.5 * takes < peak < 1.1 * takes


def test_room_for_what_waits_depends_on_how_it_is_stored(prepared: Prepared) -> None:
    def takes(**changes: Any) -> int:
        return sum(tile.bytes for tile in streamed.tiles(replace(prepared.wanted, streams=True, **changes)))

    half, single, double = (takes(dtype=dtype) for dtype in ("float16", "float32", "float64"))
    assert double - single == 2 * (single - half) > 0


@given(folds=st.integers(0, 20), room=st.integers(1, 2**24))
def test_tiles_hold_every_part_and_their_sums_fit(prepared: Prepared, folds: int, room: int) -> None:
    wanted = replace(prepared.wanted, folds=folds, streams=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "_PASS_BYTES", room)
        tiles = list(streamed.tiles(wanted))
    starts = [start for start, _ in wanted.segments]
    own = {OwnName(*side, start) for side in layers_of(wanted) for start in starts}
    cross = {CrossName(pair, start) for pair in wanted.pairs for start in starts}
    assert {name for tile in tiles for name in tile.names} == own | cross
    for tile in tiles:
        assert tile.bytes <= room or sum(isinstance(name, CrossName) for name in tile.names) == 1


def test_padding_is_left_out_of_what_is_streamed_too(tmp_path, prepared, monkeypatch) -> None:
    load = segments.load_planned
    positions = next(iter(layers_of(prepared.wanted).values())).positions

    def masked(*of: Any):
        dataset = load(*of)
        held_out = dataset.held_out
        mask = np.arange(positions) < 2 + np.arange(len(held_out))[:, None] % 2
        images = Images(held_out.stored, held_out.labels, held_out.ids, held_out.preprocessing, mask)
        return replace(dataset, held_out=images)

    monkeypatch.setattr(segments, "load_planned", masked)
    under = pipeline(tmp_path)
    of_map = {
        network: tuple(layer for layer in layers if layer.positions == positions)
        for network, layers in prepared.wanted.layers.items()
    }
    kept = replace(prepared.wanted, layers=of_map)
    sums = under.finished(replace(kept, streams=True), "permuted")
    (own, *_) = (done.artefact for name, done in sums["comoments"].items() if isinstance(name, OwnName))
    assert Reading(under.root).own([own]).comoments.n_samples == 12 * 2 + 6
    assert digests(sums) == digests(under.finished(kept, "permuted"))
