"""Batches: every image once an epoch, cropped and flipped each by itself, in the order of the seed."""

from typing import Any

import numpy as np
import pytest
import torch

from spanmatch.networks.batches import batches, cropped, flipped, ordered_batches
from spanmatch.networks.data import load_dataset
from spanmatch.networks.recipe import Recipe


def test_crops_and_flips_are_those_of_each_image_alone() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, (6, 3, 9, 10), dtype=np.uint8)
    shifts = np.array([[0, 0], [4, -4], [-1, 2], [3, 3], [-4, 0], [0, 1]])
    found = cropped(images, shifts)
    for image, (down, right), window in zip(images, shifts, found, strict=True):
        expected = np.zeros_like(image)
        for row in range(9):
            for column in range(10):
                if 0 <= row + down < 9 and 0 <= column + right < 10:
                    expected[:, row, column] = image[:, row + down, column + right]
        assert np.array_equal(window, expected)
    chosen = np.array([True, False, True, True, False, False])
    for image, flip, turned in zip(images, chosen, flipped(images, chosen), strict=True):
        assert np.array_equal(turned, image[:, :, ::-1] if flip else image)


@pytest.mark.parametrize("augment", [(), ("flip",), ("crop", "flip")])
def test_an_epoch_has_every_image_once_prepared_ahead_or_not(augment: tuple[Any, ...]) -> None:
    images = load_dataset("digits").training.slice(0, 150)
    recipe = Recipe(2, 64, 0.1, 0.9, 5e-4, augment=augment)
    epochs = []
    for ahead in (False, True):
        torch.manual_seed(5)
        epochs.append(list(batches(images, recipe, ahead=ahead)))
    for one, other in zip(*epochs, strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])
    assert [len(labels) for _, labels, _ in epochs[0]] == [64, 64, 22]
    torch.manual_seed(5)
    order = torch.randperm(150).numpy()
    assert np.array_equal(np.concatenate([labels for _, labels, _ in epochs[0]]), images.labels[order])
    pixels = np.concatenate([pixels for pixels, _, _ in epochs[0]])
    plain = images.pixels[order]
    same, turned = ((pixels == other).all(axis=(1, 2, 3)) for other in (plain, plain[..., ::-1]))
    if augment == ():
        assert same.all()
    elif augment == ("flip",):
        assert (same | turned).all()
        assert 50 < turned.sum() < 100
    else:  # an eighth of 8 rows up or down, left or right, or not: nine windows
        assert 1 < np.count_nonzero(same | turned) < 50
    for ahead in (False, True):
        straight = list(ordered_batches(images, 64, ahead=ahead))
        assert np.array_equal(np.concatenate([pixels for pixels, _, _ in straight]), images.pixels)
