"""Activations written in a thread while the next are computed, with few chunks in memory.

Compression, digests and files release Python's lock.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.arrays import GroupWriter
from storage.layout import Layout, plan_layout

# Bytes that wait for the thread, of all layers together; then the network waits too. Some batches of small
# images; a piece that is larger waits alone.
WAITING_BYTES = 128 * 2**20


class BackgroundWriter:
    """Does one piece of work after another in a thread of its own, bounded memory waiting.

    Leaving the block waits for all of them. The first error is raised by what comes next: a further piece,
    or the block's end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._room = Condition()
        self._waiting_bytes = 0
        self._error: BaseException | None = None

    def __enter__(self) -> "BackgroundWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._error = self._error or error  # what waits is not worth writing any more
        self._thread.shutdown(wait=True)
        if kind is None:
            self._raise()

    def submit(self, work: Callable[[NDArray[Any]], None], values: NDArray[Any]) -> None:
        """Have ``work(values)`` done, as soon as there is room for the values to wait."""
        with self._room:
            self._room.wait_for(
                lambda: not self._waiting_bytes or self._waiting_bytes + values.nbytes <= WAITING_BYTES
            )
            self._raise()
            self._waiting_bytes += values.nbytes
        self._thread.submit(self._do, work, values)

    def _do(self, work: Callable[[NDArray[Any]], None], values: NDArray[Any]) -> None:
        try:
            if self._error is None:
                work(values)
        except BaseException as error:  # raised where somebody waits for it
            self._error = error
        finally:
            with self._room:
                self._waiting_bytes -= values.nbytes
                self._room.notify()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


class LayerWriter:
    """Gathers batches of one layer's activations to whole shards, and has those written.

    Parameters
    ----------
    group
        Where the layer is written, an array (image, position, neuron) under its own name.
    layer
        Its name.
    images
        How many will come.
    dtype
        What is kept; it must be able to hold the values.
    """

    def __init__(self, group: GroupWriter, layer: str, images: int, dtype: str) -> None:
        self.group = group
        self._layer = layer
        self._images = images
        self._dtype = dtype
        self._layout: Layout | None = None
        self._shard = np.empty(0, dtype)
        self._filled = 0
        self._written = 0

    @property
    def blocks(self) -> int:
        """Number of chunks of the whole array."""
        assert self._layout is not None, "nothing was written"
        return -(-self._images // self._layout.chunk_rows)

    def append(self, values: NDArray[np.float32], background: BackgroundWriter) -> None:
        """Have the next images' activations, (images, positions, neurons), written; they must not change."""
        background.submit(self._append, values)

    def _append(self, values: NDArray[np.float32]) -> None:
        layout = self._layout or self._create(values)
        while len(values):
            rows = min(layout.shard_rows, self._images - self._written)
            taken = min(len(values), rows - self._filled)
            self._shard[self._filled : self._filled + taken] = values[:taken]
            self._filled += taken
            values = values[taken:]
            if self._filled == rows:
                self.group.write_rows(self._layer, self._written, self._shard[:rows])
                self._written += rows
                self._filled = 0

    def _create(self, values: NDArray[np.float32]) -> Layout:
        shape = (self._images, *values.shape[1:])
        self._layout = plan_layout(shape, np.dtype(self._dtype).itemsize)
        dimensions = ("image", "position", "neuron")
        self.group.create(self._layer, shape, self._dtype, layout=self._layout, dimensions=dimensions)
        self._shard = np.empty((self._layout.shard_rows, *values.shape[1:]), self._dtype)
        return self._layout
