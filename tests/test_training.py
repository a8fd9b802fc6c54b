"""Training: torch's own steps, checkpoints of the right moments, and the same bits after a kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import nn

from spanmatch.networks.architectures import build
from spanmatch.networks.data import Dataset, Images, image_folder, load_dataset
from spanmatch.networks.determinism import deterministic, resolve_device
from spanmatch.networks.evaluation import evaluate
from spanmatch.networks.optimisers import optimiser_of
from spanmatch.networks.outcome import Epoch, Snapshot, Trained
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.resume import State, weights_of
from spanmatch.networks.training import NonFiniteLossError, train
from spanmatch.networks.weights import fit_weights
from storage.checkpoints import read_checkpoint, write_checkpoint
from storage.root import Artefact, Root
from storage.training_state import TrainingState

QUICK = Recipe(epochs=2, batch_size=64, learning_rate=0.1, momentum=0.9, weight_decay=5e-4)
AUGMENTED = replace(QUICK, epochs=8, schedule="step", milestones=(5,), augment=("crop", "flip"))
EVERY = ("initial", "best", "epoch2", "final")


class FileStore:
    """Keeps the state of a training in two files, each replaced by a rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved: list[int] = []

    def save(self, epoch: int, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        new = self.folder / f"{epoch}.new"
        save_file(arrays, new, metadata={"values": json.dumps([epoch, values])})
        new.rename(self.folder / "state.safetensors")
        self.saved.append(epoch)

    def load(self) -> tuple[int, dict[str, NDArray[Any]], dict[str, Any]] | None:
        path = self.folder / "state.safetensors"
        if not path.exists():
            return None
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        epoch, values = json.loads(header["__metadata__"]["values"])
        return epoch, load_file(path), values


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="module")
def undisturbed(digits: Dataset) -> Trained:
    return train("vgg9-digits", 1.0, digits, 7, AUGMENTED, keep=EVERY)


def assert_same(one: Trained, other: Trained) -> None:
    assert one.history == other.history
    assert one.checkpoints.keys() == other.checkpoints.keys()
    for name, checkpoint in one.checkpoints.items():
        twin = other.checkpoints[name]
        assert (checkpoint.accuracy, checkpoint.loss, checkpoint.epoch) == (
            twin.accuracy,
            twin.loss,
            twin.epoch,
        )
        assert checkpoint.weights.keys() == twin.weights.keys()
        for key, values in checkpoint.weights.items():
            assert np.array_equal(values, twin.weights[key]), (name, key)


def test_the_weights_are_those_of_a_hand_written_loop(digits: Dataset) -> None:
    with deterministic(3):
        network = build("vgg9-digits", (1, 8, 8), 10)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=0.1, total_steps=2 * 19, cycle_momentum=False
        )
        pixels, labels = torch.tensor(digits.training.pixels), torch.tensor(digits.training.labels)
        means = []
        for _ in range(2):
            losses = []
            for batch in torch.randperm(len(pixels)).split(64):
                loss = nn.functional.cross_entropy(network(pixels[batch]), labels[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
            means.append(np.mean(losses))
    trained = train("vgg9-digits", 1.0, digits, 3, QUICK)
    for name, values in network.state_dict().items():
        np.testing.assert_allclose(trained.checkpoints["final"].weights[name], values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose([epoch.training_loss for epoch in trained.history], means, rtol=1e-5)


def test_checkpoints_are_kept_when_their_moment_comes(digits: Dataset, undisturbed: Trained) -> None:
    history, kept = undisturbed.history, undisturbed.checkpoints
    assert [epoch.epoch for epoch in history] == list(range(1, 9))
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.1] * 5 + [0.01] * 3)
    accuracies = [epoch.held_out_accuracy for epoch in history]
    moments = {"epoch2": 2, "final": 8, "best": accuracies.index(max(accuracies)) + 1}
    assert {name: checkpoint.epoch for name, checkpoint in kept.items()} == {"initial": 0, **moments}
    for name, epoch in moments.items():
        found = history[epoch - 1]
        assert (kept[name].accuracy, kept[name].loss) == (found.held_out_accuracy, found.held_out_loss)
    for checkpoint in kept.values():
        network = fit_weights(build("vgg9-digits", (1, 8, 8), 10), checkpoint.weights)
        assert evaluate(network, digits.held_out) == (checkpoint.accuracy, checkpoint.loss)
    assert kept["best"].accuracy > 0.5
    with deterministic(7):
        untrained = build("vgg9-digits", (1, 8, 8), 10).state_dict()
    for name, values in kept["initial"].weights.items():
        assert np.array_equal(values, untrained[name])


def test_only_what_is_asked_for_is_kept_and_it_changes_nothing(digits: Dataset, undisturbed: Trained) -> None:
    alone = train("vgg9-digits", 1.0, digits, 7, AUGMENTED, keep=["final"])
    expected = {"final": undisturbed.checkpoints["final"]}
    assert_same(alone, Trained(expected, undisturbed.history))


def test_the_first_of_equally_good_epochs_is_the_best(digits: Dataset) -> None:
    # so slow that nothing changes
    still = train("vgg9-digits", 1.0, digits, 0, replace(QUICK, learning_rate=1e-30), keep=["best"])
    first, second = still.history
    if first.held_out_accuracy == second.held_out_accuracy:
        assert still.checkpoints["best"].epoch == 1


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from test_training import AUGMENTED, EVERY, FileStore, load_dataset, train
train("vgg9-digits", 1.0, load_dataset("digits"), 7, AUGMENTED, keep=EVERY,
      resume=FileStore(Path({folder!r})), on_epoch=lambda epoch: print(epoch.epoch, flush=True))
"""


def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, digits: Dataset, undisturbed: Trained
) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "3":
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    store = FileStore(tmp_path)
    found = store.load()
    assert found is not None
    assert 3 <= found[0] < AUGMENTED.epochs
    seen: list[Epoch] = []
    resumed = train("vgg9-digits", 1.0, digits, 7, AUGMENTED, keep=EVERY, resume=store, on_epoch=seen.append)
    assert store.saved == list(range(found[0] + 1, 9))
    assert tuple(seen) == resumed.history
    assert_same(resumed, undisturbed)
    # a finished one is only read
    assert_same(train("vgg9-digits", 1.0, digits, 7, AUGMENTED, keep=EVERY, resume=store), undisturbed)
    assert store.saved == list(range(found[0] + 1, 9))


def test_the_state_of_another_training_is_not_taken(tmp_path: Path, digits: Dataset) -> None:
    store = FileStore(tmp_path)
    train("vgg9-digits", 1.0, digits, 0, QUICK, resume=store)
    again = train("vgg9-digits", 1.0, digits, 1, QUICK, resume=store)
    assert store.saved == [1, 2, 1, 2]
    assert_same(again, train("vgg9-digits", 1.0, digits, 1, QUICK))


class Scaled(nn.Linear):
    """Has parameters and a buffer of one number, as a learnt temperature is."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.temperature = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("seen", torch.tensor(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return super().forward(x) * self.temperature


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_single_numbers_of_a_network_are_kept_and_go_on_to_the_same_bits(
    optimiser: Any, tmp_path: Path
) -> None:
    recipe = Recipe(1, 2, 0.1, 0.9, 1e-3, optimiser=optimiser)

    def state() -> State:
        with deterministic(1):
            network = Scaled()
        return State(network, optimiser_of(network, recipe), "cpu", {})

    def step(one: State) -> None:
        one.optimiser.zero_grad()
        one.network(torch.arange(8.0).reshape(2, 4)).square().mean().backward()
        one.optimiser.step()

    store = TrainingState(Root.prepare(tmp_path), "key")
    stopped, resumed = state(), state()
    step(stopped)
    stopped.save(store)
    resumed.restore(store)
    for one in (stopped, resumed):
        step(one)
    weights = weights_of(stopped.network)
    assert weights["temperature"].shape == weights["seen"].shape == ()
    for name, values in weights_of(resumed.network).items():
        assert values.tobytes() == weights[name].tobytes(), name
    digest = write_checkpoint(store.root, "networks/key", "final", weights, {})
    read = read_checkpoint(store.root, Artefact("networks", "key", "networks/key", digest), "final")
    assert {name: values.shape for name, values in read.items()} == {
        name: values.shape for name, values in weights.items()
    }


def test_a_loss_that_is_not_finite_is_told_with_its_step(digits: Dataset) -> None:
    seen: list[Epoch] = []
    with pytest.raises(
        NonFiniteLossError, match=r"got nan in step 2 of epoch 1; lower `learning_rate` \(1e\+30\)"
    ):
        train("vgg9-digits", 1.0, digits, 0, replace(QUICK, learning_rate=1e30), on_epoch=seen.append)
    assert not seen


def test_what_cannot_be_trained_is_refused_before_it_is_begun(digits: Dataset) -> None:
    with pytest.raises(ValueError, match=r"`batch_size` must not leave a last batch of one,.*got 63"):
        train("vgg9-digits", 1.0, digits, 0, replace(QUICK, batch_size=63))
    with pytest.raises(ValueError, match=r"`checkpoints` must be .*got 'epoch3'"):
        train("vgg9-digits", 1.0, digits, 0, QUICK, keep=["epoch3"])
    with pytest.raises(ValueError, match="`mixed_precision` must be false without a CUDA device"):
        train("vgg9-digits", 1.0, digits, 0, QUICK, mixed_precision=True)
    flat = Images(np.ones((4, 6), np.float32), np.arange(4), tuple("abcd"))
    other = Images(np.ones((4, 6), np.float32), np.arange(4), tuple("efgh"))
    with pytest.raises(ValueError, match=r"`augment` must be empty .*shape \(6,\)"):
        train("vgg9-digits", 1.0, Dataset("flat", flat, other, 4), 0, AUGMENTED)


def test_a_device_is_resolved_or_refused() -> None:
    present = torch.cuda.is_available()
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if present else "cpu")
    if present:
        assert resolve_device("cuda") == "cuda"
    else:
        with pytest.raises(
            ValueError, match="`device` must be present, got 'cuda' where torch finds no CUDA"
        ):
            resolve_device("cuda")
    with pytest.raises(ValueError, match="`device` must be one of: auto, cpu, cuda; got 'gpu'"):
        resolve_device("gpu")


def test_images_in_files_train_the_bits_of_images_in_memory(tmp_path: Path, digits: Dataset) -> None:
    for part, images, count in (("train", digits.training, 300), ("val", digits.held_out, 100)):
        for number in range(count):
            path = tmp_path / part / str(images.labels[number]) / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.raw([number])[0, 0] * 15).save(path)
    in_files = image_folder(tmp_path)

    def in_memory(images: Images) -> Images:
        every = images.raw(range(len(images)))
        return Images(every, images.labels, images.ids, images.preprocessing)

    read = Dataset(in_files.name, in_memory(in_files.training), in_memory(in_files.held_out), 10)
    recipe = replace(QUICK, augment=("crop",))
    assert_same(train("vgg9-digits", 1.0, in_files, 0, recipe), train("vgg9-digits", 1.0, read, 0, recipe))


def test_real_clothes_are_told_apart(tmp_path: Path) -> None:
    needs.find("dataset-fashion-mnist")
    whole = load_dataset("fashion-mnist", str(tmp_path))

    def eighths(images: Images) -> Images:
        """Average 4 × 4 pixels: as small as digits."""
        pixels = images.pixels.reshape(len(images), 1, 8, 4, 8, 4).mean(axis=(3, 5))
        return Images(pixels, images.labels, images.ids)

    small = Dataset(
        "small", eighths(whole.training.slice(0, 6000)), eighths(whole.held_out.slice(0, 1000)), 10
    )
    trained = train("vgg9-digits", 1.0, small, 0, replace(QUICK, augment=("flip",)))
    assert trained.checkpoints["initial"].accuracy < 0.3
    assert trained.checkpoints["final"].accuracy > 0.7
    first, last = trained.history
    assert last.training_loss < first.training_loss


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_cuda_device_repeats_itself_and_resumes(tmp_path: Path, digits: Dataset) -> None:
    class Stopped(Exception):
        pass

    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 3:
            raise Stopped

    def run(**options: Any) -> Trained:
        return train("vgg9-digits", 1.0, digits, 7, AUGMENTED, keep=EVERY, device="cuda", **options)

    once = run()
    assert_same(once, run())
    store = FileStore(tmp_path)
    with pytest.raises(Stopped):
        run(resume=store, on_epoch=stop)
    assert_same(once, run(resume=store))
    mixed = run(mixed_precision=True)
    assert mixed.checkpoints["best"].accuracy == pytest.approx(once.checkpoints["best"].accuracy, abs=0.1)
    assert isinstance(mixed.checkpoints["final"], Snapshot)
    assert all(values.dtype != np.float16 for values in mixed.checkpoints["final"].weights.values())
