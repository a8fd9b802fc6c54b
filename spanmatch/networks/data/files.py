"""Images in files, decoded when they are asked for."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spanmatch.errors import InputValueError
from spanmatch.networks.data.preprocessing import as_bytes

Mode = Literal["L", "RGB"]
Cut = Callable[[Image.Image], Image.Image]


class UnreadableImageError(InputValueError):
    """A file is missing or is no whole image. ``path`` names it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"every image file must be readable, got {str(self.path)!r} ({self.reason}); replace it"


@dataclass(frozen=True)
class ImageFiles:
    """Image files, in order.

    Attributes
    ----------
    paths
        Where they are.
    mode
        ``"L"`` for one grey channel, ``"RGB"`` for three; what is stored otherwise is converted.
    """

    paths: tuple[Path, ...]
    mode: Mode

    def slice(self, start: int, stop: int) -> "ImageFiles":
        """Return files `start` to `stop`."""
        return ImageFiles(self.paths[start:stop], self.mode)

    def read(self, index: Sequence[int] | NDArray[np.int64], cut: Cut, threads: int = 1) -> NDArray[np.uint8]:
        """Decode files as (n, channels, height, width), each cut to the same shape.

        Raises
        ------
        UnreadableImageError
            If a file is missing or damaged.
        ValueError
            If two of the images differ in shape.
        """
        chosen = [self.paths[number] for number in index]

        def decoded(path: Path) -> NDArray[np.uint8]:
            with _naming(path), Image.open(path) as image:
                _require_bytes(image)
                return as_bytes(cut(image.convert(self.mode)))

        with ThreadPoolExecutor(threads) as pool:
            images = list(pool.map(decoded, chosen))
        for path, image in zip(chosen, images, strict=True):
            if image.shape != images[0].shape:
                raise InputValueError(different_sizes(chosen[0], images[0].shape[1:], path, image.shape[1:]))
        return np.stack(images)

    def content(self) -> bytes:
        """Digest every file's bytes.

        Raises
        ------
        UnreadableImageError
            If a file is missing.
        """
        digest = hashlib.sha256(self.mode.encode())
        with ThreadPoolExecutor() as pool:  # reading and hashing release the interpreter's lock
            for one in pool.map(_file_content, self.paths):
                digest.update(one)
        return digest.digest()


def image_header(path: Path) -> tuple[Mode, tuple[int, int]]:
    """Return a file's mode and (height, width) without decoding it.

    Raises
    ------
    UnreadableImageError
        If the file is missing or is no image.
    """
    with _naming(path), Image.open(path) as image:
        _require_bytes(image)
        return "L" if image.mode in {"1", "L"} else "RGB", (image.height, image.width)


def _require_bytes(image: Image.Image) -> None:
    """See that an image has 8 bits a channel: others would be clipped."""
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"mode {image.mode}, where 8 bits a channel are wanted")


def different_sizes(first: Path, size: Sequence[int], other: Path, other_size: Sequence[int]) -> str:
    """Say that two images differ in height or width, and what to do."""
    return (
        f"all images must have one size, got {size[0]} × {size[1]} in {str(first)!r} and "
        f"{other_size[0]} × {other_size[1]} in {str(other)!r}; resize the files, or give `image_folder` "
        "a `preprocessing` that resizes and crops"
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableImageError(path, reason) from None


def _file_content(path: Path) -> bytes:
    with _naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
