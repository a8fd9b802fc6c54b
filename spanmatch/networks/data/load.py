"""Data sets loaded by name."""

from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from spanmatch.networks import data
from spanmatch.networks.catalogue import FOLDER_PREFIX, TEXT_PREFIX, require_dataset
from spanmatch.networks.data.custom import custom_dataset
from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.data.downloads import data_folder
from spanmatch.networks.data.folders import folder_stamp, image_folder, imagenet
from spanmatch.networks.data.preprocessing import Preprocessing
from spanmatch.networks.data.published import cifar10, cifar100, fashion_mnist, mnist
from spanmatch.networks.datasource import DataSource, Framing, HeldOut
from spanmatch.networks.project import project_modules

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "digits": lambda _: data.scanned_digits(),
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "imagenet": imagenet,
    "python-topics": lambda _: data.python_topics(),
    "jargon-file": lambda folder: data.jargon_file(folder),
}
_KEPT = 4


def load_dataset(name: str, folder: str | None = None) -> Dataset:
    """Load a data set, once for each process: `load_source` of a `DataSource` with this name and folder."""
    return load_source(DataSource(name, folder))


def load_source(source: DataSource) -> Dataset:
    """Load the data set that a study means, once for each process.

    Parameters
    ----------
    source
        Its name is one of `DATASETS`, ``folder:PATH`` (see `image_folder`), ``text:PATH`` (see
        `text_files`), or ``package.module:factory``, a function without arguments that returns a `Dataset`.
        Its folder is where published data sets are looked for, and put when they are downloaded: by default
        the environment's ``SPANMATCH_DATA``, else ``~/.cache/spanmatch/data``; for Fashion-MNIST and the
        Jargon File also where Debian's packages dataset-fashion-mnist and jargon-text put them.

    Raises
    ------
    DatasetNotFoundError
        If it is not there and cannot be downloaded.
    ValueError, TypeError
        If the name is unknown, or what is there is no data set or damaged.
    """
    require_dataset(source.name)
    if source.name.startswith(FOLDER_PREFIX):
        path = Path(source.name.removeprefix(FOLDER_PREFIX)).expanduser().absolute()
        return _folder(path, source.held_out, source.framing, folder_stamp(path))
    if source.name in DATASETS:
        dataset = _published(source.name, data_folder(source.folder))
    elif source.name.startswith(TEXT_PREFIX):
        dataset = _text(Path(source.name.removeprefix(TEXT_PREFIX)).expanduser().absolute())
    else:
        dataset = _custom(source.name, tuple(sorted(project_modules(source.name).items())))
    return dataset.pooled() if source.held_out == "all" else dataset


def forget_datasets() -> None:
    """Load folders, text and what somebody's own function returns anew: what they hold may have changed."""
    _folder.cache_clear()
    _text.cache_clear()
    _custom.cache_clear()


@lru_cache(maxsize=_KEPT)
def _published(name: str, folder: Path) -> Dataset:
    return DATASETS[name](folder)


@lru_cache(maxsize=_KEPT)
def _folder(path: Path, held_out: HeldOut, framing: Framing | None, _stamp: tuple[int, ...]) -> Dataset:
    preprocessing = None if framing is None else Preprocessing(**asdict(framing))
    return image_folder(path, preprocessing=preprocessing, held_out=held_out)


@lru_cache(maxsize=_KEPT)
def _text(path: Path) -> Dataset:
    return data.text_files(path)


@lru_cache(maxsize=_KEPT)
def _custom(name: str, _modules: tuple[tuple[str, str], ...]) -> Dataset:
    return custom_dataset(name)
