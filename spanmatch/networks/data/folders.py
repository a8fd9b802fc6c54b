"""Folders of images with a folder for each class, such as ImageNet."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from spanmatch.errors import InputValueError
from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.data.files import ImageFiles, Mode, different_sizes, image_header
from spanmatch.networks.data.images import Images
from spanmatch.networks.data.preprocessing import Preprocessing
from spanmatch.networks.data.visible import is_below_hidden, is_hidden
from spanmatch.networks.datasource import HeldOut

GREY = Preprocessing(mean=(0.5,), deviation=(0.5,))
COLOUR = Preprocessing(mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
IMAGENET = Preprocessing(mean=COLOUR.mean, deviation=COLOUR.deviation, resize=256, crop=224)
_IMAGENET_TRAINING, _IMAGENET_HELD_OUT = 1_281_167, 50_000
_HELD_OUT_EVERY = 5

_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}

Samples = list[tuple[str, int]]


def image_folder(
    folder: Path,
    *,
    name: str | None = None,
    preprocessing: Preprocessing | None = None,
    held_out: HeldOut = "split",
) -> Dataset:
    """Load a folder of images: ``train/CLASS/IMAGE`` and ``val/CLASS/IMAGE``, or ``CLASS/IMAGE``.

    In the second layout every fifth image of each class, in the order of their names, is held out.

    Parameters
    ----------
    folder
        Where the images are. Their ids are their paths inside it.
    name
        What to call the data set; the folder's own name if None.
    preprocessing
        By default pixels are standardised with ImageNet's means and deviations, or for grey images to
        [-1, 1], and keep their size.
    held_out
        ``"all"`` holds out every image, those under ``train`` first: nothing is left to train on.

    Raises
    ------
    UnreadableImageError
        If a file is no image. Only headers are read here: damage further in is found when the image is used.
    ValueError
        If the folder is missing or empty, the two parts differ in classes, or the images in size.
    """
    if parts := _parts(folder):
        (training, classes), (compared, held_out_classes) = map(_listed, parts)
        if classes != held_out_classes:
            odd = sorted(set(classes) ^ set(held_out_classes))
            message = (
                f"`dataset` must have the same class folders in train and val, got {odd[0]!r} in one of them "
                f"alone in {str(folder)!r}; add or remove it"
            )
            raise InputValueError(message)
    else:
        _require_no_splits(folder)
        samples, classes = _listed(folder)
        training, compared = ([], samples) if held_out == "all" else _split(samples, len(classes))
    if held_out == "all":
        training, compared = [], training + compared
    mode = _mode(training + compared, preprocessing)
    chosen = preprocessing or (GREY if mode == "L" else COLOUR)

    def images(samples: Samples) -> Images:
        paths = tuple(Path(path) for path, _ in samples)
        ids = tuple(path.relative_to(folder).as_posix() for path in paths)
        labels = np.array([label for _, label in samples], dtype=np.int64)
        return Images(ImageFiles(paths, mode), labels, ids, chosen)

    if not compared:
        message = (
            f"`dataset` must have {_HELD_OUT_EVERY} images in some class, every fifth of which is held out, "
            f"got fewer in {str(folder)!r}; add images, or folders train and val, or set `held_out` to all"
        )
        raise InputValueError(message)
    return Dataset(
        name or folder.name, images(training) if training else None, images(compared), len(classes)
    )


def imagenet(folder: Path) -> Dataset:
    """Load ImageNet (ILSVRC 2012) from ``imagenet/train`` and ``imagenet/val`` under `folder`.

    Raises
    ------
    ValueError
        If it is not there, or not whole.
    """
    place = folder / "imagenet"
    remedy = (
        "get the archives from image-net.org (they need an account) and unpack them there with "
        "torchvision.datasets.ImageNet(root, split='train') and split='val'"
    )
    if not _parts(place):
        raise InputValueError(
            f"`dataset` 'imagenet' must be in {str(place)!r} (train and val), got none; {remedy}"
        )
    dataset = image_folder(place, name="imagenet", preprocessing=IMAGENET)
    counts = tuple(map(len, dataset.parts))
    if counts != (_IMAGENET_TRAINING, _IMAGENET_HELD_OUT):
        message = (
            f"`dataset` 'imagenet' must be whole ({_IMAGENET_TRAINING} images in train, "
            f"{_IMAGENET_HELD_OUT} in val), got {counts[0]} and {counts[1]} in {str(place)!r}; {remedy}, "
            "or name a part of it as folder:PATH"
        )
        raise InputValueError(message)
    return dataset


def folder_stamp(folder: Path) -> tuple[int, ...]:
    """When a folder of images and the visible folders in it, at any depth, last gained or lost something."""
    return tuple(place.stat().st_mtime_ns for place in _visible_folders(folder))


def _visible_folders(folder: Path) -> Iterator[Path]:
    for place, inner, _ in os.walk(folder, followlinks=True):
        inner[:] = sorted(name for name in inner if not is_hidden(name))
        yield Path(place)


def _is_visible_folder(place: Path) -> bool:
    return place.is_dir() and not is_hidden(place.name)


def _parts(folder: Path) -> list[Path]:
    """Return the folders of training and held-out images, if the folder has both."""
    parts = [folder / part for part in ("train", "val")]
    return parts if all(part.is_dir() for part in parts) else []


def _require_no_splits(folder: Path) -> None:
    """See that folders called as splits of a data set, with classes in them, are not taken for classes."""
    with suppress(OSError):  # whoever lists it will say so
        for place in sorted(folder.iterdir()):
            if place.name.casefold() in _SPLITS and place.is_dir() and any(map(_has_images, place.iterdir())):
                raise InputValueError(
                    "`dataset` must have its images in train and val, or in a folder for each class, got the "
                    f"folder {place.name!r}, with classes in it, in {str(folder)!r}; rename the two to train "
                    f"and val, or give folder:{place}"
                )


def _has_images(place: Path) -> bool:
    return _is_visible_folder(place) and any(_is_image(path, place) for path in place.rglob("*"))


def _listed(folder: Path) -> tuple[Samples, list[str]]:
    """List a folder of class folders: paths with the class's number, and the classes' names."""
    try:
        classes = sorted(place.name for place in folder.iterdir() if _is_visible_folder(place))
        if not classes:
            raise FileNotFoundError("no folder in it is a class")
        numbers = {name: number for number, name in enumerate(classes)}
        samples = make_dataset(folder, numbers, is_valid_file=lambda path: _is_image(Path(path), folder))
    except OSError as error:
        reason = " ".join(str(error).split())
        message = (
            f"`dataset` must be a folder of class folders with images in each, got {str(folder)!r} "
            f"({reason}); give folder:PATH with PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE and "
            "PATH/val/CLASS/IMAGE"
        )
        raise InputValueError(message) from None
    return samples, classes


def _is_image(path: Path, folder: Path) -> bool:
    return path.suffix.lower() in IMG_EXTENSIONS and not is_below_hidden(path, folder)


def _split(samples: Samples, classes: int) -> tuple[Samples, Samples]:
    """Hold out every fifth image of each class."""
    training: Samples = []
    held_out: Samples = []
    seen = [0] * classes
    for path, label in samples:
        seen[label] += 1
        (training if seen[label] % _HELD_OUT_EVERY else held_out).append((path, label))
    return training, held_out


def _mode(samples: Sequence[tuple[str, int]], preprocessing: Preprocessing | None) -> Mode:
    """Grey where all images are; see that they have one size where preprocessing does not make it so."""
    if preprocessing is not None and preprocessing.one_size:  # a million headers; `read` sees to the mode
        return "L" if len(preprocessing.mean) == 1 else "RGB"
    paths = [Path(path) for path, _ in samples]
    first, size = image_header(paths[0])
    grey = first == "L"
    for path in paths[1:]:
        mode, other = image_header(path)
        if other != size:
            raise InputValueError(different_sizes(paths[0], size, path, other))
        grey = grey and mode == "L"
    if preprocessing is not None:
        return "L" if len(preprocessing.mean) == 1 else "RGB"
    return "L" if grey else "RGB"
