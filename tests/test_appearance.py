"""How samples look: pictures as they were before networks are given them, texts by token, or nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from spanmatch.errors import SpanmatchError
from spanmatch.networks import Dataset, Images, Preprocessing, Samples, image_folder
from spanmatch.networks.data.appearance import NoAppearanceError, appearances
from spanmatch.networks.data.text import shown_bytes, text_dataset

LABELS = np.zeros(3, dtype=np.int64)
IDS = ("a", "b", "c")


def dataset(stored, preprocessing=None, show=None):
    return Dataset("mine", None, Images(stored, LABELS, IDS, preprocessing), classes=1, show=show)


def test_bytes_are_shown_as_they_were_with_the_frame_that_networks_see():
    stored = np.random.default_rng(0).integers(0, 256, (3, 3, 6, 5)).astype(np.uint8)
    framing = Preprocessing((0.4,) * 3, (0.2,) * 3, pad=1)
    found = appearances(dataset(stored, framing), [2, 0])
    assert list(found) == [2, 0]
    for number, picture in found.items():
        np.testing.assert_array_equal(
            picture, np.pad(stored[number], ((0, 0), (1, 1), (1, 1))).transpose(1, 2, 0)
        )


def test_large_files_are_made_small_and_keep_their_sides_and_brightness(tmp_path):
    for number, brightness in enumerate((40, 200)):
        for part in ("train", "val"):
            (tmp_path / part / "one").mkdir(parents=True, exist_ok=True)
            image = Image.new("RGB", (120, 60), (brightness, 10, 20))
            image.save(tmp_path / part / "one" / f"{number}.png")
    found = appearances(image_folder(tmp_path), [0, 1])
    for number, brightness in enumerate((40, 200)):
        assert found[number].shape == (24, 48, 3)
        assert (found[number] == (brightness, 10, 20)).all()


def test_numbers_are_shown_from_black_to_white():
    stored = np.array([[[[0.0, 0.5]]], [[[0.25, 1.0]]], [[[-3.0, 1.0]]]], dtype=np.float32)
    found = appearances(dataset(stored), [0, 1, 2])
    assert [found[number][0, :, 0].tolist() for number in range(3)] == [[0, 128], [64, 255], [0, 255]]
    flat = appearances(dataset(np.full((3, 1, 2, 2), 7, dtype=np.float32)), [1])
    assert (flat[1] == 0).all()


def test_what_is_no_picture_needs_a_function_that_shows_it():
    spectra = np.zeros((3, 7), dtype=np.float32)
    with pytest.raises(
        NoAppearanceError, match=r"`show` of 'mine' must say how images look that are no pict"
    ):
        appearances(dataset(spectra), [0])
    tokens = Samples(np.ones((3, 4), dtype=np.int64), IDS, items="sentences")
    with pytest.raises(NoAppearanceError, match="how sentences look"):
        appearances(Dataset("mine", None, tokens, classes=1), [0])
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = appearances(dataset(spectra, show=lambda name: grey if name == "a" else [name, "!"]), [0, 2])
    np.testing.assert_array_equal(found[0], np.stack([grey] * 3, axis=2))
    assert found[2] == ("c", "!")


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (np.zeros((2, 2)), r"`show` must return a picture of uint8, .* got float64 of shape \(2, 2\)"),
        (np.zeros((2, 2, 4), dtype=np.uint8), r"got uint8 of shape \(2, 2, 4\); convert it"),
        (np.zeros((0, 2), dtype=np.uint8), r"got uint8 of shape \(0, 2\)"),
        ("text", "`show` must return an array of uint8 or a list of texts, got str"),
        ([1, 2], "got list"),
        (None, "got NoneType"),
    ],
)
def test_a_function_that_shows_something_else_is_refused(shown, says):
    with pytest.raises(SpanmatchError, match=says):
        appearances(dataset(np.zeros((3, 7), dtype=np.float32), show=lambda _: shown), [1])


def test_a_function_that_fails_is_named_with_the_sample():
    def show(name):
        raise KeyError(name)

    with pytest.raises(SpanmatchError, match="`show` must say how 'b' looks, but raised KeyError: 'b'; mend"):
        appearances(dataset(np.zeros((3, 7), dtype=np.float32), show=show), [1])


@given(st.text(), st.binary())
def test_the_texts_of_bytes_are_the_text(text, some):
    whole = shown_bytes(text.encode("utf-8", "surrogatepass"))
    assert "".join(shown_bytes(some)) == some.decode("utf-8", "replace")
    assert len(shown_bytes(some)) == len(some)
    assert "".join(whole) == text
    assert all(len(token) <= 1 for token in whole)


def test_text_is_shown_by_token_without_its_padding():
    text = "Grüße aus der Küche. ".encode() * 61
    of = text_dataset("mine", {"title": text})
    length = of.held_out.mask.sum(axis=1)
    found = appearances(of, [0])
    (start,) = (int(of.held_out.ids[0].rpartition("/")[2]),)
    assert len(found[0]) == length[0]
    assert "".join(found[0]) == text[start : start + 128].decode("utf-8", "replace")
