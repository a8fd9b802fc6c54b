"""A trained network's checkpoints: one safetensors file each, with accuracy and recipe inside."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from storage.digests import bytes_digest, file_digest
from storage.root import Artefact, DamagedArtefactError, Root

# One metadata entry: safetensors keeps several in no fixed order, and the file's bytes must be a function
# of what is in it.
_METADATA = "spanmatch"


def write_checkpoint(
    root: Root, folder: str, name: str, weights: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> str:
    """Publish one checkpoint as ``<name>.safetensors`` in a network's folder; return the file's digest."""
    arrays = {key: np.require(values, requirements="C") for key, values in weights.items()}
    with root.publish(f"{folder}/{name}.safetensors") as file:
        save_file(arrays, file, metadata={_METADATA: json.dumps(dict(metadata), sort_keys=True)})
        return file_digest(file)


def read_checkpoint(root: Root, network: Artefact, name: str) -> dict[str, NDArray[Any]]:
    """Read the weights of one checkpoint of a network, given the digest of its file.

    Raises
    ------
    DamagedArtefactError
        If the file is missing or is not what was written.
    """
    file = f"{name}.safetensors"
    try:
        content = root.read(f"{network.name}/{file}")
        if bytes_digest(content) != network.digest:
            raise DamagedArtefactError(network, f"{file} is not what was written")
        weights: dict[str, NDArray[Any]] = load(content)
    except FileNotFoundError:
        raise DamagedArtefactError(network, f"{file} is missing") from None
    except SafetensorError as error:
        raise DamagedArtefactError(network, f"{file} cannot be read ({error})") from error
    return weights
