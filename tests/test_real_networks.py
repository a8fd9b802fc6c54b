"""Real architectures: every layer's name, values and neurons against hooks written by hand."""

import copy

import numpy as np
import pytest
import torch
from made import images, seeded, whole
from real_networks import REAL, arranged_by_hand, by_hand

from spanmatch import GramMatrix, match_profile
from spanmatch.networks.layers import choose
from spanmatch.networks.probing import list_layers

pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


@pytest.mark.parametrize("name", REAL)
def test_every_module_has_its_name_its_values_and_its_neurons(name: str) -> None:
    real = REAL[name]
    network, some = seeded(real.make), images(3, *real.shape)
    expected = dict(by_hand(network, torch.from_numpy(some.pixels)))
    listed = {layer.name: layer for layer in list_layers(network, real.shape)}
    assert expected.keys() <= listed.keys()
    modules = dict(network.named_modules())
    assert {layer for layer in listed if layer in modules} == {key for key in expected if key in modules}
    tensors = {key: z for key, z in expected.items() if not any(part in key for part in real.unlike)}
    assert [key for key in expected if listed[key].problem] == [key for key in expected if key not in tensors]
    left_out = choose(tuple(listed.values()), ["default"]).left_out
    assert all(any(part in layer for part in real.unlike) for layer in left_out)
    found = whole(network, tuple(tensors), some, batch_size=3)
    for key, output in tensors.items():
        by_name = key if key in modules else key.rpartition("_")[0]
        values = arranged_by_hand(output, real.images(by_name), last=real.last(by_name))
        assert (listed[key].positions, listed[key].neurons) == values.shape[1:], key
        np.testing.assert_allclose(found[key], values, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", [name for name, real in REAL.items() if real.permuted])
def test_a_copy_with_permuted_hidden_units_matches_in_every_such_layer(name: str) -> None:
    real, rng = REAL[name], np.random.default_rng(1)
    network = seeded(real.make)
    other = copy.deepcopy(network)
    weights = other.state_dict()
    orders = {
        layer: order
        for each in real.permuted
        for order in [each.apply(weights, rng)]
        for layer in each.layers
    }
    neurons = max(len(order) for order in orders.values())
    listed = {layer.name: layer for layer in list_layers(network, real.shape)}
    fewest = min(listed[layer].positions for layer in orders)
    some = images(2 + 2 * neurons // fewest if fewest > 1 else 2 * neurons, *real.shape, seed=2)
    x, y = (whole(one, tuple(orders), some) for one in (network, other))
    for layer, order in orders.items():
        np.testing.assert_allclose(y[layer], x[layer][..., order], rtol=1e-3, atol=1e-4, err_msg=layer)
        assert not np.allclose(y[layer], x[layer], atol=1e-4)
        gram = GramMatrix.from_activations(*(one[layer].reshape(-1, len(order)) for one in (x, y)))
        assert match_profile(gram, dead="match").similarity(1e-3) == 1, layer
