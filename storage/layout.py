"""How activations are cut into chunks and shards, computed from their shape.

Nothing here opens a file.
"""

from dataclasses import dataclass
from math import ceil, prod

# Samples in a chunk: 16 MiB at 512 float32 neurons, small beside a worker's memory, long enough for BLAS.
_CHUNK_SAMPLES = 8192
# Wider layers get fewer samples: a chunk of each side, in float64 too, must fit a worker.
_CHUNK_MEBIBYTES = 32
# Up to so many chunks of a layer are files of their own, which are written and read twice as fast; more are
# gathered to shards, whole ones in memory.
_MOST_FILES = 128
_SHARD_MEBIBYTES = 32
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Layout:
    """Images in one chunk, which is read and verified whole, and in one shard, which is one file.

    Attributes
    ----------
    chunk_rows
        Images in a chunk.
    shard_rows
        Images in a shard: `chunk_rows` where there are no shards, else a multiple.
    """

    chunk_rows: int
    shard_rows: int


def plan_layout(shape: tuple[int, ...], itemsize: int) -> Layout:
    """Plan the chunks and shards of a layer.

    Parameters
    ----------
    shape
        (images, positions, neurons); at least one image.
    itemsize
        Bytes in one value.
    """
    images, positions = shape[:2]
    row_bytes = prod(shape[1:]) * itemsize
    rows = min(images, _CHUNK_SAMPLES // positions, _CHUNK_MEBIBYTES * _MEBIBYTE // row_bytes)
    rows = max(1, rows)
    chunks = ceil(images / rows)
    if chunks <= _MOST_FILES:
        return Layout(rows, rows)
    in_a_shard = min(chunks, _SHARD_MEBIBYTES * _MEBIBYTE // (rows * row_bytes))
    return Layout(rows, rows * max(1, in_a_shard))
