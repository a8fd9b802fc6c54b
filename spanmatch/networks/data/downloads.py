"""Folders of data sets, and downloads of those that are missing.

Nothing else in `spanmatch.networks` may use the internet.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from spanmatch.errors import InputValueError

FOLDER_VARIABLE = "SPANMATCH_DATA"
_DEFAULT_FOLDER = "~/.cache/spanmatch/data"
_ANSWER_SECONDS = 10

_log = logging.getLogger(__name__)


class DatasetNotFoundError(InputValueError):
    """A data set is in none of the places where it is looked for, and cannot be fetched."""


def data_folder(folder: str | None = None) -> Path:
    """Return where data sets are: `folder`, else ``$SPANMATCH_DATA``, else ``~/.cache/spanmatch/data``."""
    return Path(folder or os.environ.get(FOLDER_VARIABLE) or _DEFAULT_FOLDER).expanduser().absolute()


def fetch(
    name: str, place: Path, addresses: Sequence[str], download: Callable[[Path], object], remedy: str
) -> None:
    """Download a data set to ``place``, or leave nothing there.

    Parameters
    ----------
    name
        The data set's.
    place
        The folder that it fills.
    addresses
        Where it comes from. Nothing is downloaded before one of them has answered within ten seconds.
    download
        Given a folder, downloads into it a folder called as ``place`` is, and checks it.
    remedy
        What to do by hand.

    Raises
    ------
    DatasetNotFoundError
        If it cannot be had.
    """
    aside: str | None = None
    try:
        _require_answer(addresses)
        _log.warning("data set %r is not in %s: downloading it from %s", name, place, addresses[0])
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}-")
        download(Path(aside))
        _move(Path(aside) / place.name, place)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        message = (
            f"`dataset` {name!r} must be in {str(place)!r} or be downloaded, got neither "
            f"({addresses[0]}: {reason}); {remedy}, or set {FOLDER_VARIABLE} to the folder that holds "
            f"{place.name!r}"
        )
        raise DatasetNotFoundError(message) from None
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _move(source: Path, place: Path) -> None:
    try:
        source.rename(place)
    except OSError:
        if not place.exists():  # else another process was faster
            raise


def _require_answer(addresses: Sequence[str]) -> None:
    """See that one of some addresses answers, if only that it lists nothing.

    Raises
    ------
    OSError
        If none does: what the last of them said.
    """
    for number, address in enumerate(addresses, start=1):
        try:
            request = Request(address, method="HEAD")  # noqa: S310 - torchvision's addresses
            with urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310
                return
        except HTTPError as answer:
            answer.close()
            return
        except OSError:
            if number == len(addresses):
                raise
