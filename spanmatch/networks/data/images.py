"""Images with labels and stable ids.

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

from spanmatch.errors import InputValueError
from spanmatch.networks.data.checked import Input, require_array, require_counts, require_mask
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
            require_mask(self.mask, len(self.ids), self.items)
        if not isinstance(self.stored, ImageFiles):
            require_array("stored", self.stored, np.uint8, np.float32)
        require_array("labels", self.labels, np.int64)
        stored = len(self.stored.paths if isinstance(self.stored, ImageFiles) else self.stored)
        counts = {"stored": stored, "labels": len(self.labels), "ids": len(self.ids)}
        require_counts(counts, self.items)
        if (self.preprocessing is None) != self._is_float:
            got = "none" if self.preprocessing is None else "one for float32"
            message = f"`preprocessing` must be given for bytes and files, and not for float32, got {got}"
            raise InputValueError(message)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def items(self) -> str:
        """What people call them."""
        return "images"

    @property
    def in_files(self) -> bool:
        """Whether reading images means decoding files."""
        return isinstance(self.stored, ImageFiles)

    @property
    def nbytes(self) -> int:
        """Bytes that they take in memory; none where they are in files."""
        return 0 if isinstance(self.stored, ImageFiles) else self.stored.nbytes

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of one preprocessed image, (channels, height, width)."""
        return self.raw(np.array([0])).shape[1:]

    @property
    def pixels(self) -> NDArray[np.float32]:
        """All images preprocessed, (n_images, channels, height, width): computed anew, so take a slice."""
        return self.standardised(self.raw(np.arange(len(self))))

    @property
    def signature(self) -> dict[str, Input]:
        """Kind and shape, as those of the only input of a network."""
        return {"": Input("float32", self.shape)}

    @property
    def arguments(self) -> NDArray[np.float32]:
        """All images as a network takes them: `pixels`."""
        return self.pixels

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


def joined_images(parts: Sequence[Images]) -> Images:
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
