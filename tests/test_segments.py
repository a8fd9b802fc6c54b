"""One extraction on a worker: what it leaves when it fails, and that it leaves no network behind."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from spanmatch.errors import SpanmatchError
from spanmatch.networks import architectures
from spanmatch.networks.data import load_dataset
from spanmatch.networks.datasource import DataSource
from storage.checkpoints import write_checkpoint
from storage.root import Artefact, Root
from tasks.segments import SegmentUnit, compute
from tasks.statistic import Reading


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.prepare(tmp_path / "root")


def unit_of(network: nn.Module, root: Root) -> SegmentUnit:
    """Keep a network's weights, and ask for a layer of it."""
    weights = {name: values.numpy() for name, values in network.state_dict().items()}
    digest = write_checkpoint(root, "networks/key", "final", weights, {})
    return SegmentUnit(
        label="seed 0 · final · images 0-9 · block3.relu2",
        network=Artefact("networks", "key", "networks/key", digest),
        checkpoint="final",
        architecture="vgg9-digits",
        code="",
        width=1.0,
        source=DataSource("digits"),
        dataset_digest=load_dataset("digits").held_out.digest,
        layer="block3.relu2",
        start=0,
        stop=10,
        positions="all",
        positions_seed=0,
        dtype="float32",
        device="cpu",
    )


def test_nan_in_activations_names_the_network_and_the_layer(root: Root, tmp_path: Path) -> None:
    network = architectures.build("vgg9-digits", (1, 8, 8), 10)
    network.get_parameter("block3.norm2.bias").data[3] = np.nan
    with pytest.raises(
        SpanmatchError, match=r"the activations of seed 0 .* must be finite.*'block3.relu2' gave NaN"
    ):
        compute(root, [unit_of(network, root)], Reading(root))
    assert not list((tmp_path / "root").glob("segments/*"))


def test_a_network_is_gone_with_its_segment(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = architectures.build

    def watched(*args: object) -> nn.Module:
        network = build(*args)
        built.append(weakref.ref(network))
        return network

    unit = unit_of(build("vgg9-digits", (1, 8, 8), 10), root)
    monkeypatch.setattr(architectures, "build", watched)
    gc.disable()  # it comes when enough objects are there, of whatever size: many segments later
    try:
        compute(root, [unit], Reading(root))
        assert [network() for network in built] == [None]
    finally:
        gc.enable()
