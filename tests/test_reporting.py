"""Reports are checked as facts: what they must show, what they must escape, and that they never vary."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from spanmatch.reporting import (
    Comparison,
    CriticalEpsilons,
    NetworkRow,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
    curves_figure,
    report_markdown,
    report_page,
    similarity_figure,
    similarity_table,
    simple_match_sizes_figure,
    summary_rows,
)
from spanmatch.reporting.aggregate import group_similarities, similarity_curve, simple_match_sizes

FIGURES = (similarity_figure, curves_figure, simple_match_sizes_figure)
PAPER = "https://arxiv.org/abs/1810.11750"
VOID = {"meta", "br", "hr", "img", "link", "input"}


def make_results(
    layers=("relu1_1", "relu2_1", "relu_fc1"),
    *,
    neurons=12,
    epsilons=(0.15, 0.25, 0.5),
    groups=("final", "initial"),
    dead_layer=None,
    simple=True,
    samples=1797,
    study="digits",
):
    """Results that are consistent with themselves: similarity and matches follow from critical epsilons."""
    rng = np.random.default_rng(0)
    comparisons = [
        Comparison(f"seed{a}-{group}", f"seed{b}-{group}", group)
        for group in groups
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    similarity, simple_rows, curves = [], [], []
    for layer in layers:
        for comparison in comparisons:
            names = (layer, comparison.checkpoint_x, comparison.checkpoint_y)
            x, y = rng.uniform(0.1, 1, size=(2, neurons))
            x[0] = np.inf
            if layer == dead_layer:
                x[:] = y[:] = np.inf
            curves.append(CriticalEpsilons(*names, x, y))
            for epsilon in epsilons:
                in_x, in_y = (tuple(np.flatnonzero(side <= epsilon).tolist()) for side in (x, y))
                share = (len(in_x) + len(in_y)) / (2 * neurons)
                counts = (
                    len(in_x),
                    len(in_y),
                    neurons,
                    neurons,
                    int(np.isinf(x).sum()),
                    int(np.isinf(y).sum()),
                )
                similarity.append(SimilarityRow(*names, epsilon, share, *counts, samples))
                if simple and in_x and in_y:
                    # the whole match, found once from each of its neurons
                    simple_rows += [SimpleMatchRow(*names, epsilon, ("x", v), in_x, in_y) for v in in_x]
    return StudyResults(
        study=study,
        layers=tuple(layers),
        comparisons=tuple(comparisons),
        networks=tuple(NetworkRow(seed, group, 0.9 + seed / 100) for group in groups for seed in range(3)),
        similarity=tuple(similarity),
        simple_matches=tuple(simple_rows),
        critical_epsilons=tuple(curves),
        ledger={"networks": {"computed": 3, "reused": 0}, "grams": {"computed": 2, "reused": 1040}},
    )


HOSTILE = "<img src=x onerror=\"alert('&')\">|`*$a$_b_"
CASES = {
    "plain": make_results(),
    "one group": make_results(groups=("final",)),
    "one of each": make_results(layers=("fc",), groups=("final",), epsilons=(0.2,)),
    "three groups": make_results(groups=("epoch 0", "epoch 5", "epoch 90")),
    "many": make_results(layers=[f"layer{i}" for i in range(20)], epsilons=[i / 20 for i in range(1, 11)]),
    "dead layer": make_results(dead_layer="relu2_1"),
    "no simple matches": make_results(simple=False),
    "none at low epsilon": make_results(epsilons=(0.01, 0.5)),
    "long names": make_results(layers=[f"model.features.stage{i}.block{i}.conv.relu" for i in range(5)]),
    "hostile names": make_results(layers=(HOSTILE, "relu"), groups=(HOSTILE,), study=HOSTILE),
}


@pytest.fixture(params=CASES, scope="module")
def results(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def page(results):
    return report_page(results)


class Page(HTMLParser):
    """Collects text, attributes and whether every tag that opens also closes, in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.attributes, self.tags = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def texts_of(figure):
    figure.draw_without_rendering()
    return {text.get_text().replace(r"\$", "$") for text in figure.findobj(Text)}


@pytest.mark.parametrize("draw", FIGURES)
def test_every_figure_draws_every_case(draw, results):
    figure = draw(results)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("case", ["plain", "one of each", "many", "none at low epsilon"])
def test_every_layer_and_group_is_named_in_every_figure(draw, case):
    texts = texts_of(draw(CASES[case]))
    assert texts >= set(CASES[case].layers)
    assert texts >= {comparison.group for comparison in CASES[case].comparisons}


def test_every_epsilon_is_named_where_colours_stand_for_epsilon():
    results = CASES["many"]
    epsilons = {row.epsilon for row in results.similarity}
    assert texts_of(similarity_figure(results)) >= {f"{epsilon:g}" for epsilon in epsilons}
    assert texts_of(simple_match_sizes_figure(results)) >= {f"ε = {epsilon:g}" for epsilon in epsilons}


def test_a_layer_without_simple_matches_shows_a_zero():
    assert "0" in texts_of(simple_match_sizes_figure(CASES["dead layer"]))
    assert any(
        "no simple matches" in text
        for text in texts_of(simple_match_sizes_figure(CASES["no simple matches"]))
    )


def test_drawn_curves_are_means_over_pairs(results):
    figure = similarity_figure(results)
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    group = results.comparisons[0].group
    for (layer, other, epsilon), summary in group_similarities(results).items():
        if other == group:
            place = results.layers.index(layer)
            assert lines[f"{epsilon:g}"].get_ydata()[place] == pytest.approx(summary.mean)
            assert summary.minimum <= summary.mean + 1e-12
            assert summary.mean <= summary.maximum + 1e-12


def test_curve_counts_critical_epsilons():
    rng = np.random.default_rng(1)
    x, y = np.round(rng.uniform(size=(2, 30)), 1)
    x[:4] = np.inf
    steps, similarity = similarity_curve(CriticalEpsilons("relu", "a", "b", x, y))
    everything = np.concatenate([x, y])
    for epsilon in np.linspace(0, 1, 101):
        place = np.searchsorted(steps, epsilon, side="right")
        drawn = similarity[place - 1] if place else 0.0
        assert drawn == pytest.approx(np.mean(everything <= epsilon))
    assert similarity[-1] == pytest.approx(56 / 60)


def test_curve_agrees_with_similarity_at_the_epsilons_of_the_study(results):
    curves = {
        (c.layer, c.checkpoint_x, c.checkpoint_y): similarity_curve(c) for c in results.critical_epsilons
    }
    for row in results.similarity:
        steps, similarity = curves[row.layer, row.checkpoint_x, row.checkpoint_y]
        place = np.searchsorted(steps, row.epsilon, side="right")
        assert (similarity[place - 1] if place else 0.0) == pytest.approx(row.similarity)


def test_a_simple_match_found_from_several_neurons_counts_once():
    results = CASES["plain"]
    sizes = simple_match_sizes(results)
    pairs = {
        (r.layer, r.checkpoint_x, r.checkpoint_y, r.epsilon): len(r.x) + len(r.y)
        for r in results.simple_matches
    }
    assert sum(map(len, sizes.values())) == len(pairs) < len(results.simple_matches)
    assert sorted(size for values in sizes.values() for size in values) == sorted(pairs.values())


def test_page_is_well_formed(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.tags.count("title") == parsed.tags.count("h1") == parsed.tags.count("main") == 1
    assert parsed.tags.count("svg") == 3
    assert parsed.tags.count("caption") == parsed.tags.count("table")
    assert sum(name == "aria-label" and bool(value) for name, value in parsed.attributes) >= 3


def test_ids_of_a_page_are_distinct_and_references_resolve(page):
    attributes = Page(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    references = {value[1:] for name, value in attributes if name == "href" and value.startswith("#")}
    references |= set(re.findall(r"url\(#([^)]*)\)", page))
    assert references <= set(ids)


def test_page_asks_for_nothing_outside_itself(page):
    parsed = Page(page)
    assert set(re.findall(r"https?://[^\s\"'<)]+", page)) == {PAPER}
    assert not {"script", "link", "iframe", "img"} & set(parsed.tags)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_page_and_markdown_name_every_layer_and_epsilon(results, page):
    text, markdown = "\n".join(Page(page).texts), report_markdown(results)
    for layer in results.layers:
        assert layer in text
    for epsilon in {row.epsilon for row in results.similarity}:
        assert f"ε = {epsilon:g}" in text
        assert f"ε = {epsilon:g}" in markdown


def test_page_has_no_colour_without_a_dark_form(page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "var(--ink)" in drawings
    assert not re.search(r"#[0-9a-f]{6}\b", drawings)


def test_equal_results_give_equal_bytes():
    assert report_page(make_results()) == report_page(make_results())
    assert report_markdown(make_results()) == report_markdown(make_results())
    assert report_page(make_results()) != report_page(make_results(neurons=13))


def test_names_are_escaped():
    results = CASES["hostile names"]
    page = report_page(results)
    assert "<img" not in page
    assert HOSTILE in "".join(Page(page).texts)
    markdown = report_markdown(results)
    assert "<img" not in markdown
    assert r"\|\`\*\$a\$\_b\_" in markdown
    for row in [line for line in markdown.splitlines() if line.startswith("| ") and "relu" in line]:
        assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_markdown_holds_a_png_and_stays_small(results):
    markdown = report_markdown(results)
    assert len(markdown.encode()) < 320_000
    (image,) = re.findall(r"\(data:image/png;base64,([^)]*)\)", markdown)
    assert len(image) < 300_000
    assert base64.b64decode(image, validate=True).startswith(b"\x89PNG")


def test_ledger_is_shown():
    page, markdown = report_page(CASES["plain"]), report_markdown(CASES["plain"])
    assert '<th scope="row">grams</th><td>2</td><td>1,040</td>' in page
    assert "| grams | 2 | 1040 |" in markdown
    assert "| all stages | 5 | 1040 |" in markdown


def test_words_name_the_extreme_layers_at_the_middle_epsilon():
    results = CASES["plain"]
    means = {layer: values[1] for layer, values in summary_rows(results)[0].rows}
    most, least = max(means, key=means.get), min(means, key=means.get)
    text = "".join(Page(report_page(results)).texts)
    assert f"At ε = 0.25, over 3 pairs of group final, the most similar layer is {most}" in text
    assert f"the least similar is {least} ({means[least]:.2f})" in text


def test_dead_neurons_are_reported():
    results = CASES["dead layer"]
    text = "".join(Page(report_page(results)).texts)
    assert "There are dead neurons in 3 of 3 layers, the most, 12, in layer relu2_1 of seed0-final." in text


@pytest.mark.parametrize(("samples", "warned"), [(12, True), (13, False)])
def test_too_few_samples_are_flagged(samples, warned):
    results = make_results(samples=samples)
    assert ("Too few samples" in report_page(results)) is warned
    assert ("Too few samples" in report_markdown(results)) is warned


def test_similarity_table_has_a_row_for_each_layer_group_and_epsilon(results):
    table = similarity_table(results)
    keys = {(row["layer"], row["group"], row["epsilon"]) for row in table}
    groups = {comparison.group for comparison in results.comparisons}
    epsilons = {row.epsilon for row in results.similarity}
    assert len(keys) == len(table) == len(results.layers) * len(groups) * len(epsilons)
    for row in table:
        assert 0 <= row["min_similarity"] <= row["mean_similarity"] <= row["max_similarity"] <= 1
        assert row["pairs"] == 3
        assert row["neurons"] == "12"


def test_summary_rows_are_means_in_network_order(results):
    means = {(r["layer"], r["group"], r["epsilon"]): r["mean_similarity"] for r in similarity_table(results)}
    epsilons = sorted({row.epsilon for row in results.similarity})
    for table in summary_rows(results):
        assert table.header == ("layer", *(f"ε = {epsilon:g}" for epsilon in epsilons))
        assert tuple(layer for layer, _ in table.rows) == results.layers
        for layer, values in table.rows:
            for epsilon, value in zip(epsilons, values, strict=True):
                assert value == pytest.approx(means[layer, table.group, epsilon], abs=1e-4)


def test_missing_similarity_is_named():
    results = CASES["plain"]
    short = dataclasses.replace(results, similarity=results.similarity[1:])
    with pytest.raises(ValueError, match=r"`results.similarity` must hold every .* layer 'relu1_1'"):
        similarity_table(short)
