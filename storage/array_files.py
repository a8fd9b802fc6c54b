"""Result files that hold named arrays: a Zarr group with its attributes, and a digest of each array."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from storage.digests import array_digest
from storage.result_files import unreadable
from storage.root import Root

_DIGESTS = "digests"


def write_arrays(
    root: Root, name: str, arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]
) -> None:
    """Write arrays by their places in a Zarr group, with what belongs to them, as JSON."""
    digests = {place: array_digest(array) for place, array in arrays.items()}
    with root.publish(name, replace=True) as folder:
        described = {**attributes, _DIGESTS: digests}
        group = zarr.open_group(folder, mode="w-", zarr_format=3, attributes=described)
        for place, array in arrays.items():
            group.create_array(place, data=array)


def read_arrays(root: Root, name: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the arrays that `write_arrays` wrote, and the attributes.

    Raises
    ------
    ValueError
        If anything is missing or not what was written.
    """
    try:
        group = zarr.open_group(root.place.arrays(), path=name, mode="r", zarr_format=3)
        attributes = dict(group.attrs)
        digests = cast("dict[str, str]", attributes.pop(_DIGESTS))
        arrays = {place: np.asarray(cast("zarr.Array[Any]", group[place])[...]) for place in digests}
    except MemoryError:
        raise
    except Exception as error:  # zarr and its codecs raise whatever a wrong byte leads them to
        if trouble := root.place.trouble(error):
            raise trouble from None
        raise unreadable(root, name, error) from error
    changed = [place for place, array in arrays.items() if array_digest(array) != digests[place]]
    if changed:
        raise unreadable(root, name, f"{changed[0]} is not what was written")
    return arrays, attributes
