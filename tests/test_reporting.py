"""Reports are checked as facts: what they must show, what they must escape, and that they never vary."""

import base64
import dataclasses
import functools
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from made_results import make_results, make_training, with_everything
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from flows.command.screen import show_summary
from spanmatch.matching.profile import similarity_curve
from spanmatch.measures import MEASURES
from spanmatch.reporting import (
    ComparisonRow,
    EpochRow,
    MeasureRow,
    NetworkRow,
    curves_figure,
    measures_figure,
    report_markdown,
    report_page,
    shown_network,
    similarity_figure,
    similarity_table,
    simple_match_sizes_figure,
    summary_rows,
    training_figure,
    warning_sentences,
)
from spanmatch.reporting.aggregate import group_similarities, simple_match_sizes
from spanmatch.reporting.figure_registry import shown_figures
from spanmatch.reporting.measure_values import measure_spreads
from spanmatch.reporting.tables import measure_tables
from spanmatch.reporting.theme import group_colour
from spanmatch.reporting.words import dead_neurons
from storage.root import Root

FIGURES = (similarity_figure, curves_figure, simple_match_sizes_figure)
PAPER = "https://arxiv.org/abs/1810.11750"
VOID = {"meta", "br", "hr", "img", "link", "input"}


def make_general():
    """Pairs that are not two seeds at one checkpoint, in results that otherwise keep their numbers."""
    trained, named = "vgg16-cifar10-width-quarter/seed1", "resnet18-from-torchvision"
    pairs = [
        ("seed0-initial", "seed0-final", "initial ~ final"),
        ("seed0-final", "seed0-final", "itself"),
        ("alice", "seed0-final", "alice ~ seed 0"),
        (trained, named, f"{trained} ~ {named}"),
        (trained.replace("seed1", "seed2"), named, f"{trained.replace('seed1', 'seed2')} ~ {named}"),
        ("seed0-epoch5", "seed0-final", "epoch5 ~ final"),
    ]
    plain = make_results()
    renamed = {
        (old.checkpoint_x, old.checkpoint_y): {"checkpoint_x": x, "checkpoint_y": y}
        for old, (x, y, _) in zip(plain.comparisons, pairs, strict=True)
    }

    def rename(rows):
        return tuple(dataclasses.replace(r, **renamed[r.checkpoint_x, r.checkpoint_y]) for r in rows)

    return dataclasses.replace(
        plain,
        comparisons=tuple(ComparisonRow(*pair) for pair in pairs),
        networks=(
            NetworkRow("seed0", "initial", 0.1, 2.3026, 0),
            NetworkRow("seed0", "epoch5", 0.8, 0.5, 5),
            NetworkRow("seed0", "final", 0.9, 0.25, 1200),
            NetworkRow("alice", "given", 0.95),
            NetworkRow(trained, "best", 0.93, 0.2),
        ),
        similarity=rename(plain.similarity),
        simple_matches=rename(plain.simple_matches),
        critical_epsilons=rename(plain.critical_epsilons),
        training=make_training(["seed0", trained], 5),
    )


def with_measures(results, names):
    """The maximum match as a measure, and others that one layer and one pair have no value of."""
    rng = np.random.default_rng(2)
    rows = [
        MeasureRow(
            r.layer, r.layer, r.checkpoint_x, r.checkpoint_y, "maximum-match", r.epsilon, r.similarity, 9
        )
        for r in results.similarity
    ]
    for name in names:
        for place, pair in enumerate(results.critical_epsilons):
            undefined = place == 0 or pair.layer == "relu2_1"
            value = None if undefined else float(rng.normal(scale=100))
            checkpoints = pair.checkpoint_x, pair.checkpoint_y
            rows.append(MeasureRow(pair.layer, pair.layer, *checkpoints, name, None, value, 9))
            # of different layers: no point of a line along the layers
            rows.append(MeasureRow(pair.layer, "another", *checkpoints, name, None, 1e9, 9))
    return dataclasses.replace(results, measures=tuple(rows))


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
    "hostile names": dataclasses.replace(
        make_results(layers=(HOSTILE, "relu"), groups=(HOSTILE,), study=HOSTILE),
        training=make_training([HOSTILE], 1),
    ),
    "general": make_general(),
    "measures": with_measures(make_results(), ["unheard-of", HOSTILE]),
    "everything": with_everything(make_results()),
}


@pytest.fixture(params=CASES, scope="module")
def results(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def page(results):
    return report_page(results)


@functools.cache
def page_of(case):
    return report_page(CASES[case])


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
    for (layer, other, centre, epsilon), summary in group_similarities(results).items():
        if (other, centre) == (group, "raw"):
            place = results.layers.index(layer)
            assert lines[f"{epsilon:g}"].get_ydata()[place] == pytest.approx(summary.mean)
            assert summary.minimum <= summary.mean + 1e-12
            assert summary.mean <= summary.maximum + 1e-12


def test_curve_counts_critical_epsilons():
    rng = np.random.default_rng(1)
    x, y = np.round(rng.uniform(size=(2, 30)), 1)
    x[:4] = np.inf
    steps, similarity = similarity_curve(x, y)
    everything = np.concatenate([x, y])
    for epsilon in np.linspace(0, 0.99, 100):
        place = np.searchsorted(steps, epsilon, side="right")
        drawn = similarity[place - 1] if place else 0.0
        assert drawn == pytest.approx(np.mean(everything <= epsilon))
    assert similarity[-1] == pytest.approx(np.mean(everything < 1))
    assert similarity[-1] < 56 / 60, "an epsilon is below 1, and some neurons match from 1 on"


def test_curve_agrees_with_similarity_at_the_epsilons_of_the_study(results):
    curves = {
        (c.layer, c.checkpoint_x, c.checkpoint_y, c.centre): similarity_curve(c.x, c.y)
        for c in results.critical_epsilons
    }
    for row in results.similarity:
        steps, similarity = curves[row.layer, row.checkpoint_x, row.checkpoint_y, row.centre]
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


def test_page_is_well_formed(results, page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.tags.count("title") == parsed.tags.count("h1") == parsed.tags.count("main") == 1
    assert parsed.tags.count("svg") == len(shown_figures(results))
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
    cited = {f"https://arxiv.org/abs/{known.reference.split()[-1]}" for known in MEASURES.values()}
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert PAPER in addresses
    assert addresses <= {PAPER, *cited}
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
    assert report_page(make_general()) == report_page(make_general())
    assert report_markdown(make_general()) == report_markdown(make_general())
    changed = dataclasses.replace(make_general(), training=make_training(["seed0"], 6))
    assert report_page(make_general()) != report_page(changed)


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
    images = re.findall(r"\(data:image/png;base64,([^)]*)\)", markdown)
    assert len(images) == sum(bool(figure.brief_bytes) for figure in shown_figures(results))
    assert sum(map(len, images)) < 300_000
    for image in images:
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
    assert f"At ε = 0.25, over 3 pairs of group “final”, the most similar layer is {most}" in text
    assert f"the least similar is {least} ({means[least]:.2f})" in text


def test_dead_neurons_are_reported():
    results = CASES["dead layer"]
    text = "".join(Page(report_page(results)).texts)
    assert "There are dead neurons in 3 of 3 layers, the most, 12, in layer relu2_1 of seed0-final." in text


def test_neurons_of_two_layers_that_are_compared_count_for_each_under_its_own_name():
    made = make_results(("conv ~ stem", "stem ~ conv"), groups=("final",), simple=False)
    counts = {"conv ~ stem": (20, 9, 3, 7), "stem ~ conv": (9, 20, 7, 3)}
    columns = ("neurons_x", "neurons_y", "dead_x", "dead_y")
    rows = [
        dataclasses.replace(row, **dict(zip(columns, counts[row.layer], strict=True)))
        for row in made.similarity
    ]
    results = dataclasses.replace(made, similarity=tuple(rows))
    networks = [f"seed{seed}-final" for seed in range(3)]
    assert dead_neurons(results) == {
        **{("conv", network): 3 for network in networks},
        **{("stem", network): 7 for network in networks},
    }
    page = report_page(results)
    assert "dead neurons in 2 of 2 layers, the most, 7, in layer stem of seed1-final." in page
    for row in ("stem</th><td>9</td><td>1,797", "conv</th><td>20</td><td>1,797", "stem</th><td>7"):
        assert f'<th scope="row">{row}</td>' in page


@pytest.mark.parametrize(("samples", "warned"), [(12, True), (13, False)])
def test_too_few_samples_are_flagged_in_the_same_words_everywhere(samples, warned, tmp_path):
    results = make_results(samples=samples)
    screen = io.StringIO()
    show_summary(Console(file=screen), results, Root.at(str(tmp_path)))
    shown = "".join(Page(report_page(results)).texts), report_markdown(results), screen.getvalue()
    assert ["Too few samples" in text for text in shown] == [warned] * 3
    for sentence in warning_sentences(results):
        assert "relu1_1 (12 for 12 neurons)" in sentence
        assert [sentence in text for text in shown] == [True] * 3


def test_similarity_table_has_a_row_for_each_layer_group_and_epsilon(results):
    table = similarity_table(results)
    keys = {(row["layer"], row["group"], row["centre"], row["epsilon"]) for row in table}
    centres = {row.centre for row in results.similarity}
    groups = {comparison.group for comparison in results.comparisons}
    epsilons = {row.epsilon for row in results.similarity}
    assert len(keys) == len(table) == len(results.layers) * len(groups) * len(centres) * len(epsilons)
    for row in table:
        assert 0 <= row["min_similarity"] <= row["mean_similarity"] <= row["max_similarity"] <= 1
        assert row["pairs"] == sum(c.group == row["group"] for c in results.comparisons)
        assert row["neurons"] == "12"


def test_summary_rows_are_means_in_network_order(results):
    rows = similarity_table(results)
    means = {(r["layer"], r["group"], r["centre"], r["epsilon"]): r["mean_similarity"] for r in rows}
    centres = {"": "raw", "raw": "raw", "centred": "mean"}
    epsilons = sorted({row.epsilon for row in results.similarity})
    for table in summary_rows(results):
        assert table.header == ("layer", *(f"ε = {epsilon:g}" for epsilon in epsilons))
        assert tuple(layer for layer, _ in table.rows) == results.layers
        for layer, values in table.rows:
            for epsilon, value in zip(epsilons, values, strict=True):
                assert value == pytest.approx(
                    means[layer, table.group, centres[table.centre], epsilon], abs=1e-4
                )


def test_missing_similarity_is_named():
    results = CASES["plain"]
    short = dataclasses.replace(results, similarity=results.similarity[1:])
    with pytest.raises(ValueError, match=r"`results.similarity` must hold every .* layer 'relu1_1'"):
        similarity_table(short)


def test_only_seeds_are_shown_under_another_name():
    shown = {
        "seed0": "seed 0",
        "seed12": "seed 12",
        "alice": "alice",
        "vgg/seed1": "vgg/seed1",
        "seeds": "seeds",
    }
    assert {name: shown_network(name) for name in shown} == shown


@pytest.mark.parametrize(("networks", "epochs"), [(1, 1), (1, 200), (3, 8), (12, 200)])
def test_training_is_drawn_as_it_went(networks, epochs):
    names = [f"seed{n}" for n in range(networks)]
    rows = make_training(names, epochs)
    # in whatever order the rows come
    figure = training_figure(dataclasses.replace(CASES["plain"], training=rows[::-1]))
    figure.draw_without_rendering()
    of_network = {name: [row for row in rows if row.network == name] for name in names}
    for ax, what in zip(figure.axes, ("training_loss", "held_out_loss", "accuracy"), strict=True):
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert set(lines) == {f"seed {n}" for n in range(networks)}
        assert len({(line.get_color(), line.get_linestyle()) for line in lines.values()}) == networks
        for name, own in of_network.items():
            line = lines[shown_network(name)]
            assert list(line.get_xdata()) == [row.epoch for row in own]
            assert list(line.get_ydata()) == [getattr(row, what) for row in own]
            assert (line.get_marker() == "o") is (epochs <= 20)
    assert texts_of(figure) >= {f"seed {n}" for n in range(networks)}


@pytest.mark.parametrize(
    ("last_loss", "scale"), [(0.2, "linear"), (0.01, "log"), (1e-5, "log"), (0, "linear")]
)
def test_losses_that_fall_far_are_drawn_on_a_logarithmic_axis(last_loss, scale):
    figure = training_figure(
        dataclasses.replace(CASES["plain"], training=make_training(["a"], 5, last_loss=last_loss))
    )
    figure.draw_without_rendering()
    assert [ax.get_yscale() for ax in figure.axes] == [scale, scale, "linear"]
    low, high = figure.axes[0].get_ylim()
    labels = [label for label in figure.axes[0].get_yticklabels() if low <= label.get_position()[1] <= high]
    assert len(labels) >= 2
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 1.0])
def test_no_tick_names_an_accuracy_that_cannot_be(accuracy):
    rows = (EpochRow("alice", 1, 0.1, 1.0, 1.0, accuracy),)
    (*_, ax) = training_figure(dataclasses.replace(CASES["plain"], training=rows)).axes
    low, high = ax.get_ylim()
    assert low < accuracy < high
    assert all(-1e-9 <= tick <= 1 + 1e-9 for tick in ax.get_yticks() if low <= tick <= high)


def test_without_training_there_is_no_word_of_it():
    plain = CASES["plain"]
    assert "<h2>Training</h2>" not in page_of("plain")
    assert "Training" not in report_markdown(plain)
    with pytest.raises(ValueError, match=r"`results.training` must hold at least one epoch"):
        training_figure(plain)


def test_training_is_described_where_there_is_some():
    page, markdown = page_of("general"), report_markdown(CASES["general"])
    assert "<h2>Training</h2>" in page
    (label,) = [v for n, v in Page(page).attributes if n == "aria-label" and v.startswith("Line charts of")]
    assert "up to epoch 5: one line for each network (seed 0, vgg16-cifar10-width-quarter/seed1)" in label
    sentence = "After 5 epochs of training (2 networks), the training loss is"
    assert f"{sentence} 0.199 to 0.2 and the held-out loss 1.49 to 1.5." in page
    assert sentence in markdown
    assert "## Training" in markdown


def test_a_network_is_tabulated_by_name_with_what_is_known_of_it():
    page = page_of("general")
    assert (
        '<tr><th scope="row">seed 0</th><td>final</td><td>1,200</td><td>90.00%</td><td>0.25</td></tr>' in page
    )
    assert '<tr><th scope="row">alice</th><td>given</td><td>–</td><td>95.00%</td><td>–</td></tr>' in page
    # what no network knows has no column
    assert '<th scope="col">accuracy</th></tr>' in page_of("plain")


def test_many_groups_are_named_by_their_extremes():
    results = CASES["general"]
    text = "".join(Page(page_of("general")).texts)
    assert "compares 6 pairs of networks, in 6 groups, in 3 layers" in text
    means = {table.group: np.mean([values[1] for _, values in table.rows]) for table in summary_rows(results)}
    most, least = max(means, key=means.get), min(means, key=means.get)
    assert f"the most similar group is “{most}” ({means[most]:.2f})" in text
    assert f"the least similar is “{least}” ({means[least]:.2f})" in text
    assert "has the most simple matches in all layers" in text
    assert "Held-out accuracy at 5 checkpoints: from 10.0% (seed 0, initial) to 95.0% (alice, given)." in text


def test_a_pair_in_two_groups_is_one_pair():
    plain = CASES["plain"]
    again = tuple(dataclasses.replace(c, group="all") for c in plain.comparisons)
    results = dataclasses.replace(plain, comparisons=plain.comparisons + again)
    text = "".join(Page(report_page(results)).texts)
    assert (
        "compares 6 pairs of networks, in 3 groups (“final”: 3, “initial”: 3, “all”: 6), in 3 layers" in text
    )


def test_long_groups_that_differ_look_different():
    texts = texts_of(similarity_figure(CASES["general"]))
    assert "vgg16-cifar…uarter/seed1 ~\nresnet18-fr…-torchvision" in texts
    assert "vgg16-cifar…uarter/seed2 ~\nresnet18-fr…-torchvision" in texts


def test_the_legend_of_many_long_groups_leaves_room_for_the_panel():
    plain = CASES["one of each"]
    groups = [f"vgg16-cifar10-epoch{n} ~ vgg16-cifar10-final" for n in range(12)]
    pair = plain.comparisons[0]
    results = dataclasses.replace(
        plain, comparisons=tuple(dataclasses.replace(pair, group=group) for group in groups)
    )
    figure = curves_figure(results)
    figure.draw_without_rendering()
    (ax,), (legend,) = figure.axes, figure.legends
    assert ax.get_window_extent().height > 1.2 * figure.dpi
    bottom, top = legend.get_window_extent().y0, legend.get_window_extent().y1
    assert top <= figure.bbox.y1
    assert bottom >= ax.get_window_extent().y1
    label = next(text for text in figure.texts if text.get_text() == "maximum match similarity")
    assert label.get_window_extent().y1 <= bottom


def values_of(results, measure, parameter, layer, group):
    """Values of a measure that the pairs of a group have in a layer."""
    pairs = {(c.checkpoint_x, c.checkpoint_y) for c in results.comparisons if c.group == group}
    wanted = measure, parameter, layer, layer
    return [
        row.value
        for row in results.measures
        if (row.measure, row.parameter, row.layer_x, row.layer_y) == wanted
        and (row.checkpoint_x, row.checkpoint_y) in pairs
        and row.value is not None
    ]


def test_a_measure_is_drawn_at_the_middle_epsilon_as_the_mean_over_the_pairs_that_have_a_value():
    results = CASES["measures"]
    figure = measures_figure(results)
    spreads = {(one.name, *place): spread for (one, *place), spread in measure_spreads(results).items()}
    groups = ("final", "initial")
    counts = set()
    for ax, (measure, parameter) in zip(
        figure.axes, [("maximum-match", 0.25), ("unheard-of", None), (HOSTILE, None)], strict=True
    ):
        lines = {line.get_color(): line for line in ax.get_lines()}
        for group, line in zip(groups, [lines[group_colour(place)] for place in range(2)], strict=True):
            for layer, drawn in zip(results.layers, line.get_ydata(), strict=True):
                values = values_of(results, measure, parameter, layer, group)
                counts.add(len(values))
                if values:
                    assert drawn == pytest.approx(np.mean(values))
                    spread = spreads[measure, layer, group]
                    assert (spread.minimum, spread.maximum) == (min(values), max(values))
                else:
                    assert np.isnan(drawn)
                    assert (measure, layer, group) not in spreads
    assert counts == {0, 2, 3}
    assert {"ε = 0.25", "final", "initial", "unheard-of", "maximum match similarity"} <= texts_of(figure)


def test_a_measure_has_an_axis_of_all_its_values(monkeypatch):
    rows = tuple(
        MeasureRow("fc", "fc", "seed0-final", "seed1-final", name, None, value, 9)
        for name, value in (("correlation", 0.5), ("distance", 7.0), ("maximum-match", 0.5))
    )
    known = MEASURES["maximum-match"]
    others = {
        "correlation": dataclasses.replace(known, bounds=(-1.0, 1.0)),
        "distance": dataclasses.replace(known, bounds=(0.0, np.inf)),
    }
    monkeypatch.setattr("spanmatch.reporting.measure_values.MEASURES", {**MEASURES, **others})
    correlation, distance, match = measures_figure(
        dataclasses.replace(CASES["one of each"], measures=rows)
    ).axes
    assert correlation.get_ylim() == pytest.approx((-1.04, 1.04))
    assert match.get_ylim() == pytest.approx((-0.02, 1.02))
    low, high = distance.get_ylim()
    assert -0.5 < low < 0
    assert 7 < high < 8


def test_page_and_markdown_tabulate_the_means_of_measures():
    results = CASES["measures"]
    page, markdown = page_of("measures"), report_markdown(results)
    header = ("layer", "maximum match similarity, ε = 0.25", "unheard-of", HOSTILE)
    assert [table.header for table in measure_tables(results)] == [header] * 2
    for group, table in zip(("final", "initial"), measure_tables(results), strict=True):
        assert table.group == group
        assert f"<caption>Mean of each measure by layer, group {group}</caption>" in page
        assert f"## Mean of each measure, group {group}" in markdown
        for layer, match, unheard_of, _ in table.rows:
            assert match == f"{np.mean(values_of(results, 'maximum-match', 0.25, layer, group)):.3f}"
            values = values_of(results, "unheard-of", None, layer, group)
            assert unheard_of == (f"{np.mean(values):.4g}" if values else "–")
            assert f'<tr><th scope="row">{layer}</th><td>{match}</td><td>{unheard_of}</td>' in page
            assert f"| {layer} | {match} | {unheard_of} |" in markdown
    assert "<img" not in page + markdown


def test_measures_are_described_and_explained():
    page = page_of("measures")
    text = "".join(Page(page).texts)
    assert "<h2>Measures along the layers</h2>" in page
    labels = [value for name, value in Page(page).attributes if name == "aria-label"]
    assert any(
        f"one panel for each measure (maximum match similarity, unheard-of, {HOSTILE})" in v for v in labels
    )
    assert "the middle one: maximum match similarity at ε = 0.25." in text
    assert "A pair for which a measure is undefined is left out of it." in text
    known = MEASURES["maximum-match"]
    assert f"{known.definition} {known.reference}." in text
    assert page.count("<dt>Maximum match similarity</dt>") == 1
    assert "<dt>Unheard" not in page


def test_without_measures_there_is_no_word_of_them():
    plain = CASES["plain"]
    assert "Measures" not in page_of("plain")
    assert "Measures" not in report_markdown(plain)
    between = MeasureRow("relu1_1", "relu2_1", "seed0-final", "seed1-final", "maximum-match", 0.25, 0.5, 9)
    of_a_grid = dataclasses.replace(plain, measures=(between,))
    page = report_page(of_a_grid)
    assert "Similarity of every layer with every layer" in page
    for text in (page, report_markdown(of_a_grid)):
        assert "Measures" not in text
    for results in (plain, of_a_grid):
        with pytest.raises(ValueError, match=r"^`results.measures` must hold at least one row"):
            measures_figure(results)
