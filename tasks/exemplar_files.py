"""The result file of exemplars: the strongest samples of each neuron, and how those that are shown look."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spanmatch.reporting import Exemplars, Shown, StudyResults
from storage.array_files import read_arrays, write_arrays
from storage.packs import array_document, document_array
from storage.result_files import EXEMPLARS, unreadable
from storage.root import Root

_KEPT = {"samples": np.int32, "values": np.float32, "positions": np.int32}
_READ = {"samples": np.int64, "values": np.float32, "positions": np.int64}


def write_exemplars(results: StudyResults, root: Root) -> None:
    """Write exemplars and what is shown of them; where there are none, remove those of an earlier run."""
    if not results.exemplars:
        root.place.remove(EXEMPLARS)
        return
    of_layers: dict[str, list[Exemplars]] = defaultdict(list)
    for one in results.exemplars:
        of_layers[one.layer].append(one)
    arrays = {
        f"layers/{layer}/{name}": _stacked([getattr(one, name).astype(dtype) for one in several])
        for layer, several in of_layers.items()
        for name, dtype in _KEPT.items()
    }
    layers = {
        layer: {
            "checkpoints": [one.checkpoint for one in several],
            "neurons": [len(one.samples) for one in several],
            "shapes": [list(one.shape) for one in several],
        }
        for layer, several in of_layers.items()
    }
    attributes = {
        "layers": layers,
        "order": [[one.layer, one.checkpoint] for one in results.exemplars],
        "remark": results.shown.remark,
        "samples": results.shown.digest,
    }
    write_arrays(root, EXEMPLARS, {**arrays, **_shown_arrays(results.shown)}, attributes)


def read_exemplar_file(root: Root) -> tuple[tuple[Exemplars, ...], Shown]:
    """Read what `write_exemplars` wrote; versions before, and studies that ask for none, wrote no such file.

    Raises
    ------
    ValueError
        If it is not what was written.
    """
    if EXEMPLARS not in root.place.folders(""):
        return (), Shown({}, {})
    arrays, attributes = read_arrays(root, EXEMPLARS)
    try:
        found = {(one.layer, one.checkpoint): one for one in _exemplars(arrays, attributes["layers"])}
        exemplars = tuple(found[layer, checkpoint] for layer, checkpoint in attributes["order"])
        return exemplars, _shown(arrays, str(attributes["remark"]), str(attributes["samples"]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise unreadable(root, EXEMPLARS, f"{type(error).__name__}: {error}") from error


def _exemplars(arrays: Mapping[str, NDArray[Any]], layers: Mapping[str, Any]) -> Iterator[Exemplars]:
    for layer, of in layers.items():
        places = zip(of["checkpoints"], of["neurons"], of["shapes"], strict=True)
        for place, (checkpoint, neurons, shape) in enumerate(places):
            one = {
                name: arrays[f"layers/{layer}/{name}"][place, :neurons].astype(dtype)
                for name, dtype in _READ.items()
            }
            yield Exemplars(layer, checkpoint, **one, shape=tuple(shape))


def _stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays, the shorter ones filled up with zeros."""
    stacked = np.zeros((len(arrays), *np.max([array.shape for array in arrays], axis=0)), arrays[0].dtype)
    for place, array in enumerate(arrays):
        stacked[place][tuple(map(slice, array.shape))] = array
    return stacked


def _shown_arrays(shown: Shown) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    if shown.pictures:
        pictures = list(shown.pictures.values())
        arrays["shown/numbers"] = np.array(list(shown.pictures), dtype=np.int32)
        arrays["shown/sizes"] = np.array([picture.shape[:2] for picture in pictures], dtype=np.int32)
        arrays["shown/pictures"] = _stacked(pictures)
    if shown.texts:
        texts = {"texts": [[number, list(tokens)] for number, tokens in shown.texts.items()]}
        arrays["shown/texts"] = document_array(texts)
    return arrays


def _shown(arrays: Mapping[str, NDArray[Any]], remark: str, digest: str) -> Shown:
    pictures: dict[int, NDArray[np.uint8]] = {}
    if "shown/numbers" in arrays:
        of = (arrays[f"shown/{name}"] for name in ("numbers", "sizes", "pictures"))
        for number, (height, width), picture in zip(*of, strict=True):
            pictures[int(number)] = picture[:height, :width]
    texts: dict[int, tuple[str, ...]] = {}
    if "shown/texts" in arrays:
        texts = {
            int(number): tuple(tokens) for number, tokens in array_document(arrays["shown/texts"])["texts"]
        }
    return Shown(pictures, texts, remark, digest)
