"""Data sets by name.

Apart because it alone knows every kind of data set.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from spanmatch.networks.catalogue import FOLDER_PREFIX, require_dataset
from spanmatch.networks.data.custom import custom_dataset
from spanmatch.networks.data.digits import digits
from spanmatch.networks.data.folders import folder_stamp, image_folder, imagenet
from spanmatch.networks.data.images import Dataset
from spanmatch.networks.data.places import data_folder
from spanmatch.networks.data.published import cifar10, cifar100, fashion_mnist, mnist

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "digits": lambda _: digits(),
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "imagenet": imagenet,
}
_KEPT = 4


def load_dataset(name: str, folder: str | None = None) -> Dataset:
    """Load a data set, once for each process.

    Parameters
    ----------
    name
        One of `DATASETS`, ``folder:PATH`` (see `image_folder`), or ``package.module:factory``, a function
        without arguments that returns a `Dataset`.
    folder
        Where published data sets are looked for, and put when they are downloaded. By default the
        environment's ``SPANMATCH_DATA``, else ``~/.cache/spanmatch/data``; for Fashion-MNIST also where
        Debian's package dataset-fashion-mnist puts it.

    Raises
    ------
    DatasetNotFoundError
        If it is not there and cannot be downloaded.
    ValueError, TypeError
        If the name is unknown, or what is there is no data set or damaged.
    """
    require_dataset(name)
    if name in DATASETS:
        return _published(name, data_folder(folder))
    if name.startswith(FOLDER_PREFIX):
        path = Path(name.removeprefix(FOLDER_PREFIX)).expanduser().absolute()
        return _folder(path, folder_stamp(path))
    return _custom(name)


@lru_cache(maxsize=_KEPT)
def _published(name: str, folder: Path) -> Dataset:
    return DATASETS[name](folder)


@lru_cache(maxsize=_KEPT)
def _folder(path: Path, _stamp: tuple[int, ...]) -> Dataset:
    return image_folder(path)


@lru_cache(maxsize=_KEPT)
def _custom(name: str) -> Dataset:
    return custom_dataset(name)
