"""`spanmatch.compare` answers bad input in one sentence, and leaves networks as they were."""

import pytest
import torch
from compared import (
    BROKEN,
    IMAGES,
    VALUES,
    Encoder,
    batches,
    convolutional,
    dense,
    padded,
    seeded,
    sentences,
    two,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import spanmatch

pytestmark = [
    pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning"),
    pytest.mark.filterwarnings("ignore::spanmatch.TooFewSamplesWarning"),
]


def hooks(network: nn.Module) -> int:
    return sum(
        len(each)
        for module in network.modules()
        for each in (module._forward_hooks, module._forward_pre_hooks)
    )


class Raising(nn.Module):
    """A network that fails in its second batch, in the midst of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = convolutional()

    def forward(self, images):
        if len(images) == 3:
            self.inner[2].register_forward_hook(self._fail)
        return self.inner(images)

    def _fail(self, *_: object) -> None:
        self.inner[2]._forward_hooks.popitem()
        raise RuntimeError("no more")


def test_networks_are_left_as_they_were_whatever_happens():
    one = convolutional()
    one[9].eval()  # a part that somebody has frozen
    one[2].train()
    before = [module.training for module in one.modules()]
    images = IMAGES.clone()
    found = spanmatch.compare([one, seeded(convolutional, 0)], batches(images, 16))
    assert "Networks in training mode were evaluated: 0." in found.notes
    assert [module.training for module in one.modules()] == before
    assert hooks(one) == 0
    assert torch.equal(images, IMAGES)  # ReLUs in place work on copies
    failing = Raising()
    with pytest.raises(RuntimeError, match="no more"):
        spanmatch.compare([one, failing], [IMAGES[:8], IMAGES[:3]])
    assert [module.training for module in one.modules()] == before
    assert all(module.training for module in failing.modules())
    assert (hooks(one), hooks(failing)) == (0, 0)
    assert torch.is_grad_enabled()


class Sometimes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 5)
        self.relu = nn.ReLU()

    def forward(self, values):
        return self.relu(self.dense(values)) if len(values) != 3 else self.dense(values)


class Drawing(nn.Module):
    def forward(self, values):
        return nn.functional.dropout(values, training=True).relu()


class Looking(nn.Module):
    def forward(self, batch):
        return batch["x"].relu()


class Flattening(nn.Module):
    def forward(self, values):
        return values.flatten(1).relu()


class Telling(Encoder):
    """Finds padding by itself, and tells its attention layers."""

    def forward(self, input_ids):
        return super().forward(input_ids, (input_ids != 0).long())


BAD = {
    "loaders of different lengths": (
        lambda: spanmatch.compare(two(), {"a": [VALUES, VALUES], "b": [VALUES]}),
        "equally many batches .* 'b' ended after 1",
    ),
    "loaders of different sizes": (
        lambda: spanmatch.compare(two(), {"a": [VALUES], "b": [VALUES[:3]]}),
        "the same samples .* \\[8, 3\\]",
    ),
    "loaders of different ids": (
        lambda: spanmatch.compare(
            two(),
            {"a": [{"x": VALUES, "id": list("abcdefgh")}], "b": [{"x": VALUES, "id": list("abcdefhg")}]},
            inputs=lambda batch: batch["x"],
        ),
        "equal ids",
    ),
    "a loader that shuffles beside another": (
        lambda: spanmatch.compare(
            two(), {"a": [VALUES], "b": DataLoader(TensorDataset(VALUES), 8, shuffle=True)}
        ),
        "shuffles beside another",
    ),
    "batches of nothing": (lambda: spanmatch.compare(two(), [VALUES[:0]]), "at least one batch with samples"),
    "ids that are none": (
        lambda: spanmatch.compare(two(), [{"input": VALUES, "id": 5}]),
        "an id for each sample, got 5",
    ),
    "networks of one name": (
        lambda: spanmatch.compare({1: dense(), "1": dense(), 2: dense()}, [VALUES]),
        "a name each",
    ),
    "pairs that are none": (lambda: spanmatch.compare(two(), [VALUES], pairs=[5]), "two names each, got 5"),
    "pairs that are a number": (lambda: spanmatch.compare(two(), [VALUES], pairs=3), "names each, got 3"),
    "layers that are a number": (
        lambda: spanmatch.compare(two(), [VALUES], layers=3),
        "`layers` must be names",
    ),
    "a layer that is a number": (lambda: spanmatch.compare(two(), [VALUES], layers=[3]), "got 3 among them"),
    "inputs that are no function": (lambda: spanmatch.compare(two(), [VALUES], inputs=3), "got int for 'a'"),
    "a mask that is a number": (lambda: spanmatch.compare(two(), [VALUES], mask=3), "`mask` must be a key"),
    "memory in words": (
        lambda: spanmatch.compare(two(), [VALUES], memory="1 GB"),
        "`memory` must be a whole",
    ),
    "a seed in words": (
        lambda: spanmatch.compare(two(), [VALUES], position_seed="x"),
        "`position_seed` must",
    ),
    "a layer as a wrong dictionary": (
        lambda: spanmatch.compare(two(), [VALUES], layers=[{"layer": "1"}]),
        '"neurons": "last"',
    ),
    "a network without weights": (
        lambda: spanmatch.compare({"a": dense(), "b": dense().to("meta")}, [VALUES]),
        "'b' on the device meta",
    ),
    "a network that draws at random": (
        lambda: spanmatch.compare({"a": Drawing(), "b": Drawing()}, [VALUES]),
        "network 'a'.* gives the same for the same samples",
    ),
    "a network that looks for a key": (
        lambda: spanmatch.compare({"a": Looking(), "b": Looking()}, [{"other": VALUES}]),
        "KeyError.*`inputs`",
    ),
    "neurons that grow with the length": (
        lambda: spanmatch.compare(
            {"a": Flattening(), "b": Flattening()}, [torch.ones(4, 3, 2), torch.ones(4, 5, 2)]
        ),
        "as many neurons in all batches.* 6 in the first and 10 in batch 1",
    ),
    "padding that one network is told of": (
        lambda: spanmatch.compare(
            {"a": seeded(Telling, 0), "b": seeded(Encoder, 1)},
            [padded(sentences())["input_ids"]],
            layers={"a": "block.relu", "b": "block.relu"},
        ),
        "where networks do not agree, but 'a' takes some of 9 for padding in batch 0 and 'b' does not",
    ),
    "samples that are kept beyond the memory": (
        lambda: spanmatch.compare(two(), (VALUES for _ in range(400)), keep_samples=True, memory=40_000),
        "samples that are kept",
    ),
    "an empty loader": (lambda: spanmatch.compare(two(), []), "at least one batch"),
    "a tensor for a loader": (lambda: spanmatch.compare(two(), VALUES), "pass a DataLoader"),
    "no tensor in a batch": (lambda: spanmatch.compare(two(), [["a", "b"]]), "must give tensors"),
    "one network": (lambda: spanmatch.compare({"a": dense()}, [VALUES]), "two or more"),
    "a module for networks": (lambda: spanmatch.compare(dense(), [VALUES]), "must be several"),
    "no module": (lambda: spanmatch.compare({"a": dense(), "b": 3}, [VALUES]), "modules of torch"),
    "maps of different sizes": (
        lambda: spanmatch.compare(
            {"a": seeded(convolutional, 0), "b": seeded(convolutional, 1)},
            [IMAGES],
            pairs=[("2", "5")],
        ),
        "'mean' where layers differ .* 64 positions .* has 16",
    ),
    "maps of as many positions in other places": (
        lambda: spanmatch.compare(
            {
                str(stride): seeded(lambda stride=stride: nn.Sequential(nn.Conv2d(3, 2, 2, stride=stride)), 0)
                for stride in ((2, 4), (4, 2))
            },
            [IMAGES],
            pairs=[("0", "0")],
            layers=["*"],
        ),
        "'mean' where layers differ .* 8 positions .* has 8",
    ),
    "no pair": (
        lambda: spanmatch.compare(two(), [VALUES], layers={"a": ["0"], "b": ["1"]}, pairs="same"),
        'no two layers have one name; use pairs="grid"',
    ),
    "an unknown layer": (lambda: spanmatch.compare(two(), [VALUES], layers=["rleu"]), "network 'a'.*must be"),
    "an unknown layer in pairs": (
        lambda: spanmatch.compare(two(), [VALUES], pairs=[("1", "9")]),
        "got '9', which is none of 'b'",
    ),
    "a mask of another shape": (
        lambda: spanmatch.compare(two(), [VALUES], mask=lambda batch: torch.ones(3, 6)),
        "shape \\(samples, positions\\) of 8 samples, got \\(3, 6\\)",
    ),
    "an unknown key of a mask": (
        lambda: spanmatch.compare(
            two(), [{"input": VALUES}], mask="which", inputs=lambda batch: batch["input"]
        ),
        "key of the batches, got 'which' where they have: input",
    ),
    "all positions masked": (
        lambda: spanmatch.compare(
            {"a": seeded(Encoder, 0), "b": seeded(Encoder, 1)},
            [torch.ones(3, 4, dtype=torch.long)],
            mask=lambda batch: torch.zeros(3, 4, dtype=torch.long),
            layers="block.relu",
            pairs="same",
        ),
        "leave positions that count",
    ),
    "NaN in one layer": (
        lambda: spanmatch.compare(two(), [VALUES, BROKEN]),
        "layer '1' of 'a' gave NaN or infinity in batch 1",
    ),
    "a layer that is called in some batches only": (
        lambda: spanmatch.compare(
            {"a": seeded(Sometimes, 0), "b": seeded(Sometimes, 1)}, [VALUES, VALUES[:3]], layers="relu"
        ),
        "'relu' gives nothing in batch 1",
    ),
    "too little memory": (lambda: spanmatch.compare(two(), [VALUES], memory=10), "`memory` must hold"),
    "one fold": (lambda: spanmatch.compare(two(), [VALUES], folds=1), "`folds` must be at least 2"),
    "more folds than samples": (lambda: spanmatch.compare(two(), [VALUES], folds=9), "at most the number"),
    "other positions": (lambda: spanmatch.compare(two(), [VALUES], positions="some"), "`positions` must be"),
    "inputs that do not fit": (lambda: spanmatch.compare(two(), [VALUES[:, :3]]), "network 'a'.*shape"),
    "no folds for errors": (
        lambda: spanmatch.compare(two(), [VALUES]).fold_grams("1", "1"),
        "compare\\(…, folds=10\\)",
    ),
    "no samples for a null": (
        lambda: spanmatch.compare(two(), [VALUES] * 40).null("1", "1"),
        "keep_samples=True",
    ),
    "no minibatch CKA": (
        lambda: spanmatch.compare(two(), [VALUES]).heatmap("minibatch_cka"),
        "minibatch_cka=True",
    ),
    "an unknown measure": (lambda: spanmatch.compare(two(), [VALUES]).matrix("ccka"), "did you mean"),
    "layers that were not compared": (
        lambda: spanmatch.compare(two(), [VALUES], layers=["0", "1"], pairs="same").profile("0", "1"),
        "were not compared",
    ),
    "an unknown network": (
        lambda: spanmatch.compare(two(), [VALUES]).matrix("cka", networks=("a", "c")),
        "`networks` must be one of: a, b",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case):
    call, words = BAD[case]
    with pytest.raises(spanmatch.SpanmatchError, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def three() -> spanmatch.Comparison:
    networks = {name: seeded(dense, place) for place, name in enumerate("abc")}
    return spanmatch.compare(networks, [VALUES] * 4, layers=["0", "1"], pairs="same", folds=2)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"layers": 3},
            r"`layers` must be names of two layers .* got 3; such as \('0', '0'\)",
        ),
        ({"layers": [{}]}, r"`layers` must be names of two layers .* got \[\{\}\]"),
        ({"layers": "13"}, "`layers` must be names of two layers that are compared, got '13'"),
        ({"layers": ("1", "11")}, r"`layers` must be names .* got \('1', '11'\); such as \('1', '1'\)"),
        ({"layers": ("0", "1")}, "`layers` must be names of two layers that are compared, got"),
        ({"networks": "ab"}, r"`networks` must be two names, got 'ab'; such as \('a', 'b'\)"),
        ({"networks": ("a",)}, r"`networks` must be two names, got \('a',\)"),
        ({"networks": ("b", "a")}, "in the order of the call, a, b, c; got 'b' and 'a'"),
        ({"networks": ("a", "d")}, "`networks` must be one of: a, b, c; got 'd'"),
        ({"measures": 3}, "`measures` must be names of measures, got 3"),
        ({"measures": [3]}, "`measure` must be one of: .*; got 3"),
        ({"epsilons": 0.5}, r"`epsilons` must be several numbers, got 0.5; write \[0.5\]"),
    ],
)
def test_rows_of_what_there_is_not_are_refused(three, asked, words):
    for rows in (three.rows, three.to_frame):
        with pytest.raises(spanmatch.SpanmatchError, match=words):
            rows(**asked)


def test_rows_are_those_of_the_networks_and_layers_that_are_asked_for(three):
    every = three.rows("linear-cka")
    assert [row.network_x + row.network_y for row in every] == ["ab", "ab", "ac", "ac", "bc", "bc"]
    assert three.rows("linear-cka", networks=("a", "c")) == every[2:4]
    assert three.rows("linear-cka", layers=("1", "1")) == every[1::2]
    assert three.rows("linear-cka", layers=("1", "1"), networks=("b", "c")) == every[5:]
    for function in (spanmatch.jackknife, spanmatch.held_out):
        for asked, words in [({"measures": 3}, "`measures` must be names"), ({"epsilons": 0.5}, "several")]:
            with pytest.raises(spanmatch.SpanmatchError, match=words):
                function(three.fold_grams("1", "1"), **asked)
