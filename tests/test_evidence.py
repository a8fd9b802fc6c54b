"""What reports say of every value beside the value: its null, error, held-out value, growth and rivals."""

import dataclasses
import functools
import io
import re

import numpy as np
import pytest
from made_results import FOLDS, LEVEL, PERMUTATIONS, make_results, make_training, with_everything
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from rich.console import Console

from flows.command.screen import show_summary
from spanmatch.measures import MEASURES
from spanmatch.reporting import (
    CoverRow,
    EssentialRow,
    growth_figure,
    measures_figure,
    report_markdown,
    report_page,
    similarity_figure,
    similarity_table,
    simple_match_sizes_figure,
    warning_sentences,
)
from spanmatch.reporting.aggregate import group_similarities, simple_match_sizes
from spanmatch.reporting.covers import Essentials, group_covers, group_essentials
from spanmatch.reporting.evidence_tables import cover_tables, growth_tables, similarity_evidence
from spanmatch.reporting.figure_registry import FIGURES, shown_figures
from spanmatch.reporting.growth_words import group_growth
from spanmatch.reporting.measure_values import shown_measures
from spanmatch.reporting.standing import clears_null, standing_of
from spanmatch.reporting.tables import MARK, measure_tables
from spanmatch.reporting.theme import SURFACE
from spanmatch.reporting.words import summary_sentences
from spanmatch.statistics.growing import verdict
from storage.root import Root

PLAIN = make_results()
EVERYTHING = with_everything(PLAIN)


@functools.cache
def page_of_everything():
    return report_page(EVERYTHING)


@functools.cache
def markdown_of_everything():
    return report_markdown(EVERYTHING)


def row_of(results=EVERYTHING, **changes):
    return dataclasses.replace(results.measures[0], **changes)


def dots(ax, face):
    """Places of the round marks of a face colour, in one panel."""
    found = [
        place
        for artist in ax.collections
        if isinstance(artist, PathCollection) and len(artist.get_offsets()) == len(artist.get_facecolors())
        for place, colour in zip(artist.get_offsets(), artist.get_facecolors(), strict=True)
        if to_hex(colour) == face
    ]
    return sorted((float(x), float(y)) for x, y in found)


@pytest.mark.parametrize(
    ("ps", "cleared"),
    [
        ((0.01, 0.05), True),
        ((0.01, 0.06), False),
        ((0.01, None), None),
        ((0.06, None), False),
        ((None,), None),
    ],
)
def test_a_group_clears_its_null_where_every_pair_does(ps, cleared):
    rows = [row_of(p=p, level=0.05) for p in ps]
    assert clears_null(rows) is cleared
    # a pair without a value has nothing to clear
    assert clears_null([*rows, row_of(value=None, p=None)]) is cleared
    assert standing_of(rows).p == max((p for p in ps if p is not None), default=None)


def test_the_error_of_a_mean_is_at_least_what_jackknifes_of_dependent_pairs_give():
    rng = np.random.default_rng(0)
    for _ in range(50):
        without = rng.normal(size=(FOLDS, 3)) @ rng.normal(size=(3, 3))

        def error(values):
            return np.sqrt((FOLDS - 1) / FOLDS * ((values - values.mean(axis=0)) ** 2).sum(axis=0))

        rows = [row_of(error=float(one)) for one in error(without)]
        assert standing_of(rows).error >= error(without.mean(axis=1)) - 1e-12


def test_exactly_the_layers_that_do_not_clear_their_null_are_hollow():
    figure, points = similarity_figure(EVERYTHING), group_similarities(EVERYTHING)
    panels = [(group, centre) for group in ("final", "initial") for centre in ("raw", "mean")]
    for ax, (group, centre) in zip(figure.axes, panels, strict=True):
        expected = sorted(
            (float(EVERYTHING.layers.index(point.layer)), point.mean)
            for point in points.values()
            if (point.group, point.centre) == (group, centre) and point.standing.cleared is False
        )
        assert np.array(dots(ax, SURFACE)) == pytest.approx(np.array(expected))
    marked = {point.standing.cleared for point in points.values()}
    assert marked == {True, False}


def test_bands_are_two_errors_wide_and_grey_runs_from_the_null_to_its_threshold():
    results = with_everything(make_results(epsilons=(0.5,)))
    ax, point = (
        similarity_figure(results).axes[0],
        group_similarities(results)["relu1_1", "final", "raw", 0.5],
    )
    bands = [
        [path.vertices[path.vertices[:, 0] == 0, 1] for path in artist.get_paths()]
        for artist in ax.collections
        if isinstance(artist, PolyCollection)
    ]
    (error,), (null,) = bands
    assert (error.min(), error.max()) == pytest.approx((point.mean - 0.04, point.mean + 0.04))
    assert (null.min(), null.max()) == pytest.approx((point.standing.null_mean, point.standing.threshold))


def test_without_errors_the_band_is_the_range():
    ax, point = similarity_figure(PLAIN).axes[0], group_similarities(PLAIN)["relu1_1", "final", "raw", 0.15]
    (bands,) = [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    first = bands.get_paths()[0].vertices
    ends = first[first[:, 0] == 0, 1]
    assert (ends.min(), ends.max()) == pytest.approx((point.minimum, point.maximum))


def test_every_value_stands_in_a_table_with_its_null_p_error_and_held_out_value():
    tables = similarity_evidence(EVERYTHING)
    points = group_similarities(EVERYTHING)
    assert sum(len(table.rows) for table in tables) == len(points)
    (table,) = [
        t for t in tables if t.caption == "Maximum match similarity at ε = 0.25, group initial, centred"
    ]
    expected = ["layer", "value", "null", "threshold", "p", "family-wise p", "error", "held-out"]
    assert list(table.header) == expected
    for layer, value, null, _, p, family, error, held_out in table.rows:
        standing = points[layer, "initial", "mean", 0.25].standing
        assert value == f"{MARK} {points[layer, 'initial', 'mean', 0.25].mean:.3f}"
        assert null == f"{standing.null_mean:.3f}"
        assert p == family == f"{standing.p:.3f}"
        assert (error, held_out) == ("0.020", f"{standing.held_out:.3f}")
    page = page_of_everything()
    for table in tables:
        assert f"<caption>{table.caption}</caption>" in page
    before, _, folded = page.partition("<details>")
    assert "at ε = 0.25, group final, raw</caption>" in before
    assert "at the other tolerances, group final, raw</caption>" in folded


def test_sentences_name_only_layers_that_clear_their_null():
    points = group_similarities(EVERYTHING)
    text = " ".join(summary_sentences(EVERYTHING))
    means = {layer: points[layer, "final", "raw", 0.25].mean for layer in EVERYTHING.layers}
    most = max(means, key=means.get)
    null = points[most, "final", "raw", 0.25].standing.null_mean
    assert (
        f"At ε = 0.25, over 3 pairs of group “final” (raw), the most similar layer that clears its null is "
        f"{most} (mean maximum match similarity {means[most]:.2f}, null {null:.2f})"
    ) in text
    assert "of group “initial” (raw), no layer clears its null" in text
    assert "group “initial” (raw) has" not in text  # of simple matches, none of which is more than chance
    # the layer that is foremost does not clear its null: another one is named
    rows = tuple(
        dataclasses.replace(row, p=0.5)
        if (row.layer_x, row.measure, row.centre) == (most, "maximum-match", "raw")
        else row
        for row in EVERYTHING.measures
    )
    text = " ".join(summary_sentences(dataclasses.replace(EVERYTHING, measures=rows)))
    assert "2 of 3 layers clear it." in text
    assert f"group “final” (raw), the most similar layer that clears its null is {most}" not in text


def test_similarity_that_is_a_shared_mean_is_said_to_be_one():
    text = " ".join(summary_sentences(EVERYTHING))
    assert (
        "In group “initial”, of 3 layers with something in common at ε = 0.5, 1 has nothing left when means "
        "are subtracted."
    ) in text
    assert "In group “final”, " not in text.replace("in group “final”", "")


def test_many_groups_are_ranked_by_layers_that_clear():
    groups = tuple(f"epoch {n}" for n in range(5))
    text = " ".join(summary_sentences(with_everything(make_results(groups=groups))))
    assert (
        "the most layers clear their null in group “epoch 0” (3 of 3) and the fewest in group “epoch 4” (0)"
        in text
    )
    assert "In all groups, of 15 layers with something in common at ε = 0.15, 2 have nothing left" in text


def test_of_older_results_nothing_is_said_that_is_not_known():
    page, markdown = report_page(PLAIN), report_markdown(PLAIN)
    for word in (
        "null",
        "held-out",
        "centred",
        MARK,
        "settled",
        "Growth",
        "cover",
        "essential",
        "p ≤",
        "jackknife",
    ):
        assert word not in re.sub(
            r"<(svg|style).*?</\1>|[Hh]eld-out (accuracy|images)", "", page, flags=re.DOTALL
        ), word
        assert word not in re.sub(r"\(data:[^)]*\)|Held-out accuracy", "", markdown), word
    assert set(similarity_table(PLAIN)[0]) == {
        "layer",
        "group",
        "epsilon",
        "mean_similarity",
        "min_similarity",
        "max_similarity",
        "centre",
        "neurons",
        "samples",
        "pairs",
    }


def test_what_rounding_decides_is_said_with_its_interval():
    (sentence,) = [text for text in warning_sentences(EVERYTHING) if text.startswith("Rounding decides in")]
    point = group_similarities(EVERYTHING)["relu1_1", "final", "raw", 0.5]
    assert point.low < point.mean < point.high
    between = f"between {point.low:.3f} and {point.high:.3f}"
    assert f"relu1_1 of final (raw) at ε = 0.5 (mean similarity {between})" in sentence
    assert f"<td>{point.low:.3f} to {point.high:.3f}</td>" in page_of_everything()
    sure = tuple(dataclasses.replace(row, uncertain=0) for row in EVERYTHING.similarity)
    assert not warning_sentences(dataclasses.replace(EVERYTHING, similarity=sure))


@pytest.mark.parametrize(
    ("values", "error", "expected"),
    [
        ((0.9, 0.5, 0.46, 0.46), 0.02, "settled"),
        ((0.9, 0.5, 0.46, 0.45), 0.02, "still falling"),
        ((0.1, 0.5, 0.56, 0.55), 0.02, "still rising"),
        ((0.5, 0.5, 0.5, 0.5), 0.0, "settled"),
        ((0.9, 0.5, None, 0.5), 0.02, "settled"),
        ((0.9, None, 0.5, 0.5), 0.02, "still falling"),
        ((None, None, 0.5, 0.5), 0.02, "undefined"),
        ((0.9, 0.5, 0.5, None), 0.02, "undefined"),
        ((0.9, 0.5, 0.5, 0.5), None, "undefined"),
        ((0.9, 0.5, 0.5, 0.5), float("inf"), "undefined"),
    ],
)
def test_a_value_has_settled_when_the_last_doubling_moves_it_by_two_errors_at_most(values, error, expected):
    assert verdict((100, 200, 300, 400), values, error) == expected


def test_growth_is_drawn_tabulated_and_summed_up():
    growing = group_growth(EVERYTHING)
    # without a value nothing settles
    assert {one.verdict for one in growing.values()} == {"settled", "still falling", "undefined"}
    assert {layer for (_, layer, _), one in growing.items() if one.verdict == "undefined"} == {"relu_fc1"}
    figure = growth_figure(EVERYTHING)
    panels = list(dict.fromkeys((measure, group) for measure, _, group in growing))
    for ax, (measure, group) in zip(figure.axes, panels, strict=True):
        moving = [
            one.values[-1]
            for (of, _, its), one in growing.items()
            if (of, its) == (measure, group) and one.verdict != "settled" and one.values[-1] is not None
        ]
        assert [y for _, y in dots(ax, SURFACE)] == pytest.approx(moving)
    final, _ = growth_tables(EVERYTHING)
    assert final.rows[0][:2] == ("relu1_1", "still falling")
    assert "use more images" in page_of_everything()
    assert (
        "With 1,797 images, at ε = 0.25 in group “final”, 2 of 3 layers have settled raw and 2 of 3 layers "
        "have settled centred; 2 still falling: use more images."
    ) in summary_sentences(EVERYTHING)


def test_an_undefined_value_says_why():
    for table in measure_tables(EVERYTHING):
        *_, last = table.rows
        assert last[0] == "relu_fc1"
        assert "undefined" in last
        assert table.notes == ("mean CCA is undefined in relu_fc1: rank 12 of 16 neurons.",)
        assert table.notes[0] in page_of_everything()
        assert table.notes[0] in markdown_of_everything()
    # of one pair of three
    rows = list(EVERYTHING.measures)
    place = next(n for n, row in enumerate(rows) if row.measure == "linear-cka")
    rows[place] = dataclasses.replace(rows[place], value=None, reason="a layer does not vary")
    first, _ = measure_tables(dataclasses.replace(EVERYTHING, measures=tuple(rows)))
    assert "linear CKA is undefined in relu1_1 (1 of 3 pairs): a layer does not vary." in first.notes


def test_a_measure_says_on_its_axis_that_less_is_closer(monkeypatch):
    known = dataclasses.replace(
        MEASURES["maximum-match"], label="mean critical ε", higher_is_closer=False, parameter=None
    )
    patched = {**MEASURES, "mean-critical-epsilon": known}
    monkeypatch.setattr("spanmatch.reporting.measure_values.MEASURES", patched)
    results = dataclasses.replace(EVERYTHING)
    labels = [ax.get_ylabel() for ax in measures_figure(results).axes]
    assert labels.count("mean critical ε (less is closer)") == 2
    assert [m.note for m in shown_measures(results) if m.name == "mean-critical-epsilon"] == [
        "raw",
        "centred",
    ]
    assert labels.count("linear CKA") == 1


def test_components_of_essential_neurons_are_those_of_each_pair():
    rng = np.random.default_rng(5)
    pairs = [(c.checkpoint_x, c.checkpoint_y) for c in PLAIN.comparisons if c.group == "final"]
    edges = [
        tuple({(int(u), int(v)) for u, v in rng.integers(0, 9, size=(25, 2))}),
        # two that need each other, a ring of three, one that needs another, and one that needs itself
        ((0, 1), (1, 0), (2, 3), (3, 4), (4, 2), (5, 6), (7, 7)),
        (),
    ]
    rows = tuple(
        EssentialRow("relu1_1", *pair, "raw", 0.5, 4, own) for pair, own in zip(pairs, edges, strict=True)
    )

    def reaches(own, start):
        found, border = set(), {start}
        while border:
            border = {v for u, v in own if u in border} - found
            found |= border
        return found

    counts = []
    for own in edges:
        nodes = {node for edge in own for node in edge}
        strong = {frozenset(v for v in nodes if v in reaches(own, u) and u in reaches(own, v)) for u in nodes}
        sizes = [len(component) for component in strong if len(component) > 1]
        counts.append((len({v for u, v in own if u != v}), len(sizes), max(sizes, default=0)))
    found = group_essentials(dataclasses.replace(PLAIN, essential=rows))
    expected = tuple((min(column), max(column)) for column in zip(*counts, strict=True))
    assert found == {("relu1_1", "final", "raw", 0.5): Essentials(*expected)}
    assert counts[1:] == [(6, 2, 3), (0, 0, 0)]


def test_simple_matches_are_one_cover_of_a_range():
    first = PLAIN.comparisons[0]
    reported = simple_match_sizes(PLAIN)["relu1_1", "final", "raw", 0.25]
    covers = tuple(
        CoverRow("relu1_1", c.checkpoint_x, c.checkpoint_y, "raw", 0.25, 5, 2, 7 + (c is first), 0.25)
        for c in PLAIN.comparisons
    )
    results = dataclasses.replace(PLAIN, covers=covers)
    cover = group_covers(results)["relu1_1", "final", "raw", 0.25]
    assert (cover.fewest, cover.most) == (min(6, len(reported)), 22)
    text = f"{cover.fewest}–22"
    figure = simple_match_sizes_figure(results)
    assert text in {written.get_text() for ax in figure.axes for written in ax.texts}
    assert (
        f"one cover of at least {cover.fewest} simple matches in all layers ({text} over 5 orders"
        in " ".join(summary_sentences(results))
    )
    table = cover_tables(results)[0]
    assert table.rows[0][:4] == ("relu1_1", text, "5", "25%")
    assert "permuted" not in table.header

    # with what chance gives, where all pairs say it
    permuted = [dataclasses.replace(row, permuted=(2,) * 37) for row in covers]
    results = dataclasses.replace(PLAIN, covers=tuple(permuted))
    count = 37 * 3  # pairs of a group
    assert cover_tables(results)[0].rows[0][4] == str(count)
    assert f"; with images permuted, {count} simple matches." in " ".join(summary_sentences(results))
    in_figure = [written.get_text() for ax in simple_match_sizes_figure(results).axes for written in ax.texts]
    assert in_figure.count(str(count)) == 2  # groups
    one_unknown = dataclasses.replace(PLAIN, covers=(covers[0], *permuted[1:]))
    assert "permuted" not in cover_tables(one_unknown)[0].header


def test_markdown_says_which_figures_have_too_many_panels(monkeypatch):
    monkeypatch.setattr("spanmatch.reporting.embed._PNG_RESOLUTIONS_DPI", (500,))
    text = report_markdown(with_everything(make_results(["relu"], epsilons=(0.5,), groups=["final"])))
    assert "## Growth with images\n\nThis figure has too many panels" in text
    assert "## Similarity along the layers\n\n![" in text


def test_markdown_holds_the_figures_within_its_limit_and_the_table_the_columns():
    big = with_everything(
        dataclasses.replace(
            make_results([f"block{n}.relu" for n in range(8)], epsilons=(0.15, 0.2, 0.25, 0.3, 0.5)),
            training=make_training(["seed0", "seed1"], 10),
        )
    )
    markdown = report_markdown(big)
    assert sum(map(len, re.findall(r"\(data:[^)]*\)", markdown))) < 300_000
    assert len(markdown.encode()) < 340_000
    for figure in shown_figures(big):
        assert (f"![{figure.texts(big).heading}]" in markdown) is bool(figure.brief_bytes)
    assert "## Maximum match similarity at ε = 0.25, group final, raw" in markdown
    rows = similarity_table(EVERYTHING)
    assert {"centre", "null", "p", "family_wise_p", "error", "held_out"} <= set(rows[0])
    points = group_similarities(EVERYTHING)
    for row in rows:
        standing = points[row["layer"], row["group"], row["centre"], row["epsilon"]].standing
        assert row["p"] == pytest.approx(standing.p, abs=1e-4)
        assert row["held_out"] == pytest.approx(standing.held_out, abs=1e-4)


def test_the_terminal_marks_what_does_not_clear_within_100_columns(tmp_path):
    layers = [f"classifier.relu{n}" for n in range(8)]
    results = with_everything(make_results(layers, epsilons=(0.15, 0.2, 0.25, 0.3, 0.5)))
    screen = io.StringIO()
    show_summary(Console(file=screen, width=100), results, Root.at(str(tmp_path)))
    tables = [line for line in screen.getvalue().splitlines() if "│" in line]
    assert max(map(len, tables)) <= 100
    points = group_similarities(results)
    mean = points["classifier.relu0", "initial", "raw", 0.5].mean
    assert f"{MARK} {mean:.3f}" in screen.getvalue()
    assert "mean similarity, initial, centred" in screen.getvalue()
    explained = f"{MARK} does not clear its null: in a pair or more"
    assert explained in screen.getvalue()
    assert f"(p > {LEVEL:g}, {PERMUTATIONS} permutations)" in screen.getvalue()


def test_the_page_shows_every_figure_of_the_registry_and_explains_its_terms():
    page = page_of_everything()
    for name, figure in FIGURES.items():
        assert figure.name == name
        assert (
            (f"<h2>{figure.texts(EVERYTHING).heading}</h2>" in page) is figure.applies(EVERYTHING)
            if (figure.applies(EVERYTHING))
            else True
        )
    for term in (
        "Null",
        "p",
        "Family-wise p",
        "Standard error",
        "Held-out",
        "Raw and centred",
        "Settled",
        "Cover",
    ):
        assert f"<dt>{term}</dt>" in page
    assert "<dt>Essential neuron</dt>" in page
    assert "<script" not in page


def test_one_figure_more_is_one_entry(monkeypatch):
    extra = dataclasses.replace(FIGURES["similarity"], name="again")
    monkeypatch.setattr("spanmatch.reporting.figure_registry.FIGURES", {"again": extra})
    monkeypatch.setattr("spanmatch.reporting.drawn.FIGURES", {"again": extra})
    assert report_page(PLAIN).count("<svg") == 1


def test_equal_results_that_are_not_the_same_are_looked_at_anew():
    other = dataclasses.replace(
        PLAIN,
        similarity=PLAIN.similarity[:0]
        + tuple(dataclasses.replace(row, similarity=0.0) for row in PLAIN.similarity),
    )
    assert {point.mean for point in group_similarities(other).values()} == {0.0}
    assert {point.mean for point in group_similarities(PLAIN).values()} != {0.0}
