"""The result files at the top of a study's root: tables, critical epsilons, ledger, report."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from storage.root import Root

SIMILARITY = "similarity.csv"
SIMPLE_MATCHES = "simple_matches.jsonl"
CRITICAL_EPSILONS = "critical_epsilons.zarr"
CENTRED_CRITICAL_EPSILONS = "critical_epsilons_mean.zarr"
EXEMPLARS = "exemplars.zarr"
MEASURES = "measures.csv"
GROWTH = "growth.csv"
COVERS = "covers.jsonl"
ESSENTIAL = "essential.jsonl"
NETWORKS = "networks.json"
TRAINING = "training.jsonl"
LEDGER = "ledger.json"
LEFT_OUT = "left_out.json"
RATES = "rates.json"
TERMS = "terms.json"
REPORT = "report.html"
STUDY = "study.json"
STUDIES = "studies"

CRITICAL_EPSILONS_BY_CENTRE = {"raw": CRITICAL_EPSILONS, "mean": CENTRED_CRITICAL_EPSILONS}

_NEURONS = "neurons"  # how many each row of an array has


def pair_name(checkpoint_x: str, checkpoint_y: str) -> str:
    """Name of a compared pair in the critical epsilons."""
    return f"{checkpoint_x}~{checkpoint_y}"


def write_table(root: Root, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with a header; numbers in their shortest exact form."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    root.write_text(name, buffer.getvalue())


def read_table(root: Root, name: str) -> list[dict[str, str]]:
    """Read a CSV file that `write_table` wrote, every value as text."""
    text = _read_text(root, name)
    try:
        rows = list(csv.DictReader(io.StringIO(text), restkey="beyond the header"))
    except csv.Error as error:
        raise unreadable(root, name, error) from None
    for number, row in enumerate(rows, 1):
        if missing := [column for column, value in row.items() if value is None]:
            raise unreadable(root, name, f"row {number} has no cell in column {missing[0]!r}")
    return rows


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
    root: Root,
    name: str,
    pairs: Sequence[str],
    layers: Mapping[str, Mapping[str, Sequence[NDArray[np.float64]]]],
) -> None:
    """Write critical epsilons as a Zarr group: for each layer arrays (pair, neuron).

    Where a layer is of other widths in other pairs, rows end in NaN, and the array's attribute ``neurons``
    says how many each row has.

    Parameters
    ----------
    root
        Whose results they are.
    name
        Of the group.
    pairs
        Names of the compared pairs, kept as the group's attribute ``pairs``.
    layers
        For each layer, by name, an array (n,) of each pair: the critical epsilons of either side, ``x`` and
        ``y``, and what else is known of them, ``x_error`` or ``x_held_out``.
    """
    with root.publish(name, replace=True) as folder:
        group = zarr.open_group(folder, mode="w-", zarr_format=3, attributes={"pairs": list(pairs)})
        for layer, arrays in layers.items():
            for array, rows in arrays.items():
                neurons = [len(row) for row in rows]
                values = np.full((len(rows), max(neurons)), np.nan)
                for place, row in enumerate(rows):
                    values[place, : len(row)] = row
                group.create_array(
                    f"{layer}/{array}",
                    data=values,
                    fill_value=np.nan,  # no critical epsilon: a chunk that is missing shows
                    dimension_names=("pair", "neuron"),
                    attributes={_NEURONS: neurons} if len(set(neurons)) > 1 else None,
                )


def read_critical_epsilons(
    root: Root, name: str, layers: Sequence[str]
) -> tuple[list[str], dict[str, dict[str, list[NDArray[np.float64]]]]]:
    """Read the names of the pairs, and by name the arrays (n,) of each pair of the named layers.

    Raises
    ------
    ValueError
        If anything is missing or cannot be read.
    """
    try:
        group = zarr.open_group(root.place.arrays(), path=name, mode="r", zarr_format=3)
        pairs = [str(pair) for pair in cast("list[str]", group.attrs["pairs"])]
        arrays = {layer: _arrays(cast("zarr.Group", group[layer])) for layer in layers}
    except MemoryError:
        raise
    except Exception as error:  # zarr and its codecs raise whatever a wrong byte leads them to
        if trouble := root.place.trouble(error):
            raise trouble from None
        raise unreadable(root, name, error) from error
    rows = chain.from_iterable(chain.from_iterable(of_layer.values()) for of_layer in arrays.values())
    if any(np.isnan(row).any() for row in rows):
        raise unreadable(root, name, "a chunk is missing")
    return pairs, arrays


def _arrays(group: zarr.Group) -> dict[str, list[NDArray[np.float64]]]:
    return {name: _rows(array) for name, array in group.arrays()}


def _rows(array: "zarr.Array[Any]") -> list[NDArray[np.float64]]:
    """Return the rows of an array, without what fills shorter ones."""
    values = np.asarray(array[:], dtype=np.float64)
    neurons = cast("list[int]", array.attrs.get(_NEURONS, [values.shape[1]] * len(values)))
    rows = [row[:count] for row, count in zip(values, neurons, strict=True)]
    fill = values.size - sum(neurons)
    if [len(row) for row in rows] != neurons or np.count_nonzero(np.isnan(values)) < fill:
        raise InputValueError(f"{array.name} must have rows of {neurons} neurons")
    return rows


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
