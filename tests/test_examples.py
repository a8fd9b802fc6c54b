"""The notebooks run from start to end in the order of their cells, and what their text says comes out."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from conftest import REPOSITORY
from matplotlib.figure import Figure
from test_readme import blocks_of

FOLDER = REPOSITORY / "examples"
BOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
Names = dict[str, Any]


def cells(name: str) -> list[dict[str, Any]]:
    book = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    found: list[dict[str, Any]] = book["cells"]
    return found


def run(name: str) -> Names:
    """Run a notebook as a kernel does: what the last line of a cell gives is shown."""
    names: Names = {}
    for number, cell in enumerate(cells(name)):
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, f"{name}, cell {number}", "exec"), names)
            if isinstance(last, ast.Expr):
                show(eval(compile(ast.Expression(last.value), f"{name}, cell {number}", "eval"), names))
    return names


def show(value: object) -> None:
    if isinstance(value, Figure):
        picture: bytes = value._repr_png_()  # what a kernel asks for that has not imported pyplot
        assert picture.startswith(b"\x89PNG")
    elif hasattr(value, "_repr_html_"):
        assert value._repr_html_()
    repr(value)


def first_layer_is_all_means(names: Names) -> None:
    (raw,) = names["first"].itertuples()
    assert raw.value > 0.5 > 0.05 < raw.p
    assert raw.null_mean == pytest.approx(raw.value, abs=0.1)
    centred = names["centred"].set_index("layer_x")
    assert (centred.p[["relu3", "relu4"]] < 0.05).all()
    sizes = [one.match.size for one in names["simple"]]
    assert sum(size == 2 for size in sizes) < len(sizes) / 4


def last_layers_are_alike(names: Names) -> None:
    table = names["table"].set_index("layer_x")
    assert table.value["relu1"] < 0.3 < 0.8 < table.value["relu4"]
    assert (table.p < 0.05).all()


def planted_groups_are_found(names: Names) -> None:
    spanmatch, gram = names["spanmatch"], names["gram"]
    simple = spanmatch.simple_matches(gram, epsilon=0.3)
    found = [(one.match.x.tolist(), one.match.y.tolist()) for one in simple]
    assert found == [([0], [0]), ([1], [1]), ([2], [2]), ([3, 4, 5], [3, 4, 5])]
    assert names["profile"].similarity(0.3) == 12 / 21
    assert names["profile"].similarity(0.1) == 0
    (row,) = names["few"].rows
    assert (row.value, row.held_out) == (1, 0)


def a_group_sees_its_digits(names: Names) -> None:
    group, layer, labels = names["group"], names["layer"], names["labels"]
    assert group.size > 2
    for network, neurons in zip(names["networks"], (group.x, group.y), strict=True):
        nine = names["stored"].activations(network, layer).strongest(neurons, 9)
        of_a_neuron = [len(set(row)) for row in labels[nine]]
        assert min(of_a_neuron) <= 2, "nine images of a neuron are of few digits"


def language_models_share_a_space_and_no_neurons(names: Names) -> None:
    counts = [int(part.mask.sum()) for part in names["parts"]]
    assert names["gram"].n_samples == sum(counts) < 48 * 128
    table = names["table"].set_index(["measure", "parameter"])
    untrained = names["before"].rows(["one-to-one-share"], networks=("0", "1"))[0].value
    share = table.xs("one-to-one-share").iloc[0]
    assert share.value > 0.3 > 0.05 > max(untrained, share.p)
    assert table.value["maximum-match", 0.3] == 0
    assert table.value["maximum-match", 0.7] > 0.9
    assert names["true"].mean() == pytest.approx(names["rotated"].mean(), abs=0.1)
    assert names["excess"].max() < 0.5


FACTS: dict[str, Callable[[Names], None]] = {
    "architectures": last_layers_are_alike,
    "language_model": language_models_share_a_space_and_no_neurons,
    "stored_study": a_group_sees_its_digits,
    "two_arrays": planted_groups_are_found,
    "two_networks": first_layer_is_all_means,
}


@pytest.mark.filterwarnings("default::spanmatch.OffsetWarning")
@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_runs_from_start_to_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    if name == "stored_study":
        Path("runs").mkdir()
        Path("runs/digits").symlink_to(request.getfixturevalue("digits_root"))
    names = run(name)
    plt.close("all")
    FACTS[name](names)


def test_the_paper_s_figure_5_takes_five_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_root: Path
) -> None:
    opening, figure, peak = blocks_of((REPOSITORY / "docs" / "stored.md").read_text(encoding="utf-8"))
    Path(tmp_path, "runs").mkdir()
    Path(tmp_path, "runs/digits").symlink_to(digits_root)
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    names: Names = {}
    exec(opening, names)
    exec(figure, names)
    exec(peak, names)
    sample, value = names["found"].samples[3, 0], names["found"].values[3, 0]
    assert names["stored"].activations("seed0-final", "block1.relu1")[sample, :, 3].max() == value
    assert len(figure.splitlines()) == 5
    pictures = [ax.images[0].get_array() for number in plt.get_fignums() for ax in plt.figure(number).axes]
    plt.close("all")
    group = names["group"]
    assert [shown.shape for shown in pictures] == [(8 * len(side), 72) for side in (group.x, group.y)]
    first = (
        names["stored"].activations("seed0-final", "classifier.relu2")[:, :, group.x].max(axis=(1,)).argmax(0)
    )
    expected = names["stored"].dataset().held_out.raw(first)[:, 0]
    assert (pictures[0][:, :8].reshape(-1, 8, 8) == expected).all()


@pytest.mark.parametrize("name", BOOKS)
def test_a_notebook_is_kept_without_outputs_and_links_to_what_is_there(name: str) -> None:
    for cell in cells(name):
        assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
    assert f"(examples/{name}.ipynb)" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
