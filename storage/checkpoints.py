"""A trained network's checkpoints: one safetensors file each, with accuracy and recipe inside.

Apart because weights are files of another format than arrays of samples, read whole and by other people.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from storage.digests import bytes_digest, file_digest
from storage.places import UnusableRootError
from storage.root import DamagedArtefactError, Root

# One metadata entry: safetensors keeps several in no fixed order, and the file's bytes must be a function
# of what is in it.
_METADATA = "spanmatch"


def write_checkpoint(
    folder: Path, name: str, weights: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> str:
    """Write ``<name>.safetensors`` into a folder that is being published; return the file's digest."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    arrays = {key: np.ascontiguousarray(values) for key, values in weights.items()}
    save_file(arrays, path, metadata={_METADATA: json.dumps(dict(metadata), sort_keys=True)})
    return file_digest(path)


def read_checkpoint(root: Root, key: str, name: str, digest: str) -> dict[str, NDArray[Any]]:
    """Read the weights of one checkpoint of network `key`.

    Raises
    ------
    DamagedArtefactError
        If the file is missing or is not what was written.
    """
    file = f"{name}.safetensors"
    try:
        content = root.read(f"{root.artefact('networks', key)}/{file}")
        if bytes_digest(content) != digest:
            raise DamagedArtefactError("networks", key, f"{file} is not what was written")
        weights: dict[str, NDArray[Any]] = load(content)
    except FileNotFoundError:
        raise DamagedArtefactError("networks", key, f"{file} is missing") from None
    except UnusableRootError:
        raise
    except (OSError, SafetensorError) as error:
        raise DamagedArtefactError("networks", key, f"{file} cannot be read ({error})") from error
    return weights
