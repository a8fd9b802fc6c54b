"""The result files at the top of a study's root: tables, critical epsilons, ledger, report."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from storage.root import Root

SIMILARITY = "similarity.csv"
SIMPLE_MATCHES = "simple_matches.jsonl"
CRITICAL_EPSILONS = "critical_epsilons.zarr"
MEASURES = "measures.csv"
NETWORKS = "networks.json"
TRAINING = "training.jsonl"
LEDGER = "ledger.json"
LEFT_OUT = "left_out.json"
REPORT = "report.html"
STUDY = "study.json"


def write_table(root: Root, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header; numbers in their shortest exact form."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    root.write_text(name, buffer.getvalue())


def read_table(root: Root, name: str) -> list[dict[str, str]]:
    """Read a CSV file that `write_table` wrote, every value as text."""
    text = _read_text(root, name)
    try:
        return list(csv.DictReader(io.StringIO(text), restkey="beyond the header"))
    except csv.Error as error:
        raise unreadable(root, name, error) from None


def write_lines(root: Root, name: str, values: Iterable[Any]) -> None:
    """Write one JSON value a line."""
    root.write_text(name, "".join(json.dumps(value) + "\n" for value in values))


def read_lines(root: Root, name: str) -> list[Any]:
    """Read a file that `write_lines` wrote."""
    return [_value(root, name, line) for line in _read_text(root, name).splitlines()]


def write_json(root: Root, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write a JSON value for people."""
    root.write_text(name, json.dumps(value, indent=2) + "\n")


def read_json(root: Root, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a file that `write_json` wrote."""
    return _value(root, name, _read_text(root, name))


def write_critical_epsilons(
    root: Root, pairs: Sequence[str], layers: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> None:
    """Write critical epsilons as a Zarr group: for each layer the arrays ``x`` and ``y`` (pair, neuron).

    Parameters
    ----------
    root
        Whose results they are.
    pairs
        Names of the compared pairs, kept as the group's attribute ``pairs``.
    layers
        For each layer the critical epsilons of either side, (n_pairs, n_x) and (n_pairs, n_y).
    """
    with root.publish(CRITICAL_EPSILONS, replace=True) as folder:
        group = zarr.open_group(folder, mode="w-", zarr_format=3, attributes={"pairs": list(pairs)})
        for layer, sides in layers.items():
            for side, values in zip("xy", sides, strict=True):
                group.create_array(
                    f"{layer}/{side}",
                    data=values,
                    fill_value=np.nan,  # no critical epsilon: a chunk that is missing shows
                    dimension_names=("pair", "neuron"),
                )


def read_critical_epsilons(
    root: Root, layers: Sequence[str]
) -> tuple[list[str], dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Read the names of the pairs, and the named layers' critical epsilons of either side.

    Raises
    ------
    ValueError
        If anything is missing or cannot be read.
    """
    try:
        group = zarr.open_group(root.place.arrays(), path=CRITICAL_EPSILONS, mode="r", zarr_format=3)
        pairs = [str(pair) for pair in cast("list[str]", group.attrs["pairs"])]
        arrays = {layer: (_side(group, layer, "x"), _side(group, layer, "y")) for layer in layers}
    except MemoryError:
        raise
    except Exception as error:  # zarr and its codecs raise whatever a wrong byte leads them to
        if trouble := root.place.trouble(error):
            raise trouble from None
        raise unreadable(root, CRITICAL_EPSILONS, error) from error
    if any(np.isnan(values).any() for sides in arrays.values() for values in sides):
        raise unreadable(root, CRITICAL_EPSILONS, "a chunk is missing")
    return pairs, arrays


def _side(group: zarr.Group, layer: str, side: str) -> NDArray[np.float64]:
    return np.asarray(cast("zarr.Array", group[f"{layer}/{side}"])[:], dtype=np.float64)  # type: ignore[type-arg]


def unreadable(root: Root, name: str, reason: object) -> InputValueError:
    """Make the error that says why a result cannot be used."""
    return InputValueError(
        f"`STUDY` must have results to report, but {root.where(name)!r} cannot be read ({reason}); "
        "run the study"
    )


def _read_text(root: Root, name: str) -> str:
    try:
        return root.read(name).decode("utf-8-sig")  # spreadsheets write a byte order mark
    except FileNotFoundError:
        raise unreadable(root, name, "there is none") from None
    except UnicodeDecodeError as error:
        raise unreadable(root, name, error) from None


def _value(root: Root, name: str, text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except ValueError as error:
        raise unreadable(root, name, error) from None
    except RecursionError:
        raise unreadable(root, name, "its brackets are nested too deeply") from None
