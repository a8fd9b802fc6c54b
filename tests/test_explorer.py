"""The report's explorer as people use it: in Debian's Chromium, opened from disk.

Results are a real study's, and made ones that have everything. Pictures are left in `test-output/`.
"""

import csv
import io
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from pathlib import Path

import needs
import numpy as np
import pytest
from conftest import REPOSITORY
from made_results import make_results, with_everything
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from test_grids import made as with_grids

from spanmatch.reporting import Exemplars, Shown, explorer_page

OUTPUT = Path(os.environ.get("SPANMATCH_TEST_OUTPUT", REPOSITORY / "test-output"))
HOSTILE = "</script><img src=x onerror='alert(1)'> \"ε\" & Ж"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = needs.find("chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


class Opened:
    """A page opened from disk, and all that it said or asked for."""

    def __init__(self, context: BrowserContext, path: Path) -> None:
        self.path, self.said, self.asked = path, list[str](), list[str]()
        self.page = context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url.partition("#")[0]))
        self.look("")

    def look(self, link: str) -> Page:
        """Open a link into the page, as from another page."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.path.as_uri()}{link}")
        expect(self.page.locator("#explorer")).to_be_visible()
        return self.page

    def assert_quiet(self) -> None:
        """Nothing was said, and nothing asked for but the page itself and pictures that stand in it."""
        assert self.said == []
        assert {url for url in self.asked if not url.startswith("data:")} <= {
            self.path.as_uri(),
            "about:blank",
        }


def fixed(value: float, digits: int) -> str:
    """Write a number as JavaScript does, which rounds a half up where Python rounds it to even."""
    return str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def shown(page: Page) -> dict[str, str]:
    """Return what the address says."""
    return dict(page.evaluate("() => [...new URLSearchParams(location.hash.slice(1))]"))


def keep_picture(page: Page, name: str) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=OUTPUT / f"explorer-{name}.png")


def shut_out(page: Page) -> list[tuple[str, str]]:
    """Return what axe-core finds that shuts people out; takes what is below the explorer out of the page."""
    axe = Path(str(needs.module("axe_playwright_python").__file__)).with_name("axe.min.js")
    page.evaluate(axe.read_text(encoding="utf-8"))
    # the colours behind a text are looked for among all that a page has: figures below take most of the time
    page.evaluate("document.querySelector('.column').remove()")
    found = page.evaluate("async () => (await axe.run('#explorer')).violations")
    return [(one["id"], node["html"]) for one in found for node in one["nodes"]]


def set_epsilon(page: Page, epsilon: float) -> None:
    page.locator("#explorer-exact").fill(f"{epsilon:.4f}")
    page.locator("#explorer-exact").press("Enter")
    expect(page.locator("output.big")).to_have_text(f"{epsilon:.4f}".removesuffix("0"))


def everything():
    """Results with nulls, errors, held-out values, exemplars of pictures and texts, and wild names."""
    results = with_everything(make_results(layers=(HOSTILE, "relu2", "fc"), neurons=20))
    rng = np.random.default_rng(5)
    exemplars = tuple(
        Exemplars(
            layer,
            f"seed{network}-{moment}",
            rng.integers(0, 30, (20, 9)),
            -np.sort(-rng.uniform(0.5, 3, (20, 9)).astype(np.float32)),
            rng.integers(0, 4, (20, 9)),
            (2, 2),
        )
        for layer, network, moment in product(results.layers, range(3), ("initial", "final"))
    )
    pictures = {number: np.full((8, 8, 3), 8 * number, np.uint8) for number in range(20)}
    texts = {number: ("<b>one", " two", " three", f" {number}") for number in range(20, 30)}
    return replace(
        results, exemplars=exemplars, shown=Shown(pictures, texts, remark="<i>Some</i> are left out.")
    )


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture(scope="module")
def real(context: BrowserContext, tiny_root: Path) -> Opened:
    return Opened(context, tiny_root / "report.html")


@pytest.fixture(scope="module")
def made(context: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    path = tmp_path_factory.mktemp("made") / "report.html"
    path.write_text(explorer_page(everything()), encoding="utf-8")
    return Opened(context, path)


VISIT = """
async ([hash, layer]) => {
  location.hash = hash;
  await new Promise((resolve) => addEventListener("hashchange", resolve, {once: true}));
  const texts = (found) => [...found].map((element) => element.innerText);
  const rows = [...document.querySelectorAll(".numbers tbody tr")];
  const row = rows.find((one) => one.cells[0].innerText === layer);
  const neurons = [...document.querySelectorAll("ul.neurons > li")].map((one) => one.dataset.neuron);
  return {cells: texts(row.cells).slice(1), note: document.querySelector(".find + .note").innerText, neurons};
}
"""


def test_similarity_is_that_of_the_table_and_matches_those_of_the_lines_at_fifty_places(
    real: Opened, tiny_root: Path
) -> None:
    page = real.look("")
    page.get_by_text("The numbers of all layers").click()
    with (tiny_root / "similarity.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    lines = [json.loads(line) for line in (tiny_root / "simple_matches.jsonl").read_text().splitlines()]
    draws = random.Random(7)
    opened = 0
    for place, row in enumerate(draws.choices(rows, k=50)):
        where = {name: row[name] for name in ("layer", "checkpoint_x", "checkpoint_y")}
        there = [
            (line["x"], line["y"])
            for line in lines
            if line["epsilon"] == float(row["epsilon"]) and where.items() <= line.items()
        ]
        x, y = draws.choice(there or [([place], [])])
        match = f"x{x[0]}" if x else f"y{y[0]}"
        pair = f"{row['checkpoint_x']}~{row['checkpoint_y']}"
        link = f"layer={row['layer']}&epsilon={row['epsilon']}&pair={pair}&neuron={match}&place={place}"
        seen = page.evaluate(VISIT, [link, row["layer"]])
        counts = [row[name] for name in ("matched_x", "matched_y", "neurons_x", "neurons_y")]
        assert seen["cells"][:5] == [fixed(float(row["similarity"]), 4), *counts]
        distinct = {(tuple(x), tuple(y)) for x, y in there}
        with_it = {(x, y) for x, y in distinct if int(match[1:]) in (x if match[0] == "x" else y)}
        assert (
            f"{len(with_it)} of {len(distinct)} simple match" if distinct else ": no simple match"
        ) in seen["note"]
        # of either side 24 at first
        names = {(*(f"x{n}" for n in x[:24]), *(f"y{n}" for n in y[:24])) for x, y in with_it}
        assert tuple(seen["neurons"]) in names or (not names and seen["neurons"] == [match])
        opened += bool(names)
    assert opened > 10
    keep_picture(page, "real")
    real.assert_quiet()


def test_the_slider_changes_what_is_seen_and_null_and_error_stand_at_the_studys_epsilons_alone(
    made: Opened,
) -> None:
    page = made.look("#layer=relu2&epsilon=0.25")
    story = page.locator("#explorer .story")
    expect(story).to_contain_text("Chance gives up to")
    before = story.inner_text()
    assert page.locator("#explorer path.null").count() >= 2
    slider = page.locator("#explorer-epsilon")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(page.locator("output.big")).to_have_text("0.253")
    expect(story).to_contain_text("known only at the study’s ε: 0.15, 0.25, 0.5")
    assert story.inner_text() != before
    chart = page.get_by_role("region", name="Similarity along the layers", exact=True)
    assert chart.locator(".chart path.null, .chart path.error").count() == 0
    expect(page.get_by_text("these are of the nearest, ε = 0.250")).to_be_visible()
    assert shown(page)["epsilon"] == "0.253"


def test_a_link_restores_layer_pair_epsilon_match_and_activations(made: Opened) -> None:
    link = {"layer": HOSTILE, "epsilon": "0.5", "pair": "seed0-initial~seed2-initial", "centre": "raw"}
    page = made.look("")
    page.evaluate("(asked) => { location.hash = new URLSearchParams(asked); }", link)
    expect(page.locator("#explorer-layer")).to_have_value("0")
    page.locator("button.match").first.click()
    expect(page.locator("#explorer-opened")).to_be_focused()
    restored = shown(page)
    assert link.items() <= restored.items()
    opened, story = page.locator("#explorer-opened").inner_text(), page.locator(".story").inner_text()
    page = made.look(page.evaluate("location.hash"))
    assert page.locator("#explorer-opened").inner_text() == opened
    assert page.locator(".story").inner_text() == story
    assert shown(page) == restored
    assert page.locator("#explorer-pair option:checked").inner_text() == "seed 0 ~ seed 2"
    assert page.locator("#explorer-moment option:checked").inner_text() == "initial"


def test_a_stranger_finds_the_answers(made: Opened) -> None:
    """Ten questions, each answered by what a person would do and read."""
    results = everything()
    page = made.look("")
    # 1 how alike are seeds 0 and 1, trained, in relu2 at ε = 0.25?
    page.get_by_label("Moment", exact=True).select_option(label="final")
    page.get_by_label("Pair of networks").select_option(label="seed 0 ~ seed 1")
    page.get_by_label("Layer", exact=True).select_option(label="relu2")
    page.get_by_label("Activations").select_option(label="as they are")
    page.get_by_role("button", name="0.25", exact=True).click()
    at = ("relu2", "seed0-final", "seed1-final", 0.25, "raw")
    (row,) = [
        r for r in results.similarity if (r.layer, r.checkpoint_x, r.checkpoint_y, r.epsilon, r.centre) == at
    ]
    expect(page.locator(".story strong")).to_have_text(f"{fixed(100 * row.similarity, 1)} %")
    # 2 which neurons are these?
    expect(page.locator(".story")).to_contain_text(f"{row.matched_x} of 20 neurons of seed 0")
    expect(page.locator(".story")).to_contain_text(f"{row.matched_y} of 20 of seed 1")
    # 3 is that more than chance?
    (measure,) = [
        m
        for m in results.measures
        if m.measure == "maximum-match"
        and (m.layer_x, m.checkpoint_x, m.checkpoint_y, m.parameter, m.centre) == at
    ]
    expect(page.locator(".story")).to_contain_text(
        f"Chance gives up to {fixed(100 * measure.threshold, 1)} %"
    )
    # 4 how sure is it?
    expect(page.locator(".story")).to_contain_text(f"standard error is {fixed(100 * measure.error, 1)} %")
    # 5 and on images that it was not fitted to?
    expect(page.locator(".story")).to_contain_text(
        f"On held-out images it is {fixed(100 * measure.held_out, 1)} %"
    )
    # 6 which neurons of seed 1 join y17 at ε = 0.5, and what do they fire on?
    page.get_by_role("button", name="0.5", exact=True).click()
    (found,) = {
        (m.x, m.y)
        for m in results.simple_matches
        if (m.layer, m.checkpoint_x, m.checkpoint_y, m.epsilon) == (*at[:3], 0.5)
    }
    asked = f"y{found[1][-1]}"
    page.get_by_label("Matches with neuron").fill(asked)
    expect(page.locator("#explorer-opened")).to_contain_text(
        f"{len(found[0])} of seed 0, {len(found[1])} of seed 1"
    )
    names = page.locator("ul.neurons > li").evaluate_all("items => items.map((item) => item.dataset.neuron)")
    assert names == [*(f"x{n}" for n in found[0]), *(f"y{n}" for n in found[1])]
    (strongest,) = [e for e in results.exemplars if (e.layer, e.checkpoint) == ("relu2", "seed1-final")]
    card = page.locator(f"li[data-neuron={asked}]")
    expect(card.locator("ol.strongest > li")).to_have_count(9)
    for place, (sample, position) in enumerate(
        zip(strongest.samples[found[1][-1]], strongest.positions[found[1][-1]], strict=True)
    ):
        item = card.locator("ol.strongest > li").nth(place).locator("> span")
        if sample < 20:
            label = item.get_attribute("aria-label")
            assert label is not None
            assert label.startswith(f"image {sample}: ")
            assert f"row {position // 2 + 1}, column {position % 2 + 1} of 2 × 2" in label
        else:
            expect(item.locator("mark")).to_have_text(everything().shown.texts[int(sample)][position].strip())
    # 7 from which ε on does this neuron match?
    (one,) = [
        c
        for c in results.critical_epsilons
        if (c.layer, c.checkpoint_x, c.checkpoint_y, c.centre) == (*at[:3], "raw")
    ]
    number = found[1][-1]
    expect(card).to_contain_text(
        f"critical ε {one.y[number]:.3f} ± 0.020 · held-out {one.held_out[1][number]:.3f}"
    )
    # 8 in which layer are they most alike?
    page.get_by_text("The numbers of all layers").click()
    table = page.get_by_role("region", name="in numbers")
    shares = [float(text) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]
    assert shares == [
        pytest.approx(r.similarity, abs=1e-4)
        for layer in results.layers
        for r in results.similarity
        if (r.layer, r.checkpoint_x, r.checkpoint_y, r.epsilon, r.centre) == (layer, *at[1:3], 0.5, "raw")
    ]
    # 9 and before training?
    page.get_by_label("Moment", exact=True).select_option(label="initial")
    expect(page.locator("#explorer-pair option:checked")).to_have_text("seed 0 ~ seed 1")
    expect(page).to_have_url(re.compile("pair=seed0-initial(~|%7E)seed1-initial&"))
    # 10 can I take this with me?
    with page.expect_download() as download:
        page.get_by_role("button", name="Save similarity along the layers as CSV").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert [row[0] for row in rows[1:]] == [HOSTILE, "relu2", "fc"]
    at_last = {
        r.layer: r.similarity
        for r in results.similarity
        if (r.checkpoint_x, r.checkpoint_y, r.epsilon, r.centre)
        == ("seed0-initial", "seed1-initial", 0.5, "raw")
    }
    assert {row[0]: float(row[1]) for row in rows[1:]} == at_last
    for kind, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save the neurons as {kind}").click()
        assert Path(download.value.path()).read_bytes().startswith(start)
    assert page.locator("#explorer img, #explorer b, #explorer i").count() == 0
    keep_picture(page, "made")
    made.assert_quiet()


def test_the_keyboard_alone_reaches_everything(made: Opened) -> None:
    page = made.look("#layer=relu2&epsilon=0.5")
    reached, inner = [], set()
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "[document.activeElement.id, document.activeElement.className, document.activeElement.innerText]"
        )
        reached.append(found[0])
        inner |= set(str(found[1]).split())
        if "neuron" in inner:
            break
    for name in ("moment", "pair", "layer", "centre", "epsilon", "exact", "find"):
        assert f"explorer-{name}" in reached
    assert {"mark-epsilon", "sort", "match", "neuron"} <= inner
    page.locator("button.match").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#explorer-opened")).to_be_focused()
    heading = page.locator("th[aria-sort]").filter(has_text="neurons")
    heading.get_by_role("button").focus()
    page.keyboard.press("Space")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Space")
    expect(heading).to_have_attribute("aria-sort", "descending")


def test_on_a_phone_in_the_dark_and_without_motion(made: Opened, real: Opened) -> None:
    for opened, scheme, width in ((made, "dark", 400), (real, "light", 1400), (made, "light", 3840)):
        page = opened.look("#epsilon=0.5")
        page.set_viewport_size({"width": width, "height": 1600})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        strands = page.locator(".strands").first
        assert strands.evaluate("element => getComputedStyle(element).transitionDuration") == "0s"
        letters = page.locator("#explorer svg .tick").first.evaluate(
            "one => one.getBoundingClientRect().height"
        )
        assert letters > (20 if width == 3840 else 10)
        if width < 2000:  # larger ones take seconds to paint
            keep_picture(page, f"{scheme}-{width}")
            assert shut_out(page) == []
    made.assert_quiet()
    real.assert_quiet()


def test_what_a_study_lacks_is_said_and_a_neuron_matches_at_its_critical_epsilon(
    context: BrowserContext, tmp_path: Path
) -> None:
    plain = make_results(simple=False, layers=("fc",), groups=("final",))
    # 0.3 in single precision is more than 0.3
    ties = np.array([0.3, 0.25, *np.full(10, 0.9)])
    exactly = tuple(replace(one, x=ties, y=np.ones(12)) for one in plain.critical_epsilons)
    plain = replace(plain, critical_epsilons=exactly)
    path = tmp_path / "report.html"
    path.write_text(explorer_page(plain), encoding="utf-8")
    opened = Opened(context, path)
    for text in ("kept no images at which", "No simple matches are known", "has no null and no error"):
        expect(opened.page.get_by_text(text)).to_be_visible()
    for epsilon, matched in ((0.25, 1), (0.2499, 0), (0.2999, 1), (0.3, 2)):
        set_epsilon(opened.page, epsilon)
        expect(opened.page.locator(".story")).to_contain_text(f"{matched} of 12 neurons of seed 0")
        expect(opened.page.locator(".story strong")).to_have_text(f"{fixed(100 * matched / 24, 1)} %")
    opened.assert_quiet()


def test_a_link_to_what_is_not_there_says_so_and_shows_what_is(made: Opened) -> None:
    page = made.look("#layer=relu9&epsilon=1.5&pair=a~b&neuron=x999999&match=<b>")
    story = page.locator(".story")
    for asked in ("layer “relu9”", "epsilon “1.5”", "pair “a~b”"):
        expect(story).to_contain_text(asked)
    expect(story).to_contain_text("ε = 0.250")
    exact = page.locator("#explorer-exact")
    exact.fill("1.2")
    exact.press("Enter")
    expect(exact).to_have_value("0.250")
    page.get_by_role("button", name="0.15", exact=True).click()
    expect(story).not_to_contain_text("The link asks")
    made.assert_quiet()


def test_results_with_nothing_to_look_into_have_no_explorer(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(explorer_page(replace(make_results(), critical_epsilons=())), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    expect(page.get_by_role("heading", name="Similarity along the layers")).to_be_visible()
    expect(page.locator("#explorer")).to_be_hidden()
    page.close()


def test_a_grid_is_a_heat_map_read_by_mouse_and_keys(context: BrowserContext, tmp_path: Path) -> None:
    results = with_grids()
    path = tmp_path / "report.html"
    path.write_text(explorer_page(results), encoding="utf-8")
    opened = Opened(context, path)
    panel = opened.page.get_by_role("region", name="Every layer with every layer")
    panel.locator("svg").focus()
    opened.page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("status")).to_contain_text(" with ")
    keep_picture(opened.page, "grid")
    assert shut_out(opened.page) == []
    opened.assert_quiet()


def test_without_scripts_the_report_is_read_and_nothing_of_the_explorer(
    browser: Browser, real: Opened
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(real.path.as_uri())
    expect(page.get_by_role("heading", name="Similarity along the layers")).to_be_visible()
    expect(page.locator("#explorer")).to_be_hidden()
    context.close()


def test_ten_thousand_neurons_do_not_freeze_it(context: BrowserContext, tmp_path: Path) -> None:
    results = make_results(
        layers=("wide",), neurons=10_000, groups=("final",), epsilons=(0.25,), simple=False
    )
    path = tmp_path / "report.html"
    path.write_text(explorer_page(results), encoding="utf-8")
    opened = Opened(context, path)
    set_epsilon(opened.page, 0.4)
    share = np.mean(np.concatenate([results.critical_epsilons[0].x, results.critical_epsilons[0].y]) <= 0.4)
    expect(opened.page.locator(".story strong")).to_have_text(f"{fixed(100 * share, 1)} %")
    opened.assert_quiet()
