"""Data sets of text: sequences of bytes, the last of each text shorter than the others and padded."""

import codecs
import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from numpy.typing import NDArray

from spanmatch.errors import InputValueError
from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.data.downloads import DatasetNotFoundError
from spanmatch.networks.data.samples import Samples, padded
from spanmatch.networks.data.visible import is_below_hidden

LENGTH = 128
"""Bytes of a sequence."""
_BYTES = 256
_HELD_OUT_EVERY = 10

_JARGON = "jargon.txt.gz"
# Debian's package jargon-text
_DEBIAN = Path("/usr/share/doc/jargon-text")


def text_dataset(name: str, texts: Mapping[str, bytes]) -> Dataset:
    """Return sequences of bytes, each tenth of which is held out, for the task of predicting the next byte.

    Parameters
    ----------
    name
        What to call the data set.
    texts
        By title. Each is cut into sequences of 128 bytes, the last of which is shorter; no sequence goes on
        in another text. A sequence's id is the title and the byte where it starts.

    Raises
    ------
    ValueError
        If there are fewer than ten sequences.
    """
    sequences: list[NDArray[np.int64]] = []
    ids: list[str] = []
    for title, text in texts.items():
        tokens = np.frombuffer(text, dtype=np.uint8).astype(np.int64)
        for start in range(0, len(tokens), LENGTH):
            sequences.append(tokens[start : start + LENGTH])
            ids.append(f"{title}/{start}")
    if len(sequences) < _HELD_OUT_EVERY:
        raise InputValueError(
            f"`dataset` must have {_HELD_OUT_EVERY} sequences of {LENGTH} bytes, every tenth of which is "
            f"held out, got {len(sequences)} in {name!r}; add text"
        )
    tokens, mask = padded(sequences, LENGTH)
    held_out = np.arange(len(ids)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1

    def part(chosen: NDArray[np.bool_]) -> Samples:
        of = tuple(ids[index] for index in np.flatnonzero(chosen))
        return Samples(tokens[chosen], of, labels=tokens[chosen], mask=mask[chosen], items="sequences")

    row_of = {sequence: row for row, sequence in enumerate(ids)}

    def show(sequence: str) -> list[str]:
        return shown_bytes(bytes(sequences[row_of[sequence]].tolist()))

    return Dataset(name, part(~held_out), part(held_out), classes=_BYTES, task="next-token", show=show)


def shown_bytes(text: bytes) -> list[str]:
    """Return the text of each byte, which is a token: together they are the text.

    A character of several bytes stands at its last, which those before it are empty for; bytes that are no
    UTF-8, as where text was cut up, are U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    last = len(text) - 1
    return [decoder.decode(text[place : place + 1], final=place == last) for place in range(len(text))]


def python_topics() -> Dataset:
    """Load what Python's own ``help()`` says of the language: half a megabyte, another in other versions."""
    return text_dataset("python-topics", {name: topics[name].encode() for name in sorted(topics)})


def jargon_file(folder: Path) -> Dataset:
    """Load the Jargon File, 1.7 MB of English prose in the public domain; Debian's copy if there is one.

    Raises
    ------
    DatasetNotFoundError
        If it is nowhere.
    ValueError
        If its file is damaged.
    """
    places = [folder / _JARGON, _DEBIAN / _JARGON]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DatasetNotFoundError(
            f"`dataset` 'jargon-file' must be in {str(places[0])!r} or {str(places[1])!r}, got neither; on "
            "Debian `apt-get install jargon-text` puts it into the second, and nothing is downloaded here"
        )
    try:
        text = gzip.decompress(found.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputValueError(
            f"`dataset` 'jargon-file' must be whole, got a damaged file {str(found)!r} ({error}); put the "
            "package's file back"
        ) from None
    return text_dataset("jargon-file", {"jargon": text})


def text_files(path: Path) -> Dataset:
    """Load a file of text, or all files ``*.txt`` of a folder and those below it, each one text.

    Hidden ones are passed over, as in folders of images.

    Raises
    ------
    DatasetNotFoundError
        If there is none.
    ValueError
        If one cannot be read.
    """
    top = path.parent if path.is_file() else path
    files = (
        [path] if path.is_file() else [file for file in sorted(path.rglob("*.txt")) if _is_text(file, path)]
    )
    if not files:
        raise DatasetNotFoundError(
            f"`dataset` must be a file of text, or a folder with files *.txt in it, got {str(path)!r}; "
            "correct the path"
        )
    return text_dataset(path.name, {file.relative_to(top).as_posix(): _read(file) for file in files})


def _is_text(path: Path, folder: Path) -> bool:
    return not path.is_dir() and not is_below_hidden(path, folder)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputValueError(
            f"`dataset` must have files of text that can be read, got {str(file)!r} ({error.strerror}); "
            "remove it, or see to it"
        ) from None
