"""Images with labels and stable ids, and data sets of training and held-out images.

Pixels stay bytes or files, and become float32 a slice at a time: CIFAR-10 as float32 takes 740 MB.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputTypeError, InputValueError
from spanmatch.networks.data.files import ImageFiles
from spanmatch.networks.data.preprocessing import Preprocessing

Raw = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Images:
    """Images with their labels and ids.

    Attributes
    ----------
    stored
        Bytes (n_images, channels, height, width), or files; or float32 (n_images, ...) that need no
        preprocessing.
    labels
        (n_images,), int64.
    ids
        One stable name for each image.
    preprocessing
        What makes pixels of bytes; None where `stored` is float32.
    mask
        (n_images, n_positions), bool: which positions of each image count as samples, such as all tokens but
        padding; None for all. It holds for layers with as many positions.

    Raises
    ------
    TypeError
        If an array's type is another.
    ValueError
        If there are no images, or as many labels or ids as images are missing.
    """

    stored: Raw | ImageFiles
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    preprocessing: Preprocessing | None = None
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.mask is not None:
            _require_mask(self.mask, len(self.ids))
        if not isinstance(self.stored, ImageFiles):
            _require_type("stored", self.stored, np.uint8, np.float32)
        _require_type("labels", self.labels, np.int64)
        stored = len(self.stored.paths if isinstance(self.stored, ImageFiles) else self.stored)
        counts = (stored, len(self.labels), len(self.ids))
        if stored == 0 or len(set(counts)) > 1:
            message = (
                "`stored`, `labels` and `ids` must be as many and at least one, got "
                f"{counts[0]}, {counts[1]} and {counts[2]}; give each image a label and an id"
            )
            raise InputValueError(message)
        if (self.preprocessing is None) != self._is_float:
            got = "none" if self.preprocessing is None else "one for float32"
            message = f"`preprocessing` must be given for bytes and files, and not for float32, got {got}"
            raise InputValueError(message)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def in_files(self) -> bool:
        """Whether reading images means decoding files."""
        return isinstance(self.stored, ImageFiles)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of one preprocessed image, (channels, height, width)."""
        return self.raw(np.array([0])).shape[1:]

    @property
    def pixels(self) -> NDArray[np.float32]:
        """All images preprocessed, (n_images, channels, height, width): computed anew, so take a slice."""
        return self.standardised(self.raw(np.arange(len(self))))

    @cached_property
    def digest(self) -> str:
        """Digest of ids, labels, stored pixels (the files' bytes) and preprocessing."""
        preprocessing = None if self.preprocessing is None else asdict(self.preprocessing)
        digest = hashlib.sha256(json.dumps([preprocessing, self.ids]).encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        if isinstance(self.stored, ImageFiles):
            digest.update(self.stored.content())
        else:
            little = self.stored.dtype.newbyteorder("<")
            digest.update(f"{little.str}{self.stored.shape}".encode())
            digest.update(np.ascontiguousarray(self.stored, dtype=little).data)
        if self.mask is not None:
            digest.update(f"mask{self.mask.shape}".encode())
            digest.update(np.ascontiguousarray(self.mask).data)
        return digest.hexdigest()

    def slice(self, start: int, stop: int) -> "Images":
        """Return images `start` to `stop`, without a copy."""
        stored = (
            self.stored.slice(start, stop) if isinstance(self.stored, ImageFiles) else self.stored[start:stop]
        )
        mask = None if self.mask is None else self.mask[start:stop]
        return Images(stored, self.labels[start:stop], self.ids[start:stop], self.preprocessing, mask)

    def spread(self, count: int | None) -> "Images":
        """Return so many images, evenly spread over all; all of them for None."""
        if count is None:
            return self
        index = np.arange(count) * len(self) // count
        if isinstance(self.stored, ImageFiles):
            paths = tuple(self.stored.paths[number] for number in index)
            stored: Raw | ImageFiles = ImageFiles(paths, self.stored.mode)
        else:
            stored = self.stored[index]
        ids = tuple(self.ids[number] for number in index)
        mask = None if self.mask is None else self.mask[index]
        return Images(stored, self.labels[index], ids, self.preprocessing, mask)

    def raw(self, index: Sequence[int] | NDArray[np.int64], threads: int = 1) -> Raw:
        """Return some images resized, cropped and padded but not standardised: bytes, or float32 as it is.

        Parameters
        ----------
        index
            Positions of the images.
        threads
            How many files are decoded at once.
        """
        if isinstance(self.stored, ImageFiles):
            assert self.preprocessing is not None
            framing = self.preprocessing
            return framing.padded(self.stored.read(index, framing.cut, threads))
        if self.preprocessing is None:
            return self.stored[index]
        return self.preprocessing.framed(self.stored[index].astype(np.uint8, copy=False))

    def standardised(self, raw: Raw) -> NDArray[np.float32]:
        """Turn what `raw` returned into what a network sees."""
        if self.preprocessing is None:
            return raw.astype(np.float32, copy=False)
        return self.preprocessing.standardised(raw.astype(np.uint8, copy=False))

    @property
    def _is_float(self) -> bool:
        return isinstance(self.stored, np.ndarray) and self.stored.dtype == np.float32


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set split into training and held-out images.

    Attributes
    ----------
    name
        What people call it.
    training, held_out
        What networks are trained on, None where none is, and what they are judged and compared on.
    classes
        Number of classes; labels run from 0 to below it.

    Raises
    ------
    ValueError
        If the two parts differ in shape, share an id, hold NaN, or a label is out of range.
    """

    name: str
    training: Images | None
    held_out: Images
    classes: int

    def __post_init__(self) -> None:
        if self.training is not None and self.training.shape != self.held_out.shape:
            message = (
                f"training and held-out images must have one shape, got {self.training.shape} and "
                f"{self.held_out.shape} in {self.name!r}"
            )
            raise InputValueError(message)
        for images in self.parts:
            lowest, highest = images.labels.min(), images.labels.max()
            if lowest < 0 or highest >= self.classes:
                message = (
                    f"`labels` must lie in [0, {self.classes}), the classes of {self.name!r}, got "
                    f"{lowest} to {highest}"
                )
                raise InputValueError(message)
            if isinstance(images.stored, np.ndarray) and not np.isfinite(images.stored).all():
                raise InputValueError(f"`stored` must be finite, got NaN or infinity in {self.name!r}")
        ids = list(chain.from_iterable(images.ids for images in self.parts))
        if len(set(ids)) < len(ids):
            raise InputValueError(f"`ids` must differ, got repeated ones in {self.name!r}; number the images")

    @property
    def parts(self) -> tuple[Images, ...]:
        """The training images, if there are any, and the held-out ones."""
        return (self.held_out,) if self.training is None else (self.training, self.held_out)

    def pooled(self) -> "Dataset":
        """Return the data set with all images held out: first those to train on."""
        return self if self.training is None else self._pooled

    @cached_property
    def _pooled(self) -> "Dataset":
        return Dataset(self.name, None, joined(self.parts), self.classes)

    @cached_property
    def digest(self) -> str:
        """Digest of the parts and the number of classes."""
        parts = f"{' '.join(images.digest for images in self.parts)} {self.classes}"
        return hashlib.sha256(parts.encode()).hexdigest()


def joined(parts: Sequence[Images]) -> Images:
    """Return the images of all parts, one part after the other.

    Raises
    ------
    ValueError
        If some are files and some are not, or they are preprocessed differently.
    """
    first = parts[0]
    labels = np.concatenate([images.labels for images in parts])
    ids = tuple(chain.from_iterable(images.ids for images in parts))
    files = [images.stored for images in parts if isinstance(images.stored, ImageFiles)]
    arrays = [images.stored for images in parts if isinstance(images.stored, np.ndarray)]
    alike = len({one.mode for one in files}) + len({one.dtype for one in arrays}) == 1
    if not alike or any(images.preprocessing != first.preprocessing for images in parts):
        raise InputValueError(
            "`held_out` must be split where training and held-out images differ in kind or preprocessing, "
            "got all; give a data set of one kind"
        )
    masks = [images.mask for images in parts if images.mask is not None]
    if masks and (len(masks) < len(parts) or len({mask.shape[1] for mask in masks}) > 1):
        raise InputValueError(
            "`held_out` must be split where not all images have a `mask` of as many positions, got all; give "
            "each part one, or none"
        )
    mask = np.concatenate(masks) if masks else None
    if files:
        paths = tuple(chain.from_iterable(one.paths for one in files))
        return Images(ImageFiles(paths, files[0].mode), labels, ids, first.preprocessing, mask)
    stored: Raw = np.concatenate(arrays)  # type: ignore[assignment]
    return Images(stored, labels, ids, first.preprocessing, mask)


def _require_type(name: str, array: object, *types: type[np.generic]) -> None:
    if not isinstance(array, np.ndarray):
        got = f"{type(array).__module__}.{type(array).__qualname__}"
        remedy = ".numpy()" if hasattr(array, "numpy") else "numpy.asarray"
        raise InputTypeError(f"`{name}` must be a NumPy array, got {got}; convert it with {remedy}")
    if array.dtype not in types:
        known = " or ".join(np.dtype(one).name for one in types)
        raise InputTypeError(f"`{name}` must be {known}, got {array.dtype}; convert it with .astype")


def _require_mask(mask: NDArray[np.bool_], images: int) -> None:
    _require_type("mask", mask, np.bool_)
    if mask.ndim != 2 or len(mask) != images:
        message = (
            f"`mask` must have the shape (images, positions) of {images} images, got {mask.shape}; say of "
            "each position of each image whether it counts"
        )
        raise InputValueError(message)
