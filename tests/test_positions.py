"""Positions: the same draw for every network, whatever the batch, for each image by itself."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import images, whole

from spanmatch.networks.architectures import build
from spanmatch.networks.positions import draw_positions


def test_sampled_positions_are_rows_of_all_and_the_same_for_every_network() -> None:
    layers = ("stem.relu", "stage2.block1.relu1", "logits")
    some = images(5, 1, 8, 8)
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build("resnet20", (1, 8, 8), 10, 0.25)
        every = whole(network, layers, some)
        sampled = whole(network, layers, some, positions=6, position_seed=4, batch_size=2)
        for layer, total in (("stem.relu", 64), ("stage2.block1.relu1", 16)):
            drawn = draw_positions(some.ids, total, 6, 4)
            expected = np.take_along_axis(
                whole(network, layers, some, batch_size=2)[layer], drawn[..., None], 1
            )
            assert np.array_equal(sampled[layer], expected)
        assert sampled["logits"].shape == (5, 1, 10)
        mean = whole(network, layers, some, positions="mean")
        for layer in layers:
            np.testing.assert_allclose(mean[layer], every[layer].mean(axis=1, keepdims=True), atol=1e-5)
        assert np.array_equal(whole(network, layers, some, positions=64)["stem.relu"], every["stem.relu"])


@given(total=st.integers(1, 300), seed=st.integers(0, 99), data=st.data())
def test_positions_are_drawn_for_each_image_by_itself(total: int, seed: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, total))
    ids = tuple(f"image/{number}" for number in range(4))
    drawn = draw_positions(ids, total, wanted, seed)
    assert drawn.shape == (4, wanted)
    assert (np.diff(drawn, axis=1) > 0).all()
    assert drawn.min() >= 0
    assert drawn.max() < total
    assert np.array_equal(draw_positions(ids[::-1], total, wanted, seed)[::-1], drawn)
    more = draw_positions(ids, total, total - (total - wanted) // 2, seed)
    assert all(set(few) <= set(many) for few, many in zip(drawn.tolist(), more.tolist(), strict=True))


def test_positions_are_drawn_evenly_and_differ_by_image_and_seed() -> None:
    ids = tuple(map(str, range(4000)))
    drawn = draw_positions(ids, 50, 5, 0)
    assert len({tuple(row) for row in drawn.tolist()}) > 3900
    assert not np.array_equal(draw_positions(ids, 50, 5, 1), drawn)
    counts = np.bincount(drawn.ravel(), minlength=50)
    assert np.abs(counts - 400).max() < 6 * np.sqrt(400 * 0.9)  # six deviations of a fair draw
    # a recorded draw, which no version may change
    assert draw_positions(["digits/2"], 64, 4, 0).tolist() == [[41, 43, 60, 61]]
