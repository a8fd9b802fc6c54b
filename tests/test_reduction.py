"""The stage of co-moments: sums of the same bits whatever is computed beside them, each chunk read once."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_writing import extracted

from spanmatch import GramMatrix, match_profile
from spanmatch.errors import SpanmatchError
from storage.arrays import GroupReader
from storage.packs import publish_pack
from storage.root import Artefact, Root
from tasks import reduction
from tasks.reduction import CoMomentsUnit, SegmentLayer
from tasks.statistic import Reading, Statistic
from tasks.wanted import Checkpoint, Side, WantedLayer

NEURONS = 3


@pytest.fixture
def root(tmp_path) -> Root:
    return Root.prepare(tmp_path / "root")


def stored(root: Root, name: str, shape: tuple[int, ...], dtype: str = "float32", offset: float = 0.0):
    """Store a layer of a network as the extraction does; return its values as they were kept."""
    rng = np.random.default_rng(abs(hash(name)) % 2**32)
    values = (np.maximum(rng.normal(size=shape), 0) + offset).astype(np.float32)
    artefact = extracted(root, name, values, 7, dtype)
    return values.astype(dtype).astype(np.float64).reshape(-1, shape[-1]), SegmentLayer(
        "layer", artefact, name
    )


def unit_of(x: SegmentLayer, y: SegmentLayer) -> CoMomentsUnit:
    return CoMomentsUnit(f"{x.content} ~ {y.content}", x, y, tile="tile", tile_label="tile", estimate=1.0)


def computed(root: Root, units: list[CoMomentsUnit]) -> dict[str, Artefact]:
    """Compute units in one pass, and keep each in a pack of its own."""
    artefacts = {}
    for result in reduction.compute(root, units, Reading(root)):
        key = result.unit.key
        publish_pack(root, "comoments", key, {key: result.content})
        artefacts[result.unit.label] = Artefact(
            "comoments", key, f"comoments/{key}.safetensors", result.record["digest"]
        )
    return artefacts


def gram_of(root: Root, parts: dict[str, Artefact], x: str, y: str) -> GramMatrix:
    statistic = Statistic((parts[f"{x} ~ {x}"],), (parts[f"{y} ~ {y}"],), (parts[f"{x} ~ {y}"],))
    return Reading(root).whole(statistic).gram


# 9,000 positions: each image is a chunk and several blocks; 100 positions: 81 images to a chunk
@pytest.mark.parametrize(
    ("shape", "dtype"), [((7, 9000, NEURONS), "float32"), ((200, 100, NEURONS), "float16")]
)
def test_it_is_the_statistic_of_the_stored_activations(root: Root, shape, dtype) -> None:
    (x, layer_x), (y, layer_y) = stored(root, "x", shape, dtype), stored(root, "y", shape, dtype, offset=1.0)
    parts = computed(
        root, [unit_of(*pair) for pair in ((layer_x, layer_x), (layer_y, layer_y), (layer_x, layer_y))]
    )
    gram, whole = gram_of(root, parts, "x", "y"), GramMatrix.from_activations(x, y)
    assert gram.n_samples == len(x)
    np.testing.assert_allclose(gram.matrix, whole.matrix, rtol=1e-12)
    np.testing.assert_allclose(gram.centred.matrix, whole.centred.matrix, rtol=1e-10, atol=1e-8)


def test_a_part_has_the_same_bits_whatever_is_computed_beside_it(root: Root) -> None:
    layers = [stored(root, name, (5, 3000, 2 + number))[1] for number, name in enumerate("abcde")]
    units = [unit_of(x, y) for x in layers for y in layers if x.content <= y.content]
    together = computed(root, units)
    alone = {label: one for unit in units for label, one in computed(root, [unit]).items()}
    assert {label: one.digest for label, one in together.items()} == {
        label: one.digest for label, one in alone.items()
    }


def test_each_chunk_is_read_once_for_all_networks(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [stored(root, name, (200, 100, NEURONS))[1] for name in "abcd"]
    read, reads = GroupReader.read_block, Counter()

    def counted(self: GroupReader, name: str, block: int):
        reads[self._artefact.key, block] += 1
        return read(self, name, block)

    monkeypatch.setattr(GroupReader, "read_block", counted)
    own = [unit_of(layer, layer) for layer in layers]
    reduction.compute(root, [*own, *(unit_of(x, y) for x, y in combinations(layers, 2))], Reading(root))
    chunks = -(-200 // 81)
    assert reads == {(name, block): 1 for name in "abcd" for block in range(chunks)}


def test_segments_add_up_to_the_whole(root: Root) -> None:
    names = ("x", "y")
    values, parts = {}, []
    for segment in range(3):
        layers = {}
        for name in names:
            values[name, segment], layers[name] = stored(root, f"{name}{segment}", (11, 40, NEURONS))
        x, y = layers["x"], layers["y"]
        parts.append(tuple(computed(root, [unit_of(x, x), unit_of(y, y), unit_of(x, y)]).values()))
    gram = Reading(root).whole(Statistic(*zip(*parts, strict=True))).gram
    whole = [np.concatenate([values[name, segment] for segment in range(3)]) for name in names]
    np.testing.assert_allclose(gram.matrix, GramMatrix.from_activations(*whole).matrix, rtol=1e-12)
    assert gram.roundings >= GramMatrix.from_activations(*whole).roundings


def test_an_offset_of_a_million_costs_the_centred_statistic_nothing(root: Root) -> None:
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((4096, 3))
    x, y = (causes @ rng.standard_normal((3, 4)) + 0.3 * rng.standard_normal((4096, 4)) for _ in "xy")
    layers = []
    for name, values in (("x", x), ("y", y)):
        moved = (values + 1e6).reshape(64, 64, 4)
        artefact = extracted(root, name, moved, 7, "float64")
        layers.append(SegmentLayer("layer", artefact, name))
    x_layer, y_layer = layers
    parts = computed(
        root, [unit_of(a, b) for a, b in ((x_layer, x_layer), (y_layer, y_layer), (x_layer, y_layer))]
    )
    found = match_profile(gram_of(root, parts, "x", "y").centred)
    expected = match_profile(GramMatrix.from_activations(x - x.mean(axis=0), y - y.mean(axis=0)))
    np.testing.assert_allclose(found.x, expected.x, atol=1e-6)
    np.testing.assert_allclose(found.y, expected.y, atol=1e-6)


def test_layers_of_other_positions_and_of_other_padding_are_refused(root: Root) -> None:
    (_, few), (_, many) = stored(root, "few", (5, 20, NEURONS)), stored(root, "many", (5, 30, NEURONS))
    with pytest.raises(
        SpanmatchError, match=r"`layers` must have as many samples and positions .* got \(5, 20\)"
    ):
        computed(root, [unit_of(few, many)])
    padded = np.ones((5, 20, NEURONS), np.float32)
    padded[:, 15:] = np.nan
    layer = SegmentLayer("layer", extracted(root, "padded", padded, 7, "float32"), "padded")
    with pytest.raises(SpanmatchError, match="`layers` must have the same padding in both networks"):
        computed(root, [unit_of(few, layer)])


@given(networks=st.integers(1, 40), neurons=st.integers(1, 20_000), folds=st.integers(0, 20))
def test_the_sums_of_a_tile_fit_into_memory(networks: int, neurons: int, folds: int) -> None:
    layer = WantedLayer("layer", neurons=neurons)
    sides = {Side("layer", Checkpoint(f"seed{seed}", "final")): layer for seed in range(networks)}
    blocks = reduction.blocks_of_sums(sides, folds)
    assert list(blocks) == list(sides)
    sizes = Counter(blocks.values())
    size = (max(sizes.values()) * neurons) ** 2 * 8 * max(folds, 1)
    assert max(sizes.values()) == 1 or size <= reduction._TILE_BYTES
