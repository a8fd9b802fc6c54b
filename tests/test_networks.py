"""Networks: what is stored is what a hand-written forward pass gives, and training repeats to the bit."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from spanmatch.networks.activations import extract
from spanmatch.networks.architectures import build
from spanmatch.networks.data import Dataset, load_dataset
from spanmatch.networks.determinism import deterministic
from spanmatch.networks.evaluation import evaluate
from spanmatch.networks.layers import choose
from spanmatch.networks.passes import NonFiniteActivationsError
from spanmatch.networks.probing import list_layers
from spanmatch.networks.recipe import Recipe
from spanmatch.networks.training import train
from spanmatch.networks.weights import fit_weights

QUICK = Recipe(epochs=1, batch_size=64, learning_rate=0.1, momentum=0.9, weight_decay=5e-4)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def test_digits_are_split_once_with_stable_ids(digits: Dataset) -> None:
    ids = digits.training.ids + digits.held_out.ids
    assert len(ids) == len(set(ids)) == 1797
    assert digits.held_out.ids[:2] == ("digits/2", "digits/5")
    assert digits.training.pixels.mean() == pytest.approx(0, abs=1e-5)
    assert digits.training.pixels.std() == pytest.approx(1, abs=1e-5)
    assert {*digits.held_out.labels.tolist()} == set(range(10))


def test_training_repeats_to_the_bit_whatever_ran_before(digits: Dataset) -> None:
    first = train("vgg9-digits", 1.0, digits, 3, QUICK).checkpoints
    torch.rand(7)
    again = train("vgg9-digits", 1.0, digits, 3, QUICK).checkpoints
    other = train("vgg9-digits", 1.0, digits, 4, QUICK).checkpoints
    for moment in ("initial", "final"):
        assert all(
            np.array_equal(values, again[moment].weights[name])
            for name, values in first[moment].weights.items()
        )
    assert any(
        not np.array_equal(values, other["final"].weights[name])
        for name, values in first["final"].weights.items()
    )


def test_training_is_on_one_thread_and_leaves_torch_as_it_was(digits: Dataset) -> None:
    threads = torch.get_num_threads()
    during = set()
    torch.set_num_threads(2)
    try:
        before = torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
        train("vgg9-digits", 1.0, digits, 0, QUICK, on_epoch=lambda _: during.add(torch.get_num_threads()))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert during == {1}
    assert torch.are_deterministic_algorithms_enabled() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_accuracy_is_that_of_the_weights(digits: Dataset) -> None:
    final = train("vgg9-digits", 1.0, digits, 0, QUICK).checkpoints["final"]
    network = fit_weights(build("vgg9-digits", (1, 8, 8), 10), final.weights)
    with torch.no_grad():
        predicted = network(torch.from_numpy(digits.held_out.pixels)).argmax(dim=1).numpy()
    assert final.accuracy == pytest.approx((predicted == digits.held_out.labels).mean(), abs=0.002)
    assert evaluate(network, digits.held_out) == (final.accuracy, final.loss)


def test_activations_are_those_of_a_hand_written_forward_pass(digits: Dataset) -> None:
    weights = train("vgg9-digits", 1.0, digits, 0, QUICK).checkpoints["final"].weights
    network = fit_weights(build("vgg9-digits", (1, 8, 8), 10), weights)
    images = digits.held_out.slice(0, 50)
    layers = choose(list_layers(network, (1, 8, 8)), ["default"]).names
    batches = list(extract(network, layers, images, batch_size=16))
    assert [len(batch[layers[0]]) for batch in batches] == [16, 16, 16, 2]

    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}

    def normalised(z: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        z = (z - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-5)
        return z * scale[:, None, None] + shift[:, None, None]

    z = torch.from_numpy(images.pixels)
    expected = {}
    for block in (1, 2, 3):
        for number in (1, 2):
            z = functional.conv2d(z, tensors[f"block{block}.conv{number}.weight"], padding=1)
            z = normalised(z, f"block{block}.norm{number}").clamp(min=0)
            expected[f"block{block}.relu{number}"] = z.permute(0, 2, 3, 1).reshape(50, -1, z.shape[1])
        z = functional.max_pool2d(z, 2)
    z = z.flatten(1)
    for number in (1, 2):
        name = f"classifier.fc{number}"
        z = (z @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]).clamp(min=0)
        expected[f"classifier.relu{number}"] = z[:, None, :]

    assert tuple(expected) == layers
    for layer, values in expected.items():
        found = np.concatenate([batch[layer] for batch in batches])
        np.testing.assert_allclose(found, values.numpy(), atol=2e-5, err_msg=layer)


def test_the_network_of_a_seed_is_what_it_was_before_other_architectures_came() -> None:
    with deterministic(5):
        weights = build("vgg9-digits", (1, 8, 8), 10).state_dict()
    sums = [weights[name].abs().sum().item() for name in ("block1.conv1.weight", "classifier.logits.weight")]
    assert sums == pytest.approx([13.14743423461914, 92.76611328125], rel=1e-5)


def test_a_layer_that_is_not_finite_is_named(digits: Dataset) -> None:
    network = build("vgg9-digits", (1, 8, 8), 10).eval()
    fc = network.get_submodule("classifier.fc1")
    assert isinstance(fc, nn.Linear)
    fc.bias.data[3] = float("inf")
    with pytest.raises(NonFiniteActivationsError, match=r"layer 'classifier\.relu1' gave NaN or infinity"):
        list(
            extract(
                network,
                choose(list_layers(network, (1, 8, 8)), ["default"]).names,
                digits.held_out.slice(0, 2),
            )
        )
