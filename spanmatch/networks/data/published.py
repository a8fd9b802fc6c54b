"""Published data sets of small images, read by torchvision: the MNIST family and CIFAR.

CIFAR's files are pickles, which torchvision reads only if their checksum is the published one.
"""

import gzip
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from spanmatch.errors import InputValueError
from spanmatch.networks.data.dataset import Dataset
from spanmatch.networks.data.downloads import fetch
from spanmatch.networks.data.images import Images
from spanmatch.networks.data.preprocessing import Preprocessing

# Means and deviations are those of the training images.
_MNIST = Preprocessing(mean=(0.1307,), deviation=(0.3081,), pad=2)
_FASHION_MNIST = Preprocessing(mean=(0.2860,), deviation=(0.3530,), pad=2)
_CIFAR10 = Preprocessing(mean=(0.4914, 0.4822, 0.4465), deviation=(0.2470, 0.2435, 0.2616))
_CIFAR100 = Preprocessing(mean=(0.5071, 0.4865, 0.4409), deviation=(0.2673, 0.2564, 0.2762))

# Debian's package dataset-fashion-mnist
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")

# what gzip and torchvision's reader raise on files that are not whole
_READING = (
    OSError, EOFError, RuntimeError, ValueError, TypeError, LookupError, AssertionError, zlib.error,
)  # fmt: skip


def mnist(folder: Path) -> Dataset:
    """Load MNIST: 60,000 and 10,000 grey images, padded to 32 × 32."""
    place = folder / "MNIST"
    remedy = f"put the four idx files (as they are or with .gz) into {str(place / 'raw')!r}"
    return _idx("mnist", datasets.MNIST, place, [place / "raw"], remedy, _MNIST)


def fashion_mnist(folder: Path) -> Dataset:
    """Load Fashion-MNIST: 60,000 and 10,000 grey images, padded to 32 × 32; Debian's copy if there is one."""
    place = folder / "FashionMNIST"
    remedy = (
        f"on Debian `apt-get install dataset-fashion-mnist` puts it into {str(_DEBIAN)!r}, where it is "
        f"found; elsewhere put its four idx files (as they are or with .gz) into {str(place / 'raw')!r}"
    )
    places = [place / "raw", _DEBIAN]
    return _idx("fashion-mnist", datasets.FashionMNIST, place, places, remedy, _FASHION_MNIST)


def cifar10(folder: Path) -> Dataset:
    """Load CIFAR-10: 50,000 and 10,000 colour images of 32 × 32."""
    return _cifar("cifar10", datasets.CIFAR10, folder, _CIFAR10)


def cifar100(folder: Path) -> Dataset:
    """Load CIFAR-100: 50,000 and 10,000 colour images of 32 × 32."""
    return _cifar("cifar100", datasets.CIFAR100, folder, _CIFAR100)


def _idx(
    name: str,
    kind: type[datasets.MNIST],
    place: Path,
    raw_places: Sequence[Path],
    remedy: str,
    preprocessing: Preprocessing,
) -> Dataset:
    """Load the first copy of four idx files, compressed or not; fetch them if there is none."""
    names = [Path(resource).stem for resource, _ in kind.resources]
    raw = next((raw for raw in raw_places if all(_versions(raw / file) for file in names)), None)
    if raw is None:
        if place.exists():
            raise _damaged(name, place, "not all of its files are there")
        fetch(name, place, kind.mirrors, lambda aside: kind(aside, download=True), remedy)
        raw = raw_places[0]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) / kind.__name__ / "raw"
            target.mkdir(parents=True)
            for file in names:
                _provide(_versions(raw / file)[0], target / file)
            training, held_out = kind(scratch, train=True), kind(scratch, train=False)
        return _dataset(
            name,
            preprocessing,
            (training.data.numpy()[:, np.newaxis], training.targets),
            (held_out.data.numpy()[:, np.newaxis], held_out.targets),
            classes=10,
        )
    except _READING as error:
        raise _damaged(name, raw, " ".join(str(error).split())) from None


def _cifar(name: str, kind: type[datasets.CIFAR10], folder: Path, preprocessing: Preprocessing) -> Dataset:
    """Load CIFAR's pickles, whose checksums torchvision compares first; fetch them if there are none."""
    place = folder / kind.base_folder
    if not place.exists():
        remedy = f"unpack {kind.filename} in {str(folder)!r}"
        fetch(name, place, [kind.url], lambda aside: kind(aside, download=True), remedy)
    try:
        with warnings.catch_warnings():
            # the files were pickled by a NumPy whose types today's warns of
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            training, held_out = kind(folder, train=True), kind(folder, train=False)
    except (OSError, RuntimeError) as error:
        raise _damaged(name, place, str(error).partition(".")[0]) from None
    return _dataset(
        name,
        preprocessing,
        (training.data.transpose(0, 3, 1, 2), training.targets),
        (held_out.data.transpose(0, 3, 1, 2), held_out.targets),
        classes=len(training.classes),
    )


def _dataset(
    name: str,
    preprocessing: Preprocessing,
    training: tuple[NDArray[np.uint8], Sequence[int]],
    held_out: tuple[NDArray[np.uint8], Sequence[int]],
    classes: int,
) -> Dataset:
    def images(part: str, stored: NDArray[np.uint8], labels: Sequence[int]) -> Images:
        ids = tuple(f"{name}/{part}/{number}" for number in range(len(stored)))
        return Images(np.ascontiguousarray(stored), np.asarray(labels, dtype=np.int64), ids, preprocessing)

    return Dataset(name, images("train", *training), images("test", *held_out), classes)


def _versions(file: Path) -> list[Path]:
    """Where a file is: as it is, or compressed."""
    return [path for path in (file, file.with_name(f"{file.name}.gz")) if path.is_file()]


def _provide(source: Path, target: Path) -> None:
    """Make a file readable at another place, uncompressed."""
    if source.suffix == ".gz":
        with gzip.open(source) as compressed, target.open("wb") as plain:
            shutil.copyfileobj(compressed, plain)
    else:
        target.symlink_to(source)


def _damaged(name: str, place: Path, reason: str) -> ValueError:
    return InputValueError(
        f"`dataset` {name!r} must be whole, got damaged files in {str(place)!r} ({reason}); "
        "delete that folder, and it is fetched anew"
    )
