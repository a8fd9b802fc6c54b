"""Grids of layers in a report: means and nulls by hand, drawn as heat maps and said in words."""

import dataclasses
from itertools import product

import numpy as np
import pytest
from made_results import make_results

from spanmatch.reporting import (
    MeasureRow,
    StudyResults,
    grid_sentences,
    measure_grids_figure,
    report_markdown,
    report_page,
    similarity_grids_figure,
)
from spanmatch.reporting.grids import study_grids
from spanmatch.reporting.heat_map import heat_map_figure

X, Y = ("relu1", "relu2"), ("stem", "stage1", "relu2")
MEASURES = [("maximum-match", epsilon, "raw") for epsilon in (0.15, 0.25, 0.5)] + [
    ("linear-cka", None, "mean")
]


def made(layers: tuple[str, ...] = ()) -> StudyResults:
    """Two networks with each other, and both with a network of another study that has other layers."""
    results = make_results(layers or ("relu1",), groups=("final",), neurons=4)
    rng, rows = np.random.default_rng(0), []
    pairs = [("seed0-final", "seed1-final", X), *((f"seed{n}-final", "wide/seed0-final", Y) for n in (0, 1))]
    for (x, y, layers_y), measure in product(pairs, MEASURES):
        for layer_x, layer_y in product(X, layers_y):
            name, parameter, centre = measure
            p = rng.choice([1 / 21, 0.2])
            rows.append(
                MeasureRow(layer_x, layer_y, x, y, name, parameter, rng.uniform(), 9, centre, p=p, level=0.05)
            )
    comparisons = [
        dataclasses.replace(results.comparisons[0], checkpoint_x=x, checkpoint_y=y) for x, y, _ in pairs
    ]
    empty = {} if layers else {"similarity": (), "simple_matches": (), "critical_epsilons": (), "layers": ()}
    return dataclasses.replace(results, comparisons=tuple(comparisons), measures=tuple(rows), **empty)


def test_a_cell_is_the_mean_over_the_pairs_of_networks_and_hollow_where_one_does_not_clear_its_null() -> None:
    results = made()
    own, wide = study_grids(results)
    assert (own.title, own.layers_x, own.layers_y, own.pairs) == ("final", X, X, 1)
    assert (wide.title, wide.layers_x, wide.layers_y, wide.pairs) == ("final, this study ~ wide", X, Y, 2)
    for group, measure in product((own, wide), MEASURES):
        for (i, x), (j, y) in product(enumerate(group.layers_x), enumerate(group.layers_y)):
            rows = [
                row
                for row in results.measures
                if (row.measure, row.parameter, row.layer_x, row.layer_y) == (*measure[:2], x, y)
                and row.checkpoint_y.startswith("wide/") == (group is wide)
            ]
            assert len(rows) == group.pairs
            grid = group.grids[measure]
            assert grid.means[i, j] == pytest.approx(np.mean([row.value for row in rows]))
            assert grid.hollow[i, j] == any(row.p > 0.05 for row in rows)


def test_heat_maps_show_every_cell_and_leave_out_the_inside_of_hollow_ones() -> None:
    groups = study_grids(made())
    figure = similarity_grids_figure(made())
    panels = [ax for ax in figure.axes if ax.get_images()]
    assert len(panels) == len(groups) * 3
    for (group, measure), ax in zip(product(groups, MEASURES[:3]), panels, strict=False):
        (image,) = ax.get_images()
        pixels, grid = np.ma.filled(image.get_array(), np.nan), group.grids[measure]
        each = pixels.shape[0] // grid.means.shape[0]
        np.testing.assert_array_equal(pixels[::each, ::each], grid.means)
        np.testing.assert_array_equal(np.isnan(pixels[each // 2 :: each, each // 2 :: each]), grid.hollow)
    (cka, *_) = [ax for ax in measure_grids_figure(made()).axes if ax.get_images()]
    assert [label.get_text() for label in cka.get_yticklabels()] == list(X)


def test_what_is_closer_is_lighter_whatever_a_measure_calls_close() -> None:
    row = dataclasses.replace(made().measures[0], measure="mean-critical-epsilon", parameter=None)
    cells = [
        dataclasses.replace(row, layer_x=x, layer_y=y, value=value)
        for (x, y), value in zip(product(X, X), (0.1, 0.9, 0.8, 0.3), strict=True)
    ]
    figure = measure_grids_figure(dataclasses.replace(made(), measures=tuple(cells)))
    (image,) = (image for ax in figure.axes for image in ax.get_images() if ax.get_yticklabels())
    own = (
        heat_map_figure(
            np.array([[0.1, 0.9]]),
            X[:1],
            X,
            networks=("a", "b"),
            label="ε",
            bounds=(0, 1),
            higher_is_closer=False,
        )
        .axes[0]
        .get_images()[0]
    )
    for each in (image, own):
        closest, farthest = (sum(each.cmap(each.norm(value))[:3]) for value in (0.1, 0.9))
        assert closest > farthest
    usual = heat_map_figure(np.eye(2), X, X, networks=("a", "b"), label="CKA", bounds=(0, 1))
    (image,) = usual.axes[0].get_images()
    assert sum(image.cmap(image.norm(1.0))[:3]) > sum(image.cmap(image.norm(0.0))[:3])


def test_a_report_of_a_grid_alone_has_heat_maps_and_no_curves() -> None:
    page, brief = report_page(made()), report_markdown(made())
    for text in (page, brief):
        assert "Similarity of every layer with every layer" in text
        assert "Measures of every layer with every layer" in text
        assert "along the layers" not in text
        assert "of similarity" not in text
    hollow = sum(
        int(grid.hollow.sum()) for group in study_grids(made()) for at, grid in group.grids.items() if at[1]
    )
    assert f" {hollow} of 30 cells are frames: they do not clear their null." in page
    assert "in 8 pairs of layers, at 3 tolerances" in page


def test_a_report_with_layers_has_both() -> None:
    results = made(("relu1", "relu2"))
    own = dataclasses.replace(
        results,
        comparisons=results.comparisons[:1],
        measures=tuple(row for row in results.measures if not row.checkpoint_y.startswith("wide/")),
    )
    page = report_page(own)
    assert "Similarity of every layer with every layer" in page
    assert "Similarity along the layers" in page
    assert "in 2 layers and 2 further pairs of layers" in page
    same = dataclasses.replace(own, measures=tuple(row for row in own.measures if row.layer_x == row.layer_y))
    assert study_grids(same) == ()
    assert "every layer with every layer" not in report_page(same)


def test_a_layer_without_a_value_is_closest_to_none() -> None:
    rows = made().measures
    unknown = tuple(
        dataclasses.replace(row, value=None) if row.layer_x == X[0] and row.measure == "linear-cka" else row
        for row in rows
    )
    results = dataclasses.replace(made(), measures=unknown)
    means = study_grids(results)[0].grids["linear-cka", None, "mean"].means
    own = int(means[1].argmax() == 1)
    assert f"{own} of 1 layer are closest to the layer of their own name; " in grid_sentences(results)[0]


def test_words_say_which_layers_are_closest() -> None:
    own, wide = study_grids(made())
    means = own.grids["linear-cka", None, "mean"].means
    found = sum(int(np.argmax(row) == place) for place, row in enumerate(means))
    first, second = grid_sentences(made())
    assert f"{found} of 2 layers are closest to the layer of their own name; " in first
    grid = wide.grids["linear-cka", None, "mean"]
    x, y = max(product(range(2), range(3)), key=lambda cell: grid.means[cell])
    assert f"the closest layers are {X[x]} and {Y[y]} ({grid.means[x, y]:.2f}); " in second
    assert f"{np.count_nonzero(~grid.hollow)} of 6 pairs of layers clear their null" in second
