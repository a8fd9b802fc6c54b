"""Published data sets: read from files in their formats, fetched whole or not at all, damage refused."""

import gzip
import hashlib
import http.server
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import needs
import numpy as np
import pytest
from cases import random_bytes
from torchvision import datasets

from spanmatch.networks.catalogue import held_out_images
from spanmatch.networks.data import DatasetNotFoundError, load_dataset, published

# nothing listens there: as if there were no network
NOWHERE = "http://127.0.0.1:9/"
MNIST_FILES = [Path(name).stem for name, _ in datasets.MNIST.resources]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (datasets.MNIST, datasets.FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [NOWHERE])
    for kind in (datasets.CIFAR10, datasets.CIFAR100):
        monkeypatch.setattr(kind, "url", f"{NOWHERE}{kind.filename}")


def idx(values: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def write_mnist(raw: Path, *, compressed: bool) -> dict[str, np.ndarray]:
    raw.mkdir(parents=True)
    written = {}
    for name in MNIST_FILES:
        count = 12 if "train" in name else 5
        values = random_bytes(count, 28, 28) if "images" in name else random_bytes(count) % 10
        written[name] = values
        path = raw / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(idx(values)) if compressed else idx(values))
    return written


@pytest.mark.parametrize("compressed", [True, False])
def test_mnist_s_files_are_read_as_they_are_or_compressed(tmp_path: Path, compressed: bool) -> None:
    written = write_mnist(tmp_path / "MNIST/raw", compressed=compressed)
    before = sorted(tmp_path.rglob("*"))
    dataset = load_dataset("mnist", str(tmp_path))
    assert dataset.training.shape == (1, 32, 32)
    assert dataset.held_out.ids == tuple(f"mnist/test/{number}" for number in range(5))
    assert dataset.training.labels.tolist() == written["train-labels-idx1-ubyte"].tolist()
    inner = dataset.held_out.pixels[:, 0, 2:-2, 2:-2]
    expected = (written["t10k-images-idx3-ubyte"] / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(inner, expected, rtol=1e-6)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("damage", ["cut short", "flipped", "missing"])
def test_mnist_s_damaged_files_are_refused(tmp_path: Path, compressed: bool, damage: str) -> None:
    write_mnist(tmp_path / "MNIST/raw", compressed=compressed)
    path = tmp_path / "MNIST/raw" / f"train-images-idx3-ubyte{'.gz' if compressed else ''}"
    content = bytearray(path.read_bytes())
    if damage == "cut short":
        path.write_bytes(content[:-100])
    elif damage == "flipped":  # without a checksum only a header tells
        content[len(content) // 2 if compressed else 7] ^= 255
        path.write_bytes(content)
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"'mnist' must be whole, got damaged files in .*MNIST.*delete"):
        load_dataset("mnist", str(tmp_path))


def test_fashion_mnist_is_found_where_debian_puts_it(tmp_path: Path) -> None:
    needs.find("dataset-fashion-mnist")
    dataset = load_dataset("fashion-mnist", str(tmp_path))
    assert (len(dataset.training), len(dataset.held_out)) == (60_000, 10_000)
    assert len(dataset.held_out) == held_out_images("fashion-mnist")
    assert dataset.training.shape == (1, 32, 32)
    assert np.bincount(dataset.training.labels).tolist() == [6_000] * 10
    assert np.bincount(dataset.held_out.labels).tolist() == [1_000] * 10
    inner = dataset.training.slice(0, 20_000).pixels[:, :, 2:-2, 2:-2]
    assert inner.mean() == pytest.approx(0, abs=0.01)
    assert inner.std() == pytest.approx(1, abs=0.01)
    assert dataset.training.stored.nbytes == 60_000 * 28 * 28
    assert not list(tmp_path.iterdir())


def test_one_s_own_copy_of_fashion_mnist_comes_first(tmp_path: Path) -> None:
    write_mnist(tmp_path / "FashionMNIST/raw", compressed=True)
    assert len(load_dataset("fashion-mnist", str(tmp_path)).training) == 12


def test_absent_data_says_where_it_is_looked_for_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "_DEBIAN", tmp_path / "debian")
    for name, place, remedy in [
        ("mnist", "MNIST", "put the four idx files"),
        ("fashion-mnist", "FashionMNIST", "apt-get install dataset-fashion-mnist"),
        ("cifar10", "cifar-10-batches-py", "unpack cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python", "unpack cifar-100-python.tar.gz"),
    ]:
        with pytest.raises(DatasetNotFoundError) as caught:
            load_dataset(name, str(tmp_path / "data"))
        said = str(caught.value)
        assert f"`dataset` {name!r} must be in '{tmp_path / 'data' / place}' or be downloaded" in said
        assert NOWHERE in said
        assert remedy in said
        assert "SPANMATCH_DATA" in said
        assert "\n" not in said
    assert not (tmp_path / "data").exists()


def pickled(**values: object) -> bytes:
    """Pickle a dictionary of strings and byte arrays as Python 2 did, whose files CIFAR's are."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    def one(value: object) -> bytes:
        if isinstance(value, list):
            items = (number(item) if isinstance(item, int) else text(item.encode()) for item in value)
            return b"](" + b"".join(items) + b"e"
        assert isinstance(value, np.ndarray)
        empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        kind = (
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        )
        shape = number(value.shape[0]) + number(value.shape[1]) + b"\x86"
        return empty + b"(K\x01" + shape + kind + b"\x89" + text(value.tobytes()) + b"tb"

    items = (text(key.encode()) + one(value) for key, value in values.items())
    return b"\x80\x02}(" + b"".join(items) + b"u."


Files = dict[str, bytes]


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def cifar10(monkeypatch: pytest.MonkeyPatch) -> tuple[Files, np.ndarray, list[int]]:
    """CIFAR-10's files with three images in each, whose checksums torchvision takes for the real ones."""
    kind = datasets.CIFAR10
    pixels, labels = random_bytes(6, 3, 3072), (random_bytes(18) % 10).tolist()
    names = [name for name, _ in kind.train_list + kind.test_list]
    files = {
        name: pickled(data=pixels[number], labels=labels[3 * number : 3 * number + 3])
        for number, name in enumerate(names)
    }
    files["batches.meta"] = pickled(label_names=[f"class {number}" for number in range(10)])
    sums = {name: md5(content) for name, content in files.items()}
    monkeypatch.setattr(kind, "train_list", [[name, sums[name]] for name in names[:5]])
    monkeypatch.setattr(kind, "test_list", [[name, sums[name]] for name in names[5:]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums["batches.meta"]})
    return files, pixels.reshape(18, 3, 32, 32), labels


def write_files(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_cifar10_is_read_from_its_batches(
    tmp_path: Path, cifar10: tuple[Files, np.ndarray, list[int]]
) -> None:
    files, pixels, labels = cifar10
    write_files(tmp_path / "cifar-10-batches-py", files)
    dataset = load_dataset("cifar10", str(tmp_path))
    assert np.array_equal(dataset.training.stored, pixels[:15])
    assert np.array_equal(dataset.held_out.stored, pixels[15:])
    assert [*dataset.training.labels, *dataset.held_out.labels] == labels
    assert dataset.classes == 10
    assert dataset.held_out.ids == ("cifar10/test/0", "cifar10/test/1", "cifar10/test/2")
    assert dataset.held_out.pixels[1, 2, 0, 0] == pytest.approx((pixels[16, 2, 0, 0] / 255 - 0.4465) / 0.2616)


def test_cifar_s_files_are_compared_with_their_checksums_before_they_are_read(
    tmp_path: Path, cifar10: tuple[Files, np.ndarray, list[int]]
) -> None:
    files, _, _ = cifar10
    # would fail loudly, were it unpickled
    files["data_batch_3"] = b"cbuiltins\nexit\n(I7\ntR."
    write_files(tmp_path / "cifar-10-batches-py", files)
    with pytest.raises(
        ValueError, match=r"'cifar10' must be whole, got damaged files in .*cifar-10-batches-py"
    ):
        load_dataset("cifar10", str(tmp_path))


def test_cifar100_is_read_with_its_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = datasets.CIFAR100
    train, test = random_bytes(4, 3072), random_bytes(2, 3072)
    files = {
        "train": pickled(data=train, fine_labels=[0, 99, 5, 7]),
        "test": pickled(data=test, fine_labels=[1, 2]),
        "meta": pickled(fine_label_names=[f"class {number}" for number in range(100)]),
    }
    sums = {name: md5(content) for name, content in files.items()}
    monkeypatch.setattr(kind, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(kind, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums["meta"]})
    write_files(tmp_path / "cifar-100-python", files)
    dataset = load_dataset("cifar100", str(tmp_path))
    assert dataset.classes == 100
    assert dataset.training.labels.tolist() == [0, 99, 5, 7]
    assert np.array_equal(dataset.held_out.stored.reshape(2, -1), test)


class Server(http.server.ThreadingHTTPServer):
    """Serves files by name, but lists none; only the first half of each while ``breaks``."""

    files: Files
    breaks = False


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.send_error(403)

    def do_GET(self) -> None:
        content = self.server.files[self.path.removeprefix("/")]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.server.breaks else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_download_arrives_whole_or_not_at_all(
    tmp_path: Path,
    cifar10: tuple[Files, np.ndarray, list[int]],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    files, pixels, _ = cifar10
    write_files(tmp_path / "cifar-10-batches-py", files)
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        archive.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    server.files = {"cifar-10-python.tar.gz": (tmp_path / "archive").read_bytes()}
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}cifar-10-python.tar.gz")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(server.files["cifar-10-python.tar.gz"]))
    data = tmp_path / "data"

    server.breaks = True
    with pytest.raises(DatasetNotFoundError, match=f"{address}.*unpack cifar-10-python.tar.gz"):
        load_dataset("cifar10", str(data))
    assert not list(data.iterdir())

    server.breaks = False
    dataset = load_dataset("cifar10", str(data))
    assert np.array_equal(dataset.held_out.stored, pixels[15:])
    assert [path.name for path in data.iterdir()] == ["cifar-10-batches-py"]
    assert f"'cifar10' is not in {data / 'cifar-10-batches-py'}: downloading it from {address}" in caplog.text


def test_mnist_s_files_are_fetched_and_unpacked(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_mnist(tmp_path / "raw", compressed=True)
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(datasets.MNIST, "mirrors", [NOWHERE, address])
    resources = [(f"{name}.gz", md5(server.files[f"{name}.gz"])) for name in MNIST_FILES]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    data = tmp_path / "data"
    dataset = load_dataset("mnist", str(data))
    assert np.array_equal(dataset.training.stored[:, 0], written["train-images-idx3-ubyte"])
    assert [path.name for path in data.iterdir()] == ["MNIST"]
