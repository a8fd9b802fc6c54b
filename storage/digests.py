"""SHA-256 digests of JSON values, arrays and files: the identity of everything that is computed.

Keys of cached work and checks of stored bytes rely on them: a digest that changes makes every root stale.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_READ_BYTES = 1 << 20


def json_digest(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Digest of the canonical JSON of a value: sorted keys, no spaces, NaN refused.

    Parameters
    ----------
    value
        Anything that JSON can hold. Floats are written by their shortest exact form.

    Raises
    ------
    TypeError, ValueError
        If the value is not JSON (a set, an array, NaN).
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def array_digest(array: NDArray[Any]) -> str:
    """Digest of an array's dtype, shape and little-endian values in C order, whatever its memory layout."""
    data = np.ascontiguousarray(array)
    data = data.astype(data.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{data.dtype.str}{data.shape}".encode("ascii"))
    digest.update(data.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file's bytes, read a piece at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def bytes_digest(content: bytes) -> str:
    """Digest of a file's bytes that are in memory: the same as `file_digest`."""
    return hashlib.sha256(content).hexdigest()
