"""Preprocessing: from the bytes of a stored image to the numbers that a network takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import functional


@dataclass(frozen=True)
class Preprocessing:
    """How stored bytes become pixels: resize, crop, pad, then standardise each channel.

    Attributes
    ----------
    mean, deviation
        One for each channel, of pixels in [0, 1].
    white
        The byte that stands for 1.
    resize
        Length of the shorter side after resizing, or None to leave the size.
    crop
        Side of the square cut out of the middle, or None.
    pad
        Rows and columns of zero bytes (black) added on each side.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    white: int = 255
    resize: int | None = None
    crop: int | None = None
    pad: int = 0

    @property
    def one_size(self) -> bool:
        """Whether images of any size come out at one size."""
        return self.resize is not None and self.crop is not None and self.crop <= self.resize

    def framed(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize, crop and pad bytes (n, channels, height, width)."""
        if self.resize is not None or self.crop is not None:
            images = np.stack([as_bytes(self.cut(_as_image(image))) for image in images])
        return self.padded(images)

    def padded(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pad bytes (n, channels, height, width) on each side of height and width."""
        sides = (self.pad, self.pad)
        return np.pad(images, ((0, 0), (0, 0), sides, sides)) if self.pad else images

    def cut(self, image: Image.Image) -> Image.Image:
        """Resize and crop one image."""
        if self.resize is not None:
            image = functional.resize(image, self.resize)
        if self.crop is not None:
            image = functional.center_crop(image, self.crop)
        return image

    def table(self) -> NDArray[np.float32]:
        """Return (channels, 256): the standardised value of every byte, computed in float64."""
        mean, deviation = (np.array(values)[:, np.newaxis] for values in (self.mean, self.deviation))
        values: NDArray[np.float64] = (np.arange(256) / self.white - mean) / deviation
        return values.astype(np.float32)

    def standardised(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn framed bytes (n, channels, height, width) into float32."""
        pixels = np.empty(images.shape, dtype=np.float32)
        for channel, values in enumerate(self.table()):
            pixels[:, channel] = np.take(values, images[:, channel])
        return pixels


def as_bytes(image: Image.Image) -> NDArray[np.uint8]:
    """Lay out a grey or RGB image as (channels, height, width)."""
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[np.newaxis] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
