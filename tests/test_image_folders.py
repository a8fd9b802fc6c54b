"""Folders of images: what is held out, what is named when it is damaged, and ImageNet as one of them."""

from pathlib import Path

import numpy as np
import pytest
from cases import random_bytes
from conftest import DIGITS
from PIL import Image

from flows.study.file import read_study
from flows.study.resolve import resolve
from spanmatch.networks.data import (
    Preprocessing,
    UnreadableImageError,
    folders,
    image_folder,
    load_dataset,
)
from storage.root import Root


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_folder(folder: Path, *, per_class: int = 5, colour: bool = True) -> dict[str, np.ndarray]:
    written = {}
    for label in ("cat", "dog"):
        for number in range(per_class):
            pixels = random_bytes(*((8, 6, 3) if colour else (8, 6)), seed=len(written))
            written[f"{label}/{number}.png"] = pixels
            write_image(folder / label / f"{number}.png", pixels)
    return written


@pytest.mark.parametrize("colour", [True, False])
def test_every_fifth_image_of_each_class_folder_is_held_out(tmp_path: Path, colour: bool) -> None:
    written = write_folder(tmp_path, colour=colour, per_class=11)
    dataset = load_dataset(f"folder:{tmp_path}")
    # in the order of names: 0, 1, 10, 2, 3, 4, 5, ...
    assert dataset.held_out.ids == ("cat/3.png", "cat/8.png", "dog/3.png", "dog/8.png")
    assert dataset.held_out.labels.tolist() == [0, 0, 1, 1]
    assert {*dataset.training.ids, *dataset.held_out.ids} == set(written)
    assert dataset.training.shape == ((3, 8, 6) if colour else (1, 8, 6))
    assert dataset.classes == 2
    raw = dataset.training.raw([7, 0], threads=2)
    for found, name in zip(raw, (dataset.training.ids[7], dataset.training.ids[0]), strict=True):
        assert np.array_equal(found.transpose(1, 2, 0).squeeze(), written[name])
    middle = folders.COLOUR if colour else folders.GREY
    assert np.array_equal(dataset.training.slice(7, 8).pixels, middle.standardised(raw[:1]))


def test_training_and_held_out_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", per_class=3)
    write_folder(tmp_path / "val", per_class=1)
    dataset = load_dataset(f"folder:{tmp_path}")
    assert dataset.held_out.ids == ("val/cat/0.png", "val/dog/0.png")
    assert len(dataset.training) == 6
    before = dataset.digest
    assert image_folder(tmp_path).digest == before
    write_image(tmp_path / "val/dog/0.png", random_bytes(8, 6, 3) ^ 1)
    assert image_folder(tmp_path).digest != before
    write_image(tmp_path / "val/bird/0.png", random_bytes(8, 6, 3))
    with pytest.raises(ValueError, match=r"the same class folders.*'bird'"):
        load_dataset(f"folder:{tmp_path}")


def test_a_folder_that_gains_an_image_is_listed_anew(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = load_dataset(f"folder:{tmp_path}")
    assert load_dataset(f"folder:{tmp_path}") is before
    write_image(tmp_path / "cat/9.png", random_bytes(8, 6, 3))
    assert len(load_dataset(f"folder:{tmp_path}").training) == len(before.training) + 1


def test_a_study_of_a_folder_sees_that_its_images_changed(tmp_path: Path) -> None:
    write_folder(tmp_path / "images")
    study = read_study(DIGITS).model_copy(
        update={"dataset": f"folder:{tmp_path / 'images'}", "architecture": "resnet20", "images": 1}
    )
    root = Root.prepare(tmp_path / "root")
    before = resolve(study, root)
    assert resolve(study, root) == before
    write_image(tmp_path / "images/cat/9.png", random_bytes(8, 6, 3))
    assert resolve(study, root).dataset_digest != before.dataset_digest


def test_images_of_two_sizes_are_refused_unless_they_are_made_one(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_image(tmp_path / "dog/2.png", random_bytes(9, 6, 3))
    with pytest.raises(ValueError, match=r"one size, got 8 × 6 in .*cat/0.png' and 9 × 6 in .*dog/2.png'"):
        load_dataset(f"folder:{tmp_path}")
    cut = Preprocessing(folders.COLOUR.mean, folders.COLOUR.deviation, resize=6, crop=5)
    assert image_folder(tmp_path, preprocessing=cut).training.pixels.shape == (8, 3, 5, 5)


def test_a_file_that_is_no_whole_image_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    whole = (tmp_path / "cat/1.png").read_bytes()
    (tmp_path / "cat/1.png").write_bytes(whole[: len(whole) * 2 // 3])
    dataset = load_dataset(f"folder:{tmp_path}")
    with pytest.raises(UnreadableImageError, match=r"cat/1\.png") as caught:
        _ = dataset.training.pixels
    assert caught.value.path == tmp_path / "cat/1.png"
    (tmp_path / "cat/1.png").write_text("no image")
    with pytest.raises(UnreadableImageError, match=r"every image file must be readable, got .*cat/1.png"):
        image_folder(tmp_path)
    (tmp_path / "cat/1.png").unlink()
    with pytest.raises(UnreadableImageError, match=r"cat/1.png.*No such file"):
        _ = dataset.digest


@pytest.mark.parametrize("what", ["absent", "empty", "an empty class", "too few"])
def test_a_folder_without_images_says_what_is_wanted(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "images"
    if what != "absent":
        folder.mkdir()
    if what == "an empty class":
        write_folder(folder)
        (folder / "bird").mkdir()
    if what == "too few":
        write_folder(folder, per_class=4)
    said = "must have 5 images" if what == "too few" else "must be a folder of class folders"
    with pytest.raises(ValueError, match=f"`dataset` {said}.*images"):
        load_dataset(f"folder:{folder}")


def test_imagenet_is_resized_cropped_and_must_be_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"'imagenet' must be in .*imagenet' \(train and val\), got none"):
        load_dataset("imagenet", str(tmp_path))
    for part in ("train", "val"):
        for number, label in enumerate(("n01440764", "n01443537")):
            name = f"imagenet/{part}/{label}/ILSVRC2012_{number}.JPEG"
            write_image(tmp_path / name, random_bytes(300 + number, 400, 3))
    with pytest.raises(ValueError, match=r"must be whole .*got 2 and 2"):
        load_dataset("imagenet", str(tmp_path))
    monkeypatch.setattr(folders, "_IMAGENET_TRAINING", 2)
    monkeypatch.setattr(folders, "_IMAGENET_HELD_OUT", 2)
    dataset = load_dataset("imagenet", str(tmp_path))
    assert dataset.held_out.shape == (3, 224, 224)
    image = Image.open(tmp_path / "imagenet" / dataset.held_out.ids[0])
    image = image.resize((341, 256), Image.Resampling.BILINEAR).crop((58, 16, 282, 240))
    expected = (np.asarray(image) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(dataset.held_out.pixels[0], expected.transpose(2, 0, 1), atol=1e-5)
